"""A values file as the tree of its YAML events, with limits on what outside text may cost.

Events instead of PyYAML's nodes: they keep aliases and their lines, need no recursion, and two
passes over them cost less than composing the file once.
"""

import gc
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)
from yaml.reader import ReaderError

from plate_release.errors import EditRefused

MAX_BYTES = 10_000_000
MAX_DEPTH = 200
MAX_NODES = 1_000_000
"""How many nodes a file may have with its aliases expanded; Helm's reader has such a limit too."""

_AT_ONCE = 4096
_MAX_DIRECTIVES = 100  # libyaml takes quadratic time over them
_BOM = "\ufeff"
_INNER_BOM = re.compile("(?:^|[\n\r\x85\u2028\u2029])(\ufeff)")
_DIRECTIVE = re.compile("^%", re.MULTILINE)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Node:
    """One node, complete once `parse` returns; two nodes of one event are the same.

    `target` is what an alias stands for. `size` counts the events inside, aliases expanded.
    """

    event: Any  # PyYAML's stubs let every mark be None, its parsers do not
    # Bare scalar events: a Node for each would double the time of a parse.
    children: "Sequence[Node | ScalarEvent]" = ()
    target: "Node | None" = None
    size: int = 1
    closed: bool = True

    @property
    def kind(self) -> str:
        """What it is, in a person's words."""
        if isinstance(self.event, ScalarEvent):
            return "scalar"
        if isinstance(self.event, AliasEvent):
            return "alias"
        return "map" if isinstance(self.event, MappingStartEvent) else "list"

    @property
    def pairs(self) -> Iterator[tuple["Node", "Node"]]:
        """A map's keys with their values."""
        children = map(_node, self.children)
        return zip(children, children, strict=True)

    def keyed(self, names: Collection[str]) -> Iterator[tuple["Node", "Node"]]:
        """Give the pairs again, without those whose plainly written key is none of `names`."""
        children = iter(self.children)
        for key, value in zip(children, children, strict=True):
            if type(key) is not ScalarEvent or key.value in names or key.tag is not None:
                yield _node(key), _node(value)

    @property
    def items(self) -> "list[Node]":
        """A list's items."""
        return [_node(c) for c in self.children] if self.kind == "list" else []

    @property
    def followed(self) -> "Node":
        """The node itself, or what the alias stands for."""
        return self.target or self

    @property
    def empty(self) -> bool:
        """Whether nothing is written here."""
        return self.kind == "scalar" and not (self.event.value or self.event.style)


def _node(child: "Node | ScalarEvent") -> Node:
    return child if isinstance(child, Node) else Node(child)


@dataclass(slots=True, eq=False)
class Document:
    """A parsed file; `text` is without the byte order mark, which PyYAML's marks do not count.

    `roots` has a node for each YAML document.
    """

    file: str
    bom: str
    text: str
    events: list[Event] = field(default_factory=list)
    roots: list[Node] = field(default_factory=list)
    aliases: list[Node] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)

    def place(self, index: int) -> tuple[int, int]:
        """Return line and column of a character, from 1, with lines as editors and git count."""
        if not self.breaks:
            self.breaks.append(-1)
            self.breaks.extend(match.start() for match in re.finditer("\n", self.text))
        line = bisect_left(self.breaks, index)
        return line, index - self.breaks[line - 1]

    def refusal(self, node: Node, reason: str, todo: str = "") -> EditRefused:
        """Return the error that names the node's place."""
        return self.refusal_at(node.event.start_mark.index, reason, todo)

    def line_of(self, node: Node) -> int:
        """Return the line that a node starts on."""
        return self.place(node.event.start_mark.index)[0]

    def refusal_at(self, index: int, reason: str, todo: str = "") -> EditRefused:
        """Return the error that names the place of the character at `index`."""
        line, column = self.place(index)
        return EditRefused(f"{self.file}:{line}:{column}: {reason}", todo=todo)

    def root(self, chosen: int | None = None) -> Node:
        """Return the root of the only YAML document that says something, else of the one chosen.

        Raises EditRefused for several where none is: Helm 3 reads the first alone, Helm 4 merges
        them all.
        """
        if not self.roots:
            raise EditRefused(f"{self.file}:1:1: the file is empty")
        first, *others = [root for root in self.roots if not root.empty] or self.roots[:1]
        if not others:
            return first
        if chosen is None:
            todo = "Keep the values in one document, or choose one: `---[0].image.tag` as the key."
            raise self.refusal(others[0], "a second document starts here", todo)
        if chosen >= len(self.roots):
            reason = f"there are {len(self.roots)} documents, and so no ---[{chosen}]"
            raise self.refusal(self.roots[-1], reason, "They are counted from 0.")
        return self.roots[chosen]


