"""An operation that holds a revert back is ended; one on another commit is left alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from plate_release.argocd.events import Gone, Seen, Via, Waiting, Want
from plate_release.argocd.recording import events, rows
from plate_release.argocd.settle import Ending, Settled
from plate_release.argocd.status import LiveApplication

BAD = "b" * 40
OTHER = "c" * 40


def running(commit: str = BAD, phase: str = "Running") -> LiveApplication:
    operation = {"sync": {"revision": commit}}
    state = {"phase": phase, "operation": operation}
    return LiveApplication.model_validate(
        {"metadata": {"name": "a"}, "operation": operation, "status": {"operationState": state}}
    )


def idle(phase: str = "Failed") -> LiveApplication:
    return LiveApplication.model_validate({"status": {"operationState": {"phase": phase}}})


def ending(deadline: float = 60) -> Ending:
    return Ending(BAD.__eq__, deadline)


def test_a_running_operation_is_ended_and_waited_for() -> None:
    judge = ending()
    step = judge.feed(1, Seen(running(), Via.GET))
    assert isinstance(step, Waiting)
    assert step.wants == {Want.TERMINATE}
    step = judge.feed(2, Seen(running(phase="Terminating"), Via.STREAM))
    assert isinstance(step, Waiting)
    assert step.wants == frozenset()
    step = judge.feed(3, Seen(idle(), Via.STREAM))
    assert isinstance(step, Settled)
    assert step.free


def test_a_stale_stream_that_says_idle_is_not_believed() -> None:
    judge = ending()
    assert isinstance(judge.feed(1, Seen(idle("Succeeded"), Via.STREAM)), Waiting)
    step = judge.feed(2, Seen(running(), Via.GET))
    assert isinstance(step, Waiting)
    assert step.wants


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", ""])
def test_where_nothing_runs_nothing_is_ended(phase: str) -> None:
    assert ending().feed(1, Seen(idle(phase), Via.GET)) == Settled(
        True, f"no operation runs (the last: {phase or 'none'})"
    )


def test_the_operation_of_another_commit_is_left_alone() -> None:
    step = ending().feed(1, Seen(running(OTHER), Via.GET))
    assert isinstance(step, Settled)
    assert step.free
    assert OTHER in step.says


def test_an_operation_that_names_no_commit_is_ended() -> None:
    step = ending().feed(1, Seen(running(""), Via.GET))
    assert isinstance(step, Waiting)
    assert step.wants == {Want.TERMINATE}


def test_one_that_does_not_end_is_given_up_at_the_deadline() -> None:
    judge = ending(deadline=60)
    judge.feed(1, Seen(running(phase="Terminating"), Via.GET))
    step = judge.tick(60)
    assert step == Settled(False, "gave up while the operation is terminating")


def test_an_application_that_is_gone_holds_nothing() -> None:
    step = ending().feed(1, Gone())
    assert isinstance(step, Settled)
    assert step.free


def test_as_recorded(recordings: Path) -> None:
    """`busy` ends an operation at 0.7 s; it has ended at 3.1 s, in the recording's own words."""
    lines = (recordings / "busy.jsonl").read_bytes().splitlines()
    commit = next(json.loads(x)["data"]["commit"] for x in lines if b'"push"' in x)
    judge = Ending(commit.__eq__, 60)
    first: Any = None
    for row in rows(lines, []):
        if row.t < 0.15 or row.kind == "call":
            continue
        for event in events(row):
            via = Via.GET if first is None else event.via if isinstance(event, Seen) else Via.GET
            if isinstance(event, Seen):
                first = first or judge.feed(row.t, Seen(event.application, via))
                step = judge.feed(row.t, Seen(event.application, via))
                if isinstance(step, Settled):
                    assert row.t == pytest.approx(3.090)
                    assert step.free
                    assert isinstance(first, Waiting)
                    assert first.wants == {Want.TERMINATE}
                    return
    pytest.fail("it never ended")
