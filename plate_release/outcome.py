"""From the verdicts of a release's services to what is done with the commit, and how it ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from plate_release.argocd.events import Code, Verdict
from plate_release.errors import ExitCode
from plate_release.model import Judgement, Outcome


class Choice(StrEnum):
    """What a policy can choose: put the commit back, or leave it to a person."""

    REVERT = "revert"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Policy:
    """`--on-failure` (failed, or unsettled at the deadline) and `--on-unknown`."""

    on_failure: Choice = Choice.REVERT
    on_unknown: Choice = Choice.HOLD


class Decision(StrEnum):
    """What to do with the release commit now."""

    WAIT = "wait"
    KEEP = "keep"
    REVERT = "revert"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Revert:
    """How the revert ended: a verdict for each service whose value it put back.

    None: not watched to an end. pushed: whether there was a revert at all.
    """

    verdicts: Mapping[str, Verdict | None]
    pushed: bool = True


_GRAVEST_FIRST = (
    ExitCode.ROLLBACK_IMPOSSIBLE,
    ExitCode.ROLLBACK_UNVERIFIED,
    ExitCode.ROLLED_BACK,
    ExitCode.HELD,
    ExitCode.UNKNOWN,
    ExitCode.BLOCKED,
    ExitCode.SUPERSEDED,
    ExitCode.RELEASED,
)
_OUTCOMES = {
    ExitCode.ROLLBACK_IMPOSSIBLE: Outcome.ROLLBACK_IMPOSSIBLE,
    ExitCode.ROLLBACK_UNVERIFIED: Outcome.ROLLBACK_UNVERIFIED,
    ExitCode.ROLLED_BACK: Outcome.ROLLED_BACK,
    ExitCode.HELD: Outcome.HELD,
    ExitCode.UNKNOWN: Outcome.UNKNOWN,
    ExitCode.BLOCKED: Outcome.BLOCKED,
    ExitCode.SUPERSEDED: Outcome.SUPERSEDED,
    ExitCode.RELEASED: Outcome.RELEASED,
}
_CODES = {
    Judgement.LIVE: ExitCode.RELEASED,
    Judgement.SUPERSEDED: ExitCode.SUPERSEDED,
    Judgement.BLOCKED: ExitCode.BLOCKED,
    Judgement.UNKNOWN: ExitCode.UNKNOWN,
    Judgement.UNSETTLED: ExitCode.HELD,
    Judgement.FAILED: ExitCode.HELD,
}


def decide(verdicts: Mapping[str, Verdict | None], policy: Policy) -> Decision:
    """Decide what to do, with the verdicts that there are; None is one that is still awaited.

    The first verdict that asks for a revert decides for the whole commit; whatever else happens
    waits until every service has its verdict.
    """
    given = [verdict for verdict in verdicts.values() if verdict]
    if any(_asks_for_revert(verdict, policy) for verdict in given):
        return Decision.REVERT
    if len(given) < len(verdicts):
        return Decision.WAIT
    done = (Judgement.LIVE, Judgement.SUPERSEDED)
    return Decision.KEEP if all(v.judgement in done for v in given) else Decision.HOLD


def conclude(
    verdicts: Mapping[str, Verdict | None], revert: Revert | None = None
) -> tuple[Outcome, ExitCode]:
    """Return how the release ended: the gravest of what each service came to."""
    if revert is not None and not revert.pushed:
        code = ExitCode.ROLLBACK_IMPOSSIBLE
    else:
        put_back = revert.verdicts if revert else {}
        code = _gravest(
            _put_back(put_back[name]) if name in put_back else _left(verdict)
            for name, verdict in verdicts.items()
        )
    return _OUTCOMES[code], code


def _gravest(codes: Iterable[ExitCode]) -> ExitCode:
    return min(codes, key=_GRAVEST_FIRST.index, default=ExitCode.RELEASED)


def _left(verdict: Verdict | None) -> ExitCode:
    return _CODES[verdict.judgement] if verdict else ExitCode.UNKNOWN


def _put_back(verdict: Verdict | None) -> ExitCode:
    """Return what a service came to whose value was put back: a newer release is as good."""
    if verdict is None:
        return ExitCode.ROLLBACK_UNVERIFIED
    if verdict.judgement is Judgement.SUPERSEDED:
        return ExitCode.SUPERSEDED
    live = verdict.judgement is Judgement.LIVE
    return ExitCode.ROLLED_BACK if live else ExitCode.ROLLBACK_UNVERIFIED


def _asks_for_revert(verdict: Verdict, policy: Policy) -> bool:
    match verdict.judgement:
        case Judgement.FAILED:
            return policy.on_failure is Choice.REVERT
        case Judgement.UNSETTLED:
            return policy.on_failure is Choice.REVERT and verdict.code is not Code.SUSPENDED
        case Judgement.UNKNOWN:
            return policy.on_unknown is Choice.REVERT
        case Judgement.LIVE | Judgement.SUPERSEDED | Judgement.BLOCKED:
            return False
