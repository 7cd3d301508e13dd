"""Read YAML as Kubernetes reads it, and remember the line of every path.

Kubernetes goes through JSON: dates stay text, and `22:80` is no number in base 60.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]

_Base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REPLACED = {f"tag:yaml.org,2002:{name}" for name in ("int", "float", "timestamp")}
_INT = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
# As go-yaml: 1e3 is one too, without a dot.
_FLOAT = re.compile(r"[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$")
_DEEPEST = 10_000  # as go-yaml; libyaml's stack would overflow at some more
_MOST_NODES = 1_000_000  # that the aliases of a document may expand to


class KubernetesLoader(_Base):  # type: ignore[misc]  # the base is chosen where libyaml is present
    """PyYAML's safe loader without dates and sexagesimal numbers."""


KubernetesLoader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in _REPLACED]
    for first, pairs in _Base.yaml_implicit_resolvers.items()
}
KubernetesLoader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
KubernetesLoader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
KubernetesLoader.add_constructor("tag:yaml.org,2002:value", KubernetesLoader.construct_yaml_str)


def _of_any_tag(loader: Any, _: str, node: yaml.Node) -> Any:
    """Construct what has a tag of its own as helm does: as if it had none."""
    kinds: list[tuple[type[yaml.Node], str]] = [
        (yaml.MappingNode, "map"),
        (yaml.SequenceNode, "seq"),
    ]
    kind = next((name for type_, name in kinds if isinstance(node, type_)), "str")
    return loader.yaml_constructors[f"tag:yaml.org,2002:{kind}"](loader, node)


KubernetesLoader.add_multi_constructor("!", _of_any_tag)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, its first line and the line of each path, from 1."""

    value: Any
    line: int
    lines: Mapping[Path, int]


def documents(text: bytes | str) -> Iterator[Document]:
    """Read every document; raises yaml.YAMLError."""
    loader = KubernetesLoader(text)
    has_aliases = "*" in text if isinstance(text, str) else b"*" in text
    try:
        _refuse_depths(text)
        while loader.check_node():
            node = loader.get_node()
            if has_aliases and _expanded(node, {}) > _MOST_NODES:
                raise yaml.YAMLError(f"its aliases expand to more than {_MOST_NODES} nodes")
            # Constructing flattens merges in place, so the lines are taken first.
            lines = dict(_lines(node, ()))
            yield Document(loader.construct_document(node), node.start_mark.line + 1, lines)
    except (ValueError, RecursionError) as error:  # what no YAML reader could hold
        raise yaml.YAMLError(str(error)) from error
    finally:
        loader.dispose()


def load(text: bytes | str) -> Any:
    """Read the first document, None where there is none; raises yaml.YAMLError."""
    return next((document.value for document in documents(text)), None)


def lines_of(text: bytes | str) -> Mapping[Path, int]:
    """Return the line of each path in the first document; none where it cannot be read."""
    try:
        return next((document.lines for document in documents(text)), {})
    except yaml.YAMLError:
        return {}


def as_json(value: Any) -> Any:
    """Return a value as JSON has it, which has texts for keys.

    Raises yaml.YAMLError for what JSON cannot hold, such as `!!binary` and `!!set`.
    """
    if isinstance(value, dict):
        return {_key(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if not isinstance(value, str | int | float | None):
        raise yaml.YAMLError(f"JSON has nothing like {type(value).__name__}")
    return value


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key)


def at(value: Any, path: Path) -> Any:
    """Return what stands at `path`, None where nothing does."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def maps(value: Any) -> list[dict[str, Any]]:
    """Return the maps in a list; none where it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def dotted(path: Iterable[str | int]) -> str:
    """Write a path for people."""
    return ".".join(map(str, path))


def replaced(value: Any, path: Path, new: Any) -> Any:
    """Return a copy of `value` with `new` at `path`, which exists."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def placed(value: Any, changes: Mapping[Path, Any]) -> Any:
    """Return a copy of a map or list with other values, in a map also where nothing is yet."""
    copy = deepcopy(value)
    for path, new in changes.items():
        holder = copy
        for part in path[:-1]:
            holder = holder.setdefault(part, {}) if isinstance(holder, dict) else holder[part]
        holder[path[-1]] = new
    return copy


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Walk every scalar (and every empty map or list) with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def _refuse_depths(text: bytes | str) -> None:
    # Each level takes a bracket, or a character of its line at least.
    data = text.encode() if isinstance(text, str) else text
    longest = max(map(len, data.splitlines()), default=0)
    if max(data.count(b"[") + data.count(b"{"), longest) < _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, _Base):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError(f"it is nested deeper than {_DEEPEST} levels")


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many nodes there are once aliases are written out."""
    if id(node) not in known:
        known[id(node)] = 0  # a cycle ends here
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        children = chain.from_iterable(one if isinstance(one, tuple) else (one,) for one in below)
        known[id(node)] = 1 + sum(_expanded(child, known) for child in children)
    return known[id(node)]


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    # An alias would lead into the same node again, in a bomb very often.
    seen: set[int] = set()
    todo = [(node, path)]
    while todo:
        node, path = todo.pop()
        yield path, node.start_mark.line + 1
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo += [(item, (*path, index)) for index, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            for key, item in node.value:
                if isinstance(key, yaml.ScalarNode):
                    todo.append((item, (*path, key.value)))
