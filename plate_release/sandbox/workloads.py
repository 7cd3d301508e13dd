"""The other workload controllers, and what wakes each of them."""

from typing import TYPE_CHECKING

from plate_release.sandbox.defaults import digest
from plate_release.sandbox.deployments import Deployments
from plate_release.sandbox.events import Events
from plate_release.sandbox.pods import Kubelet
from plate_release.sandbox.replicas import (
    LATENCY,
    ReplicaSets,
    is_ready,
    new_pod,
    pods_of,
    staying,
)
from plate_release.sandbox.world import Change, Object, Ref, World

if TYPE_CHECKING:
    from collections.abc import Callable

JOB_DONE = 1.0
HASH = "controller-revision-hash"


class Workloads:
    """Wakes the controller of an object when it, or a pod of it, changes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.events = Events(world)
        self._kubelet = Kubelet(world, self.events)
        self._waiting: set[Ref] = set()
        deployments = Deployments(world, self.events)
        replica_sets = ReplicaSets(world, self._kubelet, self.events)
        self._controllers: dict[str, Callable[[Ref], None]] = {
            "Deployment": deployments.sync,
            "ReplicaSet": replica_sets.sync,
            "Job": self._sync_job,
            "StatefulSet": self._sync_stateful_set,
            "DaemonSet": self._sync_daemon_set,
            "Ingress": self._provide,
            "Service": self._provide,
            "PersistentVolumeClaim": self._provide,
            "HorizontalPodAutoscaler": self._provide,
        }
        world.subscribe(self._woken)

    def _woken(self, change: Change) -> None:
        self._wake(change.ref)
        for owner in change.object["metadata"].get("ownerReferences", ()):
            group = owner["apiVersion"].rpartition("/")[0]
            self._wake(Ref(group, owner["kind"], change.ref.namespace, owner["name"]))

    def _wake(self, ref: Ref) -> None:
        if ref.kind not in self._controllers or ref in self._waiting:
            return
        self._waiting.add(ref)
        self._world.clock.later(LATENCY, self._sync, ref)

    def _sync(self, ref: Ref) -> None:
        self._waiting.discard(ref)
        self._controllers[ref.kind](ref)

    def _start(self, owner: Object, name: str | None, labels: dict[str, str]) -> None:
        pod = new_pod(self._world, owner, name, labels)
        self._world.clock.later(LATENCY, self._kubelet.start, pod)

    def _sync_job(self, ref: Ref) -> None:
        job = self._world.get(ref)
        if job is None or job["spec"].get("suspend"):
            return
        pods = pods_of(self._world, job)
        if not pods and "startTime" not in job.get("status", {}):
            now = self._world.clock.stamp()
            status = {
                "active": 1,
                "startTime": now,
                "terminating": 0,
                "uncountedTerminatedPods": {},
            }
            self._world.change(ref, lambda obj: obj.update(status=status))
            self._start(job, None, _job_labels(job))
        ended = next((p for p in pods if p["status"]["phase"] in ("Succeeded", "Failed")), None)
        if ended and "active" in job["status"]:
            uid = job["metadata"]["uid"]
            self._world.clock.later(JOB_DONE, self._end_job, ref, uid, ended["status"]["phase"])

    def _end_job(self, ref: Ref, uid: str, phase: str) -> None:
        job = self._world.get(ref)
        if job is None or job["metadata"]["uid"] != uid or "active" not in job["status"]:
            return
        now = self._world.clock.stamp()
        good = phase == "Succeeded"
        reason = "CompletionsReached" if good else "BackoffLimitExceeded"
        message = (
            "Reached expected number of succeeded pods"
            if good
            else "Job has reached the specified backoff limit"
        )
        condition = {
            "type": "Complete" if good else "Failed",
            "status": "True",
            "lastProbeTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        status = {key: value for key, value in job["status"].items() if key != "active"}
        status |= {"succeeded": 1, "completionTime": now} if good else {"failed": 1}
        status |= {"conditions": [condition], "ready": 0}
        self._world.change(ref, lambda obj: obj.update(status=status))

    def _sync_stateful_set(self, ref: Ref) -> None:
        owner = self._world.get(ref)
        if owner is None:
            return
        revision = f"{ref.name}-{digest(owner['spec']['template'])}"
        pods = {p["metadata"]["name"]: p for p in pods_of(self._world, owner)}
        wanted = owner["spec"]["replicas"]
        names = [f"{ref.name}-{index}" for index in range(wanted)]
        for name in sorted(set(pods) - set(names), reverse=True):
            self._kubelet.stop(pods[name])
        self._replace(owner, pods, names, revision)
        mine = [p for p in staying(list(pods.values())) if p["metadata"]["name"] in names]
        updated = [p for p in mine if p["metadata"]["labels"].get(HASH) == revision]
        ready = sum(map(is_ready, mine))
        done = len(updated) == wanted and ready == wanted
        before = owner.get("status", {}).get("currentRevision", revision)
        status = {
            "observedGeneration": owner["metadata"]["generation"],
            "replicas": len(mine),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": wanted if done else len(mine) - len(updated),
            "updatedReplicas": len(updated),
            "updateRevision": revision,
            "currentRevision": revision if done else before,
            "collisionCount": 0,
        }
        self._world.change(ref, lambda obj: obj.update(status=status))

    def _replace(
        self, owner: Object, pods: dict[str, Object], names: list[str], revision: str
    ) -> None:
        """Create the first missing pod, or take the last old one away, one at a time."""
        missing = next((name for name in names if name not in pods), None)
        if missing is not None:
            if all(is_ready(pods[n]) for n in names if n in pods) or missing != names[-1]:
                self._start(owner, missing, {HASH: revision})
            return
        if any(
            not is_ready(p) and p["metadata"]["labels"].get(HASH) == revision for p in pods.values()
        ):
            return
        old = [n for n in names if pods[n]["metadata"]["labels"].get(HASH) != revision]
        if old and not any("deletionTimestamp" in pods[n]["metadata"] for n in names):
            self._kubelet.stop(pods[old[-1]])

    def _sync_daemon_set(self, ref: Ref) -> None:
        owner = self._world.get(ref)
        if owner is None:
            return
        revision = digest(owner["spec"]["template"])
        pods = pods_of(self._world, owner)
        for pod in staying(pods):
            if pod["metadata"]["labels"].get(HASH) != revision:
                self._kubelet.stop(pod)
        if not pods:
            self._start(owner, None, {HASH: revision})
        current = [p for p in staying(pods) if p["metadata"]["labels"].get(HASH) == revision]
        ready = sum(map(is_ready, current))
        status = {
            "observedGeneration": owner["metadata"]["generation"],
            "desiredNumberScheduled": 1,
            "currentNumberScheduled": len(pods),
            "updatedNumberScheduled": len(current),
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
        }
        self._world.change(ref, lambda obj: obj.update(status=status))

    def _provide(self, ref: Ref) -> None:
        """Play what a cloud or the autoscaler says of an object."""
        obj = self._world.get(ref)
        if obj is not None:
            told = _provided(obj, self._world.clock.stamp())
            if not told.items() <= obj.get("status", {}).items():
                self._world.change(ref, lambda new: new.setdefault("status", {}).update(told))


def _provided(obj: Object, now: str) -> Object:
    balanced = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    match obj["kind"]:
        case "Ingress":
            return balanced
        case "Service":
            return balanced if obj["spec"].get("type") == "LoadBalancer" else {}
        case "PersistentVolumeClaim":
            return {"phase": "Bound"}
        case _:
            return _scaled(obj, now)


def _scaled(obj: Object, now: str) -> Object:
    if "conditions" in obj.get("status", {}):
        return {}
    able = {
        "type": "AbleToScale",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "ReadyForNewScale",
        "message": "recommended size matches current size",
    }
    replicas = obj["spec"].get("minReplicas", 1)
    return {"conditions": [able], "currentReplicas": replicas, "desiredReplicas": replicas}


def _job_labels(job: Object) -> dict[str, str]:
    meta = job["metadata"]
    return {
        "batch.kubernetes.io/controller-uid": meta["uid"],
        "batch.kubernetes.io/job-name": meta["name"],
        "controller-uid": meta["uid"],
        "job-name": meta["name"],
    }
