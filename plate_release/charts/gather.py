"""Reads the charts of an Application, each with its values, at one commit."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from plate_release.application import HelmOptions, Origin, Source, same_repository
from plate_release.charts.dependencies import dependencies_of, folders_of
from plate_release.charts.discover import Manifest
from plate_release.charts.environment import substitute, variables_of
from plate_release.charts.inputs import (
    SKIP_SCHEMA,
    UNKNOWN,
    Capabilities,
    ChartInputs,
    Layer,
    Parameter,
    RemoteChart,
)
from plate_release.charts.overrides import PlacedHelm, helm_of, path_of
from plate_release.charts.reading import leaves, lines_of
from plate_release.charts.sharing import named_values
from plate_release.charts.valuefiles import (
    Place,
    Roots,
    glob_root,
    inside,
    is_glob,
    missing,
    read,
    value_files,
)
from plate_release.errors import ChartRefused, PlanRefused
from plate_release.model import Tree

_KUSTOMIZATIONS = {"kustomization.yaml", "kustomization.yml", "Kustomization"}


@dataclass(frozen=True, slots=True)
class _Reading:
    """One Application being read."""

    manifest: Manifest
    tree: Tree
    url: str
    others: Mapping[Origin, Tree]
    capabilities: Capabilities

    def tree_of(self, source: Source) -> Tree:
        other = self.others.get(source.origin)
        if other is not None:
            return other
        if same_repository(source.repo_url, self.url):
            return self.tree
        raise ChartRefused(
            f"{self.manifest.name} needs files of {source.repo_url}, which is not at hand.",
            why=f"The release goes to {self.url}.",
        )


def files_of(manifest: Manifest, tree: Tree) -> Iterator[str]:
    """Give the paths in our repository that `chart_inputs` and a rendering are likely to read.

    They can be had in one round trip, of several Applications too.
    """
    for source, paths in named_values(manifest, tree, manifest.application.spec.all_sources):
        if source.path:
            with suppress(PlanRefused):  # told when it is read
                yield from (path for path, _ in tree.entries(inside("", source.path)))
        yield from paths


def chart_inputs(
    manifest: Manifest,
    tree: Tree,
    *,
    url: str = "",
    capabilities: Capabilities = UNKNOWN,
    others: Mapping[Origin, Tree] | None = None,
) -> tuple[ChartInputs, ...]:
    """Read what helm is given for each chart of the Application at the commit of `tree`.

    `url` is what the Application calls the tree's repository, where that is another name for it.
    `capabilities` are the destination's, `others` the trees of sources that do not follow what
    `tree` shows, by their repoURL and targetRevision. Raises PlanRefused where Argo CD renders
    nothing with Helm or a path leaves its repository, ChartRefused for a file that is missing.
    """
    reading = _Reading(manifest, tree, url or tree.repository, others or {}, capabilities)
    return tuple(_inputs(reading, index, source) for index, source in _helm_sources(reading))


def _inputs(reading: _Reading, index: int, source: Source) -> ChartInputs:
    manifest, tree, known = reading.manifest, reading.tree, reading.capabilities
    spec = manifest.application.spec
    home = None if source.is_remote else Place(reading.tree_of(source), inside("", source.path))
    helm = helm_of(manifest, source, path_of(spec, index), home)
    options = helm.options
    variables = variables_of(manifest, source, tree)
    refs = {s.ref: reading.tree_of(s) for s in spec.all_sources if s.ref}
    roots = Roots(home, refs, variables)
    read = [_looked_at(roots.resolve(name)) for name in roots.named(options)]
    layers = tuple(_layers(helm, roots, tree))
    contents = [roots.resolve(file.path) for file in options.file_parameters]
    dependencies = tuple(dependencies_of(home)) if home else ()
    folders = folders_of(home, dependencies) if home and home.tree is tree else None
    return ChartInputs(
        application=manifest.name,
        source=index,
        tree=home.tree if home else tree,
        chart=home.path if home else "",
        remote=None if home else _remote(source),
        layers=layers,
        parameters=(*_parameters(helm, variables), *_file_parameters(helm, contents, tree)),
        release=options.release_name or manifest.name,
        namespace=options.namespace or spec.destination.namespace,
        capabilities=Capabilities.of(
            options.kube_version or known.kube_version, options.api_versions or known.api_versions
        ),
        flags=tuple(_flags(options)),
        dependencies=dependencies,
        folders=folders,
        files=frozenset(
            (
                *(folders.paths if folders else ()),
                *(place.path for place in read if place.tree is tree),
            )
        ),
    )


def _remote(source: Source) -> RemoteChart:
    if source.chart:
        return RemoteChart(source.repo_url, source.chart, source.target_revision)
    repository, _, name = source.repo_url.rstrip("/").rpartition("/")
    return RemoteChart(repository, name, source.target_revision)


def _helm_sources(reading: _Reading) -> list[tuple[int, Source]]:
    """Return the sources that Argo CD renders with Helm, with their index in the spec."""
    found, reasons = [], []
    for index, source in enumerate(reading.manifest.application.spec.all_sources):
        if not (source.path or source.is_remote):
            continue  # it only lends its files as $ref
        reason = "" if source.is_remote else _not_helm(source, reading)
        if reason:
            reasons.append(f"{source.path}: {reason}")
        else:
            found.append((index, source))
    if not found:
        raise PlanRefused(
            f"{reading.manifest.name} has no Helm chart.",
            why="\n".join(reasons),
            todo="plate-release ships what Helm charts of an Application deploy.",
        )
    return found


def _not_helm(source: Source, reading: _Reading) -> str:
    """Say why Argo CD does not render the source with Helm, empty where it does."""
    for kind in ("kustomize", "directory", "plugin"):
        if any(value for _, value in leaves(getattr(source, kind))):
            return f"Argo CD renders it as {kind}, not with Helm"
    folder = inside("", source.path)
    start = f"{folder}/" if folder else ""
    names = {
        path.removeprefix(start)
        for path, _ in reading.tree_of(source).entries(folder)
        if "/" not in path.removeprefix(start)
    }
    # Where both are there, Argo CD's walk meets the kustomization last, and it wins.
    if names & _KUSTOMIZATIONS and source.helm in (None, HelmOptions()):
        return "Argo CD renders it with Kustomize, because of its kustomization.yaml"
    if "Chart.yaml" in names:
        return ""
    return "it has no Chart.yaml" if names else "there is no such folder"


def _layers(helm: PlacedHelm, roots: Roots, ours: Tree) -> Iterator[Layer]:
    options = helm.options
    ignore = options.ignore_missing_value_files
    places = value_files(roots, options.value_files, ignore_missing=ignore)
    if roots.chart:
        place = Place(roots.chart.tree, inside(roots.chart.path, "values.yaml"))
        if data := read(place):
            yield _file_layer("chart", place, data, ours)
            # Named as the first values file, it is what it was.
            places = places[1:] if places[:1] == [place] else places
    for place in places:
        content = read(place)
        if content is not None:
            yield _file_layer("file", place, content, ours)
        elif not ignore:
            raise missing(place.path)
    yield from _inline(helm)


def _file_layer(kind: Literal["chart", "file"], place: Place, content: bytes, ours: Tree) -> Layer:
    if place.tree is ours:
        return Layer(kind, place.path, content, real=ours.real(place.path))
    origin = f"{place.tree.repository} at {place.tree.commit[:12]}"
    return Layer(kind, place.path, content, origin=origin)


def _looked_at(place: Place) -> Place:
    """Return where a name leads, and of a glob the folder that it looks into."""
    return Place(place.tree, glob_root(place.path)) if is_glob(place.path) else place


def _inline(helm: PlacedHelm) -> Iterator[Layer]:
    options = helm.options
    if options.values_object is not None:
        origin = helm.origin("valuesObject")
        # As JSON: PyYAML would leave words unquoted that Helm takes for numbers.
        text = json.dumps(options.values_object)
        line, lines = origin.line("valuesObject"), origin.below("valuesObject")
        yield Layer("valuesObject", origin.file, text.encode(), line=line, lines=lines)
    elif options.values:
        origin = helm.origin("values")
        line = origin.line("values")
        # A block scalar: its text starts on the line after `values: |`.
        lines = {path: line + below for path, below in lines_of(options.values).items()}
        yield Layer("values", origin.file, options.values.encode(), line=line, lines=lines)


def _parameters(helm: PlacedHelm, variables: Mapping[str, str]) -> Iterator[Parameter]:
    origin = helm.origin("parameters")
    # Argo CD keeps them in a map: of two with one name the last one counts.
    named = {(p.name, p.force_string): (i, p) for i, p in enumerate(helm.options.parameters)}
    for index, given in sorted(named.values(), key=lambda pair: pair[1].force_string):
        yield Parameter(
            flag="--set-string" if given.force_string else "--set",
            name=given.name,
            value=substitute(given.value, variables),
            file=origin.file,
            line=origin.line("parameters", index),
        )


def _file_parameters(
    helm: PlacedHelm, contents: Iterable[Place], ours: Tree
) -> Iterator[Parameter]:
    origin = helm.origin("fileParameters")
    for index, (given, place) in enumerate(
        zip(helm.options.file_parameters, contents, strict=True)
    ):
        content = read(place)
        if content is None:
            raise ChartRefused(
                f"The file {place.path} of the parameter {given.name} does not exist.",
                why="The Application names it in helm.fileParameters.",
                todo="Add the file, or correct its name.",
            )
        text = content.decode(errors="replace")
        line = origin.line("fileParameters", index)
        real = ours.real(place.path) if place.tree is ours else ""
        yield Parameter("--set-file", given.name, text, origin.file, line, real)


def _flags(options: HelmOptions) -> Iterator[str]:
    if not options.skip_crds:
        yield "--include-crds"
    if options.skip_schema_validation:
        yield SKIP_SCHEMA
    if options.skip_tests:
        yield "--skip-tests"
