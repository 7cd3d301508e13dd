"""A values file as the tree of its YAML events, with limits on what outside text may cost.

Events instead of PyYAML's nodes: they keep aliases and their lines, need no recursion, and two
passes over them cost less than composing the file once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.reader import ReaderError

from plate_release.errors import EditRefused

MAX_BYTES = 10_000_000
MAX_DEPTH = 200
MAX_NODES = 1_000_000
"""How many nodes a file may have with its aliases expanded; Helm's reader has such a limit too."""

_BOM = "\ufeff"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True, eq=False)
class Node:
    """One node, complete once `parse` returns.

    A map's children are its keys and values in turn, an alias's `target` is what it stands for,
    `size` counts the nodes below with aliases expanded.
    """

    event: Any  # PyYAML's stubs let every mark be None, its parsers do not
    children: list["Node"] = field(default_factory=list)
    size: int = 1
    target: "Node | None" = None
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
        return zip(self.children[::2], self.children[1::2], strict=True)

    @property
    def items(self) -> list["Node"]:
        """A list's items."""
        return self.children if isinstance(self.event, SequenceStartEvent) else []

    @property
    def followed(self) -> "Node":
        """The node itself, or what the alias stands for."""
        return self.target or self

    @property
    def empty(self) -> bool:
        """Whether nothing is written here."""
        return isinstance(self.event, ScalarEvent) and (self.event.value, self.event.style) in (
            ("", ""),
            ("", None),
        )


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
    builder = _Builder(Document(file, bom, text.removeprefix(_BOM)))
    for event in _events(builder.document):
        builder.add(event)
    return builder.document


class _Builder:
    """Makes the tree of events as they come."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.stack: list[Node] = []
        self.anchors: dict[str, Node] = {}

    def add(self, event: Event) -> None:
        self.document.events.append(event)
        if isinstance(event, ScalarEvent):
            self._attach(Node(event))
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, CollectionStartEvent):
            self._open(Node(event, closed=False))
        elif isinstance(event, CollectionEndEvent):
            self._close()
        elif isinstance(event, DocumentStartEvent):
            self.anchors.clear()

    def _attach(self, node: Node) -> None:
        if isinstance(node.event, NodeEvent) and node.event.anchor and node.target is None:
            self.anchors[node.event.anchor] = node
        if self.stack:
            self.stack[-1].children.append(node)
            self.stack[-1].size += node.size
        else:
            self.document.roots.append(node)

    def _alias(self, event: AliasEvent) -> None:
        name = event.anchor or ""
        target = self.anchors.get(name)
        node = Node(event, target=target, size=target.size if target else 1)
        if target is None:
            raise self.document.refusal(node, f"the alias *{name} has no anchor before it")
        if not target.closed:
            raise self.document.refusal(node, f"the alias *{name} stands inside its own anchor")
        self.document.aliases.append(node)
        self._attach(node)
        if self.stack and self.stack[-1].size > MAX_NODES:
            reason = f"with this alias the file expands to more than {MAX_NODES} nodes"
            raise self.document.refusal(node, reason)

    def _open(self, node: Node) -> None:
        self._attach(node)
        self.stack.append(node)
        if len(self.stack) > MAX_DEPTH:
            raise self.document.refusal(node, f"nested deeper than {MAX_DEPTH} levels")

    def _close(self) -> None:
        node = self.stack.pop()
        node.closed = True
        if self.stack:
            self.stack[-1].size += node.size - 1  # itself is counted since it was attached
        if node.size > MAX_NODES and self.document.aliases:
            reason = f"its aliases expand to more than {MAX_NODES} nodes"
            raise self.document.refusal(node, reason)


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


def _events(document: Document) -> Iterator[Event]:
    try:
        yield from yaml.parse(document.text, Loader=_LOADER)
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
