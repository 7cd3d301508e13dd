"""What Argo CD hands to helm for one chart of an Application.

Order of precedence, later wins: the chart's values.yaml, `valueFiles` as listed, `valuesObject`
(or else `values`; the two are never merged), `parameters` without and then with forceString,
`fileParameters`. Source: argo-cd reposerver/repository/repository.go (helmTemplate) and
util/helm/cmd.go.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from plate_release.charts.dependencies import Dependency, Folders
from plate_release.charts.reading import Path
from plate_release.model import Tree

SKIP_SCHEMA = "--skip-schema-validation"
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the destination is to a chart (`.Capabilities`); empty where it is not known.

    `kube_version` is such as `1.33.2`, `api_versions` such as `apps/v1` and `apps/v1/Deployment`.
    """

    kube_version: str = ""
    api_versions: tuple[str, ...] = ()

    @classmethod
    def of(cls, kube_version: str, api_versions: Iterable[str]) -> Self:
        """Return them as Argo CD gives them to helm, which is without a vendor's suffix.

        A chart's `kubeVersion: ">=1.20"` would not hold for `v1.28.5-gke.1200`.
        """
        number = _VERSION.match(kube_version)
        plain = ".".join(part or "0" for part in number.groups()) if number else kube_version
        return cls(plain, tuple(api_versions))


UNKNOWN = Capabilities()


@dataclass(frozen=True, slots=True)
class Layer:
    """One set of values.

    `real` is the path that its symlinks lead to where it stands in the repository that we release
    to, else empty; `origin` says where else a file stands. What stands inside an Application has
    the `line` it starts at and its values' `lines`.
    """

    kind: Literal["chart", "file", "values", "valuesObject"]
    file: str
    data: bytes = field(repr=False)
    real: str = ""
    origin: str = ""
    line: int = 1
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)

    def goes_by(self, path: str) -> bool:
        """Whether a path of our repository names its file."""
        return path in {self.file, self.real}

    @property
    def editable(self) -> bool:
        """Whether its file stands in the repository that we release to."""
        return bool(self.real)

    @property
    def is_default(self) -> bool:
        """Whether it is the chart's own values.yaml, which every environment shares."""
        return self.kind == "chart"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `--set`, `--set-string` or `--set-file`, and where it stands.

    The last has a file's content as its value; `real` is that file's path with symlinks followed,
    where it stands in the repository that we release to.
    """

    flag: Literal["--set", "--set-string", "--set-file"]
    name: str
    value: str = field(repr=False)
    file: str
    line: int
    real: str = ""


@dataclass(frozen=True, slots=True)
class RemoteChart:
    """A chart that helm has to fetch: `repository` is a URL, or a registry's `host/path`."""

    repository: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ChartInputs:
    """All that decides what is rendered.

    `source` is the index of the chart's source in the Application. `chart` is the chart's folder in
    `tree`, or `remote` what to fetch instead. `layers` and `parameters` are in Helm's order, the
    last wins. `folders` and `files` are of our repository: what the chart is made of, if it stands
    there, and all that this was read from.
    """

    application: str
    source: int
    tree: Tree = field(repr=False)
    chart: str
    remote: RemoteChart | None
    layers: tuple[Layer, ...]
    parameters: tuple[Parameter, ...]
    release: str
    namespace: str
    capabilities: Capabilities
    flags: tuple[str, ...]
    dependencies: tuple[Dependency, ...]
    folders: Folders | None
    files: frozenset[str]

    def takes(self, files: Collection[str]) -> bool:
        """Whether any of our repository's files, by real paths, holds values or a parameter."""
        given = {one.real for one in self.layers} | {one.real for one in self.parameters}
        return not given.isdisjoint(files)

    def shows(self, files: Collection[str]) -> bool:
        """Whether the chart itself may look into any of our repository's files, by real paths."""
        given = (one.value.encode() for one in self.parameters)
        texts = (*(one.data for one in self.layers), *given)
        return self.folders is not None and self.folders.show(files, texts)

    def edited(self, files: Mapping[str, bytes]) -> "ChartInputs":
        """Return the same inputs with other bytes in files of our repository, by real paths."""
        layers = (
            replace(one, data=files[one.real]) if one.real in files else one for one in self.layers
        )
        parameters = (
            replace(one, value=files[one.real].decode(errors="replace"))
            if one.real in files
            else one
            for one in self.parameters
        )
        return replace(self, layers=tuple(layers), parameters=tuple(parameters))
