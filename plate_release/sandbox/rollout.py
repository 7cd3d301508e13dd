"""What a Deployment's status says of its roll-out: counts, conditions, the progress deadline."""

from plate_release.sandbox.clock import parse, stamp
from plate_release.sandbox.replicas import is_ready, pods_of, staying
from plate_release.sandbox.world import Object, World


def counts(world: World, deployment: Object, new: Object | None, old: list[Object]) -> Object:
    """Return the status without its conditions."""
    sets = [*old, new] if new else old
    every = [pod for each in sets for pod in pods_of(world, each)]
    pods = staying(every)
    ready = sum(map(is_ready, pods))
    updated = len(staying(pods_of(world, new))) if new else 0
    wanted = deployment["spec"]["replicas"]
    counts = {
        "replicas": len(pods),
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, max(len(pods), wanted) - ready),
    }
    status = {"observedGeneration": deployment["metadata"]["generation"]}
    status |= {key: count for key, count in counts.items() if count}
    return status | {"terminatingReplicas": len(every) - len(pods)}


def conditions(
    deployment: Object, new: Object | None, status: Object, before: Object, now: float
) -> list[Object]:
    """Return the conditions, Available and Progressing."""
    old = {c["type"]: c for c in before.get("conditions", ())}
    spec = deployment["spec"]
    least = spec["replicas"] - 1 if spec["replicas"] > 1 else spec["replicas"]
    if status.get("availableReplicas", 0) >= least:
        available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        available = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
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
