"""The Deployment and ReplicaSet controllers: rolling updates, conditions, the progress deadline."""

import json
import math
from typing import Any

from plate_release.sandbox.clock import parse, stamp
from plate_release.sandbox.defaults import digest
from plate_release.sandbox.events import Events
from plate_release.sandbox.pods import Kubelet
from plate_release.sandbox.world import Object, Ref, World, ref_of

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
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
    return world.create({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": named | {
            "namespace": meta["namespace"],
            "labels": dict(template_meta.get("labels") or {}) | labels,
            "ownerReferences": [owner_reference(owner)],
        } | ({"annotations": annotations} if annotations else {}),
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    })  # fmt: skip


def owner_reference(owner: Object) -> Object:
    """Return what an owned object says of its controller."""
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
            "controller": True, "blockOwnerDeletion": True}  # fmt: skip


def _amount(value: Any, of: int, *, up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        exact = of * int(value[:-1]) / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(value)


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
        status |= {"terminatingReplicas": len(every) - len(pods),
                   "observedGeneration": replica_set["metadata"]["generation"]}  # fmt: skip
        self._world.change(ref, lambda obj: obj.update(status=status))


class Deployments:
    """Rolls a Deployment's ReplicaSets from the old template to the new one."""

    def __init__(self, world: World, events: Events) -> None:
        self._world, self._events = world, events

    def sync(self, ref: Ref) -> None:
        """Do the next step of the roll-out and say how far it is."""
        deployment = self._world.get(ref)
        if deployment is None:
            return
        if not deployment["spec"].get("paused"):
            self._roll(deployment)
        self._report(ref)

    def _sets(self, deployment: Object) -> tuple[Object | None, list[Object]]:
        sets = [c for c in self._world.children(deployment["metadata"]["uid"])
                if c["kind"] == "ReplicaSet"]  # fmt: skip
        name = f"{deployment['metadata']['name']}-{digest(deployment['spec']['template'])}"
        new = next((each for each in sets if each["metadata"]["name"] == name), None)
        return new, [each for each in sets if each is not new]

    def _roll(self, deployment: Object) -> None:
        spec = deployment["spec"]
        new, old = self._sets(deployment)
        if new is None or int(new["metadata"]["annotations"][REVISION]) < self._next(old):
            new = self._raise(deployment, new, old)
        wanted = spec["replicas"]
        if spec["strategy"]["type"] == "Recreate":
            for each in old:
                self._scale(deployment, each, 0)
            if not any(pods_of(self._world, each) for each in old):
                self._scale(deployment, new, wanted)
            return
        rolling = spec["strategy"]["rollingUpdate"]
        surge = _amount(rolling["maxSurge"], wanted, up=True)
        missing = _amount(rolling["maxUnavailable"], wanted, up=False)
        self._scale_up(deployment, new, old, wanted + surge)
        self._scale_down(deployment, wanted - (missing or 0 if surge else max(missing, 1)))

    def _next(self, old: list[Object]) -> int:
        return max((int(each["metadata"]["annotations"][REVISION]) for each in old), default=0) + 1

    def _raise(self, deployment: Object, new: Object | None, old: list[Object]) -> Object:
        revision = str(self._next(old))
        if new is None:
            new = self._create(deployment, revision)
        else:
            ref = ref_of(new)
            noted = {REVISION: revision}
            new = self._world.change(
                ref, lambda obj: obj["metadata"]["annotations"].update(noted)
            ) or new  # fmt: skip
        self._world.change(
            ref_of(deployment),
            lambda obj: obj["metadata"].setdefault("annotations", {}).update({REVISION: revision}),
        )
        return new

    def _create(self, deployment: Object, revision: str) -> Object:
        spec, meta = deployment["spec"], deployment["metadata"]
        name = digest(spec["template"])
        template = json.loads(json.dumps(spec["template"]))
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        labels[HASH] = name
        selector = dict(spec["selector"].get("matchLabels") or {}) | {HASH: name}
        return self._world.create({
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": f"{meta['name']}-{name}", "namespace": meta["namespace"],
                         "labels": dict(labels), "annotations": {REVISION: revision},
                         "ownerReferences": [owner_reference(deployment)]},
            "spec": {"replicas": 0, "selector": {"matchLabels": selector}, "template": template},
            "status": {"replicas": 0},
        })  # fmt: skip

    def _scale_up(self, deployment: Object, new: Object, old: list[Object], limit: int) -> None:
        total = new["spec"]["replicas"] + sum(each["spec"]["replicas"] for each in old)
        room = limit - total
        wanted = deployment["spec"]["replicas"]
        if new["spec"]["replicas"] > wanted:
            self._scale(deployment, new, wanted)
        elif room > 0:
            self._scale(deployment, new, min(wanted, new["spec"]["replicas"] + room))

    def _scale_down(self, deployment: Object, least: int) -> None:
        """Take old pods away, those that are not available first, keeping `least` available."""
        new, old = self._sets(deployment)
        if new is None:
            return
        spare = sum(self._available(each) for each in (new, *old)) - least
        for each in old:
            available = self._available(each)
            take = min(max(spare, 0), available)
            spare -= take
            self._scale(deployment, each, available - take)

    def _available(self, replica_set: Object) -> int:
        pods = staying(pods_of(self._world, replica_set))
        wanted: int = replica_set["spec"]["replicas"]
        return min(sum(map(is_ready, pods)), wanted)

    def _scale(self, deployment: Object, replica_set: Object, count: int) -> None:
        before = replica_set["spec"]["replicas"]
        if before == count:
            return
        self._world.change(ref_of(replica_set), lambda obj: obj["spec"].update(replicas=count))
        way = "up" if count > before else "down"
        self._events.normal(
            deployment,
            "ScalingReplicaSet",
            f"Scaled {way} replica set {replica_set['metadata']['name']} from {before} to {count}",
        )

    def _report(self, ref: Ref) -> None:
        deployment = self._world.get(ref)
        if deployment is None:
            return
        new, old = self._sets(deployment)
        status = _counts(self._world, deployment, new, old)
        before = deployment.get("status", {})
        now = self._world.clock.now()
        status["conditions"] = _conditions(deployment, new, status, before, now)
        self._world.change(ref, lambda obj: obj.update(status=status))
        progressing = status["conditions"][-1]
        if progressing["reason"] in ("ReplicaSetUpdated", "NewReplicaSetCreated"):
            due = (
                parse(progressing["lastUpdateTime"]) + deployment["spec"]["progressDeadlineSeconds"]
            )
            self._world.clock.later(due - now + LATENCY, self._expire, ref, status)

    def _expire(self, ref: Ref, status: Object) -> None:
        deployment = self._world.get(ref)
        if deployment and deployment["status"] == status:
            self._report(ref)


