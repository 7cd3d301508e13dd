"""One Application's reconciliation: resolve, render, compare, decide, write the status."""

from collections.abc import Callable
from dataclasses import dataclass

from plate_release.application import Application
from plate_release.sandbox import autosync
from plate_release.sandbox.applications import (
    REFRESH,
    is_multi,
    revision_fields,
    source_fields,
    sources_of,
)
from plate_release.sandbox.clock import parse
from plate_release.sandbox.compare import Resource, match
from plate_release.sandbox.health import health, worst
from plate_release.sandbox.operation import Parts
from plate_release.sandbox.render import Target, instance_name
from plate_release.sandbox.source import SourceError
from plate_release.sandbox.tree import resource_tree, summary_images
from plate_release.sandbox.world import Object, Ref, ref_of

RECENT, LATEST = 1, 2
EXPIRY, HIDDEN = 120.0, 180.0
COMPARE, WRITE, ANNOTATION = 0.03, 0.025, 0.015


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing: the resources, or why there are none."""

    resources: list[Resource]
    revisions: tuple[str, ...]
    conditions: list[Object]
    source_types: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """Synced, OutOfSync or Unknown."""
        if self.conditions:
            return "Unknown"
        return "Synced" if all(r.synced or r.hook for r in self.resources) else "OutOfSync"


class Reconciliation:
    """Reconciles one Application, again and again."""

    def __init__(self, parts: Parts, ref: Ref, request: Callable[[int, float], None]) -> None:
        self._parts, self._ref, self._request = parts, ref, request
        self._target: Target | SourceError | None = None
        self._failing_since = 0.0
        self.resources: list[Resource] = []

    def outdated(self, obj: Object) -> bool:
        """Tell whether the Application's source or destination is not what was compared."""
        sync = obj.get("status", {}).get("sync", {})
        return bool(sync.get("status")) and sync["comparedTo"] != _compared_to(obj["spec"])

    def tree(self) -> Object:
        """Return the resource tree as the controller sees it now."""
        app = self._parts.apps.typed(self._ref)
        if app is None:
            return {}
        missing = ((r.ref, r.version) for r in self.resources if r.live is None)
        family = list(self._parts.cache.family(instance_name(app)))
        present = {ref_of(obj) for obj in family}
        return resource_tree(family, ((r, v) for r, v in missing if r not in present))

    async def run(self, level: int) -> None:
        """Reconcile: RECENT compares with the commit of last time, LATEST asks git."""
        obj, app = self._parts.apps.get(self._ref), self._parts.apps.typed(self._ref)
        if obj is None or app is None:
            return
        if obj["metadata"].get("deletionTimestamp"):
            await self._delete(obj, app)
            return
        asked = REFRESH in (obj["metadata"].get("annotations") or {})
        if asked or self._target is None or self._expired(obj) or self.outdated(obj):
            level = LATEST
        started = self._parts.clock.stamp()
        if level == LATEST and not await self._load(app, asked):
            return
        await self._parts.clock.sleep(COMPARE)
        await self._parts.running.wait()
        comparison = self._compare(obj, app)
        refused = await self._autosync(app, comparison)
        fields = self._fields(comparison, refused, app)
        if fields is None:
            return
        self._parts.apps.status(
            self._ref, **fields, **({"reconciledAt": started} if level == LATEST else {})
        )
        if asked:
            await self._parts.clock.sleep(ANNOTATION)
            self._parts.apps.edit(self._ref, _unask)

    def _expired(self, obj: Object) -> bool:
        reconciled = obj.get("status", {}).get("reconciledAt")
        return bool(reconciled) and self._parts.clock.now() - parse(reconciled) > EXPIRY

    async def _load(self, app: Application, asked: bool) -> bool:
        """Find and render the commits; False where a failure is not shown yet."""
        try:
            revisions = await self._parts.renderer.resolve(app)
            self._target = await self._parts.renderer.render(app, revisions)
            self._failing_since = 0.0
        except SourceError as error:
            now = self._parts.clock.now()
            self._failing_since = self._failing_since or now
            shown = asked or self._target is None or isinstance(self._target, SourceError)
            if not shown and now - self._failing_since < HIDDEN:
                self._request(LATEST, HIDDEN)
                return False
            self._target = error
        return True

    def _compare(self, obj: Object, app: Application) -> Comparison:
        live = self._parts.cache.managed(instance_name(app))
        names = tuple(source.get("targetRevision") or "" for source in sources_of(obj["spec"]))
        if app.spec.project not in self._parts.projects.windows:
            message = f"Application referencing project {app.spec.project} which does not exist"
            return Comparison(match((), live), names, [_condition("InvalidSpecError", message)])
        if isinstance(self._target, SourceError):
            message = f"Failed to load target state: {self._target}"
            return Comparison(match((), live), names, [_condition("ComparisonError", message)])
        target = self._target or Target((), (), ())
        self.resources = match(target.objects, live)
        return Comparison(self.resources, target.revisions, [], target.source_types)

    async def _autosync(self, app: Application, comparison: Comparison) -> str:
        """Start an operation where automated sync wants one; return why it refuses, or nothing."""
        obj = self._parts.apps.get(self._ref)
        if obj is None or comparison.status != "OutOfSync":
            return ""
        now = self._parts.clock.now()
        decision = autosync.decide(
            app,
            obj,
            comparison.resources,
            comparison.revisions,
            now=now,
            allowed=self._parts.projects.can_sync(obj, now, manual=False),
        )
        match decision:
            case None:
                pass
            case autosync.Refuse(message):
                return message
            case autosync.Later(delay):
                self._request(RECENT, delay)
            case autosync.Start(operation):
                begun = self._parts.apps.edit(self._ref, lambda app: _begin(app, operation))
                commits = ",".join(comparison.revisions)
                message = f"Initiated automated sync to '{commits}'"
                if begun:
                    self._parts.events.normal(begun, "OperationStarted", message)
                await self._parts.clock.sleep(WRITE)
        return ""

    def _fields(self, comparison: Comparison, refused: str, app: Application) -> Object | None:
        obj = self._parts.apps.get(self._ref)
        if obj is None:
            return None
        status, spec, now = obj.get("status", {}), obj["spec"], self._parts.clock.stamp()
        known = comparison.status != "Unknown"
        conditions = [
            *comparison.conditions,
            *([_condition("SyncError", refused)] if refused else ()),
        ]
        sync: Object = {"status": comparison.status, "comparedTo": _compared_to(spec)}
        if known or not is_multi(spec):
            sync |= revision_fields(spec, comparison.revisions)
        family = list(self._parts.cache.family(instance_name(app)))
        images = summary_images(family)
        kinds: Object = {"sourceType": None, "sourceTypes": None}
        if known:
            many = is_multi(spec)
            kinds |= (
                {"sourceTypes": list(comparison.source_types)}
                if many
                else {"sourceType": comparison.source_types[0]}
            )
        return {
            "resources": [r.wire(_sync_of(r, known)) for r in comparison.resources],
            "sync": sync,
            "health": _health(comparison.resources, status.get("health", {}), now),
            "conditions": _dated(conditions, status.get("conditions", []), now) or None,
            "summary": {"images": images} if images else {},
            "resourceHealthSource": "appTree",
            "controllerNamespace": "argocd",
            "sourceHydrator": {},
        } | kinds

    async def _delete(self, obj: Object, app: Application) -> None:
        """Remove what the Application manages, then the Application."""
        world, instance = self._parts.apps.world, instance_name(app)
        if obj["metadata"].get("finalizers"):
            for live in self._parts.cache.managed(instance):
                world.delete(ref_of(live))
            await self._parts.clock.sleep(1.0)
        world.delete(self._ref)


