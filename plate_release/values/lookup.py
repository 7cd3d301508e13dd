"""Finding a key in a document as Helm would, and saying how its value comes to be there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from plate_release.errors import EditRefused
from plate_release.values.document import MAX_DEPTH, Document, Node, parse
from plate_release.values.keys import Key, Match, Step
from plate_release.values.meaning import is_null, is_string, is_vague, key_name

MERGE = "<<"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
_OCTAL = re.compile(r"[-+]?0[0-9]")
_BREAK = "(?:\r\n|[\r\n\x85\u2028\u2029])"
# An anchor and a tag, each with the blanks, comments and line breaks behind it.
_PROPERTIES = re.compile(
    r"(?:(?:!<[^>]*>|[&!][^\s,\[\]{}]*)"
    rf"(?:[ \t]*(?:(?<=[ \t])#[^\r\n\x85\u2028\u2029]*)?{_BREAK})*[ \t]*){{1,2}}"
)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar's text and its line, from 1."""

    value: str
    line: int


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
    found = locate(document, key) if document.roots else None
    if found is None:
        return None
    return _scalar(document, found.node.followed, scalar_text(document, found.node, key))


def scalars(data: bytes, *, file: str) -> Iterator[tuple[Key, Scalar]]:
    """Give every scalar value that is written in the file, aliases and merges not followed."""
    document = parse(data, file)
    several = sum(not root.empty for root in document.roots) > 1
    for number, root in enumerate(document.roots):
        yield from _scalars(document, root, number if several else None)


def _scalars(document: Document, root: Node, number: int | None) -> Iterator[tuple[Key, Scalar]]:
    stack: list[tuple[tuple[Step, ...], Node]] = [((), root)]
    while stack:
        steps, node = stack.pop()
        if node.kind == "scalar" and steps:
            yield Key(steps, number), _scalar(document, node, text_of(node))
        elif node.kind == "map":
            named = [((*steps, name), value) for name, value in _named(node)]
            stack.extend(reversed(named))
        else:
            stack.extend(reversed([((*steps, i), item) for i, item in enumerate(node.items)]))


def locate(document: Document, key: Key) -> Found | None:
    """Walk from the root along the key; None where a step is absent.

    Raises EditRefused for several documents, keys that stand twice, and several matching items.
    """
    found = Found((document.root(key.document),))
    for step in key.steps:
        reached = _step(document, found, step)
        if reached is None:
            return None
        found = reached
    return found


def absence(document: Document, key: Key) -> EditRefused:
    """Return the refusal that says where the way to an absent key ends."""
    found, depth = Found((document.root(key.document),)), 0
    while (reached := _step(document, found, key.steps[depth])) is not None:
        found, depth = reached, depth + 1
    node, step = found.node.followed, key.steps[depth]
    parent = str(replace(key, steps=key.steps[:depth])) if depth else "the file"
    names = [name for name, _ in _named(node)] if isinstance(step, str) else []
    near = get_close_matches(str(step), names, 1)
    hint = f"; did you mean {Key((near[0],))}?" if near else ""
    reason = f"{key} is not there: {parent} is a {node.kind} without {Key((step,))}{hint}"
    return document.refusal(
        found.node, reason, "Add the key by hand once; then it can be released."
    )


def scalar_text(document: Document, node: Node, key: Key) -> str:
    """Return what a tag in this place is; raises EditRefused for a map, a list, or `!!binary`."""
    target = node.followed
    if target.kind != "scalar":
        raise document.refusal(node, f"{key} is a {target.kind}, not a single value")
    if target.event.tag not in (None, *_STRING_TAGS):
        raise document.refusal(node, f"{key} has the tag {target.event.tag}")
    return text_of(target)


def text_of(node: Node) -> str:
    """Return a scalar's text; null is no text."""
    event = node.event
    return "" if not event.style and event.tag is None and is_null(event.value) else event.value


def _scalar(document: Document, node: Node, text: str) -> Scalar:
    return Scalar(text, document.place(start_of(document, node))[0])


