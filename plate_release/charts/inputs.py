"""What Argo CD hands to helm for one Application: chart, values in order, parameters, names.

Order of precedence, later wins: the chart's values.yaml, `valueFiles` as listed, `valuesObject`
(or else `values`; the two are never merged), `parameters` without and then with forceString,
`fileParameters`. Source: argo-cd reposerver/repository/repository.go (helmTemplate) and
util/helm/cmd.go.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import yaml

from plate_release.application import ApplicationSpec, HelmOptions, Source, same_repository
from plate_release.charts.discover import Manifest
from plate_release.charts.environment import substitute, substitute_path, variables_of
from plate_release.charts.overrides import PlacedHelm, placed
from plate_release.charts.reading import Path, documents
from plate_release.charts.sources import repositories, sources
from plate_release.charts.valuefiles import Place, Roots, inside, missing, read, value_files
from plate_release.errors import ChartRefused, PlanRefused
from plate_release.model import Tree

_KUSTOMIZATIONS = {"kustomization.yaml", "kustomization.yml", "Kustomization"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One set of values; `editable` where its file stands in the repository that we release to.

    What stands inside an Application has the `line` it starts at and its values' `lines`.
    """

    kind: Literal["chart", "file", "values", "valuesObject"]
    file: str
    data: bytes = field(repr=False)
    editable: bool = False
    line: int = 1
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)

    @property
    def is_default(self) -> bool:
        """Whether it is the chart's own values.yaml, which every environment shares."""
        return self.kind == "chart"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `--set`, `--set-string` or `--set-file`, and where it stands."""

    flag: Literal["--set", "--set-string", "--set-file"]
    name: str
    value: str = field(repr=False)
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class RemoteChart:
    """A chart that helm has to fetch: `repository` is a URL, or a registry's `host/path`."""

    repository: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ChartInputs:
    """All that decides what is rendered.

    `chart` is the chart's folder in `tree`, or `remote` what to fetch instead; `ours` where that
    is the repository that we release to. `layers` and `parameters` are in Helm's order, the last
    wins.
    """

    application: str
    tree: Tree = field(repr=False)
    chart: str
    ours: bool
    remote: RemoteChart | None
    layers: tuple[Layer, ...]
    parameters: tuple[Parameter, ...]
    release: str
    namespace: str
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    def edited(self, files: Mapping[str, bytes]) -> "ChartInputs":
        """Return the same inputs with other bytes in the editable files named."""
        layers = (
            replace(layer, data=files[layer.file])
            if layer.editable and layer.file in files
            else layer
            for layer in self.layers
        )
        return replace(self, layers=tuple(layers))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One Application being read."""

    manifest: Manifest
    tree: Tree
    others: Mapping[str, Tree]

    def tree_of(self, source: Source) -> Tree:
        if same_repository(source.repo_url, self.tree.repository) or self._alone(source):
            return self.tree
        for url, tree in self.others.items():
            if same_repository(url, source.repo_url):
                return tree
        raise ChartRefused(
            f"{self.manifest.name} needs files of {source.repo_url}, which is not at hand.",
            why=f"The release goes to {self.tree.repository}.",
        )

    def _alone(self, source: Source) -> bool:
        # By whatever URL the tree was fetched, the caller took it for this Application.
        return repositories(self.manifest.application.spec) == (source.repo_url,)


def chart_inputs(
    manifest: Manifest,
    tree: Tree,
    *,
    kube_version: str = "",
    api_versions: tuple[str, ...] = (),
    others: Mapping[str, Tree] | None = None,
) -> ChartInputs:
    """Read what helm is given for the Application at the commit of `tree`.

    `kube_version` and `api_versions` are the destination's, where known; `others` the trees of
    further repositories by URL, for a chart or values that stand there. Raises PlanRefused where
    Argo CD would not render with Helm or a path leaves its repository, ChartRefused for a file
    that is missing.
    """
    reading = _Reading(manifest, tree, others or {})
    source, path = _helm_source(reading)
    home = None if source.chart else Place(reading.tree_of(source), inside("", source.path))
    helm = placed(manifest, source, path, home.tree if home else None)
    variables = variables_of(manifest, source, tree)
    refs = {s.ref: reading.tree_of(s) for s in sources(manifest.application.spec) if s.ref}
    roots = Roots(home, refs)
    options = helm.options
    return ChartInputs(
        application=manifest.name,
        tree=home.tree if home else tree,
        chart=home.path if home else "",
        ours=home is not None and home.tree is tree,
        remote=None if home else RemoteChart(source.repo_url, source.chart, source.target_revision),
        layers=tuple(_layers(helm, roots, variables, tree)),
        parameters=tuple(_parameters(helm, roots, variables)),
        release=options.release_name or manifest.name,
        namespace=options.namespace or manifest.application.spec.destination.namespace,
        kube_version=options.kube_version or kube_version,
        api_versions=options.api_versions or api_versions,
        flags=tuple(_flags(options)),
    )


def _helm_source(reading: _Reading) -> tuple[Source, Path]:
    """Return the one source that Argo CD renders with Helm, and its path in the manifest."""
    spec = reading.manifest.application.spec
    found, reasons = [], []
    for index, source in enumerate(sources(spec)):
        if not (source.path or source.chart):
            continue  # it only lends its files as $ref
        reason = "" if source.chart else _not_helm(source, reading)
        if reason:
            reasons.append(f"{source.path}: {reason}")
        else:
            found.append((source, _path_of(spec, index)))
    if len(found) == 1:
        return found[0]
    raise PlanRefused(
        f"{reading.manifest.name} has {'several Helm charts' if found else 'no Helm chart'}.",
        why="\n".join(reasons) or ", ".join(s.chart or s.path for s, _ in found),
        todo="plate-release ships what exactly one Helm chart of an Application deploys.",
    )


def _path_of(spec: ApplicationSpec, index: int) -> Path:
    if spec.sources:
        return ("spec", "sources", index)
    return ("spec", "source") if spec.source else ("spec", "sourceHydrator", "drySource")


def _not_helm(source: Source, reading: _Reading) -> str:
    """Say why Argo CD does not render the source with Helm, empty where it does."""
    for kind in ("kustomize", "directory", "plugin"):
        if getattr(source, kind):
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


def _layers(
    helm: PlacedHelm, roots: Roots, variables: Mapping[str, str], ours: Tree
) -> Iterator[Layer]:
    if roots.chart:
        place = Place(roots.chart.tree, f"{roots.chart.path}/values.yaml".lstrip("/"))
        if data := read(place):
            yield Layer("chart", place.path, data, editable=place.tree is ours)
    options = helm.options
    names = tuple(substitute_path(name, variables) for name in options.value_files)
    ignore = options.ignore_missing_value_files
    for place in value_files(roots, names, ignore_missing=ignore):
        content = read(place)
        if content is not None:
            yield Layer("file", place.path, content, editable=place.tree is ours)
        elif not ignore:
            raise missing(place)
    yield from _inline(helm)


def _inline(helm: PlacedHelm) -> Iterator[Layer]:
    options = helm.options
    if options.values_object is not None:
        origin = helm.origin("valuesObject")
        text = yaml.safe_dump(options.values_object, sort_keys=False, allow_unicode=True)
        line, lines = origin.line("valuesObject"), origin.below("valuesObject")
        yield Layer("valuesObject", origin.file, text.encode(), line=line, lines=lines)
    elif options.values:
        origin = helm.origin("values")
        line = origin.line("values")
        # A block scalar: its text starts on the line after `values: |`.
        lines = {path: line + below for path, below in _lines_of(options.values).items()}
        yield Layer("values", origin.file, options.values.encode(), line=line, lines=lines)


def _lines_of(text: str) -> Mapping[Path, int]:
    try:
        return next((document.lines for document in documents(text)), {})
    except yaml.YAMLError:
        return {}  # helm says what is wrong with it


def _parameters(
    helm: PlacedHelm, roots: Roots, variables: Mapping[str, str]
) -> Iterator[Parameter]:
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
    origin = helm.origin("fileParameters")
    for index, file in enumerate(helm.options.file_parameters):
        place = roots.resolve(substitute_path(file.path, variables))
        content = read(place)
        if content is None:
            raise missing(place)
        text = content.decode(errors="replace")
        line = origin.line("fileParameters", index)
        yield Parameter("--set-file", file.name, text, origin.file, line)


def _flags(options: HelmOptions) -> Iterator[str]:
    if not options.skip_crds:
        yield "--include-crds"
    if options.skip_schema_validation:
        yield "--skip-schema-validation"
    if options.skip_tests:
        yield "--skip-tests"
