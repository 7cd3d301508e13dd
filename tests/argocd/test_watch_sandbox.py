"""The watch on the sandbox: several Applications, real git, everything in its own time."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.connection import connection_from
from plate_release.argocd.crew import Threads
from plate_release.argocd.events import Code, Limits, Revision, Subject, Verdict
from plate_release.argocd.settle import end_operations
from plate_release.argocd.sight import Watched
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.stream import Stream
from plate_release.argocd.transport import Transport
from plate_release.argocd.verdict import Judge
from plate_release.argocd.watch import Watch
from plate_release.model import Judgement
from plate_release.sandbox import Sandbox
from plate_release.sandbox.git import GitServer

SPEED = 10.0
IMAGE = "registry.example.com/app"
LIMITS = Limits(grace=10, soak=5, timeout=120)
DENY = [{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": False}]


class FastClock:
    def now(self) -> float:
        return monotonic() * SPEED

    def wall(self) -> float:
        return 1_795_000_000 + self.now()

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody sleeps here, not {seconds} s")


class FastThreads(Threads):
    def wait(self, seconds: float) -> None:
        super().wait(seconds / SPEED)


@dataclass
class Fleet:
    """A sandbox, a repository with a folder of plain manifests, and Applications of it."""

    sandbox: Sandbox
    url: str
    work: Path
    told: list[str]
    argocd: ArgoCD
    transport: Transport

    def git(self, *argv: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        done = subprocess.run(
            ["git", "-C", str(self.work), *identity, *argv],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def push(self, tag: str, *, selector: str = "app") -> str:
        (self.work / "app").mkdir(exist_ok=True)
        (self.work / "app/deployment.yaml").write_text(json.dumps(deployment(tag, selector)))
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", tag)
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")

    def apply(
        self, name: str, *, project: str = "default", namespace: str = "", **spec: Any
    ) -> AppRef:
        self.sandbox.apply(application(name, project, namespace, self.url, spec))
        return AppRef(name, project, namespace)

    def settled(self, ref: AppRef) -> LiveApplication:
        namespace = ref.namespace or "argocd"
        self.sandbox.wait(ref.name, _healthy, namespace)
        return self.argocd.get(ref)

    def watched(self, ref: AppRef, commit: str, tag: str, **changes: Any) -> Watched[Verdict]:
        before = self.argocd.get(ref)
        subject = Subject(
            ref.name,
            commit,
            self.url,
            "main",
            "app/deployment.yaml",
            (f"{IMAGE}:{tag}",),
            ref.namespace,
            ref.project,
            before,
            self.argocd.resource_tree(ref),
            **changes,
        )
        judge = Judge(subject, LIMITS, FastClock().now())
        return Watched(
            ref.name, ref, judge, lambda sha: Revision(sha, sha == commit, sha == commit)
        )

    def watch(self, *watched: Watched[Any]) -> dict[str, Any]:
        def open_stream(apps: Any, tell: Any) -> Stream:
            return Stream(self.transport, apps, tell, pause=lambda n: min(n, 5) * 0.05)

        watch = Watch(watched, self.argocd, FastThreads(16), FastClock(), open_stream)
        return dict(watch.verdicts())


def _healthy(obj: Any) -> bool:
    status = obj.get("status", {})
    return bool(
        status.get("health", {}).get("status") == "Healthy"
        and status.get("sync", {}).get("status") == "Synced"
        and "operation" not in obj
    )


def deployment(tag: str, selector: str) -> dict[str, Any]:
    labels = {"app": selector}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": f"{IMAGE}:{tag}"}]},
            },
        },
    }


def application(
    name: str, project: str, namespace: str, url: str, spec: dict[str, Any]
) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": {
            "project": project,
            "source": {"repoURL": url, "targetRevision": "main", "path": "app"},
            "destination": {
                "server": "https://kubernetes.default.svc",
                "namespace": f"ns-{name}-{namespace}",
            },
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true"],
                "retry": {"limit": 3, "backoff": {"duration": "20s", "factor": 2}},
            },
            **spec,
        },
    }


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with Sandbox(factor=SPEED) as sandbox, GitServer(tmp_path / "git") as git:
        bare = git.create("fleet.git")
        work = tmp_path / "work"
        subprocess.run(["git", "clone", "--quiet", str(bare), str(work)], check=True)
        transport = Transport(connection_from(sandbox.environment()))
        told: list[str] = []
        argocd = ArgoCD(transport, told=told.append)
        yield Fleet(sandbox, git.url("fleet.git"), work, told, argocd, transport)


def test_several_in_several_projects_and_namespaces_over_one_stream(fleet: Fleet) -> None:
    fleet.sandbox.project("other")
    fleet.sandbox.allow_namespace("team")
    fleet.push("1.0.0")
    refs = [
        fleet.apply("api"),
        fleet.apply("web", project="other"),
        fleet.apply("web2", namespace="team"),
        fleet.apply("api", namespace="team", project="other"),
    ]
    for ref in refs:
        fleet.settled(ref)
    commit = fleet.push("1.1.0")
    watched = [fleet.watched(ref, commit, "1.1.0") for ref in refs]
    named = [Watched(f"{w.app}", w.app, w.judge, w.what_is) for w in watched]
    verdicts = fleet.watch(*named)
    assert {name: v.judgement for name, v in verdicts.items()} == dict.fromkeys(
        ("api", "web", "team/web2", "team/api"), Judgement.LIVE
    )
    streams = [asked for asked in fleet.sandbox.requests if "/stream/applications" in asked]
    assert len(streams) == 1
    assert any("refresh=normal" in told for told in fleet.told)


def test_where_automated_sync_is_off_it_is_synced_by_us(fleet: Fleet) -> None:
    fleet.push("1.0.0")
    ref = fleet.apply("api")
    fleet.settled(ref)
    fleet.apply("api", syncPolicy={})
    commit = fleet.push("1.1.0")
    verdicts = fleet.watch(fleet.watched(ref, commit, "1.1.0"))
    assert verdicts["api"].judgement is Judgement.LIVE, verdicts
    assert "POST /api/v1/applications/api/sync" in fleet.told


def test_a_window_is_told_with_when_it_opens_and_never_synced_against(fleet: Fleet) -> None:
    fleet.push("1.0.0")
    ref = fleet.apply("api")
    fleet.settled(ref)
    fleet.sandbox.project("default", DENY)
    commit = fleet.push("1.1.0")
    verdict = fleet.watch(fleet.watched(ref, commit, "1.1.0"))["api"]
    assert verdict.judgement is Judgement.BLOCKED
    assert verdict.code is Code.SYNC_WINDOW
    assert "it opens no earlier than 20" in verdict.reason
    assert not [told for told in fleet.told if "POST" in told]


def during(sandbox: Sandbox, down: Callable[[], None], up: Callable[[], None]) -> None:
    """Take something down now, and up again when the sandbox's time has gone on by 8 seconds."""
    down()
    sandbox.call(lambda: sandbox.clock.later(8, up))