def _begin(obj: Object, operation: Object) -> None:
    if "operation" not in obj:
        obj["operation"] = operation
        obj.get("status", {}).pop("operationState", None)


def _unask(obj: Object) -> None:
    for key in (REFRESH, f"{REFRESH}-timestamp"):
        obj["metadata"]["annotations"].pop(key, None)


def _compared_to(spec: Object) -> Object:
    fields = source_fields(spec) | {"destination": spec["destination"]}
    return {"source": {"repoURL": ""}} | fields if is_multi(spec) else fields


def _sync_of(resource: Resource, known: bool) -> str | None:
    if resource.hook:
        return None
    if not known:
        return "Unknown"
    return "Synced" if resource.synced else "OutOfSync"


def _condition(kind: str, message: str) -> Object:
    return {"type": kind, "message": message}


def _dated(conditions: list[Object], old: list[Object], now: str) -> list[Object]:
    before = {(c["type"], c["message"]): c["lastTransitionTime"] for c in old}
    return [
        c | {"lastTransitionTime": before.get((c["type"], c["message"]), now)} for c in conditions
    ]


def _health(resources: list[Resource], old: Object, now: str) -> Object:
    """Return the worst health of what is there; what is missing counts only where all is."""
    own = [r for r in resources if not r.hook]
    live = [health(r.live) for r in own if r.live]
    missing = own and not any(r.live for r in own)
    status = "Missing" if missing else worst(h.status for h in live if h)
    since = old.get("lastTransitionTime", now) if old.get("status") == status else now
    return {"status": status, "lastTransitionTime": since}
