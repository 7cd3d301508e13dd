"""Splice new scalars into a values file so that not one other byte changes, or refuse."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from operator import attrgetter
from typing import Any

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from plate_release.errors import EditRefused
from plate_release.model import Edit
from plate_release.values.document import Document, Node, collector_paused, events, parse
from plate_release.values.keys import Key
from plate_release.values.lookup import Found, absence, locate, scalar_text, start_of
from plate_release.values.meaning import is_string, write

# The head and the first line of a block scalar.
# One that strips: without a line break at the file's end, Helm 4 reads one into the others.
_BLOCK = re.compile(r"[|>]\d?-[^\r\n]*\r?\n[ \t]*(?P<line>[^\s][^\r\n]*)")
# All that an event says but for its place and its type; scalars apart, which are most of them.
_CONTENT: dict[type, Callable[[object], object]] = {
    MappingStartEvent: attrgetter("flow_style", "tag", "anchor"),
    SequenceStartEvent: attrgetter("flow_style", "tag", "anchor"),
    AliasEvent: attrgetter("anchor"),
    DocumentStartEvent: attrgetter("explicit", "version", "tags"),
    DocumentEndEvent: attrgetter("explicit"),
}


@dataclass(frozen=True, slots=True)
class Spliced:
    """The new file, and what changed in it, in the file's order; no edits: nothing to do."""

    data: bytes
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class _Splice:
    """New text for the characters from `start` to `end`, and how its scalar must read back."""

    edit: Edit
    node: Node
    start: int
    end: int
    text: str
    style: str


def splice(data: bytes, changes: Mapping[Key, str], *, file: str) -> Spliced:
    """Set each key to the string given for it; `file` is for messages alone.

    A scalar that already is that string for every reader is left as it is, and so is null for
    ""; one that only looks like it (`1.20`, which Helm prints as 1.2) is quoted. The new text is
    parsed again and must differ from the old in these scalars alone. Raises EditRefused with line
    and column.
    """
    # What was parsed is gone when the collector is back: it would walk all of it.
    with collector_paused():
        return _spliced(data, changes, file)


def _spliced(data: bytes, changes: Mapping[Key, str], file: str) -> Spliced:
    old = parse(data, file)
    planned = (_plan(old, key, value) for key, value in changes.items())
    splices = sorted((p for p in planned if p is not None), key=lambda p: p.start)
    for first, second in pairwise(splices):
        if first.node.event is second.node.event:
            problem = f"{first.edit.key} and {second.edit.key} are one value"
            raise old.refusal(first.node, problem, "Write its key in one way.")
    text = _apply(old.text, splices)
    if splices and not _reads_as_planned(old, text, splices):
        keys = " and ".join(planned.edit.key for planned in splices)
        todo = "Write the value behind its key, on one line, in quotes."
        raise old.refusal(splices[0].node, f"{keys} cannot be edited with certainty here", todo)
    return Spliced((old.bom + text).encode(), tuple(p.edit for p in splices))


def _plan(document: Document, key: Key, value: str) -> _Splice | None:
    found = locate(document, key) if document.roots else None
    if found is None:
        raise absence(document, key)
    _refuse_shared(document, found, key)
    node = found.node
    before = scalar_text(document, node, key)
    _refuse_unwritable(document, node, key, value)
    event = node.event
    if before == value and (event.style or not value or is_string(value)):
        return None
    start, end, text, style = _replacement(document, node, key, value)
    line = document.place(start_of(document, node))[0]
    edit = Edit(document.file, str(key), line, before, value)
    return _Splice(edit, node, start, end, text, style)


def _refuse_shared(document: Document, found: Found, key: Key) -> None:
    if found.merge:
        todo = f"Write {key} where it belongs to this service alone."
        raise document.refusal(found.merge, f"{key} is supplied by a merge (<<)", todo)
    passed = {id(node.event) for node in found.trail}
    for alias in document.aliases:
        if id(alias.event) in passed or id(alias.followed.event) in passed:
            todo = "Write the value out in both places."
            reason = f"{key} is shared: the alias *{alias.event.anchor} stands here"
            raise document.refusal(alias, reason, todo)


def _refuse_unwritable(document: Document, node: Node, key: Key, value: str) -> None:
    if node.event.tag is not None:
        todo = "Remove the tag; a quoted value is a string."
        raise document.refusal(node, f"{key} has the tag {node.event.tag}", todo)
    if not value.isprintable():
        raise document.refusal(node, f"the new value of {key} has unprintable characters")


def _replacement(document: Document, node: Node, key: Key, value: str) -> tuple[int, int, str, str]:
    """Return start and end of what is replaced, in characters, the new text and its style."""
    event = node.event
    start, end = start_of(document, node), event.end_mark.index
    style = event.style or ""
    if style in ("|", ">"):
        block = _BLOCK.match(document.text, start, end)
        # The line breaks after it may stand inside libyaml's marks.
        rest = document.text[block.end() : end].strip() if block else ""
        if block is None or rest or block["line"] != event.value or value[:1] in ("", " "):
            todo = "Write it on the key's own line, in quotes."
            raise document.refusal(node, f"{key} is a block scalar that cannot hold it", todo)
        return *block.span("line"), value, style
    text, new_style = write(value, style)
    if start == end and document.text[start - 1 : start].strip():
        text = f" {text}"  # nothing stood after `tag:`
    return start, end, text, new_style


def _apply(text: str, splices: list[_Splice]) -> str:
    parts, position = [], 0
    for planned in splices:
        parts += [text[position : planned.start], planned.text]
        position = planned.end
    return "".join([*parts, text[position:]])


def _reads_as_planned(old: Document, text: str, splices: list[_Splice]) -> bool:
    """Parse the new text and say whether its events are the old ones with the edits in them.

    Every reader builds its tree of events alone.
    """
    try:
        new = list(chain.from_iterable(events(Document(old.file, old.bom, text))))
    except EditRefused:
        return False
    pending = {id(planned.node.event): planned for planned in splices}
    for before, after in zip(old.events, new, strict=False):
        kind = type(before)
        if kind is not type(after):
            return False
        if kind is ScalarEvent and not _same_scalar(before, after):
            planned = pending.pop(id(before), None)
            if planned is None or not _as_planned(after, planned):
                return False
        elif (content := _CONTENT.get(kind)) and content(before) != content(after):
            return False
    return not pending and len(new) == len(old.events)


def _same_scalar(one: Any, other: Any) -> bool:
    return bool(
        one.value == other.value
        and one.style == other.style
        and one.tag == other.tag
        and one.anchor == other.anchor
    )


def _as_planned(event: Any, planned: _Splice) -> bool:
    value, style = planned.edit.after, planned.style
    anchor = planned.node.event.anchor
    written = (event.value, event.style or "", event.tag, event.anchor)
    return written == (value, style, None, anchor) and (bool(style) or is_string(value))