def parse(data: bytes, file: str) -> Document:
    """Parse a whole file, in time linear in its size.

    Raises EditRefused for what is not UTF-8 or not YAML, and for what exceeds the limits.
    """
    text = _decoded(data, file)
    bom = _BOM if text.startswith(_BOM) else ""
    document = Document(file, bom, text.removeprefix(_BOM))
    _refuse_what_readers_differ_in(document)
    builder = _Builder(document)
    with collector_paused():
        for some in events(document):
            builder.take(some)
    return document


def events(document: Document) -> Iterator[list[Event]]:
    """Parse the document's text, some events at a time; raises EditRefused where it is not YAML."""
    try:
        left = iter(_LOADER(document.text).get_event, None)
        while some := list(islice(left, _AT_ONCE)):
            yield some
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        index = mark.index if mark else 0
        raise document.refusal_at(index, f"not YAML: {error.problem}") from None
    except ReaderError as error:
        # Not error.position: libyaml counts it in bytes, PyYAML in characters.
        found = document.text.index(chr(error.character))
        raise document.refusal_at(found, f"not YAML: {error.reason}") from None
    except (ValueError, OverflowError) as error:  # escapes that are no character, without libyaml
        raise document.refusal_at(0, f"not YAML: {error}") from None


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the cycle collector from walking events again and again while they pile up.

    They form no cycles, and its walks take more than half of a parse.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Builder:
    """Makes the tree of a document's events as they come."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.children: list[Node | ScalarEvent] = []
        self.stack: list[tuple[Node, list[Node | ScalarEvent]]] = []
        self.anchors: dict[str, Node] = {}
        self.expanded = 0  # what the aliases so far stand for, in events

    def take(self, some: list[Event]) -> None:
        """Take events; a scalar without an anchor is a child and nothing else."""
        start = len(self.document.events)
        self.document.events.extend(some)
        for number, event in enumerate(some, start):
            if type(event) is ScalarEvent and event.anchor is None:
                self.children.append(event)
            elif isinstance(event, CollectionEndEvent):
                self._close(number)
            else:
                self._add(event, number)

    def _add(self, event: Any, number: int) -> None:
        if isinstance(event, CollectionStartEvent):
            self._open(event, number)
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, ScalarEvent):
            self._attach(Node(event))
        elif isinstance(event, DocumentStartEvent):
            self.anchors.clear()
            self.children = []
        elif isinstance(event, DocumentEndEvent):
            self.document.roots.extend(map(_node, self.children))

    def _attach(self, node: Node) -> None:
        if node.event.anchor is not None and node.target is None:
            self.anchors[node.event.anchor] = node
        self.children.append(node)

    def _alias(self, event: Any) -> None:
        name = event.anchor
        node = Node(event, target=self.anchors.get(name))
        if node.target is None:
            raise self.document.refusal(node, f"the alias *{name} has no anchor before it")
        if not node.target.closed:
            raise self.document.refusal(node, f"the alias *{name} stands inside its own anchor")
        self.expanded += node.target.size
        if self.expanded > MAX_NODES:
            reason = f"the aliases up to here expand to more than {MAX_NODES} nodes"
            raise self.document.refusal(node, reason)
        self.document.aliases.append(node)
        self._attach(node)

    def _open(self, event: Any, number: int) -> None:
        inside: list[Node | ScalarEvent] = []
        node = Node(event, inside, size=-self.expanded - number, closed=False)
        self._attach(node)
        self.stack.append((node, inside))
        self.children = inside
        if len(self.stack) > MAX_DEPTH:
            raise self.document.refusal(node, f"nested deeper than {MAX_DEPTH} levels")

    def _close(self, number: int) -> None:
        node, _ = self.stack.pop()
        node.closed = True
        node.size += self.expanded + number
        self.children = self.stack[-1][1] if self.stack else [node]


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise EditRefused(f"{file}: {len(data)} bytes are more than the limit of {MAX_BYTES}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        raise EditRefused(f"{file}:1:1: the file is not UTF-8", todo="Store it as UTF-8.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode().removeprefix(_BOM)
        line, column = Document(file, "", before).place(len(before))
        reason = f"{file}:{line}:{column}: the byte 0x{data[error.start]:02x} is not UTF-8"
        raise EditRefused(reason, todo="Store it as UTF-8.") from None


def _refuse_what_readers_differ_in(document: Document) -> None:
    text = document.text
    if _BOM in text and (mark := _INNER_BOM.search(text)):
        todo = "Remove it: to Helm it is a part of the key."
        raise document.refusal_at(mark.start(1), "a byte order mark starts this line", todo)
    if "%" in text and len(_DIRECTIVE.findall(text)) > _MAX_DIRECTIVES:
        raise document.refusal_at(0, f"more than {_MAX_DIRECTIVES} lines are YAML directives")
