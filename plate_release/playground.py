"""The sandbox for people: served alone, or toured by a demo that releases, fails and rolls back."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from rich.console import Console
from rich.table import Table

from plate_release.__main__ import main
from plate_release.errors import UsageError

_PLACEHOLDER = "https://github.com/plate/platform.git"
_WATCH = ("--yes", "--soak=2s", "--grace=3s", "--image-check=off", "--skip-backup")


@dataclass(frozen=True, slots=True)
class _Step:
    title: str
    arguments: tuple[str, ...]
    expected: int


_TOUR = (
    _Step("A good tag", ("deploy", "plate-web=1.27.1", *_WATCH), 0),
    _Step(
        "Two services in one commit",
        ("deploy", "plate-api=1.5.0", "plate-web=1.28.0", *_WATCH),
        0,
    ),
    _Step("A tag that cannot be pulled", ("deploy", "plate-api=1.6.0-bad", *_WATCH), 10),
    _Step("A dry run", ("deploy", "plate-web=1.29.0", "--dry-run", *_WATCH), 0),
)


def demo(*, verbose: bool = False) -> int:
    """Go through the tour; 0 where every step ended as it should."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        "The sandbox plays git, Argo CD and a cluster on this machine. For the demo a release"
        " soaks for 2 s and a pod may fail for 3 s; registries are not asked."
    )
    rows = []
    with _playground(speed=1) as environment:
        os.environ.update(environment)
        os.environ.pop("DRY_RUN", None)
        for step in _TOUR:
            console.rule(f"[bold]{step.title}")
            console.print(f"$ plate-release {' '.join(step.arguments)}", markup=False, style="dim")
            flags = ["-v"] if verbose else []
            repository = environment["GITOPS_REPOSITORY"]
            rows.append((step, main([*flags, "--repo", repository, *step.arguments])))
        console.rule("[bold]The ledger")
        main(["--repo", environment["GITOPS_REPOSITORY"], "history"])
    console.rule("[bold]The tour")
    console.print(_table(rows))
    return int(any(status != step.expected for step, status in rows))


def _table(rows: list[tuple[_Step, int]]) -> Table:
    table = Table("step", "exit status", "expected", box=None, pad_edge=False)
    for step, status in rows:
        style = "green" if status == step.expected else "bold red"
        table.add_row(step.title, f"[{style}]{status}[/]", str(step.expected))
    return table


def serve(*, speed: float) -> int:
    """Serve until interrupted, and print the environment to use it, a `KEY=VALUE` a line."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    with _playground(speed=speed) as environment:
        for key, value in environment.items():
            sys.stdout.write(f"{key}={value}\n")
        sys.stdout.flush()
        stopped.wait()
    return 0


@contextmanager
def _playground(*, speed: float) -> Iterator[dict[str, str]]:
    """Serve a GitOps repository with the sample services, and an Argo CD that deploys them."""
    try:
        from plate_release.sandbox.git import GitServer
        from plate_release.sandbox.sandbox import Sandbox
    except ModuleNotFoundError as error:
        raise UsageError(
            "The sandbox is not installed.",
            why=str(error),
            todo="Install it with `pip install plate-release[sandbox]`.",
        ) from error
    with (
        tempfile.TemporaryDirectory(prefix="plate-release-sandbox-") as folder,
        GitServer(Path(folder) / "served") as git,
        Sandbox(factor=speed) as sandbox,
    ):
        url = git.url("platform.git")
        work = Path(folder) / "work"
        _seed(work, Path(folder) / "served" / "platform.git", url)
        sandbox.load(work / "environments")
        for file in sorted((work / "environments" / "argocd" / "apps").glob("*.yaml")):
            sandbox.wait(file.stem, _healthy)
        yield {**sandbox.environment(), "GITOPS_REPOSITORY": url}


def _healthy(application: dict[str, object]) -> bool:
    status = application.get("status")
    health = status.get("health") if isinstance(status, dict) else None
    return isinstance(health, dict) and health.get("status") == "Healthy"


def _seed(work: Path, bare: Path, url: str) -> None:
    """Make a bare repository of the sample charts and Applications, which name it by `url`."""
    _copy_samples(work)
    for file in (work / "environments").rglob("*.yaml"):
        file.write_text(file.read_text().replace(_PLACEHOLDER, url))
    _git("init", "--quiet", "--bare", "--initial-branch=main", str(bare), at=work)
    _git("init", "--quiet", "--initial-branch=main", ".", at=work)
    _git("add", ".", at=work)
    _git("commit", "--quiet", "--message", "The plate services", at=work)
    _git("push", "--quiet", str(bare), "main", at=work)


def _copy_samples(work: Path) -> None:
    """Take the samples from the package, or from the checkout that it stands in."""
    with as_file(files("plate_release")) as package:
        packed = package / "samples"
        origin = packed if packed.is_dir() else package.parent
        for name in ("helm", "environments"):
            shutil.copytree(origin / name, work / name)


def _git(*arguments: str, at: Path) -> None:
    who = {"NAME": "plate-release", "EMAIL": "plate-release@localhost"}
    names = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment = {"PATH": os.environ.get("PATH", os.defpath), **names, **alone}
    subprocess.run(["git", *arguments], cwd=at, env=environment, check=True)
