"""What differs between two renderings, object by object, as people review it. Pure.

Secrets show as fingerprints alone. Objects come in the order in which Helm applies them, what is
removed last.
"""

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias

import yaml

from plate_release.charts.objects import KubernetesObject, Objects
from plate_release.charts.reading import Path, at, replaced
from plate_release.charts.workloads import Container, containers

Place: TypeAlias = tuple[str, str, str, str]
"""API group, kind, namespace and name of the object before (after, where there was none)."""

_MISSING = object()
_CONTEXT = 3
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs; `before` or `after` is None where there is nothing."""

    path: Path
    before: Any
    after: Any

    def __str__(self) -> str:
        where = ".".join(str(part) for part in self.path)
        return f"{where}: {_short(self.before)} -> {_short(self.after)}"


@dataclass(frozen=True, slots=True)
class ObjectDifference:
    """One object that changes, appears or goes; `text` is its unified diff."""

    before: KubernetesObject | None
    after: KubernetesObject | None
    changes: tuple[Change, ...]
    text: str

    @property
    def place(self) -> Place:
        """Which object it is."""
        return _place(self._one)

    @property
    def _one(self) -> KubernetesObject:
        one = self.before or self.after
        if one is None:
            raise ValueError("a difference of nothing")
        return one

    def __str__(self) -> str:
        return str(self.after or self.before)


@dataclass(frozen=True, slots=True)
class ImageChange:
    """A container whose image differs; None where the container is only on one side."""

    container: Container
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Every object that differs, and every container's image that does."""

    objects: tuple[ObjectDifference, ...]
    images: tuple[ImageChange, ...]

    @property
    def text(self) -> str:
        """The whole unified diff, plain."""
        return "".join(one.text for one in self.objects)

    @property
    def places(self) -> frozenset[tuple[Place, Path]]:
        """Every path that differs: what `compare` takes as noise."""
        return frozenset((one.place, c.path) for one in self.objects for c in one.changes)


def compare(
    before: Objects, after: Objects, noise: frozenset[tuple[Place, Path]] = frozenset()
) -> Difference:
    """Compare two renderings; `noise` are the places that differ between equal ones too."""
    pairs = _pairs(before, after)
    objects = tuple(found for old, new in pairs if (found := _difference(old, new, noise)))
    return Difference(objects, tuple(_images(before, after)))


def _pairs(
    before: Iterable[KubernetesObject], after: Iterable[KubernetesObject]
) -> Iterator[tuple[KubernetesObject | None, KubernetesObject | None]]:
    """Match objects by name; a new name from the same template is the same object, renamed."""
    gone = {_place(one): one for one in before}
    fresh: list[tuple[KubernetesObject | None, KubernetesObject]] = [
        (gone.pop(_place(one), None), one) for one in after
    ]
    for old, new in fresh:
        if old is None:
            key = (new.kind, new.template)
            renamed = next((p for p, o in gone.items() if (o.kind, o.template) == key), None)
            yield (gone.pop(renamed) if renamed else None), new
        else:
            yield old, new
    yield from ((one, None) for one in gone.values())


def _difference(
    before: KubernetesObject | None,
    after: KubernetesObject | None,
    noise: frozenset[tuple[Place, Path]],
) -> ObjectDifference | None:
    old, new = before.body if before else None, after.body if after else None
    if before and after:
        place = _place(before)
        new = _quiet(old, new, {path for where, path in noise if where == place})
    shown_old, shown_new = _masked(before, old), _masked(after, new)
    changes = tuple(_changes(shown_old, shown_new, ()))
    if not changes:
        return None
    text = _unified(str(before or after), str(after or before), shown_old, shown_new)
    return ObjectDifference(before, after, changes, text)


def _quiet(old: Any, new: Any, paths: set[Path]) -> Any:
    for path in paths:
        if at(new, path[:-1]) is not None and at(old, path) is not None and at(new, path):
            new = replaced(new, path, at(old, path))
    return new


def _changes(old: Any, new: Any, path: Path) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes(old.get(key, _MISSING), new.get(key, _MISSING), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index, (one, other) in enumerate(zip_longest(old, new, fillvalue=_MISSING)):
            yield from _changes(one, other, (*path, index))
    elif old is _MISSING or new is _MISSING or (type(old), old) != (type(new), new):
        yield Change(path, *(None if side is _MISSING else side for side in (old, new)))


def _images(before: Objects, after: Objects) -> Iterator[ImageChange]:
    old = {container.place: container for container in containers(before)}
    new = {container.place: container for container in containers(after)}
    for place, container in (old | new).items():
        was = old[place].image if place in old else None
        becomes = new[place].image if place in new else None
        if was != becomes:
            yield ImageChange(container, was, becomes)


def _masked(one: KubernetesObject | None, body: Any) -> Any:
    """Put fingerprints in the place of a Secret's values: equal ones stay equal."""
    if one is None or one.kind != "Secret":
        return body
    fields = {field: body[field] for field in ("data", "stringData") if body.get(field)}
    return body | {
        field: {
            key: _fingerprint((*_place(one), str(key), str(value))) for key, value in data.items()
        }
        for field, data in fields.items()
        if isinstance(data, Mapping)
    }


def _fingerprint(parts: Iterable[str]) -> str:
    # The object and the key are in it, so that a table of common passwords does not help.
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"(secret, fingerprint {digest[:8]})"


def _unified(old_name: str, new_name: str, old: Any, new: Any) -> str:
    lines = difflib.unified_diff(
        _dumped(old),
        _dumped(new),
        f"{old_name} (now)" if old is not None else "/dev/null",
        f"{new_name} (planned)" if new is not None else "/dev/null",
        n=_CONTEXT,
    )
    return "".join(lines)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes text of several lines as a block, as people write manifests."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(str, _text)


def _dumped(body: Any) -> list[str]:
    if body is None:
        return []
    text = yaml.dump(body, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return text.splitlines(keepends=True)


def _place(one: KubernetesObject) -> Place:
    return one.api_version.rpartition("/")[0], one.kind, one.namespace, one.name


def _short(value: Any) -> str:
    text = "(nothing)" if value is None else str(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
