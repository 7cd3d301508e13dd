"""What differs between two renderings, object by object, as people review it. Pure.

Secrets show as fingerprints alone. Objects come in the order in which Helm applies them, what is
removed last.
"""

import difflib
import re
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any, TypeAlias

import yaml

from plate_release.charts.noise import quieted
from plate_release.charts.objects import KubernetesObject, ObjectId, Objects
from plate_release.charts.reading import Path, at, dotted, leaves, replaced
from plate_release.charts.secrets import decoded, hides, holds_any, masked

Heard: TypeAlias = Mapping[tuple[ObjectId, Path], tuple[Any, ...]]
"""What else is rendered in a place that differs each time."""

_CSafeDumper: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_TRAILING = re.compile(" +$", re.MULTILINE)
_MISSING = object()
_CONTEXT = 3
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Noise:
    """What differs each time, among what charts render before an edit, and after it."""

    before: Heard = field(default_factory=dict)
    after: Heard = field(default_factory=dict)

    def listened(self, before: tuple[Objects, Objects], after: tuple[Objects, Objects]) -> "Noise":
        """Return it with what a second rendering adds: both are pairs of the same charts."""
        return Noise(_heard(self.before, *before), _heard(self.after, *after))


QUIET = Noise()


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs; `before` or `after` is None where there is nothing.

    What is `secret` shows itself in no text.
    """

    path: Path
    before: Any = field(repr=False)
    after: Any = field(repr=False)
    secret: bool = False

    def __str__(self) -> str:
        where = dotted(self.path)
        if self.secret:
            return f"{where}: a secret value changes"
        text = f"{where}: {' -> '.join(_shortened(self.before, self.after))}"
        kinds = {type(self.before), type(self.after)}
        is_read = str in kinds and not kinds.isdisjoint({int, float, bool})
        return f"{text} (one is no text to YAML: quote it in the template)" if is_read else text


@dataclass(frozen=True, slots=True)
class ObjectDifference:
    """One object that changes, appears or goes; `text` is its unified diff."""

    identity: ObjectId
    before: KubernetesObject | None
    after: KubernetesObject | None
    changes: tuple[Change, ...]
    text: str

    def told(self) -> Iterator[str]:
        """Give what changes, a line each."""
        if self.before is None or self.after is None:
            yield f"{self}: the object {'appears' if self.before is None else 'goes'}"
        else:
            yield from (f"{self}: {change}" for change in self.changes)

    def __str__(self) -> str:
        return str(self.after or self.before)


@dataclass(frozen=True, slots=True)
class Difference:
    """Every object that differs."""

    objects: tuple[ObjectDifference, ...]

    @property
    def text(self) -> str:
        """The whole unified diff, plain."""
        return "".join(one.text for one in self.objects)


def compare(
    before: Objects,
    after: Objects,
    noise: Noise = QUIET,
    secrets: Collection[str] = (),
) -> Difference:
    """Compare two renderings, without what is only `noise`; no text shows any of the `secrets`."""
    differ = (_differ(*pair, noise) for pair in _pairs(before, after))
    return Difference(tuple(_shown(one, secrets) for one in differ if one))


def _heard(known: Heard, once: Objects, again: Objects) -> Heard:
    result = dict(known)
    for pair in _pairs(once, again):
        if one := _differ(*pair, QUIET):
            for path, _, other in one.changes:
                key = one.identity, path
                result[key] = (*result.get(key, ()), other)
    return result


def _pairs(
    before: Iterable[KubernetesObject], after: Iterable[KubernetesObject]
) -> Iterator[tuple[KubernetesObject | None, KubernetesObject | None]]:
    """Match objects by name; a new name from the same template is the same object, renamed."""
    gone: dict[ObjectId, deque[KubernetesObject]] = defaultdict(deque)
    for one in before:
        gone[one.identity].append(one)
    fresh = [(gone[key].popleft() if gone[key := one.identity] else None, one) for one in after]
    left = [one for ones in gone.values() for one in ones]
    for old, new in fresh:
        yield old or _renamed(new, left), new
    yield from ((one, None) for one in left)


def _renamed(new: KubernetesObject, left: list[KubernetesObject]) -> KubernetesObject | None:
    """Take the object out of those left that `new` is under another name, if one is."""
    for index, one in enumerate(left):
        if (one.source, one.kind, one.template) == (new.source, new.kind, new.template):
            return left.pop(index)
    return None


@dataclass(frozen=True, slots=True)
class _Differs:
    """An object that is not the same after the edit; what both sides say, and where they part."""

    before: KubernetesObject | None
    after: KubernetesObject | None
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    changes: tuple[tuple[Path, Any, Any], ...]

    @property
    def identity(self) -> ObjectId:
        """Which object it is, by its name before."""
        one, *_ = (side for side in (self.before, self.after) if side)
        return one.identity


def _differ(
    before: KubernetesObject | None, after: KubernetesObject | None, noise: Noise
) -> _Differs | None:
    if before and after and before.body is after.body:
        return None  # documents of one text are read once
    old, new = decoded(before) if before else None, decoded(after) if after else None
    if before and after:
        new = _quiet(old, new, _of(noise.before, before), _of(noise.after, after))
    changes = tuple(_changes(old, new, ()))
    return _Differs(before, after, old, new, changes) if changes else None


def _of(heard: Heard, one: KubernetesObject) -> dict[Path, tuple[Any, ...]]:
    return {path: others for (which, path), others in heard.items() if which == one.identity}


def _shown(one: _Differs, secrets: Collection[str]) -> ObjectDifference:
    changes = tuple(
        Change(path, was, becomes, _is_hidden(one, path, (was, becomes), secrets))
        for path, was, becomes in one.changes
    )
    was = masked(one.before, one.old, one.new, secrets) if one.before and one.old else None
    becomes = masked(one.after, one.new, one.old, secrets) if one.after and one.new else None
    return ObjectDifference(one.identity, one.before, one.after, changes, _unified(was, becomes))


def _is_hidden(one: _Differs, path: Path, sides: Iterable[Any], secrets: Collection[str]) -> bool:
    objects = [side for side in (one.before, one.after) if side]
    return any(
        holds_any(value, secrets) or any(hides(side, (*path, *below)) for side in objects)
        for below, value in chain(*map(leaves, sides))
    )


def _quiet(old: Any, new: Any, noisy: Mapping[Path, Any], then: Mapping[Path, Any]) -> Any:
    """Put what was there before in the place of what is only noise, before and after."""
    for path, was, becomes in tuple(_changes(old, new, ())) if noisy else ():
        if path in noisy and path in then and None not in (was, becomes):
            new = replaced(new, path, quieted(was, becomes, noisy[path], then[path]))
        elif was is None and path in then and (like := _other_key(old, path, becomes, noisy)):
            new = _with_key(new, path, like)
    return new


def _other_key(old: Any, path: Path, becomes: Any, noisy: Mapping[Path, Any]) -> Path | None:
    """Return the key with a random name that another one with the same value replaces."""
    return next(
        (
            known
            for known in noisy
            if known[:-1] == path[:-1] and at(old, known) is not None and at(old, known) == becomes
        ),
        None,
    )


def _with_key(new: Any, path: Path, like: Path) -> Any:
    """Return a copy in which a map's key has the name that it had before."""
    if not isinstance(at(new, path[:-1]), dict):
        return new
    renamed = {like[-1] if k == path[-1] else k: v for k, v in at(new, path[:-1]).items()}
    return replaced(new, path[:-1], renamed)


