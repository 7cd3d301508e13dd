"""What each command does with the road's result: print it, tell the runner, give the status."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from plate_release import inspect, release
from plate_release.config import ReleaseDefaults
from plate_release.config import schema as config_schema
from plate_release.desk import Desk, open_desk
from plate_release.errors import (
    NOTHING_CHANGED,
    ExitCode,
    InternalError,
    Interrupted,
    ReleaseError,
    UsageError,
)
from plate_release.github import Runner
from plate_release.gitops.origin import branch_named, locate
from plate_release.images.reference import parse_ask
from plate_release.model import Ask, Outcome, Policy
from plate_release.report import console as text
from plate_release.report import json, tables
from plate_release.report.stream import console, say
from plate_release.report.summary import render
from plate_release.request import Given, Place, Request, settle_options
from plate_release.result import Journal, Observer, Result, Silent, abandon, refuse
from plate_release.settle import settle_all
from plate_release.signals import Stop, SystemClock, ending, stopping
from plate_release.world import World

if TYPE_CHECKING:
    from rich.console import RenderableType

    from plate_release.cli import Shared

T = TypeVar("T")

# What SIGINT and SIGTERM do.
Signals = Callable[[Stop], AbstractContextManager[None]]


def plan(shared: "Shared", asks: list[str], given: Given) -> int:
    """Print what would change. Raises UsageError for what is no SERVICE=TAG."""
    wanted = _asks(asks)
    return _release(shared, given, lambda desk: release.plan(desk, wanted))


def deploy(shared: "Shared", asks: list[str], given: Given) -> int:
    """Release, and print how it ended. Raises UsageError for what is no SERVICE=TAG."""
    wanted = _asks(asks)
    return _release(shared, given, lambda desk: release.deploy(desk, wanted))


def rollback(shared: "Shared", services: list[str], to: str | None, given: Given) -> int:
    """Roll back, and print how it ended. Raises UsageError for what is no service or tag."""
    asks = [] if to is None else _asks([f"{service}={to}" for service in services])
    return _release(shared, given, lambda desk: release.rollback(desk, services, asks))


def watch(shared: "Shared", commit: str | None, given: Given) -> int:
    """Watch, and print how it ended."""
    unasked: dict[str, Policy] = {"on_failure": "hold", "on_unknown": "hold", "on_cancel": "hold"}
    return _release(
        shared,
        given,
        lambda desk: release.watch(desk, commit),
        # The commit itself was there before.
        pushed=lambda so_far: so_far.revert_commit,
        **unasked,
    )


def status(shared: "Shared", services: list[str]) -> int:
    """Print git, Argo CD and cluster side by side."""
    return _look(shared, lambda desk: inspect.status(desk, services), tables.status, json.status)


def history(shared: "Shared", service: str | None, *, dora: bool, limit: int) -> int:
    """Print the ledger."""

    def read(desk: Desk) -> inspect.History:
        return inspect.history(desk, service, limit=limit, figures=dora)

    return _look(shared, read, tables.history, json.history)


def check(shared: "Shared") -> int:
    """Print what the preflight finds; refused where anything is not ready."""
    return _look(
        shared,
        inspect.check,
        tables.check,
        json.check,
        refusal=lambda result: json.check(inspect.Preflight(result.findings)),
        passes=lambda found: found.ok,
    )


def settle(shared: "Shared") -> int:
    """Settle what earlier runs have left, and print how."""
    return _look(shared, settle_all, tables.settled, json.settled, signals=stopping)


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
            say(sys.stdout, json.replayed(found))
        else:
            console(sys.stdout).print(tables.replayed(found))
    return int(ExitCode.RELEASED)


def schema() -> int:
    """Print the configuration's JSON Schema."""
    say(sys.stdout, json.dump(config_schema()))
    return int(ExitCode.RELEASED)


