"""Find the Argo CD Applications that stand in a repository."""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from plate_release.application import Application
from plate_release.charts.reading import Document, Path, as_json, at, documents, leaves
from plate_release.errors import PlanRefused
from plate_release.model import EntryKind, Finding, Tree

_GROUP = "argoproj.io/"
_READABLE = {EntryKind.FILE, EntryKind.EXECUTABLE, EntryKind.SYMLINK}


@dataclass(frozen=True, slots=True)
class Manifest:
    """An Application and where it was read; a live object has no file.

    `lines` has the line of each path of the object.
    """

    application: Application
    file: str = ""
    line: int = 0
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The Application's name."""
        return self.application.name

    @property
    def identity(self) -> tuple[str, str]:
        """The Application's namespace, empty where none is said, and its name."""
        return self.application.metadata.namespace, self.name

    @property
    def place(self) -> str:
        """What a message calls it."""
        return self.file or f"the live Application {self.name}"


@dataclass(frozen=True, slots=True)
class Generator:
    """An ApplicationSet; its children are known to Argo CD alone.

    `texts` are all that its specification says.
    """

    name: str
    file: str
    line: int
    texts: frozenset[str] = field(default_factory=frozenset, repr=False)

    def may_name(self, file: str) -> bool:
        """Whether its template may name a values file, whatever its variables stand for."""
        return any(_may_be(text, file) for text in self.texts)


@dataclass(frozen=True, slots=True)
class Discovery:
    """Everything of Argo CD that stands in a folder."""

    folder: str
    manifests: tuple[Manifest, ...]
    generators: tuple[Generator, ...]
    findings: tuple[Finding, ...]

    def services(self, environment: str) -> dict[str, Manifest]:
        """Return the services of an environment, by the Applications' names."""
        end = f"-{environment}"
        return {m.name.removesuffix(end): m for m in self.manifests if m.name.endswith(end)}


def applications(tree: Tree, under: str = "environments") -> Discovery:
    """Read every Application in any YAML file below `under`.

    A file that speaks of Argo CD but cannot be read (broken, or a Helm template) is left out
    with a finding.
    """
    files = sorted(_candidates(tree, under).items())
    found = [one for file, data in files for one in _read(file, data)]
    return Discovery(
        under,
        tuple(one for one in found if isinstance(one, Manifest)),
        tuple(one for one in found if isinstance(one, Generator)),
        tuple(one for one in found if isinstance(one, Finding)),
    )


def _read(file: str, data: bytes) -> Iterator[Manifest | Generator | Finding]:
    try:
        for document in documents(data):
            try:
                yield from list(_objects(document, file))
            except (yaml.YAMLError, ValidationError) as error:
                yield _unreadable(file, data, error)
    except yaml.YAMLError as error:
        yield _unreadable(file, data, error)


def find(discovery: Discovery, name: str, namespace: str = "") -> Manifest | None:
    """Return the Application called `name`, of a namespace if it is given.

    Raises PlanRefused where several manifests fit.
    """
    found = [
        manifest
        for manifest in discovery.manifests
        if manifest.name == name and namespace in ("", manifest.application.metadata.namespace)
    ]
    if len(found) > 1:
        places = "\n".join(f"{manifest.file}, line {manifest.line}" for manifest in found)
        raise PlanRefused(
            f"The Application {name} stands in git {len(found)} times.",
            why=places,
            todo="Leave one, point `applications:` of the configuration to its folder, or name its"
            " namespace as the service's `application-namespace`.",
        )
    return found[0] if found else None


def _candidates(tree: Tree, under: str) -> dict[str, bytes]:
    paths: dict[str, str] = {}
    for path, kind in tree.entries(under, follow=True):
        if kind in _READABLE and path.endswith((".yaml", ".yml")):
            with suppress(PlanRefused):  # it leads out of the repository
                paths.setdefault(tree.real(path), path)
    read = tree.read_many(list(paths.values()))
    return {path: data for path, data in read.items() if _GROUP.encode() in data}


def _objects(document: Document, file: str) -> Iterator[Manifest | Generator]:
    value, lines = document.value, document.lines
    if not (isinstance(value, dict) and value.get("kind") == "List"):
        yield from _object(value, file, document.line, lines)
        return
    items = value.get("items")
    inside: dict[Any, dict[Path, int]] = defaultdict(dict)
    for path, line in lines.items():
        if path[:1] == ("items",) and len(path) > 1:
            inside[path[1]][path[2:]] = line
    for index, item in enumerate(items if isinstance(items, list) else ()):
        yield from _object(item, file, inside[index].get((), document.line), inside[index])


def _object(
    value: Any, file: str, line: int, lines: Mapping[Path, int]
) -> Iterator[Manifest | Generator]:
    if not isinstance(value, dict) or not str(value.get("apiVersion", "")).startswith(_GROUP):
        return
    if value.get("kind") == "Application":
        application = Application.model_validate(as_json(value))
        if _is_template(application):
            raise yaml.YAMLError
        yield Manifest(application, file, line, lines)
    elif value.get("kind") == "ApplicationSet":
        texts = (text for _, text in leaves(value.get("spec")) if isinstance(text, str))
        yield Generator(str(at(value, ("metadata", "name"))), file, line, frozenset(texts))


def _may_be(text: str, file: str) -> bool:
    """Whether a text with variables (`values-{{env}}.yaml`), or a glob, may mean a file."""
    if not text.endswith((".yaml", ".yml")):
        return False
    # What it starts at is not known: a chart's folder, or a repository by its $ref.
    below = re.sub(r"^(?:\$[\w-]+/|\.{0,2}/)*", "", posixpath.normpath(text))
    parts = map(re.escape, re.split(r"\{\{.*?\}\}|\*+", below))
    return re.fullmatch(f"(?:.*/)?{'.*'.join(parts)}", file) is not None


def _is_template(application: Application) -> bool:
    """Whether it is a template that happens to be YAML; values may well hold `{{`."""
    sources = application.spec.all_sources
    texts = (text for s in sources for text in (s.repo_url, s.path, s.target_revision, s.chart))
    return any("{{" in text for text in (application.name, *texts))


def _unreadable(file: str, data: bytes, error: yaml.YAMLError | ValidationError) -> Finding:
    level: Literal["warning", "info"]
    if b"{{" in data:
        level, why = "info", "it is a template; its Applications are known to Argo CD alone"
    else:
        level, why = "warning", told(error)
    return Finding(level, "unreadable-manifest", f"{file} was left out: {why}.")


def told(error: yaml.YAMLError | ValidationError) -> str:
    """Say in a line why a manifest is none, without what stands in it."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    return " ".join(str(error).split())
