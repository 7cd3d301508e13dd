"""What a command tells, and its exit status, where it does not end as it should."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plate_release import commands, gates, release
from plate_release.__main__ import main
from plate_release.config import Config
from plate_release.desk import Desk
from plate_release.errors import PreflightRefused, UsageError
from plate_release.model import Ask
from plate_release.plan import Plan
from plate_release.result import Result, ServiceResult

APPLICATION = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: plate-api-prod, namespace: argocd}
spec:
  project: default
  source: {repoURL: https://git.example/platform.git, targetRevision: main, path: helm/plate-api}
  destination: {server: https://kubernetes.default.svc, namespace: plate}
"""
COMMIT = "c" * 40


@dataclass(frozen=True)
class Told:
    """What a command said."""

    status: int
    body: dict[str, Any]
    stderr: str

    @property
    def last(self) -> str:
        return str(self.body["findings"][-1]["message"])


Run = Callable[..., Told]


def git(*arguments: str, at: Path) -> None:
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(at)}
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    subprocess.run(
        ["git", *who, *arguments], cwd=at, env={"PATH": os.environ["PATH"], **alone}, check=True
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a repository with one Application, whose chart is missing."""
    for name in (*os.environ,):
        if name.startswith(("ARGOCD_", "GITHUB_", "GITOPS_")) or name in ("KUBECONFIG", "CI"):
            monkeypatch.delenv(name)
    work, bare = tmp_path / "work", tmp_path / "platform.git"
    (work / "environments").mkdir(parents=True)
    (work / "environments" / "plate-api.yaml").write_text(APPLICATION)
    (work / "helm" / "plate-api").mkdir(parents=True)
    (work / "helm" / "plate-api" / "README.md").write_text("No chart.\n")
    git("init", "--quiet", "--initial-branch=main", ".", at=work)
    git("add", ".", at=work)
    git("commit", "--quiet", "-m", "The first commit", at=work)
    git("clone", "--quiet", "--bare", str(work), str(bare), at=tmp_path)

    def run(*arguments: str) -> Told:
        status = main(["--repo", str(bare), "-ojson", *arguments])
        said = capsys.readouterr()
        return Told(status, json.loads(said.out), said.err)

    return run


def failing(error: BaseException, *, commit: str | None) -> Callable[..., Result]:
    """Return a road that ends so, before its commit or behind it."""

    def road(desk: Desk, *_: object) -> Result:
        one = ServiceResult("plate-api", "plate-api-prod", "r", "f", "k", "1.4.2", "1.5.0")
        desk.journal.result = replace(desk.journal.result, services=(one,))
        if commit:
            desk.journal.committed(commit, {"plate-api": "1.5.0"}, revert=False)
        raise error

    return road


@pytest.mark.parametrize("error", [KeyError("x"), UsageError("no token"), PreflightRefused("no")])
def test_what_fails_behind_the_push_is_held_and_says_what_stands(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(release, "deploy", failing(error, commit=COMMIT))
    told = run("deploy", "plate-api=1.5.0")
    assert (told.status, told.body["exit_code"], told.body["outcome"]) == (16, 16, "held")
    assert "plate-api: 1.5.0 was pushed by cccccccccccc" in told.last
    assert "plate-release settle" in told.last
    assert "plate-release settle" in told.stderr
    assert ("Traceback" in told.stderr) is isinstance(error, KeyError)


def test_a_mistake_of_ours_before_the_push_is_a_refusal(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "deploy", failing(KeyError("x"), commit=None))
    told = run("deploy", "plate-api=1.5.0")
    assert told.status == told.body["exit_code"] == 2
    assert told.body["outcome"] == "refused"
    assert told.body["findings"][-1]["code"] == "internal-error"
    assert "Traceback" in told.stderr


def test_a_watch_that_is_refused_has_pushed_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "watch", failing(UsageError("no token"), commit=COMMIT))
    told = run("watch", COMMIT)
    assert (told.status, told.body["outcome"]) == (2, "refused")


def test_a_second_interrupt_behind_the_push_says_what_stands(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "deploy", failing(KeyboardInterrupt(), commit=COMMIT))
    told = run("deploy", "plate-api=1.5.0")
    assert (told.status, told.body["outcome"]) == (130, "interrupted")
    assert "was pushed by cccccccccccc" in told.last


def test_an_interrupted_plan_has_changed_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "plan", failing(KeyboardInterrupt(), commit=None))
    told = run("plan", "plate-api=1.5.0")
    assert (told.status, told.body["outcome"]) == (130, "interrupted")
    assert told.last == "The run was interrupted; nothing was changed."


@pytest.mark.parametrize("command", ["check", "status"])
def test_an_environment_without_a_service_is_told_with_the_near_miss(
    run: Run, command: str
) -> None:
    told = run("--environment", "prdo", command)
    assert told.status == 2
    assert "are of: prod" in told.stderr
    assert "Did you mean prod?" in told.stderr


def test_the_history_of_an_unknown_service_is_told_with_the_near_miss(run: Run) -> None:
    told = run("history", "plate-ap")
    assert told.status == 2
    assert "Did you mean plate-api?" in told.stderr
    assert run("history", "plate-api").body == {"releases": []}


def test_check_keeps_its_shape_where_argo_cd_is_out_of_reach(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGOCD_SERVER", "http://127.0.0.1:1")
    monkeypatch.setenv("ARGOCD_AUTH_TOKEN", "a.b.c")
    told = run("check")
    assert (told.status, set(told.body), told.body["ok"]) == (4, {"ok", "findings"}, False)
    codes = [one["code"] for one in told.body["findings"] if one["level"] == "error"]
    assert codes == ["argocd-unavailable"]


def test_check_keeps_its_shape_where_it_is_not_configured(run: Run) -> None:
    told = run("check")
    assert (told.status, set(told.body), told.body["ok"]) == (2, {"ok", "findings"}, False)
    assert told.body["findings"][-1]["code"] == "usage"


def test_a_refusal_names_the_environment_wherever_it_stands(run: Run) -> None:
    for arguments in (("status", "nobody"), ("frobnicate",)):
        assert run(*arguments, "--environment=stage").body["environment"] == "stage"
        assert run(*arguments).body["environment"] == "prod"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan"], "Missing argument 'SERVICE=TAG...'."),
        (
            ["plan", "a=1", "--image-check=maybe"],
            "Invalid value for '--image-check': 'maybe' is not one of 'require', 'warn', 'off'.",
        ),
        (["plna", "a=1"], "No such command 'plna'. Did you mean 'plan', 'replay'?"),
        (["plan", "a=1", "--nope"], "No such option: --nope"),
        (["plan", "a", "--repo=/nowhere/at/all"], "'a' names no service and tag"),
    ],
)
def test_a_command_line_that_cannot_be_understood(
    run: Run, arguments: list[str], says: str
) -> None:
    told = run(*arguments)
    assert told.status == 2
    assert told.last.splitlines()[0] == says


@pytest.mark.parametrize("command", ["status", "check", "history", "settle"])
def test_a_mistake_of_ours_while_looking_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(commands, "open_desk", fail)
    told = run(command)
    assert told.status == 2
    assert told.body["findings"][-1]["code"] == "internal-error"
    assert "KeyError: 'x'" in told.stderr


def test_the_runner_obeys_no_line_of_a_run(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("plate-release"))
    done = subprocess.run(
        [program, "-ojson", "plan", "a\n::warning::b"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    first, *between, last = done.stderr.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert len(token) == 32
    assert last == f"::{token}::"
    assert between
    assert json.loads(done.stdout)["exit_code"] == done.returncode == 2


def test_status_shows_what_it_can(run: Run) -> None:
    told = run("status")
    (one,) = told.body["services"]
    assert told.status == 0
    assert (one["name"], one["git"], one["argocd"]) == ("plate-api", None, None)
    git_, argocd = one["disagreements"]
    assert git_.startswith("git: ")
    assert argocd.startswith("Argo CD: ")


@pytest.mark.parametrize(
    "place", [("--branch", "../x"), ("--branch", ""), ("--repo", "git+foo://host/x.git")]
)
def test_a_place_that_is_none_is_refused(run: Run, place: tuple[str, str]) -> None:
    assert run("plan", "plate-api=1.5.0", *place).status == 2


@pytest.mark.parametrize("tag", ["bad tag!!", "", "-x", "1.0@sha256:12"])
def test_a_rollback_takes_tags_alone(run: Run, tag: str) -> None:
    told = run("rollback", "plate-api", f"--to={tag}")
    assert told.status == 2
    assert "tag" in told.last or "digest" in told.last


def test_a_rollback_takes_a_digest(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Ask] = []

    def road(desk: Desk, _services: object, to: list[Ask]) -> Result:
        asked.extend(to)
        return desk.journal.result

    monkeypatch.setattr(release, "rollback", road)
    digest = f"sha256:{'a' * 64}"
    run("rollback", "plate-api", "--to", f"1.4.1@{digest}")
    assert asked == [Ask("plate-api", "1.4.1", digest)]


def test_a_summary_that_cannot_be_written_is_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    told = run("plan", "nobody=1.5.0")
    assert told.status == 2
    assert "warning: The job summary could not be written" in told.stderr


def test_a_question_without_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # `<&-` leaves Python without one.
    monkeypatch.setattr(sys, "stdin", None)
    options, world = SimpleNamespace(yes=False), SimpleNamespace(environ={})
    desk = SimpleNamespace(config=Config(confirm=True), options=options, world=world)
    with pytest.raises(PreflightRefused, match="there is no terminal"):
        gates.confirm(cast("Desk", desk), Plan(()))


def test_the_report_goes_to_standard_output_though_a_terminal_shows_progress(
    tmp_path: Path,
) -> None:
    ours, theirs = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "plate_release", "--repo", "/nonexistent", "-ojson", "status"],
        env=os.environ | {"TERM": "xterm"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
    )
    os.close(theirs)
    said = os.read(ours, 64 * 1024).decode()
    os.close(ours)
    assert json.loads(done.stdout)["exit_code"] == done.returncode
    assert "/nonexistent" in said
