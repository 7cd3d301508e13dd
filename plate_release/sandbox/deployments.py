"""The Deployment controller: rolling from the old template's ReplicaSet to the new one's."""

import json
import math
from typing import Any

from plate_release.sandbox.clock import parse
from plate_release.sandbox.defaults import digest
from plate_release.sandbox.events import Events
from plate_release.sandbox.replicas import LATENCY, is_ready, owner_reference, pods_of, staying
from plate_release.sandbox.rollout import conditions, counts
from plate_release.sandbox.world import Object, Ref, World, ref_of

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


def _amount(value: Any, of: int, *, up: bool) -> int:
    if isinstance(value, str) and value.endswith("%"):
        exact = of * int(value[:-1]) / 100
        return math.ceil(exact) if up else math.floor(exact)
    return int(value)


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
        sets = [
            c
            for c in self._world.children(deployment["metadata"]["uid"])
            if c["kind"] == "ReplicaSet"
        ]
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
            new = (
                self._world.change(ref, lambda obj: obj["metadata"]["annotations"].update(noted))
                or new
            )
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
        return self._world.create(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{meta['name']}-{name}",
                    "namespace": meta["namespace"],
                    "labels": dict(labels),
                    "annotations": {REVISION: revision},
                    "ownerReferences": [owner_reference(deployment)],
                },
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": selector},
                    "template": template,
                },
                "status": {"replicas": 0},
            }
        )

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
        status = counts(self._world, deployment, new, old)
        before = deployment.get("status", {})
        now = self._world.clock.now()
        status["conditions"] = conditions(deployment, new, status, before, now)
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
