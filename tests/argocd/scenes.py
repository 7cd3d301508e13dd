"""Scenes for the judge: an Application that says one thing after another, and its pods."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from plate_release.argocd.events import (
    Code,
    Event,
    Limits,
    Revision,
    Seen,
    Step,
    Subject,
    TreeSeen,
    Verdict,
    Via,
    Waiting,
    WhatIs,
)
from plate_release.argocd.status import LiveApplication, ResourceTree
from plate_release.argocd.verdict import Judge

BASE, OURS, THEIRS, NEWER = ("b" * 40, "a" * 40, "c" * 40, "d" * 40)
OLD, NEW, OTHER = "reg/server:1.4.2", "reg/server:1.5.0", "reg/server:1.6.0"
LIMITS = Limits(grace=5, soak=30, timeout=300)
REPOSITORY, FILE = "https://git.example.com/gitops.git", "charts/server/values-prod.yaml"
SOURCE = {"repoURL": REPOSITORY, "path": "charts/server", "targetRevision": "main"}
SELF_HEAL = {"automated": {"prune": True, "selfHeal": True}}
LINEAGE = {
    BASE: Revision(BASE, contains=False, holds=False),
    THEIRS: Revision(THEIRS, contains=True, holds=True),
    NEWER: Revision(NEWER, contains=True, holds=False),
}
HELM = (
    "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: "
    "code = Unknown desc = failed to execute helm template command: exit status 1: "
    "Error: execution error at (server/templates/deployment.yaml:19:21): tag is required"
)
UNREACHABLE = (
    "Failed to load target state: rpc error: code = Unavailable desc = connection error: "
    'desc = "transport: Error while dialing: dial tcp 10.0.0.1:8081: connect: connection refused"'
)
INVALID = 'Service "x" is invalid: spec.ports[0].port: Invalid value: 99999'
WEBHOOK = 'Internal error occurred: failed calling webhook "v.example.com": connection refused'


def at_second(second: int | None) -> str | None:
    return None if second is None else f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z"


@dataclass(frozen=True)
class State:
    """What an Application says, flat."""

    sync: str = "Synced"
    at: str | tuple[str, ...] = BASE
    health: str = "Healthy"
    phase: str = "Succeeded"
    op_at: str | None = BASE
    busy: bool = False
    refresh: bool = False
    reconciled: int = 1
    finished: int | None = 1
    message: str = ""
    results: tuple[Mapping[str, Any], ...] = ()
    images: tuple[str, ...] = (OLD,)
    conditions: tuple[tuple[str, str], ...] = ()
    resources: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Mapping[str, Any], ...] = (SOURCE,)
    compared: tuple[Mapping[str, Any], ...] | None = None
    policy: Mapping[str, Any] = field(default_factory=lambda: SELF_HEAL)
    extra: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    uid: str = "app-1"
    deleted: bool = False

    def operation(self) -> dict[str, Any]:
        revision = {} if self.op_at is None else {"revision": self.op_at}
        return {"sync": revision | {"dryRun": self.dry_run}}

    def operation_state(self) -> dict[str, Any]:
        if not self.phase:
            return {}
        done = {"revision": self.op_at, "resources": list(self.results)}
        running = self.phase == "Running" and not self.results
        return {
            "operationState": {
                "phase": self.phase,
                "message": self.message,
                "operation": self.operation(),
                "finishedAt": at_second(self.finished),
                "syncResult": None if running or self.op_at is None else done,
            }
        }

    def revision(self) -> dict[str, Any]:
        if isinstance(self.at, tuple):
            return {"revisions": list(self.at)}
        return {"revision": self.at}

    def json(self, version: int) -> dict[str, Any]:
        compared = self.sources if self.compared is None else self.compared
        refresh = {"argocd.argoproj.io/refresh": "normal"} if self.refresh else {}
        status = {
            "sync": {"status": self.sync, **self.revision(), "comparedTo": sources(compared)},
            "health": {"status": self.health},
            "reconciledAt": at_second(self.reconciled),
            "summary": {"images": list(self.images)},
            "conditions": [{"type": kind, "message": text} for kind, text in self.conditions],
            "resources": list(self.resources),
            **self.operation_state(),
            **self.extra,
        }
        return {
            "metadata": {
                "name": "server-prod",
                "uid": self.uid,
                "resourceVersion": str(version),
                "annotations": refresh,
                **({"deletionTimestamp": at_second(9)} if self.deleted else {}),
            },
            "spec": {**sources(self.sources), "syncPolicy": dict(self.policy)},
            "status": status,
            **({"operation": self.operation()} if self.busy else {}),
        }


def sources(given: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    one = len(given) == 1
    return {"source": dict(given[0])} if one else {"sources": [dict(s) for s in given]}


BEFORE = State()
FOUND = replace(BEFORE, sync="OutOfSync", at=OURS, reconciled=2)
SYNCING = replace(FOUND, phase="Running", op_at=OURS, busy=True, finished=None)
APPLIED = replace(
    FOUND,
    sync="Synced",
    health="Progressing",
    op_at=OURS,
    reconciled=3,
    finished=3,
    images=(OLD, NEW),
)
LIVE = replace(APPLIED, health="Healthy", images=(NEW,))
FAILED = replace(FOUND, phase="Failed", op_at=OURS, reconciled=3, finished=3)
NO_DIFFERENCE = replace(BEFORE, at=OURS, reconciled=2)
DEADLINE = {
    "kind": "Deployment",
    "name": "server",
    "health": {"status": "Degraded", "message": "exceeded its progress deadline"},
}
DEGRADED = replace(APPLIED, health="Degraded", resources=(DEADLINE,))
UNRENDERED = replace(
    BEFORE, sync="Unknown", at="main", reconciled=2, conditions=(("ComparisonError", HELM),)
)


class Scene:
    """A judge, and the Application that it is told about."""

    spec: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, before: State = BEFORE, **subject: Any) -> None:
        self.version = 100
        self.lineage = dict(LINEAGE)
        known: dict[str, Any] = {
            "application": "server-prod",
            "commit": OURS,
            "repository": REPOSITORY,
            "branch": "main",
            "file": FILE,
            "images": (NEW,),
            "before": LiveApplication.model_validate(before.json(self.version)),
        }
        self.judge = Judge(Subject(**(known | subject)), LIMITS, start=0)

    def see(
        self, t: float, state: State, via: Via = Via.STREAM, version: int | None = None
    ) -> Step:
        self.version = version or self.version + 1
        raw = {**state.json(self.version), **({"spec": self.spec} if self.spec else {})}
        return self.feed(t, Seen(LiveApplication.model_validate(raw), via))

    def tree(self, t: float, *nodes: Mapping[str, Any]) -> Step:
        return self.feed(t, TreeSeen(tree(*nodes)))

    def feed(self, t: float, event: Event) -> Step:
        step = self.judge.feed(t, event)
        while isinstance(step, Waiting) and (sha := next(iter(self.asked(step)), None)):
            step = self.judge.feed(t, self.lineage[sha])
        return step

    def asked(self, step: Waiting) -> list[str]:
        asked = (want.sha for want in step.wants if isinstance(want, WhatIs))
        return [sha for sha in asked if sha in self.lineage]

    def until(self, t: float) -> Step:
        return self.judge.tick(t)


def tree(*nodes: Mapping[str, Any]) -> ResourceTree:
    return ResourceTree.model_validate({"nodes": list(nodes)})


def replica_set(name: str, revision: int, of: str = "server") -> dict[str, Any]:
    return {
        "kind": "ReplicaSet",
        "name": name,
        "uid": name,
        "parentRefs": [{"kind": "Deployment", "uid": of}],
        "info": [{"name": "Revision", "value": f"Rev:{revision}"}],
    }


def pod(
    reason: str = "Running",
    image: str = NEW,
    *,
    of: tuple[str, str] = ("ReplicaSet", "new"),
    name: str = "server-new-1",
    ready: bool = False,
    restarts: int = 0,
    message: str = "",
) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "name": name,
        "uid": name,
        "parentRefs": [{"kind": of[0], "uid": of[1]}],
        "info": [
            {"name": "Status Reason", "value": reason},
            {"name": "Restart Count", "value": str(restarts)},
        ],
        "images": [image],
        "health": {"status": "Healthy" if ready else "Progressing", "message": message},
    }


OLD_SET, NEW_SET = replica_set("old", 1), replica_set("new", 2)
OLD_POD = pod("Running", OLD, of=("ReplicaSet", "old"), name="server-old-1", ready=True)
READY = pod(ready=True)


def ended(step: Step) -> tuple[str, Code]:
    assert isinstance(step, Verdict), step
    return step.judgement.value, step.code


def waits(step: Step) -> Waiting:
    assert isinstance(step, Waiting), step
    return step
