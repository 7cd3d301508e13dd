"""The action's steps, taken out of action.yml and run as the runner runs them."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from plate_release.sandbox.git import GitServer
from plate_release.sandbox.sandbox import Sandbox

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: str
    stderr: str
    outputs: dict[str, str]
    summary: str


@dataclass
class Steps:
    """Runs one step after the other in the same job."""

    folder: Path
    environ: dict[str, str]
    steps: dict[str, Any]

    def environment(self, step: str, inputs: Mapping[str, str]) -> dict[str, str]:
        files = {"GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}
        named = {name: str(self.folder / f"{step}-{file}") for name, file in files.items()}
        values = {f"inputs.{name}": value for name, value in inputs.items()}
        values["github.token"] = self.environ.get("JOB_TOKEN", "")
        mapped = {
            name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values.get(found[1], ""), text)
            for name, text in self.steps[step].get("env", {}).items()
        }
        return {**self.environ, **named, **mapped}

    def start(self, step: str, **inputs: str) -> "subprocess.Popen[str]":
        script = self.folder / f"{step}.sh"
        script.write_text(self.steps[step]["run"])
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            cwd=self.folder,
            env=self.environment(step, {name.replace("_", "-"): v for name, v in inputs.items()}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, step: str, process: "subprocess.Popen[str]", seconds: float = 120) -> Ended:
        stdout, stderr = process.communicate(timeout=seconds)
        texts = [self.folder / f"{step}-{file}" for file in ("output", "summary")]
        output, summary = (file.read_text("utf-8") if file.exists() else "" for file in texts)
        found = re.findall(r"([\w-]+)<<(ghadelimiter_\S+)\n(.*?)\n\2\n", output, re.DOTALL)
        outputs = {name: value for name, _, value in found}
        return Ended(process.returncode, stdout, stderr, outputs, summary)

    def run(self, step: str, **inputs: str) -> Ended:
        return self.end(step, self.start(step, **inputs))

    def cancel(self, step: str, process: "subprocess.Popen[str]") -> Ended:
        """Signal the step's own process alone, as the runner does."""
        process.send_signal(signal.SIGINT)
        return self.end(step, process)


@pytest.fixture(scope="session")
def action() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    return parsed


@pytest.fixture
def job(tmp_path: Path, action: dict[str, Any]) -> Callable[[Path], Steps]:
    """Start a job, given the runner's temporary folder."""

    def start(temp: Path) -> Steps:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GITHUB_", "PLATE_INPUT_", "ARGOCD_", "GITOPS_", "KUBE"))
        }
        runner = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_ACTOR": "mina",
            "GITHUB_REPOSITORY": "plate/gitops",
            "GITHUB_RUN_ID": "42",
            "GITHUB_SERVER_URL": "https://github.invalid",
            "HOME": str(tmp_path),
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(temp),
            "ARGOCD_PLAINTEXT": "true",
        }
        steps = {step["id"]: step for step in action["runs"]["steps"]}
        return Steps(tmp_path, inherited | runner, steps)

    return start


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, action: dict[str, Any]) -> Path:
    """A runner's temporary folder in which the install step has run."""
    temp = tmp_path_factory.mktemp("runner")
    install = next(step["run"] for step in action["runs"]["steps"] if step["id"] == "install")
    environ = {
        "GITHUB_ACTION_PATH": str(ROOT),
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": str(temp),
        # What a job may have set for a Python of its own.
        "PYTHONPATH": "/nonexistent",
        "VIRTUAL_ENV": "/nonexistent",
        "UV_PROJECT_ENVIRONMENT": "/nonexistent/env",
        "UV_FROZEN": "false",
    }
    subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", install],
        env=os.environ | environ,
        check=True,
    )
    return temp


SERVICE = "helm/applications/plate-server"
VALUES = f"{SERVICE}/values-prod.yaml"
APPLICATION = "plate-api-prod"
CONFIGURATION = """\
apiVersion: plate-release/v1
environment: prod
confirm: true
release: {grace: 2s, soak: 1s, timeout: 20s}
"""


@dataclass(frozen=True)
class Production:
    """A GitOps repository over HTTP, and an Argo CD with a cluster that follow it."""

    git: GitServer
    sandbox: Sandbox
    bare: Path
    url: str

    @property
    def tag(self) -> str:
        """The tag that stands at the remote's head."""
        image = yaml.safe_load(self.show("show", f"main:{VALUES}"))["backend"]["image"]
        return str(image["tag"])

    @property
    def head(self) -> str:
        return self.show("rev-parse", "main").strip()

    def show(self, *command: str) -> str:
        return subprocess.run(
            ["git", "-C", self.bare, *command], capture_output=True, text=True, check=True
        ).stdout

    def pushed(self, since: str, seconds: float = 60) -> None:
        """Wait until the remote's head is another one."""
        deadline = time.monotonic() + seconds
        while self.head == since:
            assert time.monotonic() < deadline, "nothing was pushed"
            time.sleep(0.02)

    @property
    def inputs(self) -> dict[str, str]:
        known = self.sandbox.environment()
        return {
            "repository": self.url,
            "argocd_server": known["ARGOCD_SERVER"],
            "argocd_token": known["ARGOCD_AUTH_TOKEN"],
            "kubeconfig": self.sandbox.kubeconfig.read_text("utf-8"),
            "image_check": "off",
            "soak": "1s",
            "timeout": "60s",
            "token": "t0ken",
            "confirm": "prod",
        }


def git(folder: Path, *command: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)


def is_live(application: dict[str, Any]) -> bool:
    status = application["status"]
    found = (status.get(name, {}).get("status") for name in ("sync", "health"))
    return tuple(found) == ("Synced", "Healthy")


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Production]:
    """Plate-api 1.4.2, live, in a production of its own; helm is on PATH as on a runner."""
    monkeypatch.setenv("PATH", f"{ROOT / '.tools/helm-4'}{os.pathsep}{os.environ['PATH']}")
    served, work = tmp_path / "served", tmp_path / "work"
    served.mkdir()
    with GitServer(served) as server, Sandbox(factor=10) as sandbox:
        bare, url = server.create("gitops.git"), server.url("gitops.git")
        shutil.copytree(ROOT / SERVICE, work / SERVICE)
        values = work / VALUES
        values.write_text(values.read_text("utf-8").replace('"latest"', '"1.4.2"'))
        environments = work / "environments"
        environments.mkdir()
        (environments / "prod.yaml").write_text(CONFIGURATION)
        manifest = ROOT / "environments/argocd/apps" / f"{APPLICATION}.yaml"
        text = re.sub(r"repoURL: \S+", f"repoURL: {url}", manifest.read_text("utf-8"))
        (environments / manifest.name).write_text(text)
        git(work, "init", "--quiet", "--initial-branch=main")
        git(work, "add", ".")
        git(work, "commit", "--quiet", "--message=Start")
        git(work, "push", "--quiet", str(bare), "main")
        sandbox.load(environments)
        sandbox.wait(APPLICATION, is_live)
        yield Production(server, sandbox, bare, url)
