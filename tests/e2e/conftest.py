"""One repository, Application and namespace a test, on whatever Argo CD there is."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from plate_release.sandbox.git import GitServer, Meanwhile
from tests.e2e.backend import Backend, backend

ROOT = Path(__file__).parents[2]
CHART = Path(__file__).parent / "chart"
VALUES = "helm/applications/plate-server/values-prod.yaml"
IMAGE = "registry.example/stg-server/server"
# Short enough for a test, long enough for what the tags' words do.
SHORT = ("--soak=2s", "--grace=3s", "--timeout=90s", "--yes", "--image-check=off", "--skip-backup")
# The same as a repository's configuration, for commands that have no such options.
QUICK = {
    "release": {"soak": "1s", "grace": "2s", "timeout": "90s", "image-check": "off"},
}

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Ended:
    """A finished run: its exit status, its report, and what it said."""

    status: int
    report: dict[str, Any]
    stdout: str
    stderr: str

    @property
    def service(self) -> dict[str, Any]:
        service: dict[str, Any] = self.report["services"][0]
        return service


@dataclass
class Team:
    """A team with a GitOps repository, one or two services, and their namespace."""

    backend: Backend
    git: GitServer
    work: Path
    id: str
    services: list[str] = field(default_factory=list)
    # Where its runs read what a person types.
    stdin: int | None = None

    @property
    def namespace(self) -> str:
        return f"e2e-{self.id}"

    @property
    def url(self) -> str:
        return self.git.url(f"{self.id}.git")

    @property
    def bare(self) -> Path:
        return self.git.root / f"{self.id}.git"

    @property
    def service(self) -> str:
        return self.services[0]

    def run(self, *arguments: str, **environ: str) -> Ended:
        return self.end(self.start(*arguments, **environ))

    def start(self, *arguments: str, **environ: str) -> Process:
        command = [str(Path(sys.executable).with_name("plate-release")), "--output", "json"]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        return subprocess.Popen(
            [*command, "--repo", self.url, *arguments],
            cwd=self.work,
            env={**kept, **self.backend.environ, **environ},
            stdin=self.stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: Process) -> Ended:
        stdout, stderr = process.communicate(timeout=240)
        report = json.loads(stdout) if stdout.startswith("{") else {}
        return Ended(process.returncode, report, stdout, stderr)

    def deploy(self, *asks: str, **environ: str) -> Ended:
        return self.run("deploy", *asks, *SHORT, **environ)

    def heads(self) -> list[str]:
        """Return the commits of the branch, newest first."""
        return self.at("log", "--format=%H", "main").split()

    def refs(self) -> str:
        """Return everything that a run could have changed on the remote."""
        return self.at("for-each-ref")

    def tag(self, service: str | None = None) -> str:
        return str(self._values("main", service)["backend"]["image"]["tag"])

    def _values(self, commit: str, service: str | None) -> dict[str, Any]:
        path = self.values_of(service or self.service)
        values: dict[str, Any] = yaml.safe_load(self.at("show", f"{commit}:{path}"))
        return values

    def values_of(self, service: str) -> str:
        return VALUES.replace("plate-server", service)

    def at(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.bare, check=True, capture_output=True, text=True
        ).stdout

    def push(self, message: str, edits: dict[str, tuple[str, str] | None]) -> str:
        """Commit as somebody else: each file's text replaced or the file gone, pushed over HTTP."""
        clone = self.work / f"clone-{uuid.uuid4().hex[:6]}"
        git("clone", "--quiet", self.url, str(clone), at=self.work)
        for path, edit in edits.items():
            file = clone / path
            if edit is None:
                file.unlink()
                continue
            old, new = edit
            text = file.read_text() if file.exists() else ""
            assert old in text
            file.write_text(text.replace(old, new) if old else new)
        git("add", ".", at=clone)
        git("commit", "--quiet", "-m", message, at=clone)
        git("push", "--quiet", "origin", "HEAD:main", at=clone)
        sha: str = git("rev-parse", "HEAD", at=clone).strip()
        return sha

    def meanwhile(self, action: Callable[[], object]) -> None:
        """Do something just before the next push to the repository arrives."""
        fault = Meanwhile(action)
        self.git.inject(fault, matching=f"/{self.id}.git/git-receive-pack", method="POST")

    def refuse(self, subject: str, message: str) -> None:
        """Let the server refuse commits of the branch whose subject starts so."""
        hook = self.bare / "hooks" / "pre-receive"
        hook.write_text(
            "#!/bin/sh\nwhile read -r old new ref; do\n"
            f"  case $(git log -1 --format=%s $new) in '{subject}'*)"
            f" printf '%b\\n' '{message}'; exit 1;; esac\ndone\n"
        )
        hook.chmod(0o755)

    def add(self, **spec: Any) -> str:
        """Add a service: its chart, its manifest, and its Application in Argo CD."""
        service = f"s{len(self.services)}-{self.id}"
        self.services.append(service)
        folder = self.work / "seed" / "helm" / "applications" / service
        shutil.copytree(CHART, folder)
        manifest = self.manifest(service, **spec)
        apps = self.work / "seed" / "environments" / "argocd" / "apps"
        apps.mkdir(parents=True, exist_ok=True)
        (apps / f"{service}-prod.yaml").write_text(yaml.safe_dump(manifest))
        return service

    def manifest(self, service: str, **spec: Any) -> dict[str, Any]:
        path = f"helm/applications/{service}"
        helm = {"releaseName": service, "valueFiles": ["values-prod.yaml"]}
        policy = {
            "automated": {"prune": True, "selfHeal": True},
            "syncOptions": ["CreateNamespace=true"],
            "retry": {"limit": 3, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}},
        }
        source = {"repoURL": self.url, "targetRevision": "main", "path": path, "helm": helm}
        whole = {
            "project": "default",
            "source": source,
            "destination": {
                "server": "https://kubernetes.default.svc",
                "namespace": self.namespace,
            },
            "syncPolicy": policy,
        }
        metadata = {
            "name": f"{service}-prod",
            "namespace": "argocd",
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        }
        api = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
        return {**api, "metadata": metadata, "spec": whole | spec}

    def configure(self, config: dict[str, Any]) -> None:
        """Give the repository that is to be founded a configuration."""
        file = self.work / "seed" / "environments" / "prod.yaml"
        file.write_text(yaml.safe_dump(config))

    def found(self, **overrides: Any) -> None:
        """Push the repository's first commit and have Argo CD deploy it."""
        seed = self.work / "seed"
        git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare), at=self.work)
        git("init", "--quiet", "--initial-branch=main", ".", at=seed)
        git("add", ".", at=seed)
        git("commit", "--quiet", "-m", "The first commit", at=seed)
        git("push", "--quiet", str(self.bare), "main", at=seed)
        for service in self.services:
            self.backend.create(self.manifest(service, **overrides))
        for service in self.services:
            self.backend.until(f"{service}-prod", "Healthy")

    def remove(self) -> None:
        for service in self.services:
            self.backend.remove(f"{service}-prod", self.namespace)


