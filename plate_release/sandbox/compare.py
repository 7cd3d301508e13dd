"""Comparing what should be with what is, and merging the one into the other (three-way)."""

import json
from dataclasses import dataclass
from typing import Any

from plate_release.sandbox.defaults import defaulted
from plate_release.sandbox.health import health
from plate_release.sandbox.world import Object, Ref, group_of, ref_of

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HOOK = "argocd.argoproj.io/hook"
OPTIONS = "argocd.argoproj.io/sync-options"
COMPARE_OPTIONS = "argocd.argoproj.io/compare-options"
HELM_HOOKS = {
    "pre-install": "PreSync",
    "pre-upgrade": "PreSync",
    "post-install": "PostSync",
    "post-upgrade": "PostSync",
    "crd-install": "PreSync",
}


def annotations(obj: Object) -> dict[str, str]:
    """Return an object's annotations."""
    return obj["metadata"].get("annotations") or {}


def hook_types(obj: Object) -> list[str]:
    """Return the phases of which the object is a hook; helm's own hooks as Argo CD maps them."""
    own = [h.strip() for h in annotations(obj).get(HOOK, "").split(",") if h.strip()]
    if own:
        return own
    helm = [h.strip() for h in annotations(obj).get("helm.sh/hook", "").split(",") if h.strip()]
    return list(dict.fromkeys(HELM_HOOKS.get(h, "Skip") for h in helm))


@dataclass(frozen=True, slots=True)
class Resource:
    """One object of an Application: what it should be, what it is, and whether these agree."""

    ref: Ref
    version: str
    target: Object | None
    live: Object | None
    hook: bool

    @property
    def requires_pruning(self) -> bool:
        """Whether it is there and should not be."""
        return self.target is None and self.live is not None and not self.hook

    @property
    def synced(self) -> bool:
        """Whether nothing would have to be applied or pruned."""
        if self.target is None:
            return "Prune=false" in annotations(self.live or {"metadata": {}}).get(OPTIONS, "")
        return self.live is not None and not differs(self.target, self.live)

    def wire(self, status: str | None) -> Object:
        """Return it as `status.resources` has it."""
        ref = self.ref
        out: Object = {"group": ref.group} if ref.group else {}
        out |= {"version": self.version, "kind": ref.kind}
        if ref.namespace:
            out["namespace"] = ref.namespace
        out["name"] = ref.name
        if status:
            out["status"] = status
        state = health(self.live) if self.live else None
        if self.live is None:
            out["health"] = {"status": "Missing"}
        elif state:
            out["health"] = state.wire()
        if self.hook:
            out["hook"] = True
        if self.requires_pruning:
            out["requiresPruning"] = True
        wave = annotations(self.target or self.live or {"metadata": {}}).get(
            "argocd.argoproj.io/sync-wave"
        )
        return out | ({"syncWave": int(wave)} if wave and int(wave) else {})


def match(targets: tuple[Object, ...], live: list[Object]) -> list[Resource]:
    """Pair what should be with what is, by group and kind, then by name."""
    wanted = {ref_of(obj): obj for obj in targets if not hook_types(obj)}
    found = {ref_of(obj): obj for obj in live}
    resources = []
    for ref in sorted({*wanted, *found}):
        target, now = wanted.get(ref), found.get(ref)
        obj = target or now or {}
        version = obj["apiVersion"].rpartition("/")[2]
        hook = target is None and bool(hook_types(obj))
        resources.append(Resource(ref, version, target, now, hook))
    return resources


def last_applied(live: Object) -> Object:
    """Return what was applied last, from the annotation that keeps it."""
    text = annotations(live).get(LAST_APPLIED)
    return json.loads(text) if text else {}


def differs(target: Object, live: Object) -> bool:
    """Tell whether applying `target` would change `live`."""
    return _strip(merged(target, live)) != _strip(live)


def _strip(obj: Object) -> Object:
    meta = obj["metadata"]
    kept = {k: v for k, v in annotations(obj).items() if k != LAST_APPLIED}
    mine = {"labels": meta.get("labels") or {}, "annotations": kept}
    return {k: v for k, v in obj.items() if k not in ("metadata", "status")} | {"metadata": mine}


def merged(target: Object, live: Object | None) -> Object:
    """Return the live object after `kubectl apply` of the target."""
    applied = json.dumps(target, sort_keys=True, separators=(",", ":")) + "\n"
    new = defaulted(target) if live is None else defaulted(_merge(target, last_applied(live), live))
    noted = dict(annotations(new)) | {LAST_APPLIED: applied}
    new["metadata"] = new["metadata"] | {"annotations": noted}
    return new


def _merge(target: Any, last: Any, live: Any) -> Any:
    if not isinstance(target, dict) or not isinstance(live, dict):
        if isinstance(target, list) and isinstance(live, list):
            return _merge_list(target, last if isinstance(last, list) else [], live)
        return target
    last = last if isinstance(last, dict) else {}
    kept = {key: value for key, value in live.items() if key in target or key not in last}
    new = {k: _merge(v, last.get(k), live.get(k)) for k, v in target.items() if v is not None}
    return kept | new


def _merge_list(target: list[Any], last: list[Any], live: list[Any]) -> list[Any]:
    """Merge lists of named objects by name (containers, ports, env); others are replaced."""

    def by_name(items: list[Any]) -> dict[Any, Any]:
        return {i["name"]: i for i in items if isinstance(i, dict) and "name" in i}

    if len(by_name(target)) != len(target) or not target:
        return (
            [
                _merge(t, None, v) if same else t
                for t, v, same in zip(
                    target, live, [len(target) == len(live)] * len(target), strict=False
                )
            ]
            if len(target) == len(live)
            else target
        )
    before, now = by_name(last), by_name(live)
    return [_merge(item, before.get(item["name"]), now.get(item["name"])) for item in target]


def described(obj: Object) -> str:
    """Return `deployment.apps/name`, as kubectl names an object."""
    group = group_of(obj)
    kind = obj["kind"].lower() + (f".{group}" if group else "")
    return f"{kind}/{obj['metadata']['name']}"
