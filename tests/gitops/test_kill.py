"""`kill -9` before and after every call of git, then the same release again: settled, once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plate_release.gitops.ledger import Ledger
from plate_release.gitops.repository import Repository
from plate_release.model import Outcome
from tests.gitops.conftest import AUTHOR, Origin
from tests.gitops.killing import Killer, When

# Making the private repository touches nothing that is shared.
PREPARATION = ["git config", "git --version", "git init", "git config"]
CALLS = [
    "git fetch",  # the head and the ledger
    "git cat-file",  # runs beside its caller, and ends with it
    "git -c",  # fetches the values file
    "git fast-import",  # the release commit
    "git diff-tree",
    "git fast-import",  # its note
    "git push",
    "git fetch",
    "git fast-import",  # the settled note
    "git push",
]
PLACES: list[tuple[int, When]] = [
    (at, when)
    for at, call in enumerate(CALLS, len(PREPARATION) + 1)
    for when in ("before", "after")
    if (call, when) != ("git cat-file", "after")
]
RELEASER = Path(__file__).with_name("releaser.py")


@pytest.fixture
def killer(tmp_path: Path) -> Killer:
    return Killer(tmp_path / "bin", "git")


def release(origin: Origin, killer: Killer) -> int:
    command = [sys.executable, str(RELEASER), origin.url, "charts/a/values.yaml", "2"]
    return subprocess.run(command, env={**os.environ, "PATH": killer.path}, check=False).returncode


def test_the_places_are_all_there_are(origin: Origin, killer: Killer) -> None:
    assert release(origin, killer) == 0
    assert killer.calls == PREPARATION + CALLS


@pytest.mark.parametrize(("at", "when"), PLACES)
def test_a_killed_release_is_finished_by_the_next_run(
    origin: Origin, killer: Killer, repository: Repository, at: int, when: When
) -> None:
    killer.arm(at, when)
    assert release(origin, killer) == -signal.SIGKILL
    repository.head()
    noted = [recorded.commit for recorded in Ledger(repository, AUTHOR).entries()]
    on_branch = origin.at("log", "--format=%H", "--author=Releaser", "main").split()
    assert on_branch == noted

    killer.disarm()
    assert release(origin, killer) == 0
    head = repository.head()
    entries = Ledger(repository, AUTHOR).entries()
    assert head.read("charts/a/values.yaml") == b"tag: 2\n"
    assert origin.at("log", "--format=%H", "--author=Releaser", "main") == entries[0].commit
    assert [recorded.entry.state for recorded in entries] == [Outcome.RELEASED]
    assert Ledger(repository, AUTHOR).unsettled() == ()
