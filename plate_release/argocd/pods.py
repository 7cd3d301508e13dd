"""The pods of a resource tree: which run the release, which of them fail, which restarted.

Status reasons are what kubectl prints in its STATUS column (argo-cd controller/cache/info.go).
"""

import re
from dataclasses import dataclass

from plate_release.argocd.status import Node, ResourceTree

# Containers that do not start or do not stay up. A pod that the node gave back (Evicted, Shutdown,
# UnexpectedAdmissionError ...) is replaced by its owner and says nothing about the release.
_FATAL = re.compile(
    r"(?:Init:)?(?:Err\w*|\w*Error|\w*BackOff|OOMKilled|InvalidImageName|ContainerCannotRun"
    r"|RegistryUnavailable|ExitCode:\d+|Signal:\d+)"
)
_NODE_GAVE_BACK = ("UnexpectedAdmissionError",)
# A Job's pod may fail and be tried again; one that cannot even start never ends.
_CANNOT_START = re.compile(
    r"(?:Init:)?(?:ErrImage\w*|ImagePullBackOff|InvalidImageName|ImageInspectError"
    r"|RegistryUnavailable|CreateContainer\w*Error|RunContainerError)"
)
_GOING = ("Terminating",)


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod: its STATUS reason, whether it is ready, and how often it restarted."""

    uid: str
    name: str
    reason: str
    message: str
    ready: bool
    restarts: int
    images: tuple[str, ...]
    owner: str
    of_job: bool
    scheduled: bool

    @property
    def fatal(self) -> bool:
        """Whether its containers do not start, or do not stay up."""
        if self.of_job:
            return bool(_CANNOT_START.fullmatch(self.reason))
        return bool(_FATAL.fullmatch(self.reason)) and self.reason not in _NODE_GAVE_BACK


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of the newest generation of each workload, those that are going left out."""

    current: tuple[Pod, ...]
    generations: frozenset[str]  # UID and revision of each ReplicaSet that is the newest

    def of_release(self, images: tuple[str, ...], before: "Pods | None") -> tuple[Pod, ...]:
        """Return the pods that the release made, or that run its images.

        Where the tree before is known, a ReplicaSet that is new since then is the release's,
        whatever its images; so is a pod of a Job that was not there before, unless a CronJob
        made it.
        """
        old = before.generations if before else None
        seen = {pod.uid for pod in before.current} if before else set[str]()
        return tuple(
            pod
            for pod in self.current
            if any(image in pod.images for image in images)
            or (pod.of_job and not pod.scheduled and pod.uid not in seen)
            or (old is not None and bool(pod.owner) and pod.owner not in old)
        )


def read(tree: ResourceTree) -> Pods:
    """Read the pods that count out of `tree`."""
    owners = {node.uid: node for node in tree.nodes if node.kind != "Pod"}
    newest = _newest(tree)
    pods = [
        _pod(node, owners)
        for node in tree.nodes
        if node.kind == "Pod" and node.fact("Status Reason") not in _GOING
    ]
    outdated = {
        _generation(node)
        for node in tree.nodes
        if node.kind == "ReplicaSet" and node.uid not in newest
    }
    return Pods(
        current=tuple(pod for pod in pods if pod.owner not in outdated),
        generations=frozenset(_generation(node) for node in owners.values() if node.uid in newest),
    )


def repository(image: str) -> str:
    """Return an image reference without its tag and digest."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


def _newest(tree: ResourceTree) -> set[str]:
    """Return the UIDs of the ReplicaSets with the highest revision of their owner."""
    best: dict[str, tuple[int, float, str]] = {}
    for node in tree.nodes:
        if node.kind == "ReplicaSet":
            parent = node.parent_refs[0].uid if node.parent_refs else node.uid
            created = node.created_at.timestamp() if node.created_at else 0.0
            mine = (_revision(node), created, node.uid)
            best[parent] = max(best.get(parent, mine), mine)
    return {uid for _, _, uid in best.values()}


def _revision(node: Node) -> int:
    number = node.fact("Revision").removeprefix("Rev:")
    return int(number) if number.isdecimal() else 0


def _generation(node: Node) -> str:
    return f"{node.uid}/{_revision(node)}"


def _pod(node: Node, owners: dict[str, Node]) -> Pod:
    parent = node.parent_refs[0] if node.parent_refs else None
    owner = owners.get(parent.uid) if parent else None
    restarts = node.fact("Restart Count")
    return Pod(
        uid=node.uid,
        name=node.name,
        reason=node.fact("Status Reason"),
        message=node.health.message,
        ready=node.health.status == "Healthy",
        restarts=int(restarts) if restarts.isdecimal() else 0,
        images=node.images,
        owner=_generation(owner) if owner and owner.kind == "ReplicaSet" else "",
        of_job=parent is not None and parent.kind == "Job",
        scheduled=bool(owner and owner.kind == "Job" and owner.parent_refs),
    )