@pytest.mark.parametrize("part", ["controller", "repo_server"])
def test_argo_cd_itself_in_trouble_for_a_while_is_no_failure(fleet: Fleet, part: str) -> None:
    fleet.push("1.0.0")
    ref = fleet.apply("api")
    fleet.settled(ref)
    commit = fleet.push("1.1.0")
    watched = fleet.watched(ref, commit, "1.1.0")
    sandbox = fleet.sandbox
    if part == "controller":
        running = sandbox.controller.parts.running
        during(sandbox, lambda: sandbox.call(running.clear), running.set)
    else:
        during(
            sandbox,
            sandbox.stop_repo_server,
            lambda: setattr(sandbox.renderer, "down", False),
        )
    verdict = fleet.watch(watched)["api"]
    assert verdict.judgement is Judgement.LIVE, verdict


def test_an_operation_that_retries_the_bad_commit_is_ended_before_the_revert(fleet: Fleet) -> None:
    fleet.push("1.0.0")
    ref = fleet.apply("api")
    fleet.settled(ref)
    bad = fleet.push("1.1.0", selector="changed")
    verdict = fleet.watch(fleet.watched(ref, bad, "1.1.0"))["api"]
    assert verdict.code is Code.SYNC_FAILED, verdict
    ended = end_operations(
        [ref], bad.__eq__, fleet.argocd, FastClock(), partial(Stream, fleet.transport), seconds=120
    )
    settled = ended[ref]
    assert settled.free, settled
    assert "DELETE /api/v1/applications/api/operation" in fleet.told
    assert "operation" not in (fleet.sandbox.application("api") or {"operation": 1})
    revert = fleet.push("1.0.0")
    verdict = fleet.watch(fleet.watched(ref, revert, "1.0.0", reverts=bad))["api"]
    assert verdict.judgement is Judgement.LIVE, verdict
