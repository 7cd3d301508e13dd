"""What is done with the commit, and how the release ended, of all its services' verdicts."""

import pytest

from plate_release.argocd.events import Code, Verdict
from plate_release.errors import ExitCode
from plate_release.model import Judgement, Outcome
from plate_release.outcome import Choice, Decision, Policy, Revert, conclude, decide


def verdict(judgement: Judgement, code: Code = Code.STILL_MOVING) -> Verdict:
    return Verdict(judgement, code, "because", at=1.0)


LIVE = verdict(Judgement.LIVE, Code.LIVE)
FAILED = verdict(Judgement.FAILED, Code.POD_FAILED)
SUPERSEDED = verdict(Judgement.SUPERSEDED, Code.SUPERSEDED)
BLOCKED = verdict(Judgement.BLOCKED, Code.SYNC_WINDOW)
UNSETTLED = verdict(Judgement.UNSETTLED)
SUSPENDED = verdict(Judgement.UNSETTLED, Code.SUSPENDED)
UNKNOWN = verdict(Judgement.UNKNOWN, Code.UNREACHABLE)
REVERTS = Policy()
HOLDS = Policy(on_failure=Choice.HOLD)
REVERTS_UNKNOWN = Policy(on_unknown=Choice.REVERT)


@pytest.mark.parametrize(
    ("verdicts", "policy", "decision"),
    [
        ([None], REVERTS, Decision.WAIT),
        ([LIVE, None], REVERTS, Decision.WAIT),
        ([LIVE, LIVE], REVERTS, Decision.KEEP),
        ([LIVE, SUPERSEDED], REVERTS, Decision.KEEP),
        ([FAILED], REVERTS, Decision.REVERT),
        ([FAILED, None, LIVE], REVERTS, Decision.REVERT),
        ([FAILED, None], HOLDS, Decision.WAIT),
        ([FAILED, LIVE], HOLDS, Decision.HOLD),
        ([UNSETTLED, LIVE], REVERTS, Decision.REVERT),
        ([UNSETTLED], HOLDS, Decision.HOLD),
        ([SUSPENDED, LIVE], REVERTS, Decision.HOLD),
        ([SUSPENDED, FAILED], REVERTS, Decision.REVERT),
        ([BLOCKED, LIVE], REVERTS, Decision.HOLD),
        ([BLOCKED, None], REVERTS, Decision.WAIT),
        ([UNKNOWN, LIVE], REVERTS, Decision.HOLD),
        ([UNKNOWN, None], REVERTS_UNKNOWN, Decision.REVERT),
        ([SUPERSEDED, FAILED], REVERTS, Decision.REVERT),
    ],
)
def test_the_first_failure_decides_for_the_whole_commit(
    verdicts: list[Verdict | None], policy: Policy, decision: Decision
) -> None:
    assert decide({str(i): v for i, v in enumerate(verdicts)}, policy) is decision


@pytest.mark.parametrize(
    ("verdicts", "outcome", "code"),
    [
        ([LIVE], Outcome.RELEASED, 0),
        ([LIVE, SUPERSEDED], Outcome.SUPERSEDED, 13),
        ([SUPERSEDED, BLOCKED], Outcome.BLOCKED, 14),
        ([BLOCKED, UNKNOWN], Outcome.UNKNOWN, 15),
        ([UNKNOWN, SUSPENDED], Outcome.HELD, 16),
        ([UNSETTLED, LIVE], Outcome.HELD, 16),
        ([FAILED, LIVE], Outcome.HELD, 16),
        ([None, LIVE], Outcome.UNKNOWN, 15),
    ],
)
def test_without_a_revert_the_gravest_verdict_is_the_outcome(
    verdicts: list[Verdict | None], outcome: Outcome, code: int
) -> None:
    assert conclude({str(i): v for i, v in enumerate(verdicts)}) == (outcome, ExitCode(code))


@pytest.mark.parametrize(
    ("reverted", "outcome", "code"),
    [
        ({"api": LIVE, "web": LIVE}, Outcome.ROLLED_BACK, 10),
        ({"api": LIVE, "web": None}, Outcome.ROLLBACK_UNVERIFIED, 11),
        ({"api": LIVE, "web": FAILED}, Outcome.ROLLBACK_UNVERIFIED, 11),
        ({"api": BLOCKED, "web": LIVE}, Outcome.ROLLBACK_UNVERIFIED, 11),
        ({"api": LIVE, "web": SUPERSEDED}, Outcome.ROLLED_BACK, 10),
    ],
)
def test_a_revert_is_as_good_as_its_worst_service(
    reverted: dict[str, Verdict | None], outcome: Outcome, code: int
) -> None:
    verdicts = {"api": FAILED, "web": LIVE}
    assert conclude(verdicts, Revert(reverted)) == (outcome, ExitCode(code))


def test_a_service_whose_newer_value_the_revert_left_alone_stays_superseded() -> None:
    verdicts = {"api": FAILED, "web": SUPERSEDED}
    assert conclude(verdicts, Revert({"api": LIVE})) == (Outcome.ROLLED_BACK, ExitCode(10))
    assert conclude({"web": SUPERSEDED}, Revert({})) == (Outcome.SUPERSEDED, ExitCode(13))


def test_a_revert_that_could_not_be_pushed_needs_a_person() -> None:
    verdicts = {"api": FAILED, "web": LIVE}
    impossible = Revert({}, pushed=False)
    assert conclude(verdicts, impossible) == (Outcome.ROLLBACK_IMPOSSIBLE, ExitCode(12))


def test_nothing_to_release_is_released() -> None:
    assert decide({}, REVERTS) is Decision.KEEP
    assert conclude({}) == (Outcome.RELEASED, ExitCode.RELEASED)