def _counts(world: World, deployment: Object, new: Object | None, old: list[Object]) -> Object:
    sets = [*old, new] if new else old
    every = [pod for each in sets for pod in pods_of(world, each)]
    pods = staying(every)
    ready = sum(map(is_ready, pods))
    updated = len(staying(pods_of(world, new))) if new else 0
    wanted = deployment["spec"]["replicas"]
    counts = {"replicas": len(pods), "updatedReplicas": updated, "readyReplicas": ready,
              "availableReplicas": ready, "unavailableReplicas": max(0, max(len(pods), wanted) - ready)}  # fmt: skip
    status = {"observedGeneration": deployment["metadata"]["generation"]}
    status |= {key: count for key, count in counts.items() if count}
    return status | {"terminatingReplicas": len(every) - len(pods)}


def _conditions(
    deployment: Object, new: Object | None, status: Object, before: Object, now: float
) -> list[Object]:
    old = {c["type"]: c for c in before.get("conditions", ())}
    spec = deployment["spec"]
    least = spec["replicas"] - 1 if spec["replicas"] > 1 else spec["replicas"]
    if status.get("availableReplicas", 0) >= least:
        available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        available = ("False", "MinimumReplicasUnavailable",
                     "Deployment does not have minimum availability.")  # fmt: skip
    progress = _progress(deployment, new, status, before, now)
    advanced = _advanced(status, before)
    return [
        _condition("Available", available, old.get("Available"), now, touch=False),
        _condition("Progressing", progress, old.get("Progressing"), now, touch=advanced),
    ]


def _advanced(status: Object, before: Object) -> bool:
    keys = ("updatedReplicas", "readyReplicas", "availableReplicas")
    newer = status["observedGeneration"] > before.get("observedGeneration", 0)
    fewer = (before.get("replicas", 0) - before.get("updatedReplicas", 0)) > (
        status.get("replicas", 0) - status.get("updatedReplicas", 0)
    )
    return newer or fewer or any(status.get(key, 0) > before.get(key, 0) for key in keys)


def _progress(
    deployment: Object, new: Object | None, status: Object, before: Object, now: float
) -> tuple[str, str, str]:
    old = next((c for c in before.get("conditions", ()) if c["type"] == "Progressing"), None)
    if deployment["spec"].get("paused"):
        return "Unknown", "DeploymentPaused", "Deployment is paused"
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else "ReplicaSet"
    wanted = deployment["spec"]["replicas"]
    exact = [
        status.get(k, 0) == wanted for k in ("updatedReplicas", "replicas", "availableReplicas")
    ]
    if all(exact):
        return "True", "NewReplicaSetAvailable", f"{name} has successfully progressed."
    fresh = status["observedGeneration"] > before.get("observedGeneration", 0)
    if old and old["reason"] == "NewReplicaSetAvailable" and not fresh:
        return old["status"], old["reason"], old["message"]
    if old and not fresh and not _advanced(status, before):
        if old["reason"] == "ProgressDeadlineExceeded":
            return old["status"], old["reason"], old["message"]
        if now - parse(old["lastUpdateTime"]) >= deployment["spec"]["progressDeadlineSeconds"]:
            return "False", "ProgressDeadlineExceeded", f"{name} has timed out progressing."
    return "True", "ReplicaSetUpdated", f"{name} is progressing."


def _condition(
    kind: str, value: tuple[str, str, str], old: Object | None, now: float, *, touch: bool
) -> Object:
    status, reason, message = value
    same = old is not None and old["status"] == status
    unchanged = same and old is not None and old["reason"] == reason and not touch
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": old["lastUpdateTime"] if unchanged and old else stamp(now),
        "lastTransitionTime": old["lastTransitionTime"] if same and old else stamp(now),
        "reason": reason,
        "message": message,
    }
