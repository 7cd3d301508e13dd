"""Which object of a cluster is meant, and where the API server has it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object; the core group is "", and so is the namespace of an object that has none."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any], namespace: str) -> Self:
        """Return what a manifest describes; `namespace` is where it goes unless it says so."""
        group, _, version = str(manifest.get("apiVersion", "")).rpartition("/")
        metadata = manifest.get("metadata") or {}
        return cls(
            group,
            version,
            str(manifest.get("kind", "")),
            str(metadata.get("namespace") or namespace),
            str(metadata.get("name") or ""),
        )

    @property
    def group_version(self) -> str:
        """`apps/v1`, or `v1` of the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path of the group and version on the API server."""
        return f"/apis/{self.group_version}" if self.group else f"/api/{self.version}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """How the API server serves a kind."""

    plural: str
    namespaced: bool

    def collection(self, ref: ObjectRef) -> str:
        """Return the path of all objects like `ref`, in its namespace."""
        scope = f"/namespaces/{segment(ref.namespace)}" if self.namespaced else ""
        return f"{ref.root}{scope}/{self.plural}"

    def path(self, ref: ObjectRef) -> str:
        """Return the path of `ref`."""
        return f"{self.collection(ref)}/{segment(ref.name)}"


def segment(name: str) -> str:
    """Return a name as one segment of a path, which what was rendered is not trusted to be."""
    return quote(name, safe="")
