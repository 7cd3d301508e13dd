"""What Argo CD's controller knows of the cluster: a mirror that lags a little behind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from plate_release.sandbox.world import Change, Object, Objects, Ref, World, owners_of, ref_of

TRACKING = "argocd.argoproj.io/tracking-id"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the controller takes: to see what changed, and to apply; seconds."""

    lag: float = 0.03
    apply: float = 0.4


def tracked_by(obj: Object) -> str:
    """Return the Application that an object says it belongs to, or nothing."""
    tracking = (obj["metadata"].get("annotations") or {}).get(TRACKING, "")
    return str(tracking).partition(":")[0]


class ClusterCache:
    """Objects as the controller last saw them, by Application.

    Its lag is why Argo CD can compare with a state from before its own sync and heal "itself".
    """

    def __init__(self, world: World, changed: Callable[[str], object]) -> None:
        self._world, self._changed = world, changed
        self._objects = Objects()
        self._apps: dict[str, str] = {}
        self._roots: dict[str, dict[Ref, None]] = {}
        self.paces: dict[str, Pace] = {}
        world.subscribe(self._noticed)

    def get(self, ref: Ref) -> Object | None:
        """Return the object as last seen."""
        return self._objects.get(ref)

    def managed(self, app: str) -> list[Object]:
        """Return the objects that carry the Application's tracking id."""
        found = (self._objects.get(ref) for ref in sorted(self._roots.get(app, ())))
        return [obj for obj in found if obj]

    def family(self, app: str) -> Iterator[Object]:
        """Return the Application's objects and all that they own."""
        pending = self.managed(app)
        while pending:
            obj = pending.pop()
            yield obj
            pending += self._objects.children(obj["metadata"]["uid"])

    def _noticed(self, change: Change) -> None:
        if change.ref.kind in ("Event", "Application"):
            return
        self._world.clock.later(self.pace(change.ref.namespace).lag, self._see, change)

    def pace(self, namespace: str) -> Pace:
        """Return how long the controller takes with a namespace."""
        return self.paces.get(namespace, Pace())

    def _see(self, change: Change) -> None:
        uid = change.object["metadata"]["uid"]
        app = self._app_of(change.object)
        if change.kind == "DELETED":
            seen = self._objects.get(change.ref)
            if seen and seen["metadata"]["uid"] == uid:
                self._objects.remove(change.ref)
                self._roots.get(app, {}).pop(change.ref, None)
            self._apps.pop(uid, None)
        else:
            self._objects.put(change.object)
            if app:
                self._apps[uid] = app
                if tracked_by(change.object):
                    self._roots.setdefault(app, {})[ref_of(change.object)] = None
        if app:
            self._changed(app)

    def _app_of(self, obj: Object) -> str:
        own = tracked_by(obj)
        owners = (self._apps.get(uid, "") for uid in owners_of(obj))
        return own or next(filter(None, owners), "")
