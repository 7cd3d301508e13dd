"""The command line: parses, calls the road, prints, and gives the exit status."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # typer reads the annotations
from typing import Annotated, Literal

import typer

from plate_release import __version__
from plate_release.model import ImageCheck, Policy, Switch

app = typer.Typer(
    name="plate-release",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Ship an image tag through GitOps, know that it is live, and put it back if it is not.",
)


@dataclass(frozen=True, slots=True)
class Shared:
    """The options that stand before the command."""

    repo: str | None
    branch: str
    config: str | None
    environment: str
    output: Literal["text", "json"]
    quiet: bool
    verbose: bool


# What several commands take.
Asks = Annotated[list[str], typer.Argument(metavar="SERVICE=TAG...", show_default=False)]
Names = Annotated[list[str], typer.Argument(metavar="SERVICE...", show_default=False)]
SomeNames = Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask no question.")]
Timeout = Annotated[str | None, typer.Option(help="The longest watch, such as 15m.")]
Soak = Annotated[str | None, typer.Option(help="How long it must stay healthy, such as 30s.")]
Grace = Annotated[str | None, typer.Option(help="How long a pod may fail, such as 20s.")]
OnFailure = Annotated[Policy | None, typer.Option(help="What to do with a failed commit.")]
OnUnknown = Annotated[Policy | None, typer.Option(help="What to do if nobody answers.")]
OnCancel = Annotated[Policy | None, typer.Option(help="What to do if interrupted.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why, for the commit.")]
Record = Annotated[str | None, typer.Option(metavar="FILE", help="Write what the watch saw.")]
DryRun = Annotated[
    bool | None, typer.Option("--dry-run/--no-dry-run", help="Stop before the commit [DRY_RUN].")
]
SkipBackup = Annotated[
    bool | None, typer.Option("--skip-backup/--backup", help="Save no backup [SKIP_BACKUP].")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Commit, and do not watch.")]
Queue = Annotated[bool, typer.Option("--queue", help="Wait for a release under way.")]
AllowDowngrade = Annotated[bool, typer.Option("--allow-downgrade", help="Accept a lower version.")]
CheckImage = Annotated[ImageCheck | None, typer.Option("--image-check", help="Ask the registry.")]
ClusterDryRun = Annotated[Switch | None, typer.Option(help="Ask the API server beforehand.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"plate-release {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    context: typer.Context,
    repo: Annotated[
        str | None,
        typer.Option(metavar="URL|PATH", help="The GitOps repository (default: origin of here)."),
    ] = None,
    branch: Annotated[str, typer.Option(help="Its branch.")] = "main",
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Default: environments/ENVIRONMENT.yaml."),
    ] = None,
    environment: Annotated[str, typer.Option(help="The environment.")] = "prod",
    output: Annotated[
        Literal["text", "json"], typer.Option("--output", "-o", help="How to answer.")
    ] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only how it ended.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show everything.")] = False,
    _show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")
    ] = False,
) -> None:
    context.obj = Shared(repo, branch, config, environment, output, quiet, verbose)


@app.command()
def plan(
    context: typer.Context,
    asks: Asks,
    allow_downgrade: AllowDowngrade = False,
    image_check: CheckImage = None,
) -> int:
    """Show what would change. Changes nothing."""
    from plate_release import commands
    from plate_release.request import Given

    given = Given(dry_run=True, allow_downgrade=allow_downgrade, image_check=image_check)
    return commands.plan(context.obj, asks, given)


@app.command()
def deploy(
    context: typer.Context,
    asks: Asks,
    dry_run: DryRun = None,
    yes: Yes = False,
    skip_backup: SkipBackup = None,
    no_wait: NoWait = False,
    timeout: Timeout = None,
    soak: Soak = None,
    grace: Grace = None,
    on_failure: OnFailure = None,
    on_unknown: OnUnknown = None,
    on_cancel: OnCancel = None,
    reason: Reason = "",
    record: Record = None,
    queue: Queue = False,
    allow_downgrade: AllowDowngrade = False,
    image_check: CheckImage = None,
    cluster_dry_run: ClusterDryRun = None,
) -> int:
    """Release tags: plan, commit, watch until settled, roll back what failed."""
    from plate_release import commands
    from plate_release.request import Given

    given = Given(
        dry_run=dry_run,
        yes=yes,
        skip_backup=skip_backup,
        wait=not no_wait,
        timeout=_seconds(timeout),
        soak=_seconds(soak),
        grace=_seconds(grace),
        on_failure=on_failure,
        on_unknown=on_unknown,
        on_cancel=on_cancel,
        reason=reason,
        record=record,
        queue=queue,
        allow_downgrade=allow_downgrade,
        image_check=image_check,
        cluster_dry_run=cluster_dry_run,
    )
    return commands.deploy(context.obj, asks, given)


@app.command()
def watch(
    context: typer.Context,
    commit: Annotated[str | None, typer.Argument(metavar="[COMMIT]", show_default=False)] = None,
    timeout: Timeout = None,
    soak: Soak = None,
    grace: Grace = None,
    on_failure: OnFailure = None,
    on_unknown: OnUnknown = None,
    on_cancel: OnCancel = None,
    record: Record = None,
) -> int:
    """Judge a commit that is already pushed (default: the newest release commit)."""
    from plate_release import commands
    from plate_release.request import Given

    given = Given(
        timeout=_seconds(timeout),
        soak=_seconds(soak),
        grace=_seconds(grace),
        on_failure=on_failure,
        on_unknown=on_unknown,
        on_cancel=on_cancel,
        record=record,
    )
    return commands.watch(context.obj, commit, given)


@app.command()
def rollback(
    context: typer.Context,
    services: Names,
    to: Annotated[
        str | None, typer.Option(metavar="TAG", help="Default: the last tag known as good.")
    ] = None,
    dry_run: DryRun = None,
    yes: Yes = False,
    skip_backup: SkipBackup = None,
    no_wait: NoWait = False,
    timeout: Timeout = None,
    soak: Soak = None,
    grace: Grace = None,
    on_unknown: OnUnknown = None,
    reason: Reason = "",
    record: Record = None,
    queue: Queue = False,
) -> int:
    """Put back an earlier tag, and watch it."""
    from plate_release import commands
    from plate_release.request import Given

    given = Given(
        dry_run=dry_run,
        yes=yes,
        skip_backup=skip_backup,
        wait=not no_wait,
        timeout=_seconds(timeout),
        soak=_seconds(soak),
        grace=_seconds(grace),
        on_unknown=on_unknown,
        reason=reason,
        record=record,
        queue=queue,
    )
    return commands.rollback(context.obj, services, to, given)


@app.command()
def status(context: typer.Context, services: SomeNames = None) -> int:
    """Show git, Argo CD and cluster side by side, and where they disagree."""
    from plate_release import commands

    return commands.status(context.obj, services or [])


@app.command()
def history(
    context: typer.Context,
    service: Annotated[str | None, typer.Argument(show_default=False)] = None,
    dora: Annotated[bool, typer.Option("--dora", help="Give the four DORA figures.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many releases.")] = 20,
) -> int:
    """Show the ledger, newest first."""
    from plate_release import commands

    return commands.history(context.obj, service, dora=dora, limit=limit)


@app.command()
def check(context: typer.Context) -> int:
    """Run the preflight only."""
    from plate_release import commands

    return commands.check(context.obj)


@app.command()
def settle(context: typer.Context) -> int:
    """Finish what an earlier run left unsettled."""
    from plate_release import commands

    return commands.settle(context.obj)


@app.command()
def replay(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", show_default=False)],
    timeout: Timeout = None,
    soak: Soak = None,
    grace: Grace = None,
) -> int:
    """Judge recordings as `watch` would have, without any network."""
    from plate_release import commands
    from plate_release.request import Given

    given = Given(timeout=_seconds(timeout), soak=_seconds(soak), grace=_seconds(grace))
    return commands.replay(context.obj, files, given)


@app.command()
def schema() -> int:
    """Print the JSON Schema of the configuration."""
    from plate_release import commands

    return commands.schema()


@app.command()
def demo(context: typer.Context) -> int:
    """Release into the embedded sandbox: good ones, a bad one that is rolled back, a dry run."""
    from plate_release import playground

    return playground.demo(verbose=context.obj.verbose)


@app.command()
def sandbox(
    speed: Annotated[float, typer.Option(min=1, help="How much faster time runs.")] = 1,
) -> int:
    """Serve the embedded Argo CD, cluster and git server until interrupted."""
    from plate_release import playground

    return playground.serve(speed=speed)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    from plate_release.config import seconds

    return seconds(text)
