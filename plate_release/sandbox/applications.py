"""The Application objects themselves: reading them typed, and writing parts of their status."""

from collections.abc import Callable
from typing import Any

from plate_release.application import Application
from plate_release.sandbox.world import Object, Ref, World

GROUP, KIND = "argoproj.io", "Application"
REFRESH = "argocd.argoproj.io/refresh"
NAMESPACE = "argocd"
NO_SOURCE: Object = {"repoURL": ""}


class Applications:
    """The Applications of one Argo CD, by namespace and name."""

    def __init__(self, world: World) -> None:
        self.world = world

    def ref(self, name: str, namespace: str = NAMESPACE) -> Ref:
        """Return what names an Application."""
        return Ref(GROUP, KIND, namespace, name)

    def get(self, ref: Ref) -> Object | None:
        """Return the Application as stored."""
        return self.world.get(ref)

    def all(self) -> list[Object]:
        """Return all Applications by name."""
        return self.world.of_kind(GROUP, KIND)

    def typed(self, ref: Ref) -> Application | None:
        """Return its metadata and spec."""
        obj = self.get(ref)
        return Application.model_validate(obj) if obj else None

    def edit(self, ref: Ref, edit: Callable[[Object], object]) -> Object | None:
        """Change the Application, with one resourceVersion for all of it."""
        return self.world.change(ref, edit)

    def status(self, ref: Ref, **fields: Any) -> Object | None:
        """Set fields of the status; None removes one."""

        def put(obj: Object) -> None:
            status = obj.setdefault("status", {})
            for key, value in fields.items():
                if value is None:
                    status.pop(key, None)
                else:
                    status[key] = value

        return self.edit(ref, put)


def sources_of(spec: Object) -> list[Object]:
    """Return the sources as the spec has them."""
    return spec.get("sources") or [spec.get("source", NO_SOURCE)]


def is_multi(spec: Object) -> bool:
    """Tell whether the Application has several sources."""
    return bool(spec.get("sources"))


def revision_fields(spec: Object, revisions: tuple[str, ...]) -> Object:
    """Return `revision` or `revisions`, whichever this Application has."""
    return {"revisions": list(revisions)} if is_multi(spec) else {"revision": revisions[0]}


def source_fields(spec: Object) -> Object:
    """Return `source` or `sources`, as the spec has them."""
    return (
        {"sources": spec["sources"]}
        if is_multi(spec)
        else {"source": spec.get("source", NO_SOURCE)}
    )


def revisions_in(fields: Object) -> tuple[str, ...]:
    """Return the commits that a sync status, an operation or its result names."""
    many = fields.get("revisions")
    return tuple(many) if many else (fields["revision"],) if fields.get("revision") else ()
