"""Resolve the files that `source.helm` names, inside their repositories.

A path is relative to the chart's folder, `/x` to the repository's root, `$ref/x` to the root of
the source with that ref. Globs expand in lexical order, without the files also listed by name.
Source: argo-cd reposerver/repository (valueFileResolver).
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from plate_release.errors import ChartRefused, PlanRefused
from plate_release.model import EntryKind, Tree

_GLOB = re.compile(r"[*?\[]")
_REMOTE = re.compile(r"[a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A path in one repository."""

    tree: Tree
    path: str


@dataclass(frozen=True, slots=True)
class Roots:
    """Where relative paths and `$ref` paths start; `chart` is None for a chart from elsewhere."""

    chart: Place | None
    refs: Mapping[str, Tree]

    def resolve(self, name: str) -> Place:
        """Return where `name` points; PlanRefused where it leaves its repository."""
        ref, _, rest = name.removeprefix("$").partition("/")
        if name.startswith("$"):
            if ref not in self.refs:
                raise PlanRefused(
                    f"{name}: no source has the ref {ref!r}.",
                    todo=f"Give one source of the Application `ref: {ref}`.",
                )
            return Place(self.refs[ref], inside("", rest))
        if _REMOTE.match(name):
            raise PlanRefused(
                f"The values file {name} is a URL.",
                why="Only files in git can be read at the planned commit.",
                todo="Move it into the repository.",
            )
        if self.chart is None:
            raise PlanRefused(
                f"The values file {name} is inside a chart that stands in no git repository.",
                todo="Put the values into git, and name them as $ref/PATH.",
            )
        return Place(self.chart.tree, inside(self.chart.path, name))


def inside(folder: str, name: str) -> str:
    """Join a path, absolute ones to the root; PlanRefused where it leaves the repository."""
    path = posixpath.normpath(posixpath.join("/", folder, name) if name[:1] != "/" else name)
    depth = 0
    for part in [*([] if name[:1] == "/" else folder.split("/")), *name.split("/")]:
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            raise PlanRefused(
                f"The path {name} leaves the repository.",
                why=f"It starts at {folder or 'the root'}.",
                todo="Name a path inside the repository.",
            )
    return path.strip("/")


def value_files(roots: Roots, names: tuple[str, ...], *, ignore_missing: bool) -> list[Place]:
    """Return the value files in Helm's order, each once.

    Raises ChartRefused for a file that is missing, unless `ignore_missing`.
    """
    places = [roots.resolve(name) for name in names]
    named = {(id(place.tree), place.path) for place in places if not _GLOB.search(place.path)}
    result: dict[tuple[int, str], Place] = {}
    for name, place in zip(names, places, strict=True):
        found = list(_expanded(place, named)) if _GLOB.search(place.path) else [place]
        if not found and not ignore_missing:
            raise _missing(name)
        for one in found:
            result.setdefault((id(one.tree), one.path), one)
    return list(result.values())


def read(place: Place) -> bytes | None:
    """Return the file's bytes, None where there is none; PlanRefused for a symlink to outside."""
    try:
        return place.tree.read(place.path)
    except (FileNotFoundError, IsADirectoryError):
        return None


def missing(place: Place) -> ChartRefused:
    """Say that a file which the Application names is not there."""
    return _missing(place.path)


def _missing(name: str) -> ChartRefused:
    return ChartRefused(
        f"The values file {name} does not exist.",
        why="The Application names it in helm.valueFiles.",
        todo="Add the file, correct its name, or set ignoreMissingValueFiles.",
    )


def _expanded(place: Place, named: set[tuple[int, str]]) -> Iterator[Place]:
    fixed = _GLOB.split(place.path, maxsplit=1)[0].rpartition("/")[0]
    pattern = _pattern(place.path)
    for path in sorted(p for p, kind in place.tree.entries(fixed) if kind != EntryKind.SUBMODULE):
        if pattern.fullmatch(path) and (id(place.tree), path) not in named:
            yield Place(place.tree, path)


def _pattern(glob: str) -> re.Pattern[str]:
    """Translate a glob in which `**/` crosses folders and nothing else does."""
    text = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", glob):
        special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part)
        text += special or (part if part.startswith("[") else re.escape(part))
    return re.compile(text)
