"""The Kubernetes objects that helm rendered, read from its output. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import yaml

from plate_release.charts.reading import load
from plate_release.errors import ChartRefused

ECHO = "templates/zz-plate-release.yaml"
"""A template laid beside the chart's own, which gives back the values that helm merged."""

ECHO_TEMPLATE = """\
apiVersion: plate-release/v1
kind: Values
metadata: {name: values}
values: {{ .Values | toJson }}
"""

_SEPARATOR = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)
_SOURCE = re.compile(r"# Source: (\S+)\n")


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """One rendered object.

    `template` is the file of the chart it came from, `source` the index of that chart's source in
    the Application.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    template: str
    body: dict[str, Any] = field(repr=False, compare=False)
    source: int = 0

    @property
    def hook(self) -> str:
        """When it runs, if it is a hook of Argo CD or Helm: `PreSync`, `pre-install`, `test`."""
        notes = (self.body.get("metadata") or {}).get("annotations") or {}
        return str(notes.get("argocd.argoproj.io/hook") or notes.get("helm.sh/hook") or "")

    @property
    def wave(self) -> int:
        """Its sync wave."""
        notes = (self.body.get("metadata") or {}).get("annotations") or {}
        text = str(notes.get("argocd.argoproj.io/sync-wave", "0"))
        return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else 0

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}"


Objects: TypeAlias = tuple[KubernetesObject, ...]
"""Objects in the order in which Helm applies them."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What helm made of one chart, and the values it saw."""

    objects: Objects
    values: Mapping[str, Any] = field(repr=False)


def read_rendered(text: str, source: int = 0) -> Rendered:
    """Read helm's output; raises ChartRefused for what is no Kubernetes object."""
    objects: list[KubernetesObject] = []
    values: Mapping[str, Any] = {}
    for part in _SEPARATOR.split(text):
        comment = _SOURCE.match(part)
        template = comment[1] if comment else ""
        if template.endswith(f"/{ECHO}"):
            values = json.loads(part.rpartition("\nvalues: ")[2]) or {}
        else:
            objects += read_document(part, template, source)
    return Rendered(tuple(objects), values)


def objects_of(rendered: Iterable[Rendered]) -> Objects:
    """Return the objects of all charts of an Application."""
    return tuple(one for each in rendered for one in each.objects)


@lru_cache(maxsize=512)
def read_document(part: str, template: str, source: int) -> Objects:
    """Read one document; most are the same before and after an edit."""
    try:
        body = load(part)
    except yaml.YAMLError as error:
        raise _not_an_object(template, " ".join(str(error).split())) from error
    if body is None:
        return ()
    if not isinstance(body, dict) or "kind" not in body:
        raise _not_an_object(template, "It has no kind.")
    bodies = (body.get("items") or ()) if body["kind"] == "List" else (body,)
    return tuple(_object(one, template, source) for one in bodies)


def _object(body: dict[str, Any], template: str, source: int) -> KubernetesObject:
    metadata = body.get("metadata") or {}
    return KubernetesObject(
        api_version=str(body.get("apiVersion", "")),
        kind=str(body.get("kind", "")),
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or metadata.get("generateName") or ""),
        template=template,
        body=body,
        source=source,
    )


def _not_an_object(template: str, why: str) -> ChartRefused:
    return ChartRefused(f"{template} renders something that is no Kubernetes object.", why=why)
