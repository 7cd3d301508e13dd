"""What is believed of an Application, and what is asked about it next, and when."""

from math import inf
from typing import Any

import pytest

from plate_release.argocd.client import AppRef
from plate_release.argocd.events import (
    Blind,
    Gone,
    RefreshUnanswered,
    Revision,
    Seen,
    SyncAnswer,
    TreeSeen,
    Via,
    Waiting,
    Want,
    WhatIs,
)
from plate_release.argocd.failures import (
    CallFailed,
    Forbidden,
    NoOperation,
    NotArgo,
    NotFound,
    OperationInProgress,
    Rejected,
    TimedOut,
    Unauthorized,
    Unreachable,
    Unwell,
    WindowClosed,
)
from plate_release.argocd.sight import Errand, Look, Sight, Watched, event_of
from plate_release.argocd.status import LiveApplication, Node, ResourceTree


class Silent:
    def feed(self, t: float, event: object) -> Waiting:
        raise AssertionError((t, event))

    def tick(self, t: float) -> Waiting:
        raise AssertionError(t)


def sight(*wants: Want | WhatIs, alone: bool = True, namespace: str = "") -> Sight[Any]:
    app = AppRef("plate-api", "default", namespace)
    watched: Watched[Any] = Watched("plate-api", app, Silent(), lambda s: Revision(s, None, None))
    made = Sight(watched, app, Waiting("", inf), alone=alone)
    made.take(Waiting("", inf, frozenset(wants)), 0.0)
    return made


def first(one: Sight[Any]) -> tuple[float, Errand | None]:
    """Return what is asked first, be it urgent or routine."""
    return min(one.next(routine=False), one.next(routine=True), key=lambda due: due[0])


def app(version: int, uid: str = "u1", created: str = "1", **status: Any) -> LiveApplication:
    metadata = {
        "name": "plate-api",
        "namespace": "argocd",
        "uid": uid,
        "resourceVersion": str(version),
        "creationTimestamp": f"2026-11-23T00:00:0{created}Z",
    }
    return LiveApplication.model_validate({"metadata": metadata, "status": status})


def test_a_newer_version_is_believed_and_an_older_one_of_the_stream_is_not() -> None:
    one = sight()
    assert one.newest(app(5), Via.STREAM) == Seen(app(5), Via.STREAM)
    assert one.newest(app(4), Via.STREAM) is None
    assert one.newest(app(5), Via.STREAM) is None
    assert one.newest(app(6), Via.GET) == Seen(app(6), Via.GET)


@pytest.mark.parametrize("via", [Via.GET, Via.REFRESH])
def test_an_answer_that_was_overtaken_stands_for_the_newest_that_is_known(via: Via) -> None:
    one = sight()
    one.newest(app(9), Via.STREAM)
    assert one.newest(app(7), via) == Seen(app(9), via)


def test_a_version_is_compared_as_a_number() -> None:
    one = sight()
    one.newest(app(99), Via.STREAM)
    assert one.newest(app(100), Via.STREAM) is not None


def test_one_that_was_made_anew_is_believed_and_its_predecessor_is_not() -> None:
    one = sight()
    one.newest(app(9), Via.STREAM)
    assert one.newest(app(20, uid="u2", created="5"), Via.STREAM) is not None
    assert one.newest(app(9), Via.STREAM) is None


def test_a_namesake_in_another_namespace_is_somebody_else() -> None:
    other = LiveApplication.model_validate({"metadata": {"name": "plate-api", "namespace": "team"}})
    assert not sight(namespace="argocd").is_about(other)
    assert sight(namespace="team").is_about(other)
    learned = sight()
    learned.newest(app(1), Via.GET)
    assert not learned.is_about(other)


def test_it_looks_at_once_and_then_seldom_while_a_stream_tells() -> None:
    one = sight()
    assert first(one) == (0.0, Look.GET)
    one.started(Look.GET)
    assert first(one) == (inf, None)
    one.streaming = True
    one.ended(Look.GET, app(1), 100, 0)
    assert first(one) == (120, Look.GET)
    one.streaming = False
    one.ended(Look.GET, app(1), 100, 0.75)
    assert first(one) == (103.75, Look.GET)


def test_a_refresh_counts_as_a_look_and_is_not_repeated_soon() -> None:
    one = sight(Want.REFRESH)
    one.streaming = True
    one.ended(Want.REFRESH, app(1), 100, 0)
    assert first(one) == (115, Want.REFRESH)
    one.take(Waiting("", inf, frozenset({Want.HARD_REFRESH})), 101)
    assert first(one) == (115, Want.HARD_REFRESH)
    one.take(Waiting("", inf), 102)
    assert first(one) == (120, Look.GET)


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (OperationInProgress("x"), 5),
        (None, 30),
        (WindowClosed("x"), 30),
        (Forbidden("x"), 30),
        (Rejected("x"), 30),
    ],
)
def test_a_sync_is_tried_again_soon_only_where_another_operation_ran(
    answer: object, again: float
) -> None:
    one = sight(Want.SYNC)
    one.look_at(1000)
    one.ended(Want.SYNC, answer, 100, 0)
    assert one._due(Want.SYNC) == 100 + again


