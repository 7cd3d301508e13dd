"""Changes of a rendering that Kubernetes will not take: of fields that cannot change. Pure.

Source: kubernetes pkg/apis/{apps,batch,core,rbac,scheduling,storage}/validation (ValidateUpdate).
"""

import re
from collections.abc import Iterator

from plate_release.application import is_created_anew
from plate_release.charts.difference import Difference, ObjectDifference
from plate_release.charts.objects import KubernetesObject
from plate_release.charts.reading import Path, dotted
from plate_release.errors import some_of
from plate_release.model import Check, Finding, Level

_BINDING = (("roleRef",),)
_DATA = (("data",), ("binaryData",), ("stringData",))
_FIXED: dict[tuple[str, str], tuple[Path, ...]] = {
    ("apps", "Deployment"): (("spec", "selector"),),
    ("apps", "ReplicaSet"): (("spec", "selector"),),
    ("apps", "DaemonSet"): (("spec", "selector"),),
    ("apps", "StatefulSet"): (
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "podManagementPolicy"),
        ("spec", "volumeClaimTemplates"),
    ),
    ("batch", "Job"): (("spec", "selector"), ("spec", "template")),
    ("", "Pod"): (("spec",),),
    ("", "PersistentVolumeClaim"): (("spec",),),
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
    ("storage.k8s.io", "StorageClass"): (("provisioner",), ("parameters",), ("reclaimPolicy",)),
    ("scheduling.k8s.io", "PriorityClass"): (("value",), ("preemptionPolicy",)),
}
_SHOWN = 3
_MAY_CHANGE = {
    "Pod": re.compile(
        r"spec\.(?:(?:initC|c)ontainers\.\d+\.image|activeDeadlineSeconds|tolerations)"
    ),
    "PersistentVolumeClaim": re.compile(r"spec\.(?:resources\.requests|volumeAttributesClassName)"),
}


def immutable(difference: Difference) -> Iterator[Finding]:
    """Tell what Argo CD could not apply to an object that stays: "field is immutable"."""
    for one in difference.objects:
        if one.before and one.after and one.before.name == one.after.name:
            yield from _fixed(one, one.after)


def _fixed(one: ObjectDifference, after: KubernetesObject) -> Iterator[Finding]:
    if is_created_anew(after.body):
        return
    free = _MAY_CHANGE.get(after.kind)
    paths = [change.path for change in one.changes]
    fixed = [path for path in paths if not (free and free.match(dotted(path)))]
    sealed = after.kind in {"ConfigMap", "Secret"} and after.body.get("immutable") is True
    for field in _DATA if sealed else _FIXED.get((after.group, after.kind), ()):
        changes = [str(c) for c in one.changes if c.path in fixed and c.path[: len(field)] == field]
        if changes:
            # A Job that has run may be gone by then.
            level: Level = "warning" if after.kind == "Job" else "error"
            text = f"{after}: {dotted(field)} changes, which Kubernetes does not allow"
            told = f"{text} while the object is there ({'; '.join(some_of(changes, _SHOWN))})."
            yield Finding(level, Check.IMMUTABLE_FIELD, told)
