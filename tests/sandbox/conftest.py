"""The sandbox, repositories with the recordings' chart, and how a scenario is played on it."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from plate_release.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
CHART = Path(__file__).with_name("chart")
AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "bed"), ("EMAIL", "bed@example.test"))
}


@pytest.fixture(autouse=True, scope="session")
def helm() -> Iterator[None]:
    """Let the development's own helm be used where none is named."""
    with pytest.MonkeyPatch.context() as patch:
        binary = ROOT / ".tools/helm-3/helm"
        if "PLATE_RELEASE_HELM" not in os.environ and binary.exists():
            patch.setenv("PLATE_RELEASE_HELM", str(binary))
        yield


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(factor=10) as running:
        yield running


class Chart:
    """A repository with the recordings' chart; `push` moves its main branch."""

    def __init__(self, folder: Path, values: dict[str, Any] | None = None) -> None:
        self.path = folder
        self._values: dict[str, Any] = {"backend": {"image": {"tag": "1.4.2"}}}
        self._values |= values or {}
        target = folder / "helm/applications/plate-server"
        target.parent.mkdir(parents=True)
        shutil.copytree(CHART, target)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write()
        self.first = self.commit("init")

    def git(self, *argv: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.path), *argv],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | AUTHOR,
        )
        return done.stdout.strip()

    def write(self, **sets: str) -> None:
        values = self._values
        for key, text in sets.items():
            value = yaml.safe_load(text) if key in ("invalid", "hook") else text
            if key in ("tag", "repository"):
                values["backend"]["image"][key] = value
            else:
                values[key] = value
        file = self.path / "helm/applications/plate-server/values-prod.yaml"
        file.write_text(yaml.safe_dump(values))

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def push(self, **sets: str) -> str:
        self.write(**sets)
        return self.commit(json.dumps(sets))


def application(name: str, repository: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "default",
            "source": {
                "repoURL": repository,
                "targetRevision": "main",
                "path": "helm/applications/plate-server",
                "helm": {"releaseName": "plate-api", "valueFiles": ["values-prod.yaml"]},
            },
            "destination": {
                "server": "https://kubernetes.default.svc",
                "namespace": f"ns-{name}",
            },
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true"],
            },
        }
        | spec,
    }


class Client:
    """Asks a sandbox's Argo CD."""

    def __init__(self, sandbox: Sandbox, token: str | None = None) -> None:
        self.sandbox = sandbox
        self.headers = {"Authorization": f"Bearer {token or sandbox.token}"}

    def __call__(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        headers = self.headers | kwargs.pop("headers", {})
        if method != "GET":
            headers = {"Content-Type": "application/json"} | headers
        url = self.sandbox.argocd_url + "/api/v1" + path
        return requests.request(method, url, headers=headers, timeout=60, **kwargs)

    def json(self, path: str) -> Any:
        return self("GET", path).json()


@dataclass
class Direct:
    """Argo CD's API asked on the sandbox's own event loop, with no socket and no thread between."""

    sandbox: Sandbox

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        parts = [part async for part in self._parts(method, path, body)]
        return parts[0]["status"], json.loads(b"".join(p.get("body", b"") for p in parts[1:]))

    async def follow(self, path: str) -> AsyncIterator[Any]:
        """Yield the lines of a stream."""
        async for part in self._parts("GET", path, None):
            if part.get("body"):
                yield json.loads(part["body"])["result"]

    async def _parts(self, method: str, path: str, body: Any) -> AsyncIterator[Any]:
        where, _, query = path.partition("?")
        headers = {
            "authorization": f"Bearer {self.sandbox.token}",
            "content-type": "application/json",
        }
        scope = {
            "type": "http",
            "method": method,
            "path": f"/api/v1{where}",
            "client": ("", 0),
            "query_string": query.encode(),
            "scheme": "http",
            "server": ("sandbox", 80),
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }
        sent: asyncio.Queue[Any] = asyncio.Queue()
        asked = [{"type": "http.request", "body": json.dumps(body).encode()}]

        async def receive() -> Any:
            return asked.pop() if asked else await asyncio.Event().wait()

        running: Any = self.sandbox.argocd(scope, receive, sent.put)
        task: asyncio.Task[None] = asyncio.create_task(running)
        try:
            while True:
                part = await sent.get()
                yield part
                if part["type"] == "http.response.body" and not part.get("more_body"):
                    return
        finally:
            task.cancel()


def settled(app: dict[str, Any]) -> bool:
    status = app.get("status", {})
    return (
        "operation" not in app
        and status.get("sync", {}).get("status") == "Synced"
        and status.get("health", {}).get("status") == "Healthy"
    )
