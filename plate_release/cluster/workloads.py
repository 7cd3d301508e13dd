"""What runs: workloads and their pods, read from the API server's objects. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from plate_release.cluster.objects import ObjectRef

KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Rollout"})


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod: the images of the workload's containers, and what it waits for ("" for nothing).

    running: each image with the digest that runs, which is "" where it is not known.
    """

    name: str
    images: tuple[str, ...]
    running: tuple[tuple[str, str], ...]
    ready: bool
    restarts: int
    waiting: str


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload: the images that it wants, its replicas, its pods of every generation."""

    ref: ObjectRef
    images: tuple[str, ...]
    ready: int
    replicas: int
    pods: tuple[Pod, ...]


@dataclass(frozen=True, slots=True)
class Workloads:
    """The workloads of an Application, side by side."""

    items: tuple[Workload, ...]

    @property
    def images(self) -> tuple[str, ...]:
        """What the pods run, each once, sorted."""
        return tuple(sorted({image for pod in self.pods for image in pod.images}))

    @property
    def ready(self) -> int:
        """How many pods are ready."""
        return sum(item.ready for item in self.items)

    @property
    def replicas(self) -> int:
        """How many pods are wanted."""
        return sum(item.replicas for item in self.items)

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Every pod."""
        return tuple(pod for item in self.items for pod in item.pods)


def workload(ref: ObjectRef, body: Mapping[str, Any], pods: Mapping[str, Any]) -> Workload:
    """Return a workload of its object and the list of its pods."""
    spec, status = body.get("spec") or {}, body.get("status") or {}
    wanted = _containers((spec.get("template") or {}).get("spec") or {})
    if ref.kind == "DaemonSet":
        ready, replicas = status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)
    else:
        # An absent count of replicas means one; an absent status means none.
        ready, replicas = status.get("readyReplicas", 0), spec.get("replicas", 1)
    items = (_pod(item, frozenset(wanted)) for item in pods.get("items") or ())
    return Workload(ref, tuple(wanted.values()), ready, replicas, tuple(items))


def selector(body: Mapping[str, Any]) -> str:
    """Return a workload's pod selector in the form of a query's `labelSelector`."""
    chosen = (body.get("spec") or {}).get("selector") or {}
    labels = [f"{key}={value}" for key, value in (chosen.get("matchLabels") or {}).items()]
    return ",".join([*labels, *map(_expression, chosen.get("matchExpressions") or ())])


def _expression(requirement: Mapping[str, Any]) -> str:
    key, operator = requirement["key"], requirement["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return f"{'!' if operator == 'DoesNotExist' else ''}{key}"
    return f"{key} {operator.lower()} ({','.join(requirement.get('values') or ())})"


def _containers(spec: Mapping[str, Any]) -> dict[str, str]:
    return {item["name"]: item.get("image", "") for item in spec.get("containers") or ()}


def _pod(body: Mapping[str, Any], wanted: frozenset[str]) -> Pod:
    status = body.get("status") or {}
    # Meshes put containers of their own into pods; only the workload's tell what it runs.
    specified = _containers(body.get("spec") or {})
    statuses = status.get("containerStatuses") or ()
    return Pod(
        name=body["metadata"]["name"],
        images=tuple(image for name, image in specified.items() if name in wanted),
        running=tuple(running(body, wanted)),
        ready=_condition(status, "Ready").get("status") == "True"
        and "deletionTimestamp" not in body["metadata"],
        restarts=sum(item.get("restartCount", 0) for item in statuses),
        waiting="; ".join(_waiting(status)),
    )


def running(
    body: Mapping[str, Any], wanted: Collection[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Give the image of each container of a pod (of those `wanted`) with the digest that runs.

    A kubelet says `repository@sha256:...`; what it built or loaded itself has no digest: "".
    """
    specified = _containers(body.get("spec") or {})
    for status in (body.get("status") or {}).get("containerStatuses") or ():
        name = status.get("name")
        if name in specified and (wanted is None or name in wanted):
            _, at, digest = str(status.get("imageID") or "").rpartition("@")
            yield specified[name], digest if at else ""


def _waiting(status: Mapping[str, Any]) -> Iterator[str]:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        yield _said(scheduled)
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        if waiting := (container.get("state") or {}).get("waiting"):
            yield _said(waiting) + _last_end(container)


def _last_end(container: Mapping[str, Any]) -> str:
    ended = (container.get("lastState") or {}).get("terminated")
    if not ended:
        return ""
    return f" (last ended: {ended.get('reason') or 'Unknown'}, exit code {ended.get('exitCode')})"


def _said(condition: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    conditions: list[Mapping[str, Any]] = status.get("conditions") or []
    return next((item for item in conditions if item.get("type") == kind), {})