def _release(
    shared: "Shared",
    given: Given,
    road: Callable[[Desk], Result],
    *,
    pushed: Callable[[Result], str | None] = lambda so_far: so_far.commit,
    **fallback: Policy,
) -> int:
    """Go down a road, and print its result, whatever happens on the way.

    pushed: the commit that this run has pushed until now.
    """
    # Where nothing is pushed, nothing has to be brought to an end.
    signals = _at_once if given.dry_run else stopping
    with _running(shared, signals) as (world, journal):
        journal.result = replace(journal.result, dry_run=bool(given.dry_run))
        try:
            result = road(open_desk(_request(shared, given), world, journal, **fallback))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # told, whatever it is
            told = _told(error, journal.result, world.stop)
            end = abandon if pushed(journal.result) else refuse
            result = end(journal.result, told)
            text.error(result.findings[-1].message)
    _tell(shared, result)
    return int(result.exit_code)


def _told(error: BaseException, so_far: Result, stop: Stop) -> ReleaseError:
    """Return what to tell of what ended a run."""
    untouched = so_far.commit is None
    if isinstance(error, KeyboardInterrupt):
        # The second signal: what was pushed stands in the ledger, unsettled.
        todo = "`plate-release settle` finishes what is left."
        if stop.asked or not untouched:
            return Interrupted("Interrupted again.", todo=todo)
        return Interrupted(NOTHING_CHANGED)
    if isinstance(error, ReleaseError):
        # What ends a run that was asked to stop may be helm, which heard the signal too.
        return Interrupted(NOTHING_CHANGED) if untouched and stop.asked else error
    text.trace()
    why = f"{type(error).__name__}: {error}"
    return InternalError("plate-release itself failed.", why=why, todo="Report it, please.")


def _at_once(_stop: Stop) -> AbstractContextManager[None]:
    return ending()


def _look(
    shared: "Shared",
    read: Callable[[Desk], T],
    table: Callable[[T], "RenderableType"],
    body: Callable[[T], dict[str, Any]],
    *,
    signals: Signals = _at_once,
    refusal: Callable[[Result], dict[str, Any]] = json.report,
    passes: Callable[[T], bool] = lambda _: True,
) -> int:
    """Print what is read, as a table or as JSON, and give the status by whether it `passes`.

    refusal: the JSON where it cannot be read.
    """
    with _running(shared, signals) as (world, journal):
        try:
            found = read(open_desk(_request(shared, Given()), world, journal))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # told, whatever it is
            told = _told(error, journal.result, world.stop)
            text.error(str(told))
            if shared.output == "json":
                say(sys.stdout, json.dump(refusal(refuse(journal.result, told))))
            return int(told.exit_code)
    if shared.output == "json":
        say(sys.stdout, json.dump(body(found)))
    else:
        console(sys.stdout).print(table(found))
    return int(ExitCode.RELEASED if passes(found) else ExitCode.PREFLIGHT_REFUSED)


@contextmanager
def _running(shared: "Shared", signals: Signals) -> Iterator[tuple[World, Journal]]:
    stop = Stop()
    clock = SystemClock(stop)
    empty = Result(Outcome.REFUSED, ExitCode.USAGE, shared.environment)
    with signals(stop), World(os.environ, clock, stop) as world, _observer(shared) as observer:
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
    try:
        here = Path.cwd()
    except OSError as error:
        raise UsageError(
            "The current folder is not there any more.", todo="Change to another one."
        ) from error
    repo = locate(shared.repo, here, os.environ)
    branch = branch_named(shared.branch, here, os.environ)
    runner = Runner.of(os.environ)
    by = runner.actor if runner else os.environ.get("USER", "")
    place = Place(repo, branch, shared.environment, shared.config)
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
        say(sys.stdout, json.dump(json.report(result)))
    else:
        text.show(result, console(sys.stdout), quiet=shared.quiet)
    if runner := Runner.of(os.environ):
        try:
            runner.add_summary(render(result))
        except OSError as error:
            text.warn(f"The job summary could not be written: {error}")
