"""The tasks of one sync: what is applied, pruned or run as a hook, in which phase and wave."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from plate_release.sandbox.compare import Resource, annotations, hook_types
from plate_release.sandbox.tree import images_of
from plate_release.sandbox.world import Object, Ref

WAVE = "argocd.argoproj.io/sync-wave"
PHASES = ("PreSync", "Sync", "PostSync")
KINDS = (
    "Namespace",
    "NetworkPolicy",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "Ingress",
)


@dataclass(slots=True)
class Task:
    """One object to deal with, and how it went."""

    ref: Ref
    version: str
    target: Object | None
    phase: str
    hook: bool = False
    status: str = ""
    message: str = ""
    state: str = field(default="Running")

    @property
    def wave(self) -> int:
        """Its sync wave; what is pruned goes with wave 0."""
        return int(annotations(self.target).get(WAVE, 0)) if self.target else 0

    @property
    def name(self) -> str:
        """How Argo CD's messages name it."""
        return f"{self.ref.group}/{self.ref.kind}/{self.ref.name}"

    def wire(self) -> Object:
        """Return it as `syncResult.resources` has it."""
        ref = self.ref
        out: Object = {
            "group": ref.group,
            "version": self.version,
            "kind": ref.kind,
            "namespace": ref.namespace,
            "name": ref.name,
            "status": self.status,
            "message": self.message,
        }
        if self.hook:
            out["hookType"] = self.phase
        out |= {"hookPhase": self.state, "syncPhase": self.phase}
        images = images_of(self.target) if self.target else []
        return out | ({"images": images} if images else {})


def plan(
    targets: tuple[Object, ...], resources: list[Resource], only: list[Object] | None, suffix: str
) -> list[Task]:
    """Return the tasks of a sync in their order.

    only: the resources that a partial sync names, which then runs no hooks. suffix: what ends a
    generated hook's name, after its phase.
    """
    tasks = [
        Task(r.ref, r.version, r.target, "Sync")
        for r in resources
        if not r.hook and (only is None or _named(r.ref, only))
    ]
    if only is None:
        for obj in targets:
            tasks += _hooks(obj, suffix)
    return sorted(tasks, key=_order)


def steps(tasks: list[Task]) -> Iterator[list[Task]]:
    """Group the tasks by what runs at once: a phase's wave."""
    for _, group in groupby(tasks, key=lambda task: (task.phase, task.wave)):
        yield list(group)


def _named(ref: Ref, only: list[Object]) -> bool:
    return any(
        (each.get("group", ""), each["kind"], each["name"]) == (ref.group, ref.kind, ref.name)
        for each in only
    )


def _hooks(obj: Object, suffix: str) -> Iterator[Task]:
    group, slash, version = obj["apiVersion"].rpartition("/")
    for phase in hook_types(obj):
        if phase not in PHASES:
            continue
        meta = dict(obj["metadata"])
        revision, _, started = suffix.partition("-")
        if "name" not in meta:
            meta["name"] = f"{meta.pop('generateName')}{revision}-{phase.lower()}-{started}"
        ref = Ref(group if slash else "", obj["kind"], meta.get("namespace", ""), meta["name"])
        yield Task(ref, version, obj | {"metadata": meta}, phase, hook=True)


def _order(task: Task) -> tuple[int, int, int, str]:
    kind = KINDS.index(task.ref.kind) if task.ref.kind in KINDS else len(KINDS)
    return PHASES.index(task.phase), task.wave, kind, task.ref.name
