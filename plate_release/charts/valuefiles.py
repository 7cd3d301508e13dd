"""Resolve the files that `source.helm` names, inside their repositories.

A path is relative to the chart's folder, `/x` to the repository's root, `$ref/x` to the root of
the source with that ref. Globs expand in lexical order, without the files also listed by name.
Source: argo-cd reposerver/repository (valueFileResolver), docs/user-guide/helm.md, doublestar.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from plate_release.application import HelmOptions
from plate_release.charts.environment import substitute
from plate_release.errors import ChartRefused, PlanRefused
from plate_release.model import EntryKind, Tree

_GLOB = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{([^{}]*)\}")
_SECRETS = re.compile(r"secrets(\+[a-z0-9+.-]+)?://", re.IGNORECASE)
_REMOTE = re.compile(r"[a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A path in one repository."""

    tree: Tree
    path: str


@dataclass(frozen=True, slots=True)
class Roots:
    """Where relative paths and `$ref` paths start, and what variables in them stand for.

    `chart` is None for a chart from elsewhere, a ref's tree where that is not looked at.
    """

    chart: Place | None
    refs: Mapping[str, Tree | None]
    variables: Mapping[str, str]

    def resolve(self, name: str) -> Place:
        """Return where `name` points.

        Raises PlanRefused where that is outside its repository, or in one that is not looked at.
        """
        head, _, rest = name.partition("/")
        ref = head.removeprefix("$")
        if head != ref and (ref in self.refs or self._is_unknown(ref)):
            tree = self.refs.get(ref)
            if tree is None:
                raise PlanRefused(
                    f"{name}: no source has the ref {ref!r}.",
                    todo=f"Give one source of the Application `ref: {ref}`.",
                )
            return Place(tree, inside("", substitute(rest, self.variables)))
        path = substitute(name, self.variables)
        if _SECRETS.match(path):
            raise PlanRefused(
                f"The values file {path} is encrypted for helm-secrets.",
                why="Nothing can be decrypted here, so that the charts cannot be rendered.",
                todo="Keep secrets out of values: let External Secrets or the like bring them.",
            )
        if _REMOTE.match(path):
            raise PlanRefused(
                f"The values file {path} is a URL.",
                why="Only files in git can be read at the planned commit.",
                todo="Move it into the repository.",
            )
        if self.chart is None:
            raise PlanRefused(
                f"The values file {path} is inside a chart that stands in no git repository.",
                todo="Put the values into git, and name them as $ref/PATH.",
            )
        return Place(self.chart.tree, inside(self.chart.path, path))

    def named(self, options: HelmOptions) -> Iterator[str]:
        """Give what `source.helm` names, the chart's own values first; a file parameter is last."""
        yield from ("values.yaml",) if self.chart else ()
        yield from options.value_files
        yield from (file.path for file in options.file_parameters)

    def _is_unknown(self, ref: str) -> bool:
        # Argo CD would make nothing of it, and look for the rest in the chart's own repository.
        return ref.isidentifier() and ref not in self.variables


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
    """Return the value files in Helm's order, each once, those that are named whether they exist.

    Raises ChartRefused for a glob that matches nothing, unless `ignore_missing`, and PlanRefused
    as `Roots.resolve`.
    """
    places = [roots.resolve(name) for name in names]
    named = {(id(place.tree), place.path) for place in places if not is_glob(place.path)}
    result: dict[tuple[int, str], Place] = {}
    for name, place in zip(names, places, strict=True):
        found = [place.path]
        if is_glob(place.path):
            found = [path for path in expanded(place) if (id(place.tree), path) not in named]
        if not found and not ignore_missing:
            raise missing(name)
        for path in found:
            result.setdefault((id(place.tree), path), Place(place.tree, path))
    return list(result.values())


def read(place: Place) -> bytes | None:
    """Return the file's bytes, None where there is none; PlanRefused for a symlink to outside."""
    try:
        return place.tree.read(place.path)
    except (FileNotFoundError, IsADirectoryError):
        return None


def missing(name: str) -> ChartRefused:
    """Say that a values file which the Application names is not there."""
    glob = is_glob(name)
    return ChartRefused(
        f"No file matches {name}." if glob else f"The values file {name} does not exist.",
        why="The Application names it in helm.valueFiles.",
        todo="Add the file, correct its name, or set ignoreMissingValueFiles.",
    )


def is_glob(path: str) -> bool:
    """Whether Argo CD expands a path."""
    return _GLOB.search(path) is not None


def glob_root(path: str) -> str:
    """Return the folder below which everything that a glob matches stands."""
    return re.split(r"[*?\[{]", path, maxsplit=1)[0].rpartition("/")[0]


def expanded(place: Place) -> Iterator[str]:
    """Give the paths that a glob matches, in order."""
    root = glob_root(place.path)
    start = f"{root}/" if root else ""
    folders: dict[str, dict[str, None]] = {}
    for path, kind in place.tree.entries(root, follow=True):
        if kind != EntryKind.SUBMODULE:
            _file(folders, path)
    parts = place.path.removeprefix(start).split("/")
    pattern = [_matcher(p) for n, p in enumerate(parts) if p != "**" or parts[n - 1 : n] != ["**"]]
    yield from dict.fromkeys(_walked(folders, root, pattern))


def _file(folders: dict[str, dict[str, None]], path: str) -> None:
    """Note a path in its folder, and that in the one above; folders end with a slash."""
    above, _, name = path.rpartition("/")
    while name not in folders.setdefault(above, {}):
        folders[above][name] = None
        if not above:
            break
        above, _, name = above.rpartition("/")
        name += "/"


Matches = Callable[[str], bool]


def _walked(
    folders: Mapping[str, Iterable[str]], folder: str, pattern: Sequence[Matches | None]
) -> Iterator[str]:
    """Give what matches as doublestar walks: a folder's own files first, all in lexical order.

    A pattern has None for `**`.
    """
    first, *rest = pattern
    names = sorted(folders.get(folder, ()))
    start = f"{folder}/" if folder else ""
    below = [name for name in names if name.endswith("/")]
    if first is None:
        if rest:
            yield from _walked(folders, folder, rest)
        else:
            yield from (start + name for name in names if not name.endswith("/"))
        for name in below:
            yield from _walked(folders, start + name[:-1], pattern)
    elif rest:
        for name in below:
            if first(name[:-1]):
                yield from _walked(folders, start + name[:-1], rest)
    else:
        yield from (start + name for name in names if not name.endswith("/") and first(name))


def _matcher(part: str) -> Matches | None:
    """Return what one segment of a glob matches: `*`, `?`, `[a-z]`, `[!a]`, `{a,b}`."""
    if part == "**":
        return None
    texts = [translate(one.replace("[^", "[!")) for one in _alternatives(part)]
    found = [re.compile(text) for text in texts]
    return lambda name: any(one.match(name) for one in found)


def _alternatives(part: str) -> Iterator[str]:
    match = _BRACES.search(part)
    if match is None:
        yield part
        return
    for one in match[1].split(","):
        yield from _alternatives(part[: match.start()] + one + part[match.end() :])
