"""What goes wrong around reading: servers, disks, homes, git itself; each told for what it is."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from plate_release.errors import RepositoryUnavailable, UsageError
from plate_release.gitops.private import Patience
from plate_release.gitops.refusals import BranchMissing, Unanswered
from plate_release.gitops.repository import Repository
from plate_release.sandbox.git import Answer, Cut, Hang, Silence
from tests.gitops.conftest import Open, Origin

HTML = b"<!doctype html>\n<html><body>\nSign in\n</body></html>\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(401), "does not let us in"),
        (Answer(403), "does not let us in"),
        (Answer(404), "no such repository"),
        (Answer(413), "too large"),
        (Answer(429), "does not answer"),
        (Answer(500), "does not answer"),
        (Answer(503), "does not answer"),
        (Answer(200, HTML, {"Content-Type": "text/html"}), "not as a git server"),
        (Answer(200, b"", {"Content-Type": "text/html"}), "no branch"),
        (Answer(302, b"", {"Location": "http://127.0.0.1:1/other.git"}), "moved"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_an_answer_that_is_no_repository(
    repository: Repository, origin: Origin, answer: Answer, words: str
) -> None:
    origin.server.inject(answer, times=999)
    with pytest.raises(RepositoryUnavailable, match=words) as refused:
        repository.head()
    assert origin.url in refused.value.what
    assert refused.value.todo


@pytest.mark.parametrize("fault", [Cut(30), Cut(700), Silence(), Answer(503)])
def test_a_fault_that_passes_is_waited_out(
    patient: Repository, origin: Origin, fault: Cut | Silence | Answer
) -> None:
    origin.server.inject(fault, matching="git-upload-pack", method="POST", times=1)
    tree = patient.head()
    origin.server.inject(fault, matching="git-upload-pack", method="POST", times=1)
    assert tree.read("README.md") == b"hello\n"


def test_a_pack_that_always_breaks_off(origin: Origin, opened: Open) -> None:
    origin.write({"noise": os.urandom(200_000)})
    with opened() as repository:
        tree = repository.head()
        origin.server.inject(Cut(50_000), matching="git-upload-pack", method="POST", times=999)
        with pytest.raises(Unanswered, match="does not answer"):
            tree.read("noise")
        origin.server.heal()
        assert len(tree.read("noise")) == 200_000


def test_a_server_that_hangs_is_given_up_and_its_git_is_ended(
    origin: Origin, opened: Open, tmp_path: Path
) -> None:
    origin.server.inject(Hang(), times=999)
    with (
        opened(patience=Patience(stall=1, answer=0.1), workspace=tmp_path) as repository,
        pytest.raises(RepositoryUnavailable, match="does not answer"),
    ):
        repository.head()
    assert not _processes_in(tmp_path)


def test_a_git_that_was_ended_is_no_missing_file(opened: Open, tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    workspace.mkdir()
    with opened(workspace=workspace) as repository:
        tree = repository.head()
        for process in _processes_in(workspace):
            os.kill(process, signal.SIGKILL)
        with pytest.raises(RepositoryUnavailable, match="stopped answering"):
            tree.read("README.md")
    assert not _processes_in(tmp_path)


def test_nobody_listens(opened: Open) -> None:
    with (
        opened("http://127.0.0.1:1/x.git") as repository,
        pytest.raises(RepositoryUnavailable, match="does not answer"),
    ):
        repository.head()


def test_a_missing_branch_names_those_there_are(origin: Origin, opened: Open) -> None:
    origin.at("branch", "-m", "main", "trunk")
    with opened() as repository, pytest.raises(BranchMissing, match="no branch main") as refused:
        repository.head()
    assert "trunk" in refused.value.why


def test_an_empty_repository(origin: Origin, opened: Open) -> None:
    origin.server.create("empty.git")
    with (
        opened(origin.server.url("empty.git")) as repository,
        pytest.raises(BranchMissing, match="no branch main"),
    ):
        repository.head()


def test_a_branch_renamed_between_two_looks(repository: Repository, origin: Origin) -> None:
    repository.head()
    origin.at("branch", "-m", "main", "trunk")
    with pytest.raises(BranchMissing, match="no branch main"):
        repository.head()


@pytest.mark.parametrize("url", ["", "-oProxyCommand=x", "ext::sh -c id", "http://x/\n"])
def test_what_is_no_address_never_reaches_git(opened: Open, url: str) -> None:
    def opening() -> None:
        with opened(url or "\n"):
            raise AssertionError

    with pytest.raises(UsageError, match="no repository"):
        opening()


def test_a_folder_that_is_no_repository(opened: Open, tmp_path: Path) -> None:
    with (
        opened(str(tmp_path)) as repository,
        pytest.raises(RepositoryUnavailable, match="no such repository"),
    ):
        repository.head()


def test_git_is_missing(opened: Open, tmp_path: Path) -> None:
    def opening() -> None:
        with opened(environ={"PATH": str(tmp_path)}):
            raise AssertionError

    with pytest.raises(RepositoryUnavailable, match="git cannot be started") as refused:
        opening()
    assert "Install git" in refused.value.todo


@pytest.mark.parametrize("version", ["git version 2.33.8", "git version 1.8.3.1", "what?"])
def test_git_is_too_old(opened: Open, tmp_path: Path, version: str) -> None:
    fake = tmp_path / "git"
    fake.write_text(f"#!/bin/sh\necho '{version}'\n")
    fake.chmod(0o755)

    def opening() -> None:
        with opened(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"}):
            raise AssertionError

    with pytest.raises(RepositoryUnavailable, match="too old"):
        opening()


def test_a_git_that_cannot_run_at_all(opened: Open, tmp_path: Path) -> None:
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\necho 'fatal: libcurl is missing' >&2\nexit 127\n")
    fake.chmod(0o755)

    def opening() -> None:
        with opened(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"}):
            raise AssertionError

    with pytest.raises(RepositoryUnavailable, match="libcurl is missing"):
        opening()


@pytest.mark.parametrize("home", [None, "/nonexistent", "/proc/1"])
def test_a_home_that_is_missing_or_cannot_be_written(opened: Open, home: str | None) -> None:
    environ = {"PATH": os.environ["PATH"]} | ({"HOME": home} if home else {})
    with opened(environ=environ) as repository:
        assert repository.head().read("README.md") == b"hello\n"


def test_a_workspace_that_cannot_be_written(opened: Open, tmp_path: Path) -> None:
    def opening() -> None:
        with opened(workspace=tmp_path / "missing"):
            raise AssertionError

    with pytest.raises(RepositoryUnavailable, match="no room") as refused:
        opening()
    assert "TMPDIR" in refused.value.todo


READER = """
import sys, time
from pathlib import Path
from plate_release.errors import RepositoryUnavailable
from plate_release.gitops.private import Patience
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository

