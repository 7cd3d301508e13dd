"""What a chart in git depends on, and what it is made of."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain

import yaml

from plate_release.charts.reading import at, load, maps
from plate_release.charts.valuefiles import Place, inside
from plate_release.errors import PlanRefused
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
    """What a chart in git is made of: its folder, those of its neighbours, the links in them.

    opaque: whether it takes in a chart that is packed, or stands elsewhere.
    """

    tree: Tree = field(repr=False)
    paths: tuple[str, ...]
    opaque: bool

    def show(self, files: Collection[str], values: Iterable[bytes]) -> bool:
        """Whether the chart itself may look into any of the files, by their real paths.

        It does for default values, and where a template, or what is given as `values`, reads files
        (`.Files`), as any template may that cannot be seen.
        """
        inside = {path for folder in self.paths for path, _ in self.tree.entries(folder)}
        seen = [path for path in inside if self._real(path) in files]
        if not seen:
            return False
        if self.opaque or any(posixpath.basename(path) == "values.yaml" for path in seen):
            return True
        templates = self.tree.read_many([path for path in inside if "templates/" in path])
        return any(_READS_FILES.search(text) for text in chain(values, templates.values()))

    def _real(self, path: str) -> str | None:
        with suppress(PlanRefused):
            return self.tree.real(path)
        return None


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


def folders_of(home: Place, dependencies: Collection[Dependency]) -> Folders:
    """Return what a chart is made of. Raises PlanRefused for a link that leads out of it all."""
    folders = [home.path, *(one.folder for one in dependencies if one.folder)]
    entries = [entry for folder in folders for entry in home.tree.entries(folder, follow=True)]
    links = [path for path, kind in entries if kind is EntryKind.SYMLINK]
    for link in links:
        home.tree.real(link)
    vendored = {path.rpartition("/charts/")[2].split("/")[0] for path, _ in entries}
    opaque = any(path.endswith(".tgz") for path, _ in entries) or any(
        one.repository and not one.folder and one.name not in vendored for one in dependencies
    )
    return Folders(home.tree, (*folders, *links), opaque)
