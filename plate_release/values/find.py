"""Finding a key in a document as Helm would, and saying how its value comes to be there."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from plate_release.errors import EditRefused
from plate_release.values.document import Document, Node, parse
from plate_release.values.keys import Key, Match, Step
from plate_release.values.scalars import has_spellings, is_null, key_name

MERGE = "<<"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar's text and place; `line` and `column` count from 1."""

    value: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Found:
    """A node and every node passed on the way to it; `merge` is the last `<<` on that way."""

    trail: tuple[Node, ...]
    merge: Node | None = None

    @property
    def node(self) -> Node:
        """The node that the key leads to."""
        return self.trail[-1]


def read(data: bytes, key: Key, *, file: str) -> str | None:
    """Return the scalar at `key` as a tag: `1.20` as it is written, "" for null; None if absent.

    Aliases and merges are followed. Raises EditRefused where the answer would not be certain.
    """
    scalar = find(data, key, file=file)
    return scalar.value if scalar else None


def find(data: bytes, key: Key, *, file: str) -> Scalar | None:
    """Return the scalar at `key` with its place, as `read` does."""
    document = parse(data, file)
    if not document.roots:
        return None
    found = locate(document, key)
    if found is None:
        return None
    return _scalar(found.node.followed, scalar_text(document, found.node, key))


def scalars(data: bytes, *, file: str) -> Iterator[tuple[Key, Scalar]]:
    """Give every scalar value that is written in the file, aliases and merges not followed."""
    document = parse(data, file)
    stack: list[tuple[tuple[Step, ...], Node]] = [((), r) for r in document.roots[:1]]
    while stack:
        steps, node = stack.pop()
        if node.kind == "scalar" and steps:
            yield Key(steps), _scalar(node, text_of(node))
        elif node.kind == "map":
            named = [((*steps, name), value) for name, value in _named(node) if name]
            stack.extend(reversed(named))
        else:
            stack.extend(reversed([((*steps, i), item) for i, item in enumerate(node.items)]))


def locate(document: Document, key: Key) -> Found | None:
    """Walk from the root along the key; None where a step is absent.

    Raises EditRefused for several documents, keys that stand twice, and several matching items.
    """
    found = Found((document.root(),))
    for step in key.steps:
        reached = _step(document, found, step)
        if reached is None:
            return None
        found = reached
    return found


def absence(document: Document, key: Key) -> EditRefused:
    """Return the refusal that says where the way to an absent key ends."""
    found, depth = Found((document.root(),)), 0
    while (reached := _step(document, found, key.steps[depth])) is not None:
        found, depth = reached, depth + 1
    node, step = found.node.followed, key.steps[depth]
    parent = str(Key(key.steps[:depth])) if depth else "the file"
    names = [name for name, _ in _named(node)] if node.kind == "map" else []
    near = get_close_matches(str(step), names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    missing = str(Key((step,)))
    reason = f"{key} is not there: {parent} is a {node.kind} without {missing}{hint}"
    return document.refusal(
        found.node, reason, "Add the key by hand once; then it can be released."
    )


def scalar_text(document: Document, node: Node, key: Key) -> str:
    """Return what a tag in this place is; raises EditRefused for a map, a list, or `!!binary`."""
    target = node.followed
    if target.kind != "scalar":
        raise document.refusal(node, f"{key} is a {target.kind}, not a single value")
    if target.event.tag not in (None, "!", "tag:yaml.org,2002:str"):
        raise document.refusal(node, f"{key} has the tag {target.event.tag}")
    return text_of(target)


def text_of(node: Node) -> str:
    """Return a scalar's text; null is no text."""
    event = node.event
    return "" if not event.style and event.tag is None and is_null(event.value) else event.value


def _scalar(node: Node, text: str) -> Scalar:
    mark = node.event.start_mark
    return Scalar(text, mark.line + 1, mark.column + 1)


def _step(document: Document, found: Found, step: Step) -> Found | None:
    node = found.node.followed
    trail = found.trail if node is found.node else (*found.trail, node)
    if isinstance(step, str):
        return _enter(document, Found(trail, found.merge), step)
    if isinstance(step, int):
        item = node.items[step] if step < len(node.items) else None
    else:
        item = _matching(document, node, step)
    return Found((*trail, item), found.merge) if item else None


def _matching(document: Document, node: Node, wanted: Match) -> Node | None:
    hits = [item for item in node.items if _has(item.followed, wanted)]
    if len(hits) > 1:
        lines = " and ".join(str(hit.event.start_mark.line + 1) for hit in hits[:2])
        reason = f"several items have {wanted.field}={wanted.value} (lines {lines})"
        raise document.refusal(hits[1], reason)
    return hits[0] if hits else None


def _has(item: Node, wanted: Match) -> bool:
    values = [v.followed for name, v in _named(item) if name == wanted.field]
    return any(v.kind == "scalar" and text_of(v) == wanted.value for v in values)


def _enter(document: Document, found: Found, name: str) -> Found | None:
    node = found.node
    if node.kind != "map":
        return None
    own: Node | None = None
    merged: Found | None = None
    for key, value in node.pairs if has_spellings(name) else node.keyed((name, MERGE)):
        if _is_merge(key):
            supplied = _supplied(value, name)
            if supplied and own:
                # go-yaml v2 takes the later of the two, PyYAML the key itself.
                reason = f"a merge (<<) after the key {name} supplies it too, and readers differ"
                raise document.refusal(key, reason, "Move the merge before the key.")
            if supplied and merged is None:
                merged = Found((*found.trail, value, supplied), key)
        elif _name(key) == name:
            if own:
                first = own.event.start_mark.line + 1
                raise document.refusal(key, f"the key {name} stands twice, first on line {first}")
            own = value
    return Found((*found.trail, own), found.merge) if own else merged


def _supplied(merge: Node, name: str) -> Node | None:
    """Return the value that a merge's maps, or the merges inside them, have for `name`."""
    seen: set[int] = set()
    stack = [merge.followed]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.kind == "map":
            for key, value in node.pairs:
                if _name(key) == name and not _is_merge(key):
                    return value
            stack.extend(value.followed for key, value in node.pairs if _is_merge(key))
        else:
            stack.extend(item.followed for item in reversed(node.items))
    return None


def _named(node: Node) -> Iterator[tuple[str, Node]]:
    if node.kind == "map":
        for key, value in node.pairs:
            if not _is_merge(key) and (name := _name(key)) is not None:
                yield name, value


def _name(key: Node) -> str | None:
    event = key.followed.event
    if key.followed.kind != "scalar":
        return None
    return key_name(event.value) if not event.style else event.value


def _is_merge(key: Node) -> bool:
    return key.kind == "scalar" and not key.event.style and key.event.value == MERGE
