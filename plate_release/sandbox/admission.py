"""What the API server refuses: the checks that a values edit can run into, in its own words."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from plate_release.sandbox.defaults import defaulted
from plate_release.sandbox.pods import millicpu
from plate_release.sandbox.tree import memory_bytes
from plate_release.sandbox.world import Object, Ref, World, group_of, ref_of

# kind: (plural, group, version, namespaced); what this cluster's API knows.
KINDS: dict[tuple[str, str], tuple[str, str, bool]] = {
    ("", "Namespace"): ("namespaces", "v1", False),
    ("", "Node"): ("nodes", "v1", False),
    ("", "Pod"): ("pods", "v1", True),
    ("", "Service"): ("services", "v1", True),
    ("", "ConfigMap"): ("configmaps", "v1", True),
    ("", "Secret"): ("secrets", "v1", True),
    ("", "ServiceAccount"): ("serviceaccounts", "v1", True),
    ("", "PersistentVolumeClaim"): ("persistentvolumeclaims", "v1", True),
    ("", "Event"): ("events", "v1", True),
    ("apps", "Deployment"): ("deployments", "v1", True),
    ("apps", "ReplicaSet"): ("replicasets", "v1", True),
    ("apps", "StatefulSet"): ("statefulsets", "v1", True),
    ("apps", "DaemonSet"): ("daemonsets", "v1", True),
    ("batch", "Job"): ("jobs", "v1", True),
    ("batch", "CronJob"): ("cronjobs", "v1", True),
    ("networking.k8s.io", "Ingress"): ("ingresses", "v1", True),
    ("networking.k8s.io", "NetworkPolicy"): ("networkpolicies", "v1", True),
    ("policy", "PodDisruptionBudget"): ("poddisruptionbudgets", "v1", True),
    ("autoscaling", "HorizontalPodAutoscaler"): ("horizontalpodautoscalers", "v2", True),
    ("rbac.authorization.k8s.io", "Role"): ("roles", "v1", True),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("rolebindings", "v1", True),
    ("rbac.authorization.k8s.io", "ClusterRole"): ("clusterroles", "v1", False),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("clusterrolebindings", "v1", False),
    ("argoproj.io", "Application"): ("applications", "v1alpha1", True),
}
FIELDS = frozenset(
    {
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
        "data",
        "stringData",
        "binaryData",
        "type",
        "immutable",
        "rules",
        "subjects",
        "roleRef",
        "secrets",
        "automountServiceAccountToken",
        "imagePullSecrets",
        "aggregationRule",
    }
)
PORT = "must be between 1 and 65535, inclusive"


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that is wrong."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the API server does not take an object; `status` is HTTP's."""

    status: int
    reason: str
    message: str
    causes: tuple[Cause, ...] = ()


def refusal(world: World, obj: Object) -> Refusal | None:
    """Return why the object cannot be applied, or None."""
    ref = ref_of(obj)
    missing = missing_namespace(world, ref)
    if missing:
        return missing
    causes = tuple(_causes(defaulted(obj), world.get(ref)))
    if not causes:
        return None
    kind = f"{obj['kind']}.{group_of(obj)}" if group_of(obj) else obj["kind"]
    text = str(causes[0]) if len(causes) == 1 else f"[{', '.join(map(str, causes))}]"
    return Refusal(422, "Invalid", f'{kind} "{ref.name}" is invalid: {text}', causes)


def missing_namespace(world: World, ref: Ref) -> Refusal | None:
    """Return the refusal of an object whose namespace does not exist."""
    if not ref.namespace or world.get(Ref("", "Namespace", "", ref.namespace)):
        return None
    return Refusal(404, "NotFound", f'namespaces "{ref.namespace}" not found')


def _causes(obj: Object, live: Object | None) -> Iterator[Cause]:
    if obj["kind"] == "Service":
        yield from _ports(obj["spec"].get("ports") or ())
    template = obj.get("spec", {}).get("template", {}).get("spec")
    if template:
        yield from _containers(template.get("containers", ()))
    if live and obj["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
        yield from _immutable(obj, live)


def _ports(ports: Any) -> Iterator[Cause]:
    for index, port in enumerate(ports):
        for key in ("port", "targetPort"):
            value = port.get(key)
            if isinstance(value, int) and not 1 <= value <= 65535:  # noqa: PLR2004 - TCP's
                yield Cause(f"spec.ports[{index}].{key}", f"Invalid value: {value}: {PORT}")


def _containers(containers: Any) -> Iterator[Cause]:
    sizes = {"cpu": millicpu, "memory": memory_bytes}
    for index, container in enumerate(containers):
        where = f"spec.template.spec.containers[{index}]"
        if not container.get("image"):
            yield Cause(f"{where}.image", "Required value")
        limits = container.get("resources", {}).get("limits") or {}
        requests = container.get("resources", {}).get("requests") or {}
        for name, size in sizes.items():
            if name in limits and name in requests and size(requests[name]) > size(limits[name]):
                asked, most = requests[name], limits[name]
                yield Cause(
                    f"{where}.resources.requests",
                    f'Invalid value: "{asked}": '
                    f"must be less than or equal to {name} limit of {most}",
                )


def _immutable(obj: Object, live: Object) -> Iterator[Cause]:
    wanted, now = obj["spec"].get("selector"), live["spec"].get("selector")
    if wanted != now:
        text = json.dumps(wanted, separators=(",", ":"), sort_keys=True)
        yield Cause("spec.selector", f"Invalid value: {text}: field is immutable")
