"""What the API server adds to an object that it takes."""

import copy
import hashlib
import json
from typing import Any

from plate_release.sandbox.world import Object

TOLERATIONS = [
    {
        "key": f"node.kubernetes.io/{key}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for key in ("not-ready", "unreachable")
]


def defaulted(obj: Object) -> Object:
    """Return the object as the API server would store it."""
    obj = copy.deepcopy(obj)
    fill = {
        "Deployment": _deployment,
        "StatefulSet": _stateful_set,
        "DaemonSet": _daemon_set,
        "Job": _job,
        "Service": _service,
        "Pod": _pod,
    }.get(obj["kind"])
    if fill:
        fill(obj)
    return obj


def digest(value: Any, length: int = 10) -> str:
    """Return a short name for a value, in the letters of generated names."""
    text = json.dumps(value, sort_keys=True).encode()
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    number = int.from_bytes(hashlib.sha256(text).digest()[:12])
    out = ""
    for _ in range(length):
        number, index = divmod(number, len(alphabet))
        out += alphabet[index]
    return out


def _defaults(target: Object, **values: Any) -> None:
    for key, value in values.items():
        target.setdefault(key, value)


def _deployment(obj: Object) -> None:
    spec = obj["spec"]
    _defaults(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _defaults(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
    _pod_spec(spec["template"]["spec"])


def _stateful_set(obj: Object) -> None:
    spec = obj["spec"]
    _defaults(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    _pod_spec(spec["template"]["spec"])


def _daemon_set(obj: Object) -> None:
    spec = obj["spec"]
    _defaults(spec, revisionHistoryLimit=10)
    spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
    _pod_spec(spec["template"]["spec"])


def _job(obj: Object) -> None:
    spec = obj["spec"]
    _defaults(
        spec,
        parallelism=1,
        completions=1,
        backoffLimit=6,
        completionMode="NonIndexed",
        suspend=False,
    )
    _pod_spec(spec["template"]["spec"])


def _service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    _defaults(
        spec,
        type="ClusterIP",
        sessionAffinity="None",
        internalTrafficPolicy="Cluster",
        ipFamilies=["IPv4"],
        ipFamilyPolicy="SingleStack",
    )
    for port in spec.get("ports") or ():
        _defaults(port, protocol="TCP", targetPort=port.get("port"))
    if spec["type"] != "ExternalName" and "clusterIP" not in spec:
        last = int.from_bytes(hashlib.sha256(str(obj["metadata"]).encode()).digest()[:2])
        spec["clusterIP"] = f"10.96.{last >> 8}.{last & 255}"
        spec["clusterIPs"] = [spec["clusterIP"]]
    obj.setdefault("status", {"loadBalancer": {}})


def _pod(obj: Object) -> None:
    _pod_spec(obj["spec"])


def _pod_spec(spec: Object) -> None:
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        latest = container.get("image", "").rpartition(":")[2] == "latest"
        _defaults(
            container,
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
            imagePullPolicy="Always" if latest else "IfNotPresent",
        )
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")
    _defaults(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        securityContext={},
        schedulerName="default-scheduler",
    )
