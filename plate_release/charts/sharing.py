"""Which files an Application takes values from, and so which Applications an edit may reach."""

from collections.abc import Collection, Iterator
from contextlib import suppress

from plate_release.application import Source, same_repository
from plate_release.charts.discover import Manifest
from plate_release.charts.environment import variables_of
from plate_release.charts.overrides import path_of, placed
from plate_release.charts.valuefiles import Place, Roots, glob_root, inside, is_glob
from plate_release.errors import PlanRefused
from plate_release.model import Tree


def may_read(manifest: Manifest, url: str, branch: str, tree: Tree, files: Collection[str]) -> bool:
    """Whether an Application names one of the files as values, or a glob that could match it.

    `tree` is the head of `branch` of the repository at `url`, `files` are real paths in it.
    """
    ours = [
        source
        for source in manifest.application.spec.all_sources
        if same_repository(source.repo_url, url) and source.follows(branch)
    ]
    paths = (path for _, some in named_values(manifest, tree, ours) for path in some)
    return any(_means(path, tree, files) for path in paths)


def _means(path: str, tree: Tree, files: Collection[str]) -> bool:
    if not is_glob(path):
        return tree.real(path) in files
    root = tree.real(glob_root(path))
    return any(not root or file.startswith(f"{root}/") for file in files)


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
            options = placed(manifest, source, path_of(spec, index), home).options
            roots = Roots(home, refs, variables_of(manifest, source, tree))
            own = ["values.yaml"] if home else []
            files = (one.path for one in options.file_parameters)
            for name in (*own, *options.value_files, *files):
                with suppress(PlanRefused):
                    paths.append(roots.resolve(name).path)
        yield source, paths