def git(*arguments: str, at: Path) -> str:
    who = {"NAME": "Somebody", "EMAIL": "somebody@example.com"}
    names = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
    environment = {"PATH": os.environ["PATH"], "HOME": str(at), "GIT_CONFIG_NOSYSTEM": "1", **names}
    return subprocess.run(
        ["git", *arguments], cwd=at, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="session")
def argocd() -> Iterator[Backend]:
    with backend() as found:
        yield found


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    root = tmp_path_factory.mktemp("served")
    with GitServer(root) as server:
        yield server


@pytest.fixture
def nobody(argocd: Backend, served: GitServer, tmp_path: Path) -> Iterator[Team]:
    """A team that has not founded its repository yet."""
    team = Team(argocd, served, tmp_path, uuid.uuid4().hex[:8])
    yield team
    team.remove()


@pytest.fixture
def team(nobody: Team) -> Team:
    """A team with one service, live at 1.4.2."""
    nobody.add()
    nobody.found()
    return nobody


@pytest.fixture
def alone(nobody: Team) -> Team:
    """A team whose repository no Argo CD deploys."""
    service = nobody.add()
    nobody.services.clear()
    nobody.found()
    nobody.services.append(service)
    return nobody


@pytest.fixture
def pair(nobody: Team) -> Team:
    """A team with two services, live at 1.4.2."""
    nobody.add()
    nobody.add()
    nobody.found()
    return nobody


Found = Callable[[], Team]


@pytest.fixture
def founded(
    argocd: Backend, served: GitServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Found:
    """Return how to found a team with one service, as often as wanted; from any thread."""

    def found() -> Team:
        identity = uuid.uuid4().hex[:8]
        folder = tmp_path / identity
        folder.mkdir()
        team = Team(argocd, served, folder, identity)
        request.addfinalizer(team.remove)
        team.add()
        team.configure(QUICK)
        team.found()
        return team

    return found


def heard(process: Process, what: str) -> None:
    """Wait until a run says so on standard error."""
    assert process.stderr is not None
    if not any(what in line for line in process.stderr):
        raise AssertionError(f"it ended without a word of {what!r}: {process.communicate()}")


def interrupt(process: Process) -> None:
    process.send_signal(signal.SIGINT)
