"""`source.helm` as Argo CD uses it, and the file and line that each of its fields stands in.

`.argocd-source.yaml` and `.argocd-source-NAME.yaml` in the chart's folder are merged over the
Application, lists as a whole. Source: argo-cd reposerver/repository/repository.go
(mergeSourceParameters).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from plate_release.application import HelmOptions, Source
from plate_release.charts.discover import Manifest
from plate_release.charts.reading import Path, at, documents
from plate_release.errors import ChartRefused
from plate_release.model import Tree


@dataclass(frozen=True, slots=True)
class Origin:
    """A file that has a `helm` section at `path`."""

    file: str
    lines: Mapping[Path, int]
    path: Path

    def line(self, *below: str | int) -> int:
        """Return the line of what stands below the section, or of the nearest thing above it."""
        path = (*self.path, *below)
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def below(self, field: str) -> dict[Path, int]:
        """Return the lines of all that stands below a field of the section."""
        start = (*self.path, field)
        return {p[len(start) :]: n for p, n in self.lines.items() if p[: len(start)] == start}


@dataclass(frozen=True, slots=True)
class PlacedHelm:
    """Helm's options; `origins` has the fields that an override file gives."""

    options: HelmOptions
    manifest: Origin
    origins: Mapping[str, Origin]

    def origin(self, field: str) -> Origin:
        """Return where a field, named as on the wire, stands."""
        return self.origins.get(field, self.manifest)


def placed(manifest: Manifest, source: Source, path: Path, tree: Tree | None) -> PlacedHelm:
    """Merge the override files in the source's folder of `tree`, if it has one.

    Raises ChartRefused for an override file that cannot be read.
    """
    origin = Origin(manifest.place, manifest.lines, (*path, "helm"))
    options = source.helm or HelmOptions()
    if tree is None:
        return PlacedHelm(options, origin, {})
    folder = source.path.strip("/")
    names = [f"{folder}/.argocd-source.yaml", f"{folder}/.argocd-source-{manifest.name}.yaml"]
    wire: Any = options.model_dump(by_alias=True)
    origins: dict[str, Origin] = {}
    for file, data in sorted(tree.read_many(names).items(), key=lambda item: names.index(item[0])):
        patch, lines = _section(file, data)
        wire = _merged(wire, patch)
        origins |= {key: Origin(file, lines, ("helm",)) for key in patch}
    return PlacedHelm(HelmOptions.model_validate(wire), origin, origins)


def _section(file: str, data: bytes) -> tuple[dict[str, Any], Mapping[Path, int]]:
    try:
        document = next(documents(data), None)
        section = at(document.value, ("helm",)) if document else None
        HelmOptions.model_validate(section or {})
    except (yaml.YAMLError, ValidationError) as error:
        raise ChartRefused(
            f"{file} cannot be read.", why=str(error), todo="Correct the file."
        ) from error
    return section or {}, document.lines if document else {}


def _merged(target: Any, patch: Any) -> Any:
    """JSON merge patch, RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
