"""The road of a release: request, plan, preflight, commit, watch, verdict, outcome, report.

Each stage takes what the one before gave. Everything before `commit` changes nothing anywhere;
everything after it ends settled: the new tag is live and verified, or the old one is back and
verified, or a person is told exactly what stands where.
"""

from collections.abc import Callable, Mapping, Sequence

from plate_release.commit import Before, Release, Why, commit, tell_commit
from plate_release.desk import Desk
from plate_release.errors import ExitCode, Overtaken, UnderWay
from plate_release.finish import see_through, undo_part
from plate_release.gates import backup, confirm, preflight
from plate_release.model import Ask, Outcome
from plate_release.past import newest, read_release
from plate_release.plan import Plan
from plate_release.planning import make_plan, rollback_asks, tell_services
from plate_release.result import Result
from plate_release.settle import settle_earlier
from plate_release.signals import ending
from plate_release.watching import open_recordings


def plan(desk: Desk, asks: Sequence[Ask]) -> Result:
    """Say what a release would change."""
    planned = make_plan(desk, asks)
    return _end(desk, Outcome.PLANNED if planned.services else Outcome.UNCHANGED)


def deploy(desk: Desk, asks: Sequence[Ask]) -> Result:
    """Take services to new tags."""
    services = [ask.service for ask in asks]
    why = Why(reason=desk.options.reason)
    return _in_turn(desk, services, lambda: _go(desk, _planned(desk, asks), why))


def rollback(desk: Desk, services: Sequence[str], to: Sequence[Ask]) -> Result:
    """Take services back to earlier tags, down the same road; `to` may leave that to the ledger."""
    why = Why(rollback=True, reason=desk.options.reason)

    def go() -> Result:
        with ending():
            asks = rollback_asks(desk, services, to)
        return _go(desk, _planned(desk, asks, rollback=True), why)

    return _in_turn(desk, services, go)


def watch(desk: Desk, said: str | None) -> Result:
    """Judge a commit that is already pushed."""
    release = read_release(desk, desk.home, newest(desk, said))
    tell_services(desk, (service for _, service in release.services))
    for made in release.commits:
        tell_commit(desk, made)
    open_recordings(desk, [service.target for _, service in release.services])
    return see_through(desk, release)


def _planned(desk: Desk, asks: Sequence[Ask], *, rollback: bool = False) -> Plan:
    """Plan; a signal ends that at once, since nothing is pushed yet."""
    with ending():
        return make_plan(desk, asks, rollback=rollback)


def _go(desk: Desk, planned: Plan, why: Why) -> Result:
    if not planned.services:
        return _end(desk, Outcome.UNCHANGED)
    with ending():
        before: Mapping[str, Before] = preflight(desk, planned)
    if desk.options.dry_run:
        return _end(desk, Outcome.PLANNED)
    confirm(desk, planned)
    backup(desk, planned)
    open_recordings(desk, [service.target for service in planned.services])
    release = commit(desk, planned, before, why)
    result = _settled(desk, release)
    desk.forget_intent()
    return result


def _settled(desk: Desk, release: Release) -> Result:
    if release.refused:
        return undo_part(desk, release, release.refused)
    if not release.commits:
        return _end(desk, Outcome.UNCHANGED)
    if not desk.options.wait:
        return _end(desk, Outcome.UNWATCHED)
    return see_through(desk, release)


def _in_turn(desk: Desk, services: Sequence[str], go: Callable[[], Result]) -> Result:
    """Go when no earlier release of the services is open; who queues goes again if overtaken."""
    while True:
        settle_earlier(desk, services)
        try:
            return go()
        except (UnderWay, Overtaken):
            if not desk.options.queue:
                raise
        desk.fresh()


def _end(desk: Desk, outcome: Outcome) -> Result:
    return desk.journal.end(outcome, ExitCode.RELEASED)
