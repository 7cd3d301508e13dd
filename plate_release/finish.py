"""From a push to a settled end: watch, decide, keep or take back, and write it down."""

from collections.abc import Mapping
from functools import partial

from plate_release.argocd.events import Verdict
from plate_release.commit import PUSHING, Commit, Release, entry_of, first_entry
from plate_release.desk import Desk
from plate_release.errors import ExitCode, ReleaseError
from plate_release.gitops.entry import Entry, moment
from plate_release.model import Finding, Judgement, Outcome
from plate_release.outcome import Decision, conclude
from plate_release.provenance import compare_running
from plate_release.result import Result
from plate_release.takeback import TakenBack, take_back
from plate_release.watching import Ended, watch_release


def see_through(desk: Desk, release: Release) -> Result:
    """Watch a pushed release until it is settled, and take it back where that is decided."""
    return finish(desk, release, watch_release(desk, release))


def cut_short(desk: Desk, release: Release) -> Result:
    """End a release whose own run was cancelled, as that run would have: by its policy, at once."""
    nothing = {service.target.service: None for _, service in release.services}
    return finish(desk, release, Ended(nothing, Decision.WAIT, interrupted=True))


def undo_part(desk: Desk, release: Release, error: ReleaseError) -> Result:
    """Take back what was pushed of a release before one of its repositories refused the rest."""
    desk.journal.find(Finding("error", error.code, str(error)))
    desk.world.stop.clear()
    nothing = {service.target.service: None for _, service in release.services}
    stopped = error.exit_code is ExitCode.INTERRUPTED
    ended = Ended(nothing, Decision.REVERT, interrupted=stopped, because=error.what)
    return _close(desk, release, ended, take_back(desk, release, ended))


def finish(desk: Desk, release: Release, ended: Ended) -> Result:
    """Keep a release or take it back, write that down, and conclude."""
    taken = take_back(desk, release, ended) if _must_go(desk, release, ended) else None
    return _close(desk, release, ended, taken)


def _close(desk: Desk, release: Release, ended: Ended, taken: TakenBack | None) -> Result:
    outcome, code = _conclude(ended, taken)
    if taken and taken.release and taken.ended:
        _write(desk, taken.release, taken.ended.verdicts, conclude(taken.ended.verdicts)[0])
    _write(desk, release, ended.verdicts, outcome)
    if outcome is Outcome.RELEASED:
        compare_running(desk, (service for _, service in release.services))
    return desk.journal.end(outcome, code)


def _must_go(desk: Desk, release: Release, ended: Ended) -> bool:
    """Decide whether it is taken back now. A rollback never is by itself, nor by a dry run."""
    if release.rollback or desk.options.dry_run:
        return False
    if not ended.interrupted:
        return ended.decision is Decision.REVERT or _is_taken_back(desk, release, ended)
    desk.journal.event("interrupted; a second signal ends the run at once")
    desk.world.stop.clear()
    return desk.options.on_cancel == "revert"


def _is_taken_back(desk: Desk, release: Release, ended: Ended) -> bool:
    """Whether what superseded it is its own revert, which another run has pushed."""
    if all(v is None or v.judgement is not Judgement.SUPERSEDED for v in ended.verdicts.values()):
        return False
    for made in release.commits:
        made.repository.head()
        if desk.ledger(made.repository).revert_of(made.sha):
            return True
    return False


def _conclude(ended: Ended, taken: TakenBack | None) -> tuple[Outcome, ExitCode]:
    outcome, code = conclude(ended.verdicts, taken.revert if taken else None)
    settled = code is ExitCode.ROLLED_BACK or taken is None
    if ended.interrupted and settled:
        return Outcome.INTERRUPTED, ExitCode.INTERRUPTED
    return outcome, code


def _write(
    desk: Desk, release: Release, verdicts: Mapping[str, Verdict | None], outcome: Outcome
) -> None:
    """Write the end of each commit to its ledger; that it fails changes no outcome."""
    for made in release.commits if not desk.options.dry_run else ():
        try:
            desk.ledger(made.repository).update(
                made.sha,
                partial(_settled, desk, release, made, verdicts, outcome),
                seconds=PUSHING,
                clock=desk.world.clock,
                rng=desk.world.rng,
            )
        except ReleaseError as error:
            desk.journal.find(Finding("warning", "ledger", str(error)))


def _settled(
    desk: Desk,
    release: Release,
    made: Commit,
    verdicts: Mapping[str, Verdict | None],
    outcome: Outcome,
    current: Entry | None,
) -> Entry:
    entry = current or first_entry(
        desk, release.id, made.services, made.reverts, rollback=release.rollback
    )
    services = []
    for service in made.services:
        verdict = verdicts.get(service.target.service)
        told = {"verdict": verdict.judgement, "reason": verdict.reason} if verdict else {}
        services.append(entry_of(service).model_copy(update=told))
    finished = moment(desk.world.clock.wall())
    update = {"state": outcome, "services": tuple(services), "finished": finished}
    return entry.model_copy(update=update)
