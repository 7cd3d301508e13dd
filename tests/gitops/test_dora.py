"""The four figures over made-up ledgers, by hand."""

import pytest

from plate_release.gitops.dora import DAY, dora
from plate_release.gitops.entry import Entry, Recorded, ServiceEntry, moment
from plate_release.model import Outcome

NOW = 100 * DAY


def release(
    state: str, started: float, took: float, *, service: str = "a", reverts: str | None = None
) -> Recorded:
    made = Entry(
        id=f"{state}-{started}",
        state="watching" if state == "watching" else Outcome(state),
        environment="prod",
        services=(ServiceEntry(name=service, before="1", after="2"),),
        started=moment(started),
        finished=None if state == "watching" else moment(started + took),
        reverts=reverts,
    )
    return Recorded("a" * 40, made)


def test_an_empty_ledger_tells_nothing() -> None:
    made = dora([], window=30 * DAY, now=NOW)
    assert made.window_days == 30
    assert made.deployment_frequency.value == 0
    assert made.lead_time.value is None
    assert made.change_failure_rate.value is None
    assert made.time_to_restore.value is None


def test_the_four_figures() -> None:
    history = [
        release("released", NOW - DAY, 60),
        release("released", NOW - 2 * DAY, 100),
        release("released", NOW - 3 * DAY, 80),
        release("rolled-back", NOW - 4 * DAY, 300),
        release("released", NOW - 40 * DAY, 9999),
        release("watching", NOW - 10, 0),
        release("unwatched", NOW - 20, 1),
        release("released", NOW - 4 * DAY, 200, reverts="b" * 40),
    ]
    made = dora(history, window=10 * DAY, now=NOW)
    assert made.deployment_frequency.value == pytest.approx(0.3)
    assert made.lead_time.value == 80
    assert made.change_failure_rate.value == pytest.approx(0.25)
    assert made.time_to_restore.value == 300
    assert "rolled back" in made.change_failure_rate.definition


def test_a_held_release_is_restored_by_the_next_good_one_of_its_service() -> None:
    held = release("held", NOW - 1000, 100)
    other = release("released", NOW - 800, 10, service="b")
    fixed = release("released", NOW - 500, 50)
    assert dora([held, other], window=DAY, now=NOW).time_to_restore.value is None
    assert dora([held, other, fixed], window=DAY, now=NOW).time_to_restore.value == 550
