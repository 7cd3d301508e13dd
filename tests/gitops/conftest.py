"""A real git server on loopback, a seeded repository on it, and the engine opened on that."""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from plate_release.gitops.commit import Author
from plate_release.gitops.private import Patience
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from plate_release.sandbox.git import GitServer

AUTHOR = Author("Ada Ops", "ada@example.com")
QUICK = Patience(stall=2, answer=1)
# For what recovers, however slow the machine is.
PATIENT = Patience(stall=5, answer=30)


class RealClock:
    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


CLOCK = RealClock()


@dataclass(frozen=True)
class Origin:
    """The server's repository and somebody else's clone of it."""

    server: GitServer
    bare: Path
    clone: Path

    @property
    def url(self) -> str:
        return self.server.url(self.bare.name)

    def git(self, *arguments: str, at: str | None = None) -> str:
        """Run git in the clone; `at` is what its clock says."""
        return run(self.clone, *arguments, at=at)

    def at(self, *arguments: str) -> str:
        """Run git in the server's repository."""
        return run(self.bare, *arguments)

    def write(self, files: dict[str, str | bytes], message: str = "Edit") -> str:
        """Commit and push as somebody else; return the commit."""
        for path, content in files.items():
            target = self.clone / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def hook(self, name: str, script: str) -> None:
        path = self.bare / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def run(directory: Path, *arguments: str, stdin: str = "", at: str | None = None) -> str:
    """Run git apart from the machine's configuration; return what it prints."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Some Body",
        "GIT_AUTHOR_EMAIL": "some@example.com",
        "GIT_COMMITTER_NAME": "Some Body",
        "GIT_COMMITTER_EMAIL": "some@example.com",
    }
    if at is not None:
        environment |= {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env=environment,
        input=stdin.encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="surrogateescape").strip()


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "server"
    root.mkdir()
    with GitServer(root) as running:
        yield running


@pytest.fixture
def origin(server: GitServer, tmp_path: Path) -> Origin:
    bare = server.create("gitops.git")
    clone = tmp_path / "somebody"
    run(tmp_path, "clone", "--quiet", str(bare), str(clone))
    made = Origin(server, bare, clone)
    made.write({f"charts/{name}/values.yaml": f"tag: 1.0.{name}\n" for name in "abc"}, "Seed")
    made.write({"README.md": "hello\n"}, "Say hello")
    return made


Open = Callable[..., AbstractContextManager[Repository]]


@pytest.fixture
def opened(origin: Origin) -> Open:
    """Open the engine on the seeded repository, or on another address or branch."""

    def open_(
        url: str | None = None,
        branch: str = "main",
        credentials: Credentials | None = None,
        patience: Patience = QUICK,
        **more: object,
    ) -> AbstractContextManager[Repository]:
        return Repository.open(
            url or origin.url,
            branch,
            credentials or Credentials(),
            clock=CLOCK,
            patience=patience,
            **more,  # type: ignore[arg-type]
        )

    return open_


@pytest.fixture
def repository(opened: Open) -> Iterator[Repository]:
    with opened() as made:
        yield made


@pytest.fixture
def patient(opened: Open) -> Iterator[Repository]:
    with opened(patience=PATIENT) as made:
        yield made
