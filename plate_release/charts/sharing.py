"""Which files have a part in an Application, and so which Applications an edit may reach."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from plate_release.application import Source, same_repository
from plate_release.charts.dependencies import dependencies_of, folders_of
from plate_release.charts.discover import Manifest
from plate_release.charts.environment import variables_of
from plate_release.charts.overrides import helm_of, path_of
from plate_release.charts.valuefiles import Place, Roots, expanded, inside, is_glob
from plate_release.errors import PlanRefused
from plate_release.model import Tree


def may_read(manifest: Manifest, url: str, branch: str, tree: Tree, files: Collection[str]) -> bool:
    """Whether one of the files may have a part in what an Application renders.

    It may be a values file, a file parameter, or what the chart looks into. `tree` is the head of
    `branch` of the repository at `url`, `files` are real paths in it.
    """
    ours = [
        source
        for source in manifest.application.spec.all_sources
        if same_repository(source.repo_url, url) and source.follows(branch)
    ]
    return any(
        any(_leads_to(path, tree, files) for path in paths)
        or (source in ours and source.path and _looks_into(source, paths, tree, files))
        for source, paths in named_values(manifest, tree, ours)
    )


def _leads_to(path: str, tree: Tree, files: Collection[str]) -> bool:
    paths = expanded(Place(tree, path)) if is_glob(path) else [path]
    return not _reals(paths, tree).isdisjoint(files)


def _looks_into(source: Source, paths: list[str], tree: Tree, files: Collection[str]) -> bool:
    """Whether a chart itself may look into any of the files."""
    with suppress(PlanRefused):
        home = Place(tree, inside("", source.path))
        values = tree.read_many([one for one in paths if not is_glob(one)]).values()
        return folders_of(home, list(dependencies_of(home))).show(files, values)
    return False


def _reals(paths: Iterable[str], tree: Tree) -> set[str]:
    """Return where paths lead, those left out that lead out of the repository."""
    found = set()
    for path in paths:
        with suppress(PlanRefused):
            found.add(tree.real(path))
    return found


def named_values(
    manifest: Manifest, tree: Tree, ours: Collection[Source]
) -> Iterator[tuple[Source, list[str]]]:
    """Give for each source the paths in `tree` that its chart takes values from, globs as they are.

    `ours` are the sources that are read from the tree. What cannot be resolved is left out: it
    would refuse the Application's own plan.
    """
    spec = manifest.application.spec
    refs = {one.ref: tree if one in ours else None for one in spec.all_sources if one.ref}
    for index, source in enumerate(spec.all_sources):
        paths: list[str] = []
        with suppress(PlanRefused):
            home = Place(tree, inside("", source.path)) if source in ours and source.path else None
            options = helm_of(manifest, source, path_of(spec, index), home).options
            roots = Roots(home, refs, variables_of(manifest, source, tree))
            for name in roots.named(options):
                with suppress(PlanRefused):
                    paths.append(roots.resolve(name).path)
        yield source, paths
