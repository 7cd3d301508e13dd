"""Argo CD's decision whether to sync by itself (appcontroller.go, autoSync), as pure rules."""

from dataclasses import dataclass
from typing import Any

from plate_release.application import Application, Automated
from plate_release.sandbox.applications import revision_fields, revisions_in, source_fields
from plate_release.sandbox.clock import parse
from plate_release.sandbox.compare import Resource
from plate_release.sandbox.world import Object

HEAL_FIRST, HEAL_FACTOR, HEAL_MOST = 2.0, 3.0, 300.0


@dataclass(frozen=True, slots=True)
class Start:
    """Begin this operation."""

    operation: Object


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not, and say why as a SyncError."""

    message: str


@dataclass(frozen=True, slots=True)
class Later:
    """Heal, but only after `delay` seconds."""

    delay: float


def decide(
    app: Application,
    obj: Object,
    resources: list[Resource],
    revisions: tuple[str, ...],
    *,
    allowed: bool,
    now: float,
) -> Start | Refuse | Later | None:
    """Return what automated sync does about an Application that is out of sync."""
    policy = app.spec.sync_policy.automated
    out = [r for r in resources if not r.hook and not r.synced]
    if policy is None or not (app.spec.automated and allowed and out) or _occupied(obj):
        return None
    if not policy.prune and all(r.requires_pruning for r in out):
        return None
    state = obj["status"].get("operationState")
    if state and "syncResult" not in state:
        return None
    if state and _is_about(state["syncResult"], obj["spec"], revisions):
        return _again(policy, obj["spec"], state, out, revisions, now)
    if policy.prune and not policy.allow_empty and all(r.target is None for r in resources):
        return Refuse(
            f"Skipping sync attempt to [{' '.join(revisions)}]: "
            "auto-sync will wipe out all resources"
        )
    return Start(_operation(obj["spec"], revisions, policy.prune, None, 0))


def _occupied(obj: Object) -> bool:
    return "operation" in obj or bool(obj["metadata"].get("deletionTimestamp"))


def _again(
    policy: Automated,
    spec: Object,
    state: Object,
    out: list[Resource],
    revisions: tuple[str, ...],
    now: float,
) -> Start | Refuse | Later | None:
    """Decide about a commit that was synced before."""
    if state["phase"] != "Succeeded":
        return Refuse(f"Failed last sync attempt to [{' '.join(revisions)}]: {state['message']}")
    if not policy.self_heal:
        return None
    attempts = state["operation"]["sync"].get("autoHealAttemptsCount", 0)
    wait = _heal_delay(attempts) - (now - parse(state["finishedAt"]))
    if attempts and wait > 0:
        return Later(wait)
    partial = [_named(r) for r in out]
    return Start(_operation(spec, revisions, policy.prune, partial, attempts))


def _heal_delay(attempts: int) -> float:
    return min(HEAL_FIRST * HEAL_FACTOR ** (attempts - 1), HEAL_MOST) if attempts else 0.0


def _is_about(result: Object, spec: Object, revisions: tuple[str, ...]) -> bool:
    same = all(result.get(key) == value for key, value in source_fields(spec).items())
    return same and revisions_in(result) == revisions


def _named(resource: Resource) -> Object:
    ref = resource.ref
    named: Object = {"group": ref.group} if ref.group else {}
    return named | {"kind": ref.kind, "name": ref.name}


def _operation(
    spec: Object,
    revisions: tuple[str, ...],
    prune: bool,
    partial: list[Object] | None,
    attempts: int,
) -> Object:
    sync: Object = revision_fields(spec, revisions) | source_fields(spec)
    policy = spec.get("syncPolicy") or {}
    if prune:
        sync["prune"] = True
    if policy.get("syncOptions"):
        sync["syncOptions"] = policy["syncOptions"]
    if partial is not None:
        sync |= {"resources": partial, "autoHealAttemptsCount": attempts + 1}
    retry: Any = policy.get("retry") or {"limit": 5}
    return {"sync": sync, "initiatedBy": {"automated": True}, "retry": retry}