class Clock:
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)

full, patience = Path(sys.argv[2]), Patience(5, 1)
with Repository.open(
    sys.argv[1], "main", Credentials(), clock=Clock, patience=patience, workspace=full
) as repository:
    tree = repository.head()
    for what in (lambda: tree.export("noise", full / "out"), lambda: tree.read("large")):
        try:
            what()
        except RepositoryUnavailable as error:
            print(error.what, error.todo)
"""

IN_MOUNT = 'mount -t tmpfs -o size=3m none "$1" && exec "$2" -c "$3" "$4" "$1"'
NO_MOUNT = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode


@pytest.mark.skipif(NO_MOUNT != 0, reason="needs a mount of its own for a disk that fills up")
def test_the_disk_is_full(origin: Origin, tmp_path: Path) -> None:
    origin.write({"large": os.urandom(4_000_000), "noise/x": os.urandom(1_600_000)})
    full = tmp_path / "full"
    full.mkdir()
    shell = ["sh", "-c", IN_MOUNT, "sh", str(full), sys.executable, READER, origin.url]
    done = subprocess.run(["unshare", "-rm", *shell], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    exporting, fetching = done.stdout.splitlines()
    assert "The disk is full" in fetching
    assert "TMPDIR" in fetching
    assert "no room" in exporting
    assert "TMPDIR" in exporting


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_local_repository_of_another_user(origin: Origin, opened: Open, tmp_path: Path) -> None:
    os.chown(origin.bare, 65534, 65534)
    home = tmp_path / "home"
    home.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    with opened(str(origin.bare), environ=environ) as repository:
        with pytest.raises(RepositoryUnavailable, match="belongs to another user") as refused:
            repository.head()
        assert "safe.directory" in refused.value.todo
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {origin.bare}\n")
    with opened(str(origin.bare), environ=environ) as repository:
        assert repository.head().read("README.md") == b"hello\n"


def _processes_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is below `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found
