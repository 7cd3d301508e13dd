"""`source.helm` as Argo CD uses it, and the file and line that each of its fields stands in.

`.argocd-source.yaml` and `.argocd-source-NAME.yaml` in the chart's folder are merged over the
Application, lists as a whole. Source: argo-cd reposerver/repository/repository.go
(mergeSourceParameters).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import yaml
from pydantic import ValidationError

from plate_release.application import ApplicationSpec, HelmOptions, Source
from plate_release.charts.discover import Manifest, told
from plate_release.charts.reading import Path, at, documents
from plate_release.charts.valuefiles import Place, inside
from plate_release.errors import ChartRefused


@dataclass(frozen=True, slots=True)
class Written:
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
    manifest: Written
    origins: Mapping[str, Written]

    def origin(self, field: str) -> Written:
        """Return where a field, named as on the wire, stands."""
        return self.origins.get(field, self.manifest)


def path_of(spec: ApplicationSpec, index: int) -> Path:
    """Return where the source of that index stands in an Application."""
    if spec.source_hydrator:
        return ("spec", "sourceHydrator", "drySource")
    return ("spec", "sources", index) if spec.sources else ("spec", "source")


def helm_of(manifest: Manifest, source: Source, path: Path, home: Place | None) -> PlacedHelm:
    """Merge the override files in the source's folder, if it has one.

    Raises ChartRefused for an override file that cannot be read.
    """
    origin = Written(manifest.place, manifest.lines, (*path, "helm"))
    options = source.helm or HelmOptions()
    if home is None:
        return PlacedHelm(options, origin, {})
    files = (".argocd-source.yaml", f".argocd-source-{manifest.name}.yaml")
    names = [inside(home.path, file) for file in files]
    wire: Any = options.model_dump(by_alias=True)
    origins: dict[str, Written] = {}
    read = home.tree.read_many(names)
    for file in (name for name in names if name in read):
        patch, lines = _section(file, read[file])
        wire = _merged(wire, patch)
        origins |= {key: Written(file, lines, ("helm",)) for key in patch}
    return PlacedHelm(HelmOptions.model_validate(wire), origin, origins)


def _section(file: str, data: bytes) -> tuple[dict[str, Any], Mapping[Path, int]]:
    lines: Mapping[Path, int] = {}
    try:
        for document in islice(documents(data), 1):
            lines = document.lines
            section = at(document.value, ("helm",)) or {}
            HelmOptions.model_validate(section)
            return section, lines
    except (yaml.YAMLError, ValidationError) as error:
        place = error.errors()[0]["loc"] if isinstance(error, ValidationError) else ()
        line = Written(file, lines, ("helm",)).line(*place)
        where = f", line {line}" if line else ""
        raise ChartRefused(
            f"{file}{where}, cannot be read.", why=told(error), todo="Correct the file."
        ) from error
    return {}, lines


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
