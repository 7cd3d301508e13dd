"""The objects of the sandbox's cluster: one store, one counter of resourceVersions, one log."""

import copy
import itertools
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from plate_release.sandbox.clock import Clock

Object = dict[str, Any]
Kind = Literal["ADDED", "MODIFIED", "DELETED"]
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """What names an object; `group` is empty for core, `namespace` for what has none."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One write: the object as it is now, or as it last was."""

    kind: Kind
    revision: int
    ref: Ref
    object: Object


def group_of(obj: Object) -> str:
    """Return the API group of an object."""
    group, slash, _ = str(obj["apiVersion"]).rpartition("/")
    return group if slash else ""


def ref_of(obj: Object) -> Ref:
    """Return what names an object."""
    meta = obj["metadata"]
    return Ref(group_of(obj), obj["kind"], meta.get("namespace") or "", meta["name"])


def owners_of(obj: Object) -> list[str]:
    """Return the uids of an object's owners."""
    return [owner["uid"] for owner in obj["metadata"].get("ownerReferences", ())]


class Objects:
    """Objects by name, by kind and by owner. What is handed out is never changed in place."""

    def __init__(self) -> None:
        self._all: dict[Ref, Object] = {}
        self._kinds: dict[tuple[str, str, str], dict[Ref, None]] = {}
        self._children: dict[str, dict[Ref, None]] = {}

    def get(self, ref: Ref) -> Object | None:
        """Return the object or None."""
        return self._all.get(ref)

    def of_kind(self, group: str, kind: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a kind by name, in one namespace or (None) in all."""
        if namespace is not None:
            refs: Iterable[Ref] = self._kinds.get((group, kind, namespace), ())
        else:
            found = (v for k, v in self._kinds.items() if k[:2] == (group, kind))
            refs = itertools.chain.from_iterable(found)
        return [self._all[ref] for ref in sorted(refs)]

    def children(self, uid: str) -> list[Object]:
        """Return the objects that the object with this uid owns, by name."""
        return [self._all[ref] for ref in sorted(self._children.get(uid, ()))]

    def put(self, obj: Object) -> None:
        """Store an object under its name."""
        ref = ref_of(obj)
        if ref in self._all:
            self.remove(ref)
        self._all[ref] = obj
        self._kinds.setdefault((ref.group, ref.kind, ref.namespace), {})[ref] = None
        for uid in owners_of(obj):
            self._children.setdefault(uid, {})[ref] = None

    def remove(self, ref: Ref) -> None:
        """Forget an object."""
        old = self._all.pop(ref)
        bucket = (ref.group, ref.kind, ref.namespace)
        _drop(self._kinds, bucket, ref)
        for uid in owners_of(old):
            _drop(self._children, uid, ref)


def _drop(index: dict[Any, dict[Ref, None]], key: Any, ref: Ref) -> None:
    index[key].pop(ref, None)
    if not index[key]:
        del index[key]


class World(Objects):
    """The store that everybody writes to and watches."""

    def __init__(self, clock: Clock, *, seed: int = 0, history: int = 20000) -> None:
        super().__init__()
        self.clock = clock
        self.revision = 1000
        self._random = random.Random(seed)  # noqa: S311 - names, not secrets
        self._log: deque[Change] = deque(maxlen=history)
        self._watchers: list[Callable[[Change], object]] = []

    def subscribe(self, watcher: Callable[[Change], object]) -> Callable[[], None]:
        """Call `watcher` at each write, in their order; return what ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def suffix(self, length: int = 5) -> str:
        """Return a random end for a generated name."""
        return "".join(self._random.choices(ALPHABET, k=length))

    def create(self, obj: Object) -> Object:
        """Store a new object; name, uid, times and versions are filled in."""
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        if "name" not in meta:
            meta["name"] = meta["generateName"] + self.suffix()
        meta["uid"] = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        meta["creationTimestamp"] = self.clock.stamp()
        meta.setdefault("generation", 1)
        return self._write("ADDED", obj)

    def change(self, ref: Ref, edit: Callable[[Object], object]) -> Object | None:
        """Let `edit` change a copy of the object and store that, unless nothing changed."""
        old = self.get(ref)
        if old is None:
            return None
        new = copy.deepcopy(old)
        edit(new)
        if new == old:
            return old
        if ref.kind == "Application" or new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        return self._write("MODIFIED", new)

    def delete(self, ref: Ref) -> None:
        """Remove an object, and after it what it owns."""
        old = self.get(ref)
        if old is None:
            return
        self.remove(ref)
        self.revision += 1
        gone = copy.deepcopy(old)
        gone["metadata"]["resourceVersion"] = str(self.revision)
        self._tell(Change("DELETED", self.revision, ref, gone))
        for child in self.children(old["metadata"]["uid"]):
            self.delete(ref_of(child))

    def since(self, revision: int) -> Iterator[Change] | None:
        """Return the writes after a resourceVersion, or None where they are forgotten."""
        oldest = self._log[0].revision if self._log else self.revision + 1
        if revision + 1 < oldest:
            return None
        return (change for change in list(self._log) if change.revision > revision)

    @property
    def oldest(self) -> int:
        """The oldest resourceVersion that a watch may start from."""
        return self._log[0].revision - 1 if self._log else self.revision

    def _write(self, kind: Kind, obj: Object) -> Object:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.put(obj)
        self._tell(Change(kind, self.revision, ref_of(obj), obj))
        return obj

    def _tell(self, change: Change) -> None:
        self._log.append(change)
        for watcher in tuple(self._watchers):
            watcher(change)
