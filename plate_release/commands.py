"""What each command does with the road's result: print it, tell the runner, give the status."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from plate_release import inspect, release
from plate_release.config import ReleaseDefaults
from plate_release.config import schema as config_schema
from plate_release.desk import Desk, open_desk
from plate_release.errors import ExitCode, Interrupted, ReleaseError, UsageError
from plate_release.github import Runner
from plate_release.gitops.origin import locate
from plate_release.images.reference import parse_ask
from plate_release.model import Ask, Finding, Outcome, Policy
from plate_release.report import console as text
from plate_release.report import tables
from plate_release.report.json import dump, report
from plate_release.report.summary import render
from plate_release.request import Given, Place, Request, settle_options
from plate_release.result import Journal, Observer, Result, Silent, refuse
from plate_release.settle import settle_all
from plate_release.signals import Stop, SystemClock, stopping
from plate_release.world import World

if TYPE_CHECKING:
    from plate_release.cli import Shared

_NOTHING = "The run was interrupted; nothing was changed."


def plan(shared: "Shared", asks: list[str], given: Given) -> int:
    """Print what would change."""
    return _release(shared, given, lambda desk: release.plan(desk, _asks(asks)))


def deploy(shared: "Shared", asks: list[str], given: Given) -> int:
    """Release, and print how it ended."""
    return _release(shared, given, lambda desk: release.deploy(desk, _asks(asks)))


def rollback(shared: "Shared", services: list[str], to: str | None, given: Given) -> int:
    """Roll back, and print how it ended."""
    return _release(shared, given, lambda desk: release.rollback(desk, services, to))


def watch(shared: "Shared", commit: str | None, given: Given) -> int:
    """Watch, and print how it ended."""
    road: Callable[[Desk], Result] = lambda desk: release.watch(desk, commit)  # noqa: E731
    return _release(shared, given, road, on_failure="hold", on_unknown="hold", on_cancel="hold")


def status(shared: "Shared", services: list[str]) -> int:
    """Print git, Argo CD and cluster side by side."""
    return _look(shared, lambda desk: inspect.status(desk, services), tables.status)


def history(shared: "Shared", service: str | None, *, dora: bool, limit: int) -> int:
    """Print the ledger."""

    def read(desk: Desk) -> dict[str, Any]:
        return inspect.history(desk, service, limit=limit, figures=dora)

    return _look(shared, read, tables.history)


def check(shared: "Shared") -> int:
    """Print what the preflight finds; refused where anything is not ready."""
    bodies: list[dict[str, Any]] = []

    def look(desk: Desk) -> dict[str, Any]:
        bodies.append(inspect.check(desk))
        return bodies[0]

    status_ = _look(shared, look, tables.check)
    return status_ if bodies[0]["ok"] else int(ExitCode.PREFLIGHT_REFUSED)


def settle(shared: "Shared") -> int:
    """Settle what earlier runs have left, and print how."""

    def go(desk: Desk) -> dict[str, Any]:
        done = settle_all(desk)
        settled = [{"commit": c, "outcome": s.outcome.value} for s in done for c in s.commits]
        return {"settled": settled}

    return _look(shared, go, tables.settled)


def replay(shared: "Shared", files: Sequence[Path], given: Given) -> int:
    """Print each recording's verdict."""
    from plate_release.argocd.events import Limits
    from plate_release.argocd.replay import replay as judge

    options = settle_options(given, {}, ReleaseDefaults())
    limits = Limits(options.grace, options.soak, options.timeout)
    for file in files:
        found = judge(file, limits)
        for line in found.skipped:
            text.warn(f"{file}: {line}")
        if shared.output == "json":
            sys.stdout.write(f"{tables.replayed_line(found)}\n")
        else:
            _stdout().print(tables.replayed(found))
    return int(ExitCode.RELEASED)


def schema() -> int:
    """Print the configuration's JSON Schema."""
    sys.stdout.write(f"{dump(config_schema())}\n")
    return int(ExitCode.RELEASED)


def _release(
    shared: "Shared", given: Given, road: Callable[[Desk], Result], **fallback: Policy
) -> int:
    """Go down a road, and print its result, whatever happens on the way."""
    with _running(shared) as (world, journal):
        try:
            result = road(open_desk(_request(shared, given), world, journal, **fallback))
        except ReleaseError as error:
            # What ends a run that was asked to stop may be helm, which heard the signal too.
            told = Interrupted(_NOTHING) if _stopped_early(world, journal) else error
            result = refuse(journal.result, told)
            text.error(str(told))
        except KeyboardInterrupt:
            # The second signal: what was pushed stands in the ledger, unsettled.
            result = journal.end(Outcome.INTERRUPTED, ExitCode.INTERRUPTED)
            text.error("Interrupted again.\n`plate-release settle` finishes what is left.")
        except Exception:
            # Ours to mend; what was done until then must be told all the same.
            journal.find(Finding("error", "internal-error", "plate-release itself failed."))
            _tell(shared, journal.result)
            raise
    _tell(shared, result)
    return int(result.exit_code)


def _stopped_early(world: World, journal: Journal) -> bool:
    return world.stop.asked and journal.result.commit is None


def _look(
    shared: "Shared",
    read: Callable[[Desk], dict[str, Any]],
    table: Callable[[dict[str, Any]], Any],
) -> int:
    with _running(shared) as (world, journal):
        body = read(open_desk(_request(shared, Given()), world, journal))
    if shared.output == "json":
        sys.stdout.write(f"{dump(body)}\n")
    else:
        _stdout().print(table(body))
    return int(ExitCode.RELEASED)


@contextmanager
def _running(shared: "Shared") -> Iterator[tuple[World, Journal]]:
    stop = Stop()
    clock = SystemClock(stop)
    empty = Result(Outcome.REFUSED, ExitCode.USAGE, shared.environment)
    with stopping(stop), World(os.environ, clock, stop) as world, _observer(shared) as observer:
        yield world, Journal(clock, observer, empty)


@contextmanager
def _observer(shared: "Shared") -> Iterator[Observer]:
    if shared.quiet:
        yield Silent()
        return
    # The JSON has standard output to itself.
    stream = sys.stderr if shared.output == "json" else sys.stdout
    with text.Progress(stream, whole=shared.verbose) as progress:
        yield progress


def _request(shared: "Shared", given: Given) -> Request:
    repo = locate(shared.repo, Path.cwd(), os.environ)
    runner = Runner.of(os.environ)
    by = runner.actor if runner else os.environ.get("USER", "")
    place = Place(repo, shared.branch, shared.environment, shared.config)
    return Request(place, given, by=by, run=runner.run_url if runner else "")


def _asks(texts: Sequence[str]) -> list[Ask]:
    asks = [parse_ask(one) for one in texts]
    names = [ask.service for ask in asks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{', '.join(twice)} is asked for twice.", todo="Name each service once.")
    return asks


def _tell(shared: "Shared", result: Result) -> None:
    if shared.output == "json":
        planned = result.outcome in (Outcome.PLANNED, Outcome.UNCHANGED)
        sys.stdout.write(f"{dump(report(result, plan=planned))}\n")
    else:
        text.show(result, _stdout())
    if runner := Runner.of(os.environ):
        runner.add_summary(render(result))


def _stdout() -> Console:
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)
