"""What a chart in git depends on, and what it is made of."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

import yaml

from plate_release.charts.reading import at, load, maps
from plate_release.charts.valuefiles import Place, inside
from plate_release.model import EntryKind, Tree

_READS_FILES = re.compile(rb"\bFiles\b")
# Charts of apiVersion v1 have the latter two.
_DEPENDENCIES = ("Chart.yaml", "Chart.lock", "requirements.yaml", "requirements.lock")


@dataclass(frozen=True, slots=True)
class Dependency:
    """A chart that the chart's Chart.yaml asks for, at the version that its Chart.lock names.

    `repository` is as written: `https://...`, `oci://...`, `@alias`; `folder` is where a `file://`
    one stands in the chart's own repository.
    """

    name: str
    repository: str
    version: str
    folder: str | None = None

    @property
    def plain(self) -> bool:
        """Whether its name may be part of a path."""
        return re.fullmatch(r"[\w-][\w.-]*", self.name) is not None


@dataclass(frozen=True, slots=True)
class Folders:
    """What a chart in git is made of: its folder, those of its neighbours, the links in them."""

    tree: Tree = field(repr=False)
    paths: tuple[str, ...]

    def show(self, files: Collection[str], values: Iterable[bytes]) -> bool:
        """Whether the chart itself may look into any of the files, by their real paths.

        It does for its default values, and where a template, or what is given as `values`, reads
        files (`.Files`).
        """
        held = [file for file in files if self._hold(file)]
        if not held:
            return False
        if any(posixpath.basename(file) == "values.yaml" for file in held):
            return True
        paths = {path for folder in self.paths for path, _ in self.tree.entries(folder)}
        # What is packed may hold any template.
        return any(path.endswith(".tgz") for path in paths) or any(
            _READS_FILES.search(text) for text in chain(values, self._templates(paths))
        )

    def _hold(self, file: str) -> bool:
        reals = map(self.tree.real, self.paths)
        return any(not real or f"{file}/".startswith(f"{real}/") for real in reals)

    def _templates(self, paths: Iterable[str]) -> Iterable[bytes]:
        return self.tree.read_many([path for path in paths if "templates/" in path]).values()


def dependencies_of(home: Place) -> Iterator[Dependency]:
    """Read what the chart depends on; of what cannot be read helm will complain."""
    names = [posixpath.join(home.path, name) for name in _DEPENDENCIES]
    found = home.tree.read_many(names)
    chart, lock, requirements, old_lock = (_listed(found.get(name, b"")) for name in names)
    wanted, locked = (chart, lock) if chart else (requirements, old_lock)
    versions = {(name, repository): version for name, repository, version in locked}
    for name, repository, version in wanted:
        local = repository.startswith("file://")
        folder = inside(home.path, repository.removeprefix("file://")) if local else None
        yield Dependency(name, repository, versions.get((name, repository), version), folder)


def _listed(metadata: bytes) -> list[tuple[str, str, str]]:
    """Return the name, repository and version of each dependency in a Chart.yaml or Chart.lock."""
    try:
        found = at(load(metadata), ("dependencies",))
    except yaml.YAMLError:
        return []
    names = ("name", "repository", "version")
    texts = [[str(one.get(name) or "") for name in names] for one in maps(found)]
    return [(name, repository.rstrip("/"), version) for name, repository, version in texts]


def folders_of(home: Place, dependencies: Iterable[Dependency]) -> Folders:
    """Return what a chart is made of."""
    folders = [home.path, *(one.folder for one in dependencies if one.folder)]
    links = (
        path
        for folder in folders
        for path, kind in home.tree.entries(folder, follow=True)
        if kind is EntryKind.SYMLINK
    )
    return Folders(home.tree, (*folders, *links))
