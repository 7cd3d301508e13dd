"""Argo CD's decision whether to sync by itself (appcontroller.go, autoSync), as pure rules."""

from dataclasses import dataclass
from typing import Any

from plate_release.application import Application
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
    app: Application, obj: Object, resources: list[Resource], revisions: tuple[str, ...], *,
    allowed: bool, now: float,
) -> Start | Refuse | Later | None:  # fmt: skip
    """Return what automated sync does about an Application that is out of sync."""
    policy = app.spec.sync_policy.automated
    out = [r for r in resources if not r.hook and not r.synced]
    if not app.spec.automated or policy is None or not allowed or "operation" in obj or not out:
        return None
    if obj["metadata"].get("deletionTimestamp"):
        return None
    if not policy.prune and all(r.requires_pruning for r in out):
        return None
    state = obj.get("status", {}).get("operationState")
    partial: list[Object] | None = None
    attempts = 0
    if state and state["phase"] in ("Succeeded", "Failed", "Error"):
        result = state.get("syncResult")
        if result is None:
            return None
        if revisions_in(result) == revisions and _same_source(result, obj["spec"]):
            if state["phase"] != "Succeeded":
                commit = revisions[0] if len(revisions) == 1 else " ".join(revisions)
                return Refuse(f"Failed last sync attempt to [{commit}]: {state['message']}")
            if not policy.self_heal:
                return None
            attempts = state["operation"]["sync"].get("autoHealAttemptsCount", 0)
            wait = _heal_delay(attempts) - (now - parse(state["finishedAt"]))
            if attempts and wait > 0:
                return Later(wait)
            partial = [_named(r) for r in out]
    targets = [r for r in resources if r.target is not None]
    if policy.prune and not policy.allow_empty and not targets:
        return Refuse(
            f"Skipping sync attempt to [{' '.join(revisions)}]: auto-sync will wipe out all resources"
        )
    return Start(_operation(obj["spec"], revisions, policy.prune, partial, attempts))


def _heal_delay(attempts: int) -> float:
    return min(HEAL_FIRST * HEAL_FACTOR ** (attempts - 1), HEAL_MOST) if attempts else 0.0


def _same_source(result: Object, spec: Object) -> bool:
    wanted = source_fields(spec)
    return all(result.get(key) == value for key, value in wanted.items())


def _named(resource: Resource) -> Object:
    ref = resource.ref
    named: Object = {"group": ref.group} if ref.group else {}
    return named | {"kind": ref.kind, "name": ref.name}


def _operation(
    spec: Object, revisions: tuple[str, ...], prune: bool, partial: list[Object] | None,
    attempts: int,
) -> Object:  # fmt: skip
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
