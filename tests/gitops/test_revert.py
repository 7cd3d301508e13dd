"""What a revert writes, leaves alone, and cannot do."""

import pytest

from plate_release.errors import PlanRefused
from plate_release.gitops.entry import Entry, Recorded, ServiceEntry, moment
from plate_release.gitops.revert import (
    Decision,
    Gone,
    Left,
    Undo,
    decide,
    rollback_target,
    target_of,
)
from plate_release.model import Judgement, Outcome

API = ServiceEntry(name="api", before="1.4.2", after="1.5.0", file="v.yaml", key="image.tag")
WEB = ServiceEntry(name="web", before="7", after="8", file="w.yaml", key="tag")


def entry(*services: ServiceEntry, reverts: str | None = None) -> Entry:
    return Entry(
        id="r1",
        state="watching",
        environment="prod",
        services=services,
        started=moment(5),
        reverts=reverts,
    )


def past(state: Outcome, before: str, after: str, verdict: Judgement | None = None) -> Recorded:
    service = ServiceEntry(name="api", before=before, after=after, verdict=verdict)
    return Recorded("c" * 40, entry(service).model_copy(update={"state": state}))


def back(state: Outcome, before: str, after: str, verdict: Judgement | None = None) -> Recorded:
    made = past(state, before, after, verdict)
    return Recorded(made.commit, made.entry.model_copy(update={"rollback": True}))


RELEASED, HELD = Outcome.RELEASED, Outcome.HELD


@pytest.mark.parametrize(
    ("now", "history", "target"),
    [
        ("2", [past(RELEASED, "1", "2")], "1"),
        ("2", [], None),
        ("9", [past(RELEASED, "1", "2")], "2"),
        (
            "3",
            [
                past(RELEASED, "2", "3"),
                past(HELD, "1", "2", Judgement.FAILED),
                past(RELEASED, "0", "1"),
            ],
            "1",
        ),
        # Asked a second time.
        ("1", [back(RELEASED, "2", "1"), past(RELEASED, "1", "2")], "1"),
        ("1", [back(HELD, "2", "1", Judgement.LIVE), past(RELEASED, "1", "2")], "1"),
        # What it went back to is not good either.
        ("1", [back(HELD, "2", "1"), past(RELEASED, "1", "2")], None),
        (
            "2",
            [
                back(HELD, "3", "2"),
                past(HELD, "2", "3", Judgement.FAILED),
                past(Outcome.UNWATCHED, "1", "2"),
                past(RELEASED, "0", "1"),
            ],
            "1",
        ),
        (
            "2",
            [back(HELD, "3", "2"), past(HELD, "2", "3"), past(RELEASED, "1", "2")],
            None,
        ),
        ("1", [back(HELD, "2", "1"), past(RELEASED, "1", "2"), past(RELEASED, "x", "0")], "0"),
    ],
)
def test_where_a_rollback_goes(now: str, history: list[Recorded], target: str | None) -> None:
    assert rollback_target("api", now, history) == target


def test_a_revert_counts_as_a_rollback() -> None:
    revert = past(RELEASED, "2", "1")
    revert = Recorded("d" * 40, revert.entry.model_copy(update={"reverts": "c" * 40}))
    assert rollback_target("api", "1", [revert, past(HELD, "1", "2")]) == "1"


def test_only_a_key_that_still_holds_our_value_is_written() -> None:
    made = decide(entry(API, WEB), {"api": "1.5.0", "web": "9"}, [])
    assert made.undo == (Undo(API, "1.4.2"),)
    assert made.left == (Left(WEB, "9"),)
    assert not made.gone
    assert not made.already


def test_what_is_already_back_needs_nothing() -> None:
    made = decide(entry(API), {"api": "1.4.2"}, [])
    assert made == Decision((), (), (), (API,))


def test_a_file_or_key_that_has_gone_is_told_with_the_edit_to_make() -> None:
    made = decide(entry(API), {"api": None}, [])
    assert made.gone == (Gone(API, "1.4.2"),)
    assert made.gone[0].by_hand == "Set image.tag to 1.4.2 for api (it was in v.yaml); push that."


def test_a_revert_is_never_reverted_by_itself() -> None:
    with pytest.raises(PlanRefused, match="itself a rollback"):
        decide(entry(API, reverts="d" * 40), {"api": "1.5.0"}, [])


FAILED = Judgement.FAILED


@pytest.mark.parametrize(
    ("history", "target"),
    [
        ([], "1.4.2"),
        ([past(Outcome.RELEASED, "1.4.1", "1.4.2")], "1.4.2"),
        ([past(Outcome.UNWATCHED, "1.4.1", "1.4.2")], "1.4.2"),
        ([past(Outcome.HELD, "1.4.1", "1.4.2", FAILED)], "1.4.2"),
        (
            [
                past(Outcome.HELD, "1.4.1", "1.4.2", FAILED),
                past(Outcome.RELEASED, "1.4.0", "1.4.1", Judgement.LIVE),
            ],
            "1.4.1",
        ),
        (
            [
                past(Outcome.HELD, "1.4.1", "1.4.2", FAILED),
                past(Outcome.RELEASED, "1.4.1", "1.4.2", Judgement.LIVE),
            ],
            "1.4.2",
        ),
        (
            [
                past(Outcome.ROLLED_BACK, "1.4.2", "1.4.3", FAILED),
                past(Outcome.HELD, "1.4.1", "1.4.2", FAILED),
            ],
            "1.4.2",
        ),
        (
            [
                past(Outcome.RELEASED, "1.4.3", "1.4.1", Judgement.LIVE),
                past(Outcome.ROLLED_BACK, "1.4.2", "1.4.3", FAILED),
                past(Outcome.HELD, "1.4.1", "1.4.2", FAILED),
            ],
            "1.4.1",
        ),
    ],
    ids=[
        "unknown",
        "good",
        "unjudged",
        "no better",
        "last good",
        "good once",
        "nothing better",
        "a revert went back to it",
    ],
)
def test_the_target_is_the_tag_before_unless_it_never_was_good(
    history: list[Recorded], target: str
) -> None:
    assert target_of(API, history) == target
