"""Splice new scalars into a values file so that not one other byte changes, or refuse."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from operator import attrgetter

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from plate_release.errors import EditRefused
from plate_release.model import Edit
from plate_release.values.document import Document, Node, events, parse
from plate_release.values.find import Found, absence, locate, scalar_text
from plate_release.values.keys import Key
from plate_release.values.scalars import is_string, write

_ANCHOR = re.compile(r"&[^\s,\[\]{}]+\s*")
# A block scalar of one line; the line break after it may stand inside libyaml's marks.
_BLOCK = re.compile(r"(?P<head>[|>][^\r\n]*\r?\n[ \t]*)(?P<line>\S[^\r\n]*)(?P<tail>\s*)")
# All that an event says but for its place.
_CONTENT: dict[type, Callable[[object], object]] = {
    ScalarEvent: attrgetter("value", "style", "tag", "anchor"),
    MappingStartEvent: attrgetter("flow_style", "tag", "anchor"),
    SequenceStartEvent: attrgetter("flow_style", "tag", "anchor"),
    AliasEvent: attrgetter("anchor"),
    DocumentStartEvent: attrgetter("explicit", "version", "tags"),
    DocumentEndEvent: attrgetter("explicit"),
    MappingEndEvent: type,
    SequenceEndEvent: type,
    StreamStartEvent: type,
    StreamEndEvent: type,
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
    old = parse(data, file)
    planned = (_plan(old, key, value) for key, value in changes.items())
    splices = sorted((p for p in planned if p is not None), key=lambda p: p.start)
    for first, second in pairwise(splices):
        if first.node.event is second.node.event:
            raise old.refusal(first.node, f"{first.edit.key} and {second.edit.key} are one value")
    text = _apply(old.text, splices)
    if splices and (why := _misread(old, text, splices)):
        what = f"{file}: the edited text would not read back as intended"
        raise EditRefused(what, why=why, todo="Write the value on one line, in quotes.")
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
    edit = Edit(document.file, str(key), event.start_mark.line + 1, before, value)
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
    start, end = event.start_mark.index, event.end_mark.index
    if event.anchor is not None and (anchor := _ANCHOR.match(document.text, start, end)):
        start = anchor.end()
    style = event.style or ""
    if style in ("|", ">"):
        block = _BLOCK.fullmatch(document.text, start, end)
        if block is None or block["line"] != event.value or value[:1] in ("", " "):
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


def _misread(old: Document, text: str, splices: list[_Splice]) -> str | None:
    """Parse the new text and say where its events are not the old ones with the edits in them.

    Every reader builds its tree of events alone.
    """
    pending = {id(planned.node.event): planned for planned in splices}
    try:
        for before, after in zip_longest(old.events, events(replace(old, text=text))):
            kind = type(before)
            if kind is type(after) and _CONTENT[kind](before) == _CONTENT[kind](after):
                continue
            planned = pending.pop(id(before), None)
            if planned is None or not _as_planned(after, planned):
                return f"{before} became {after}"
    except EditRefused as error:
        return str(error)
    return "an edited value is as it was" if pending else None


def _as_planned(event: Event | None, planned: _Splice) -> bool:
    if not isinstance(event, ScalarEvent):
        return False
    value, style = planned.edit.after, planned.style
    anchor = planned.node.event.anchor
    written = (event.value, event.style or "", event.tag, event.anchor)
    return written == (value, style, None, anchor) and (bool(style) or is_string(value))
