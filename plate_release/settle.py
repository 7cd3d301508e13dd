"""Nothing stays unsettled: what an earlier run left behind is judged, kept or taken back."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from plate_release.commit import PUSHING, Release
from plate_release.desk import Desk
from plate_release.errors import (
    ExitCode,
    Interrupted,
    PreflightRefused,
    ReleaseError,
    UnderWay,
)
from plate_release.finish import cut_short, finish
from plate_release.gitops.entry import Entry, Recorded, moment
from plate_release.gitops.repository import Repository
from plate_release.model import Finding, Outcome
from plate_release.past import read_release
from plate_release.request import Options
from plate_release.result import Journal, Result
from plate_release.targets import find_targets, value_repositories
from plate_release.watching import Ended, watch_release

# How often a run that waits for another looks whether that has ended, in seconds.
_LOOK_AGAIN = 5.0
# How long a cancelled job may watch: its runner gives it five minutes in all, in seconds.
_CANCELLED = 120.0


@dataclass(frozen=True, slots=True)
class Settled:
    """One release that was settled, by its commit in each repository, and how."""

    commits: tuple[str, ...]
    outcome: Outcome


def settle_earlier(desk: Desk, services: Collection[str]) -> None:
    """Settle what earlier runs left of these services before they are planned.

    Raises UnderWay where another run still watches one, unless we may wait for it. A dry run
    settles nothing, and waits for nobody.
    """
    repositories = dict.fromkeys(target.repository for target in find_targets(desk, list(services)))
    tried: set[str] = set()
    for repository in repositories:
        while found := _unsettled(desk, repository, services):
            left = _left(desk, repository, found)
            if left and desk.options.dry_run:
                text = f"Left unsettled by an earlier run: {_named(left[0])}; it is settled first."
                desk.journal.find(Finding("info", "unsettled", text))
                break
            if left:
                done = settle_one(desk, repository, _next(desk, left, tried))
                text = (
                    f"An earlier release was left unsettled: {done.commits[0][:12]} {done.outcome}."
                )
                desk.journal.find(Finding("info", "settled-earlier", text))
            elif desk.options.queue and not desk.options.dry_run:
                desk.journal.observer.says("queue", f"waiting for {_named(found[0])}")
                desk.world.clock.sleep(_LOOK_AGAIN)
            else:
                raise UnderWay(
                    f"Another release is under way: {_named(found[0])}.",
                    why=f"Its run may take {_until(found[0])}.",
                    todo="Wait for it, or pass --queue.",
                )
            desk.check_stop()
            desk.fresh()


def settle_all(desk: Desk) -> tuple[Settled, ...]:
    """Settle everything that its own run has left, in every repository of the environment.

    After a step of this job that was cut short, just what that step pushed. A dry run only tells.
    """
    done: list[Settled] = []
    tried: set[str] = set()
    for repository in value_repositories(desk):
        while left := _left(desk, repository, _unsettled(desk, repository)):
            if desk.intent:
                left = [one for one in left if desk.is_ours(one.entry)]
            if desk.options.dry_run:
                for one in left:
                    desk.journal.event(f"unsettled: {_named(one)}")
            if desk.options.dry_run or not left:
                break
            done.append(settle_one(desk, repository, _next(desk, left, tried)))
            desk.check_stop()
            desk.fresh()
        for one in _unsettled(desk, repository):
            if not desk.is_left(one.entry):
                desk.journal.event(f"under way, {_until(one)}: {_named(one)}")
    if not desk.options.dry_run:
        desk.forget_intent()
    return tuple(done)


def settle_one(desk: Desk, repository: Repository, left: Recorded) -> Settled:
    """Judge one release that was left, and keep it or take it back."""
    revert = desk.ledger(repository).revert_of(left.commit)
    if revert is not None and revert.entry.settled:
        # It was taken back, and only the last word about it is missing.
        good = revert.entry.state is Outcome.RELEASED
        outcome = Outcome.ROLLED_BACK if good else Outcome.ROLLBACK_UNVERIFIED
        return _write(desk, repository, left.commit, outcome)
    journal = Journal(
        desk.world.clock,
        desk.journal.observer,
        Result(Outcome.HELD, ExitCode.HELD, desk.config.environment),
    )
    own = replace(desk, journal=journal, options=_options(desk, left))
    desk.journal.event(f"settling {_named(left)}")
    try:
        release = _whole(own, repository, left)
    except ReleaseError as error:
        if error.exit_code is ExitCode.PREFLIGHT_REFUSED:
            raise
        # What it was about has gone: there is nothing that could be judged or put back.
        desk.journal.find(Finding("warning", "settled-unjudged", str(error)))
        return _write(desk, repository, left.commit, Outcome.HELD)
    if desk.is_ours(left.entry) and not release.rollback:
        outcome = cut_short(own, release).outcome
    else:
        outcome = finish(own, release, _watched(own, release)).outcome
    desk.journal.find(*journal.result.findings)
    return Settled(tuple(made.sha for made in release.commits), outcome)


def _watched(desk: Desk, release: Release) -> Ended:
    """Watch a release that was left. Raises Interrupted: then it stays as it was found."""
    ended = watch_release(desk, release)
    if ended.interrupted:
        raise Interrupted(
            "Settling was interrupted; the release stays unsettled.",
            todo="`plate-release settle` begins again.",
        )
    return ended


def _left(desk: Desk, repository: Repository, found: Collection[Recorded]) -> list[Recorded]:
    """Return those that nobody watches any more; who watches a revert has what it reverts too."""
    unsettled = desk.ledger(repository).unsettled()
    watched = {one.entry.reverts for one in unsettled if not desk.is_left(one.entry)}
    return [one for one in found if desk.is_left(one.entry) and one.commit not in watched]


def _unsettled(
    desk: Desk, repository: Repository, services: Collection[str] | None = None
) -> tuple[Recorded, ...]:
    desk.head(repository)
    return desk.ledger(repository).unsettled(services)


def _whole(desk: Desk, repository: Repository, left: Recorded) -> Release:
    """Return the release with its commits in other repositories that are not settled either."""
    release = read_release(desk, repository, left.commit)
    commits = list(release.commits)
    for other in value_repositories(desk):
        for one in _unsettled(desk, other) if other is not repository else ():
            if one.entry.id == left.entry.id:
                commits += read_release(desk, other, one.commit).commits
    return replace(release, commits=tuple(commits))


def _options(desk: Desk, left: Recorded) -> Options:
    """Return the options to settle with; a cancelled job has little time left."""
    options = replace(desk.options, record=None, wait=True)
    if desk.intent and desk.is_ours(left.entry):
        options = desk.intent.over(options)
        options = replace(options, timeout=min(options.timeout, _CANCELLED))
    return options


def _write(desk: Desk, repository: Repository, commit: str, outcome: Outcome) -> Settled:
    finished = moment(desk.world.clock.wall())

    def ended(current: Entry | None) -> Entry:
        assert current is not None  # noqa: S101  # it is in the ledger, or we would not be here
        return current.model_copy(update={"state": outcome, "finished": finished})

    entry = desk.ledger(repository).update(
        commit, ended, seconds=PUSHING, clock=desk.world.clock, rng=desk.world.rng
    )
    return Settled((commit,), Outcome(entry.state))


def _next(desk: Desk, left: Collection[Recorded], tried: set[str]) -> Recorded:
    """Return the one to settle next: a revert before what it takes back, else the oldest.

    Raises PreflightRefused where it was `tried`, and is as it was.
    """
    one = min(left, key=lambda one: (one.entry.reverts is None, one.entry.started))
    if one.commit in tried:
        findings = desk.journal.result.findings
        raise PreflightRefused(
            f"An earlier release could not be settled: {_named(one)}.",
            why="\n".join(finding.message for finding in findings if finding.code == "ledger"),
            todo="Let this identity write refs/notes/plate-release, then run it again.",
        )
    tried.add(one.commit)
    return one


def _until(one: Recorded) -> str:
    return f"until {one.entry.deadline:%Y-%m-%d %H:%M:%S} UTC"


def _named(one: Recorded) -> str:
    services = ", ".join(f"{s.name} {s.before} -> {s.after}" for s in one.entry.services)
    by = f" by {one.entry.by}" if one.entry.by else ""
    return f"{services} ({one.commit[:12]}{by}) {one.entry.run}".rstrip()
