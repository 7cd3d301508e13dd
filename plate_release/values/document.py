"""A values file as the tree of its YAML events, with limits on what outside text may cost.

Events instead of PyYAML's nodes: they keep aliases and their lines, need no recursion, and two
passes over them cost less than composing the file once.
"""

import gc
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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

_BOM = "\ufeff"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Node:
    """One node, complete once `parse` returns; two nodes of one event are the same.

    `target` is what an alias stands for. `size` counts the events inside, aliases expanded.
    """

    event: Any  # PyYAML's stubs let every mark be None, its parsers do not
    # Bare scalar events: a Node for each would double the time of a parse.
    children: "list[Node | ScalarEvent]" = field(default_factory=list)
    target: "Node | None" = None
    size: int = 1
    closed: bool = True

    @property
    def kind(self) -> str:
        """What it is, in a person's words."""
        if isinstance(self.event, ScalarEvent):
            return "scalar"
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
            if type(key) is not ScalarEvent or key.value in names:
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


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file; `text` is without the byte order mark, which PyYAML's marks do not count."""

    file: str
    bom: str
    text: str
    events: list[Event] = field(default_factory=list)
    roots: list[Node] = field(default_factory=list)
    aliases: list[Node] = field(default_factory=list)

    def refusal(self, node: Node, reason: str, todo: str = "") -> EditRefused:
        """Return the error that names the node's place."""
        return _refusal(self.file, node.event.start_mark, reason, todo)

    def root(self) -> Node:
        """Return the one document's root.

        Raises EditRefused for several: Helm 3 reads the first alone, Helm 4 merges them all.
        """
        for extra in self.roots[1:]:
            if not extra.empty:
                todo = "Keep the values in one document."
                raise self.refusal(extra, "a second document starts here", todo)
        if not self.roots:
            raise EditRefused(f"{self.file}: the file is empty")
        return self.roots[0]


def parse(data: bytes, file: str) -> Document:
    """Parse a whole file, in time linear in its size.

    Raises EditRefused for what is not UTF-8 or not YAML, and for what exceeds the limits.
    """
    text = _decoded(data, file)
    bom = _BOM if text.startswith(_BOM) else ""
    document = Document(file, bom, text.removeprefix(_BOM))
    builder = _Builder(document)
    with _collector_paused():
        for event in events(document):
            document.events.append(event)
            if type(event) is ScalarEvent and event.anchor is None:
                builder.children.append(event)
            else:
                builder.add(event)
    return document


@contextmanager
def _collector_paused() -> Iterator[None]:
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
        self.stack: list[Node] = []
        self.anchors: dict[str, Node] = {}
        self.expanded = 0  # what the aliases so far stand for, in events

    def add(self, event: Event) -> None:
        """Take any event but a scalar without an anchor, which is a child and nothing else."""
        if isinstance(event, CollectionStartEvent):
            self._open(Node(event, closed=False))
        elif isinstance(event, CollectionEndEvent):
            self._close()
        elif isinstance(event, AliasEvent):
            self._alias(event, event.anchor or "")
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

    def _alias(self, event: AliasEvent, name: str) -> None:
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

    def _open(self, node: Node) -> None:
        self._attach(node)
        node.size = -self._weight()
        self.stack.append(node)
        self.children = node.children
        if len(self.stack) > MAX_DEPTH:
            raise self.document.refusal(node, f"nested deeper than {MAX_DEPTH} levels")

    def _close(self) -> None:
        node = self.stack.pop()
        node.closed = True
        node.size += self._weight()
        self.children = self.stack[-1].children if self.stack else [node]

    def _weight(self) -> int:
        return len(self.document.events) + self.expanded


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise EditRefused(f"{file}: {len(data)} bytes are more than the limit of {MAX_BYTES}")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise EditRefused(f"{file}:1:1: the file is UTF-16", todo="Store it as UTF-8.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode())
        reason = f"{file}:{line}:{column}: the byte 0x{data[error.start]:02x} is not UTF-8"
        raise EditRefused(reason, todo="Store it as UTF-8.") from None


def events(document: Document) -> Iterator[Event]:
    """Parse the document's text; raises EditRefused where it is not YAML."""
    try:
        yield from iter(_LOADER(document.text).get_event, None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refusal(document.file, mark, f"not YAML: {error.problem}") from None
    except ReaderError as error:
        # Not error.position: libyaml counts it in bytes, PyYAML in characters.
        found = document.text.index(chr(error.character))
        line, column = _place(document.text[:found])
        reason = f"{document.file}:{line}:{column}: not YAML: {error.reason}"
        raise EditRefused(reason) from None


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _refusal(file: str, mark: Any, reason: str, todo: str = "") -> EditRefused:
    return EditRefused(f"{file}:{mark.line + 1}:{mark.column + 1}: {reason}", todo=todo)
