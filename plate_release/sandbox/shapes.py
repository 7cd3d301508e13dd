"""Applications as Argo CD's API shows them, whole or in parts."""

from collections.abc import Iterable
from typing import Any

from plate_release.sandbox.world import Object

NEW_STATUS: Object = {
    "sync": {"status": "", "comparedTo": {"source": {"repoURL": ""}, "destination": {}}},
    "health": {},
    "summary": {},
    "sourceHydrator": {},
}
# What `fields` may name of an Application (server/application/application.go, appFields).
LEAVES = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.annotations",
        "metadata.labels",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "spec",
        "status.sourceHydrator",
        "status.sync.status",
        "status.sync.revision",
        "status.health",
        "status.summary",
        "status.operationState.startedAt",
        "status.operationState.finishedAt",
        "status.operationState.phase",
        "status.operationState.operation.sync",
        "status.resources",
        "operation.sync",
    }
)


def shown(obj: Object) -> Object:
    """Return the Application as GET and the stream show it."""
    return {key: obj[key] for key in ("metadata", "spec", "status", "operation") if key in obj}


def listed(obj: Object) -> Object:
    """Return the Application as a list shows it: its resources' health is left out."""
    whole = shown(obj)
    resources = whole.get("status", {}).get("resources")
    if not resources:
        return whole
    bare = [{k: v for k, v in each.items() if k != "health"} for each in resources]
    return whole | {"status": whole["status"] | {"resources": bare}}


def only(obj: Object, fields: Iterable[str], prefix: str) -> Object:
    """Return those leaves of the Application that `fields` names and Argo CD allows."""
    out: Object = {}
    for name in fields:
        path = name.removeprefix(prefix)
        if name.startswith(prefix) and path in LEAVES:
            _copy(obj, out, path.split("."))
    return out


def _copy(source: Any, target: Object, path: list[str]) -> None:
    head, *rest = path
    if not isinstance(source, dict) or head not in source:
        return
    if not rest:
        target[head] = source[head]
        return
    inner = target.setdefault(head, {})
    _copy(source[head], inner, rest)
    if not inner:
        del target[head]


def selects(selector: str, obj: Object) -> bool:
    """Tell whether a label selector (`a=b,c!=d,e`) selects the object."""
    labels = obj["metadata"].get("labels") or {}
    for term in filter(None, (part.strip() for part in selector.split(","))):
        key, sign, value = term.partition("!=")
        if sign:
            if labels.get(key.strip()) == value.strip():
                return False
            continue
        key, sign, value = term.replace("==", "=").partition("=")
        found = labels.get(key.strip())
        if found is None or (sign and found != value.strip()):
            return False
    return True
