"""Which other Applications may read a file that a release edits."""

from collections.abc import Collection, Iterator
from contextlib import suppress

from plate_release.application import HelmOptions, Source, same_repository
from plate_release.charts.discover import Manifest
from plate_release.charts.environment import substitute_path, variables_of
from plate_release.charts.valuefiles import Place, Roots, glob_root, inside, is_glob
from plate_release.errors import PlanRefused
from plate_release.model import Tree


def may_read(manifest: Manifest, url: str, branch: str, tree: Tree, files: Collection[str]) -> bool:
    """Whether an Application names one of the files, or a glob that could match it.

    `tree` is the head of `branch` of the repository at `url`, `files` are real paths in it.
    """
    ours = [
        source
        for source in manifest.application.spec.all_sources
        if same_repository(source.repo_url, url) and source.follows(branch)
    ]
    return any(_means(path, tree, files) for path in _named(manifest, ours, tree))


def _means(path: str, tree: Tree, files: Collection[str]) -> bool:
    if not is_glob(path):
        return tree.real(path) in files
    root = tree.real(glob_root(path))
    return any(not root or file.startswith(f"{root}/") for file in files)


def _named(manifest: Manifest, ours: Collection[Source], tree: Tree) -> Iterator[str]:
    """Give the paths in the tree that the Application takes values from."""
    sources = manifest.application.spec.all_sources
    refs = {source.ref: tree for source in ours if source.ref}
    for source in sources:
        options, variables = source.helm or HelmOptions(), variables_of(manifest, source, tree)
        # What cannot be resolved would refuse the Application's own plan.
        with suppress(PlanRefused):
            own = Place(tree, inside("", source.path)) if source in ours and source.path else None
            if own:
                yield inside(own.path, "values.yaml")
            for name in (*options.value_files, *(one.path for one in options.file_parameters)):
                path = substitute_path(name, variables, {one.ref for one in sources})
                with suppress(PlanRefused):
                    yield Roots(own, refs).resolve(path).path
