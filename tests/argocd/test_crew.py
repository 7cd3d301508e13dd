"""Threads that wait, and an agenda of who is due."""

import queue
import threading
from math import inf

import pytest

from plate_release.argocd.agenda import Agenda
from plate_release.argocd.crew import _NEWS_AT_ONCE, Threads


def test_a_job_runs_elsewhere_and_what_follows_is_done_by_who_waits() -> None:
    crew, done = Threads(2), list[tuple[str, str]]()
    crew.start(
        lambda: threading.current_thread().name,
        lambda name: done.append((name, threading.current_thread().name)),
    )
    while not done:
        crew.wait(5)
    assert done == [("argocd-call", threading.current_thread().name)]
    crew.close()


def test_what_a_job_raises_is_raised_where_it_is_waited_for() -> None:
    crew = Threads(1)

    def fail() -> None:
        raise ValueError("a bug")

    crew.start(fail, lambda _: pytest.fail("no answer"))
    with pytest.raises(ValueError, match="a bug"):
        wait_for_ever(crew)
    crew.close()


def wait_for_ever(crew: Threads) -> None:
    while True:
        crew.wait(5)


def test_a_hanging_job_holds_neither_the_others_nor_the_one_who_waits() -> None:
    crew, gate, done = Threads(2), threading.Event(), list[str]()
    crew.start(gate.wait, lambda _: None)
    crew.start(lambda: "done", done.append)
    while not done:
        crew.wait(5)
    crew.close()
    gate.set()


def test_news_wait_where_nobody_takes_them_so_that_memory_stays_flat() -> None:
    crew, posted, told = Threads(1), queue.SimpleQueue[int](), list[int]()

    def tell() -> None:
        for n in range(3 * _NEWS_AT_ONCE):
            posted.put(n)
            crew.post(lambda n=n: told.append(n))  # type: ignore[misc]

    thread = threading.Thread(target=tell)
    thread.start()
    for _ in range(_NEWS_AT_ONCE + 1):
        posted.get(timeout=20)
    assert posted.empty()
    while len(told) < 3 * _NEWS_AT_ONCE:
        crew.wait(5)
    thread.join()
    assert told == list(range(3 * _NEWS_AT_ONCE))


def test_a_closed_crew_lets_who_posts_go() -> None:
    crew = Threads(1)
    for _ in range(_NEWS_AT_ONCE):
        crew.post(lambda: None)
    thread = threading.Thread(target=crew.post, args=(lambda: None,))
    thread.start()
    crew.close()
    thread.join(20)
    assert not thread.is_alive()


def test_an_agenda_gives_those_that_are_due_in_their_order() -> None:
    agenda = Agenda[str]()
    for key, when in (("a", 5.0), ("b", 3.0), ("c", 4.0), ("a", 1.0), ("c", inf)):
        agenda.set(key, when)
    assert agenda.first() == 1.0
    assert agenda.take(0.5) is None
    assert [agenda.take(9), agenda.take(9), agenda.take(9)] == ["a", "b", None]
    assert agenda.first() == inf


def test_who_was_moved_is_due_once() -> None:
    agenda = Agenda[str]()
    for when in (5.0, 7.0, 5.0, 6.0):
        agenda.set("a", when)
    assert agenda.take(5.5) is None
    assert agenda.take(6.0) == "a"
    assert agenda.take(9.0) is None
