"""Pods of an owner, and the ReplicaSet controller that keeps as many as it asks for."""

from plate_release.sandbox.events import Events
from plate_release.sandbox.pods import Kubelet
from plate_release.sandbox.world import Object, Ref, World

LATENCY = 0.005


def pods_of(world: World, owner: Object) -> list[Object]:
    """Return the pods that the object owns."""
    return [c for c in world.children(owner["metadata"]["uid"]) if c["kind"] == "Pod"]


def staying(pods: list[Object]) -> list[Object]:
    """Return the pods that are not being deleted."""
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod: Object) -> bool:
    """Tell whether a pod says that it is ready."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def new_pod(world: World, owner: Object, name: str | None, labels: Object) -> Object:
    """Create a pod from the owner's template."""
    meta, template = owner["metadata"], owner["spec"]["template"]
    named = {"name": name} if name else {"generateName": f"{meta['name']}-"}
    template_meta = template.get("metadata", {})
    annotations = template_meta.get("annotations")
    return world.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": named
            | {
                "namespace": meta["namespace"],
                "labels": dict(template_meta.get("labels") or {}) | labels,
                "ownerReferences": [owner_reference(owner)],
            }
            | ({"annotations": annotations} if annotations else {}),
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
    )


def owner_reference(owner: Object) -> Object:
    """Return what an owned object says of its controller."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


class ReplicaSets:
    """Keeps as many pods as a ReplicaSet asks for."""

    def __init__(self, world: World, kubelet: Kubelet, events: Events) -> None:
        self._world, self._kubelet, self._events = world, kubelet, events

    def sync(self, ref: Ref) -> None:
        """Create or delete pods, and say what there is."""
        replica_set = self._world.get(ref)
        if replica_set is None:
            return
        pods = staying(pods_of(self._world, replica_set))
        wanted = replica_set["spec"]["replicas"]
        for _ in range(wanted - len(pods)):
            pod = new_pod(self._world, replica_set, None, {})
            self._events.normal(
                replica_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}"
            )
            self._world.clock.later(LATENCY, self._kubelet.start, pod)
        for pod in sorted(pods, key=is_ready)[: max(0, len(pods) - wanted)]:
            self._kubelet.stop(pod)
            self._events.normal(
                replica_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}"
            )
        self._report(ref)

    def _report(self, ref: Ref) -> None:
        replica_set = self._world.get(ref)
        if replica_set is None:
            return
        every = pods_of(self._world, replica_set)
        pods = staying(every)
        ready = sum(map(is_ready, pods))
        status: Object = {"replicas": len(pods)}
        if pods:
            status["fullyLabeledReplicas"] = len(pods)
        if ready:
            status |= {"readyReplicas": ready, "availableReplicas": ready}
        status |= {
            "terminatingReplicas": len(every) - len(pods),
            "observedGeneration": replica_set["metadata"]["generation"],
        }
        self._world.change(ref, lambda obj: obj.update(status=status))