def _changes(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Give each place that differs, with None for what is not there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _changes(old.get(key, _MISSING), new.get(key, _MISSING), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index, (one, other) in enumerate(zip_longest(old, new, fillvalue=_MISSING)):
            yield from _changes(one, other, (*path, index))
    elif old is _MISSING or new is _MISSING or (type(old), old) != (type(new), new):
        was, becomes = (None if side is _MISSING else side for side in (old, new))
        yield path, was, becomes


def _unified(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    lines = difflib.unified_diff(
        _dumped(old),
        _dumped(new),
        f"{_title(old)} (now)" if old is not None else "/dev/null",
        f"{_title(new)} (planned)" if new is not None else "/dev/null",
        n=_CONTEXT,
    )
    return "".join(lines)


def _title(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata") or {}
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{body.get('kind')} {where}{metadata.get('name') or metadata.get('generateName')}"


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Write text of several lines as a block, as people write manifests."""
    if "\n" not in value:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value)
    # In a block YAML can hold neither tabs nor blanks at a line's end.
    shown = _TRAILING.sub(lambda blanks: "·" * len(blanks[0]), value.replace("\t", "⇥   "))
    return dumper.represent_scalar("tag:yaml.org,2002:str", shown, "|")


class _Plain(yaml.SafeDumper):
    """Writes what people read, everything in its place."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


class _Fast(_CSafeDumper):  # type: ignore[misc]  # the base is chosen where libyaml is present
    """The same, but that it writes emoji as escapes."""

    ignore_aliases = _Plain.ignore_aliases


_Plain.add_representer(str, _text)
_Fast.add_representer(str, _text)


def _dumped(body: Mapping[str, Any] | None) -> list[str]:
    if body is None:
        return []
    text = _dump(body, _Fast)
    return (_dump(body, _Plain) if "\\U" in text else text).splitlines(keepends=True)


def _dump(body: Mapping[str, Any], dumper: type[Any]) -> str:
    text: str = yaml.dump(body, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return text


def _shortened(before: Any, after: Any) -> Iterator[str]:
    """Give both sides, long ones from a little before where they part."""
    texts = ["(nothing)" if side is None else str(side) for side in (before, after)]
    same = next((n for n, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), 0)
    for text in texts:
        start = max(0, same - _WIDTH // 4) if len(text) > _WIDTH else 0
        cut = text[start : start + _WIDTH]
        yield f"{'…' if start else ''}{cut}{'…' if start + _WIDTH < len(text) else ''}"
