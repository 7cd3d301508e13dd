"""Health of an object, as Argo CD's gitops-engine judges it (pkg/health)."""

from collections.abc import Iterable
from dataclasses import dataclass

from plate_release.sandbox.world import Object, group_of

ORDER = ("Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown")


@dataclass(frozen=True, slots=True)
class Health:
    """A health and, where it is not plain, why."""

    status: str
    message: str = ""

    def wire(self) -> Object:
        """Return it as Argo CD writes it."""
        return {"status": self.status} | ({"message": self.message} if self.message else {})


HEALTHY = Health("Healthy")


def worst(statuses: Iterable[str]) -> str:
    """Return the worst of these healths."""
    return max(statuses, key=ORDER.index, default="Healthy")


def health(obj: Object) -> Health | None:
    """Return the object's health, or None for a kind that has none."""
    if "deletionTimestamp" in obj["metadata"]:
        return Health("Progressing", "Pending deletion")
    judge = JUDGES.get((group_of(obj), obj["kind"]))
    return judge(obj) if judge else None


def _waiting(text: str) -> Health:
    return Health("Progressing", f"Waiting for rollout to finish: {text}")


def _deployment(obj: Object) -> Health:
    spec, status, name = obj["spec"], obj.get("status", {}), obj["metadata"]["name"]
    if spec.get("paused"):
        return Health("Suspended", "Deployment is paused")
    if obj["metadata"]["generation"] > status.get("observedGeneration", 0):
        return _waiting("observed deployment generation less than desired generation")
    if any(c["reason"] == "ProgressDeadlineExceeded" for c in status.get("conditions", ())):
        return Health("Degraded", f'Deployment "{name}" exceeded its progress deadline')
    return _rolled(status, spec["replicas"])


def _rolled(status: Object, wanted: int) -> Health:
    updated = status.get("updatedReplicas", 0)
    if updated < wanted:
        return _waiting(f"{updated} out of {wanted} new replicas have been updated...")
    if status.get("replicas", 0) > updated:
        old = status["replicas"] - updated
        return _waiting(f"{old} old replicas are pending termination...")
    if status.get("availableReplicas", 0) < updated:
        available = status.get("availableReplicas", 0)
        return _waiting(f"{available} of {updated} updated replicas are available...")
    return HEALTHY


def _replica_set(obj: Object) -> Health:
    status, wanted = obj.get("status", {}), obj["spec"]["replicas"]
    if obj["metadata"]["generation"] > status.get("observedGeneration", 0):
        return _waiting("observed replica set generation less than desired generation")
    available = status.get("availableReplicas", 0)
    if available < wanted:
        return _waiting(f"{available} out of {wanted} new replicas are available...")
    return HEALTHY


def _stateful_set(obj: Object) -> Health:
    spec, status = obj["spec"], obj.get("status", {})
    observed = status.get("observedGeneration", 0)
    if observed == 0 or obj["metadata"]["generation"] > observed:
        return Health("Progressing", "Waiting for statefulset spec update to be observed...")
    if status.get("readyReplicas", 0) < spec["replicas"]:
        missing = spec["replicas"] - status.get("readyReplicas", 0)
        return Health("Progressing", f"Waiting for {missing} pods to be ready...")
    if status.get("updateRevision") != status.get("currentRevision"):
        pods, revision = status.get("updatedReplicas", 0), status.get("updateRevision")
        return Health(
            "Progressing",
            "waiting for statefulset rolling update to complete "
            f"{pods} pods at revision {revision}...",
        )
    return HEALTHY


def _daemon_set(obj: Object) -> Health:
    status = obj.get("status", {})
    if obj["metadata"]["generation"] > status.get("observedGeneration", 0):
        return Health("Progressing", "Waiting for daemon set spec update to be observed...")
    if obj["spec"]["updateStrategy"]["type"] == "OnDelete":
        return HEALTHY
    wanted, name = status.get("desiredNumberScheduled", 0), obj["metadata"]["name"]
    for key, what in (("updatedNumberScheduled", "updated"), ("numberAvailable", "available")):
        if status.get(key, 0) < wanted:
            return Health(
                "Progressing",
                f'Waiting for daemon set "{name}" rollout to finish: '
                f"{status.get(key, 0)} of {wanted} pods are {what}...",
            )
    return HEALTHY


def _job(obj: Object) -> Health:
    kinds = {"Failed": "Degraded", "Suspended": "Suspended", "Complete": "Healthy"}
    for condition in obj.get("status", {}).get("conditions", ()):
        if condition["status"] == "True" and condition["type"] in kinds:
            return Health(kinds[condition["type"]], condition.get("message", ""))
    return Health("Progressing")


def _pod(obj: Object) -> Health:
    status = obj.get("status", {})
    containers = status.get("containerStatuses", ())
    if obj["spec"]["restartPolicy"] == "Always":
        for container in containers:
            waiting = container["state"].get("waiting", {})
            reason = waiting.get("reason", "")
            if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
                return Health("Degraded", waiting.get("message", ""))
    phase = status.get("phase")
    if phase == "Succeeded":
        return HEALTHY
    if phase == "Failed":
        return Health("Degraded", _exit_of(containers))
    if phase == "Running" and obj["spec"]["restartPolicy"] == "Always":
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])
        if ready:
            return HEALTHY
        if any(c["lastState"].get("terminated") for c in containers):
            return Health("Degraded")
    return Health("Progressing")


def _exit_of(containers: Iterable[Object]) -> str:
    for container in containers:
        ended = container["state"].get("terminated", {})
        if ended.get("exitCode"):
            return f'container "{container["name"]}" failed with exit code {ended["exitCode"]}'
    return ""


def _service(obj: Object) -> Health:
    balanced = obj.get("status", {}).get("loadBalancer", {}).get("ingress")
    waits = obj["spec"].get("type") == "LoadBalancer" and not balanced
    return Health("Progressing") if waits else HEALTHY


def _ingress(obj: Object) -> Health:
    balanced = obj.get("status", {}).get("loadBalancer", {}).get("ingress")
    return HEALTHY if balanced else Health("Progressing")


def _claim(obj: Object) -> Health:
    phases = {"Bound": "Healthy", "Pending": "Progressing", "Lost": "Degraded"}
    return Health(phases.get(obj.get("status", {}).get("phase", ""), "Unknown"))


def _autoscaler(obj: Object) -> Health:
    bad = ("FailedGet", "FailedUpdateScale", "InvalidSelector")
    conditions = obj.get("status", {}).get("conditions", ())
    for condition in conditions:
        if condition.get("reason", "").startswith(bad):
            return Health("Degraded", condition.get("message", ""))
    able = any(
        c["type"] in ("AbleToScale", "ScalingLimited") and c["status"] == "True" for c in conditions
    )
    return HEALTHY if able else Health("Progressing", "Waiting to Autoscale")


JUDGES = {
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
}
