"""Changes of a rendering that Kubernetes will not take: of fields that cannot change. Pure.

Source: kubernetes pkg/apis/apps/validation and pkg/apis/batch/validation (ValidateUpdate).
"""

from collections.abc import Iterator

from plate_release.charts.difference import Difference, ObjectDifference
from plate_release.charts.objects import KubernetesObject
from plate_release.charts.reading import Path, at, dotted
from plate_release.model import Finding, Level

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
}
_REPLACES = ("Replace=true", "Force=true")


def immutable(difference: Difference) -> Iterator[Finding]:
    """Tell what Argo CD could not apply to an object that stays: "field is immutable"."""
    for one in difference.objects:
        if one.before and one.after and one.before.name == one.after.name:
            yield from _fixed(one, one.after)


def _fixed(one: ObjectDifference, after: KubernetesObject) -> Iterator[Finding]:
    if after.hooks or _is_replaced(after):
        return
    for field in _FIXED.get((after.group, after.kind), ()):
        if any(change.path[: len(field)] == field for change in one.changes):
            # A Job that has run may be gone by then.
            level: Level = "warning" if after.kind == "Job" else "error"
            text = f"{after}: {dotted(field)} changes, which Kubernetes does not allow"
            yield Finding(level, "immutable-field", f"{text} while the object is there.")


def _is_replaced(after: KubernetesObject) -> bool:
    options = at(after.body, ("metadata", "annotations", "argocd.argoproj.io/sync-options"))
    given = {word.strip() for word in str(options or "").split(",")}
    return not given.isdisjoint(_REPLACES)