def test_failures_make_the_pauses_longer_and_success_ends_that() -> None:
    one = sight()
    pauses = []
    for _ in range(6):
        one.ended(Look.GET, Unwell("x"), 0, 0.5)
        pauses.append(first(one)[0])
    assert pauses == sorted(pauses)
    assert pauses[-1] > 10
    one.ended(Look.GET, app(1), 0, 0.5)
    assert first(one)[0] < 4


def test_a_tree_is_wanted_again_when_something_changes() -> None:
    one = sight(Want.TREE)
    one.look_at(1000)
    one.started(Want.TREE)
    one.ended(Want.TREE, ResourceTree(), 100, 0)
    assert first(one) == (101, Want.TREE)
    assert one.is_routine(Want.TREE)
    one.changed(100.2)
    assert first(one) == (100.2, Want.TREE)
    assert not one.is_routine(Want.TREE)


def test_a_tree_that_fails_is_looked_into_by_a_get() -> None:
    one = sight(Want.TREE)
    one.look_at(1000)
    one.ended(Want.TREE, Unwell("x"), 100, 0)
    assert first(one) == (100, Look.GET)


def test_in_a_crowd_a_tree_has_patience_and_one_that_is_well_needs_none() -> None:
    one = sight(Want.TREE, alone=False)
    assert first(one) == (8, Want.TREE)
    one.newest(app(1, health={"status": "Progressing"}), Via.STREAM)
    assert not one.is_routine(Want.TREE)
    one.newest(app(2, health={"status": "Healthy"}), Via.STREAM)
    assert one.is_routine(Want.TREE)
    one.take(Waiting("", inf), 3)
    one.take(Waiting("", inf, frozenset({Want.TREE})), 4)
    assert first(one) == (12, Want.TREE)


def test_in_a_crowd_one_whose_tree_was_read_is_read_again_when_it_changes() -> None:
    one = sight(Want.TREE, alone=False)
    one.newest(app(1, health={"status": "Healthy"}), Via.STREAM)
    one.started(Want.TREE)
    one.ended(Want.TREE, ResourceTree(), 10, 0)
    one.changed(10.5)
    assert first(one) == (10.5, Want.TREE)
    assert not one.is_routine(Want.TREE)


def test_trouble_in_the_tree_makes_every_look_urgent() -> None:
    node = Node.model_validate({"kind": "Pod", "health": {"status": "Degraded"}})
    one = sight(Want.TREE, alone=False)
    one.started(Want.TREE)
    one.ended(Want.TREE, ResourceTree(nodes=(node,)), 10, 0)
    assert not one.is_routine(Want.TREE)


@pytest.mark.parametrize(
    ("errand", "answer", "event"),
    [
        (Look.GET, NotFound("x"), Gone()),
        (Look.GET, Unreachable("x", why="refused"), Blind("refused")),
        (Look.GET, Unauthorized("x", status=401), Blind("x", 401)),
        (Look.GET, NotArgo("x", status=200), Blind("x", 200)),
        (Look.GET, TimedOut("x"), Blind("x")),
        (Want.REFRESH, TimedOut("x"), RefreshUnanswered()),
        (Want.HARD_REFRESH, TimedOut("x"), RefreshUnanswered()),
        (Want.REFRESH, Unwell("x", status=503), Blind("x", 503)),
        (Want.SYNC, None, SyncAnswer(None, 200)),
        (Want.SYNC, OperationInProgress("x"), None),
        (
            Want.SYNC,
            WindowClosed("x", message="blocked by sync window", status=403),
            SyncAnswer("blocked by sync window", 403),
        ),
        (Want.SYNC, Rejected("x", message="deleting", status=400), SyncAnswer("deleting", 400)),
        (Want.SYNC, Unwell("x", status=500), Blind("x", 500)),
        (Want.TREE, ResourceTree(), TreeSeen(ResourceTree())),
        (Want.TREE, Unwell("x"), None),
        (Want.WINDOWS, Forbidden("x"), None),
        (Want.TERMINATE, NoOperation("x"), None),
        (Want.TERMINATE, None, None),
        (WhatIs("a"), Revision("a", None, None), Revision("a", None, None)),
    ],
)
def test_each_answer_means_one_thing_to_the_judge(
    errand: Errand, answer: CallFailed | object, event: object
) -> None:
    assert event_of(errand, answer) == event


def test_what_is_urgent_does_not_wait_behind_what_is_routine() -> None:
    one = sight(Want.TREE)
    one.ended(Look.GET, app(1), 90, 0)
    one.started(Want.TREE)
    one.ended(Want.TREE, ResourceTree(), 100, 0)
    one.look_at(102)
    assert one.next(routine=True) == (101, Want.TREE)
    assert one.next(routine=False)[1] is Look.GET