def start_of(document: Document, node: Node) -> int:
    """Return the index of a scalar's first character, behind its anchor and its tag."""
    start: int = node.event.start_mark.index
    if node.event.anchor is None and node.event.tag is None:
        return start
    properties = _PROPERTIES.match(document.text, start, node.event.end_mark.index)
    return properties.end() if properties else start


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
    hits = [item for item in node.items if _has(document, item, wanted)]
    if len(hits) > 1:
        lines = " and ".join(str(document.line_of(hit)) for hit in hits[:2])
        reason = f"several items have {wanted.field}={wanted.value} (lines {lines})"
        raise document.refusal(hits[1], reason)
    return hits[0] if hits else None


def _has(document: Document, item: Node, wanted: Match) -> bool:
    found = _enter(document, Found((item.followed,)), wanted.field)
    value = found.node.followed if found else None
    return value is not None and value.kind == "scalar" and text_of(value) == wanted.value


def _enter(document: Document, found: Found, name: str) -> Found | None:
    return _Entrance(document, name).into(found)


@dataclass(frozen=True, slots=True)
class _Entrance:
    """Looks for one key in a map, and in the maps that are merged into it."""

    document: Document
    name: str
    lacking: set[int] = field(default_factory=set)  # merged maps that are known not to have it

    def into(self, found: Found, depth: int = 0) -> Found | None:
        node, name = found.node, self.name
        if node.kind != "map":
            return None
        own: Node | None = None
        merged: Found | None = None
        for key, value in node.keyed((name, MERGE)) if is_string(name) else node.pairs:
            if _is_merge(key):
                supplied = self._supplied(value, depth + 1)
                if supplied and own:
                    # go-yaml v2 takes the later of the two, PyYAML the key itself.
                    reason = (
                        f"a merge (<<) after the key {name} supplies it too, and readers differ"
                    )
                    raise self.document.refusal(key, reason, "Move the merge before the key.")
                if supplied:
                    merged = Found((*found.trail, value, supplied), key)
            elif self._is_meant(key):
                if own:
                    first = self.document.line_of(own)
                    reason = f"the key {name} stands twice, first on line {first}"
                    raise self.document.refusal(key, reason)
                own = value
        return Found((*found.trail, own), found.merge) if own else merged

    def _is_meant(self, key: Node) -> bool:
        """Whether a key is the one looked for; raises EditRefused where readers may differ."""
        event = key.followed.event
        if key.followed.kind != "scalar":
            return False
        if event.tag not in (None, *_STRING_TAGS):
            raise self.document.refusal(key, f"a key here has the tag {event.tag}")
        if event.style or event.tag:
            return bool(event.value == self.name)
        named = key_name(event.value)
        if named is None and is_vague(self.name) and not _differ(event.value, self.name):
            todo = "Write the key in quotes."
            reason = f"the key {event.value} is no string, and may be {self.name} to a reader"
            raise self.document.refusal(key, reason, todo)
        return named == self.name

    def _supplied(self, merge: Node, depth: int) -> Node | None:
        """Return the value that a merge's maps, or the merges inside them, have for the key."""
        if depth > MAX_DEPTH:
            raise self.document.refusal(merge, f"merges nested deeper than {MAX_DEPTH} levels")
        node = merge.followed
        if node.kind == "list":
            found = (self._supplied(item, depth + 1) for item in node.items)
            return next((one for one in found if one), None)
        if id(node) in self.lacking:
            return None
        inside = self.into(Found((node,)), depth)
        if inside is None:
            self.lacking.add(id(node))
        return inside.node if inside else None


def _named(node: Node) -> Iterator[tuple[str, Node]]:
    """Give the pairs of a map whose keys have one name for every reader."""
    for key, value in node.pairs if node.kind == "map" else ():
        event = key.followed.event
        if _is_merge(key) or key.followed.kind != "scalar":
            continue
        if event.tag not in (None, *_STRING_TAGS):
            continue
        name = event.value if event.style or event.tag else key_name(event.value)
        if name:
            yield name, value


def _differ(one: str, other: str) -> bool:
    """Whether two plain texts are certainly not the same number."""
    if _OCTAL.match(one) or _OCTAL.match(other):
        return False
    try:
        return float(one.replace("_", "")) != float(other.replace("_", ""))
    except ValueError:
        return False


def _is_merge(key: Node) -> bool:
    """Whether it is a merge for go-yaml: `<<`, plain or tagged so."""
    event = key.event
    if key.kind != "scalar" or event.value != MERGE:
        return False
    return event.tag in ("!", _MERGE_TAG) or (event.tag is None and not event.style)
