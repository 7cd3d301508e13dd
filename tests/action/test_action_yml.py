"""action.yml itself: what it promises, what it maps, how its steps are written."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plate_release.action import Inputs, deploy_command, given_environment, shared_options

ROOT = Path(__file__).parents[2]

# Every input, with a value of it that changes what is run.
GIVEN = {
    "services": "plate-web=2.0.0",
    "service": "plate-llm",
    "tag": "3.0.0",
    "environment": "stage",
    "dry-run": "true",
    "confirm": "prod",
    "repository": "plate/other",
    "branch": "release",
    "token": "t1",
    "config": "other.yaml",
    "argocd-server": "argocd.example.com",
    "argocd-token": "t2",
    "timeout": "5m",
    "soak": "10s",
    "on-failure": "hold",
    "on-unknown": "revert",
    "on-cancel": "hold",
    "image-check": "off",
    "skip-backup": "true",
    "kubeconfig": "/some/file",
    "registry": "registry.example.com",
    "registry-username": "robot",
    "registry-password": "t3",
}
JOB = {"GITHUB_REPOSITORY": "plate/gitops", "GITHUB_SERVER_URL": "https://github.com"}


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(name)), *arguments, str(ROOT / "action.yml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_is_an_action() -> None:
    done = tool("check-jsonschema", "--builtin-schema", "vendor.github-actions")
    assert done.returncode == 0, done.stdout


def test_an_auditor_finds_nothing() -> None:
    done = tool("zizmor", "--offline", "--persona=auditor")
    assert done.returncode == 0, done.stdout


def test_it_has_the_promised_inputs_and_outputs(action: dict[str, Any]) -> None:
    assert sorted(action["inputs"]) == sorted(GIVEN)
    assert set(action["outputs"]) == {"outcome", "commit", "revert-commit", "report", "summary"}


def test_every_input_reaches_the_release_step_by_its_name(action: dict[str, Any]) -> None:
    (step,) = (step for step in action["runs"]["steps"] if step["id"] == "release")
    mapped = {f"PLATE_INPUT_{n.upper().replace('-', '_')}": f"${{{{ inputs.{n} }}}}" for n in GIVEN}
    assert step["env"] == mapped | {"PLATE_INPUT_JOB_TOKEN": "${{ github.token }}"}


@pytest.mark.parametrize("name", sorted(set(GIVEN) - {"services"}))
def test_every_input_changes_what_is_run(name: str) -> None:
    base = {"service": "plate-api", "tag": "1.5.0"}

    def what_runs(values: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        inputs = Inputs(values)
        return deploy_command(inputs, JOB), given_environment(inputs)

    assert what_runs(base | {name: GIVEN[name]}) != what_runs(base)


def test_a_login_by_input_never_goes_to_the_job_s_registry() -> None:
    login = {"registry-username": "me", "registry-password": "secret"}
    assert given_environment(Inputs(login))["REGISTRY"] == "docker.io"
    assert given_environment(Inputs(login | {"registry": "ghcr.io"}))["REGISTRY"] == "ghcr.io"
    assert "REGISTRY" not in given_environment(Inputs({}))


def test_the_settle_step_has_what_it_needs_to_find_the_release(action: dict[str, Any]) -> None:
    (step,) = (step for step in action["runs"]["steps"] if step["id"] == "settle")
    for name, value in GIVEN.items():
        inputs = Inputs({name: value})
        where = (shared_options(inputs, JOB), given_environment(inputs))
        needed = where != (shared_options(Inputs({}), JOB), given_environment(Inputs({})))
        assert (f"${{{{ inputs.{name} }}}}" in step["env"].values()) is needed, name


def test_no_step_reads_an_expression_or_another_action(action: dict[str, Any]) -> None:
    for step in action["runs"]["steps"]:
        assert "uses" not in step
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


def test_what_pushes_is_the_process_that_the_runner_signals(action: dict[str, Any]) -> None:
    for step in action["runs"]["steps"]:
        last = step["run"].replace("\\\n", " ").strip().splitlines()[-1]
        assert last.startswith("exec ")


def test_the_last_step_runs_whatever_happened(action: dict[str, Any]) -> None:
    last = action["runs"]["steps"][-1]
    assert last["id"] == "settle"
    assert re.match(r"always\(\) && steps\.install\.outcome == 'success'$", last["if"])


def test_windows_is_refused_in_one_line(job: Any, tmp_path: Path) -> None:
    steps = job(tmp_path)
    steps.environ["RUNNER_OS"] = "Windows"
    ended = steps.run("install")
    assert ended.status == 2
    assert re.fullmatch(r"::error title=plate-release::.*not on Windows\.\n", ended.stdout)


def test_a_runner_without_python_is_told_what_to_do(job: Any, tmp_path: Path) -> None:
    steps = job(tmp_path)
    old = tmp_path / "bin" / "python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    bash = Path("/bin/bash" if os.path.exists("/bin/bash") else "/usr/bin/bash")  # noqa: PTH110
    (tmp_path / "bin" / "bash").symlink_to(bash)
    steps.environ["PATH"] = str(old.parent)
    ended = steps.run("install")
    assert ended.status == 2
    assert "add actions/setup-python before this step" in ended.stdout


def test_the_install_step_leaves_only_what_it_needs(installed: Path) -> None:
    assert [path.name for path in installed.iterdir()] == ["plate-release"]
    scripts = installed / "plate-release" / "env" / "bin"
    done = subprocess.run(
        [scripts / "python", "-Ic", "import plate_release, sys; print(plate_release.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(installed)
    assert (scripts / "plate-release-action").exists()
    assert not (scripts / "pytest").exists()
