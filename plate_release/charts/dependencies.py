"""What a chart in git depends on, and what it is made of."""

import posixpath
from collections.abc import Iterable, Iterator

import yaml

from plate_release.charts.inputs import Dependency
from plate_release.charts.reading import at, load, maps
from plate_release.charts.valuefiles import Place, inside
from plate_release.model import EntryKind

# Charts of apiVersion v1 have the latter two.
_DEPENDENCIES = ("Chart.yaml", "Chart.lock", "requirements.yaml", "requirements.lock")


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


def folders_of(home: Place, dependencies: Iterable[Dependency]) -> Iterator[str]:
    """Give what a chart is made of: its folder, those of its neighbours, and the links in them."""
    for folder in (home.path, *(one.folder for one in dependencies if one.folder)):
        yield folder
        for path, kind in home.tree.entries(folder, follow=True):
            if kind is EntryKind.SYMLINK:
                yield path
