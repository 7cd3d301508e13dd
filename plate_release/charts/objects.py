"""The Kubernetes objects that helm rendered, read from its output. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import yaml

from plate_release.charts.reading import at, load
from plate_release.errors import ChartRefused

ECHO = "plate-release-echo.yaml"
"""The name of a template laid beside the chart's own, which gives back the values that helm merged.

helm runs the deepest template first: put below all others, it runs before any has changed them.
"""

ECHO_TEMPLATE = """\
apiVersion: plate-release/v1
kind: Values
metadata: {name: values}
values: {{ .Values | toJson }}
"""

_DEEPEST = 200
_SEPARATOR = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)
_SOURCE = re.compile(r"# Source: ([^\n]+)\n")
_BEFORE = {"PreSync", "pre-install", "pre-upgrade", "crd-install"}
# Those that Kubernetes itself serves; other groups, such as gateway.networking.k8s.io, are custom.
_BUILT_IN = {
    "",
    "apps",
    "autoscaling",
    "batch",
    "extensions",
    "policy",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
}


class ObjectId(NamedTuple):
    """What an object goes by in a cluster, whatever the version of its API."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """One rendered object.

    `template` is the file it came from, in the repository where the chart stands there; `source`
    the index of the chart's source in the Application.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    template: str
    body: dict[str, Any] = field(repr=False, compare=False)
    source: int = 0

    @property
    def identity(self) -> ObjectId:
        """Which object it is."""
        return ObjectId(self.group, self.kind, self.namespace, self.name)

    @property
    def group(self) -> str:
        """Its API group, empty for the core one."""
        return self.api_version.rpartition("/")[0]

    @property
    def is_custom(self) -> bool:
        """Whether it is a custom resource."""
        return self.group not in _BUILT_IN

    @property
    def hooks(self) -> frozenset[str]:
        """When it runs, if it is a hook of Argo CD or Helm: `PreSync`, `pre-install`, `test`."""
        said = (
            at(self.body, ("metadata", "annotations", name))
            for name in ("argocd.argoproj.io/hook", "helm.sh/hook")
        )
        return frozenset(word.strip() for text in said if text for word in str(text).split(","))

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


def read_rendered(text: str, chart: str | None = None, source: int = 0) -> Rendered:
    """Read helm's output; `chart` is the chart's folder in a repository, if it stands in one.

    Raises ChartRefused for what is no Kubernetes object.
    """
    objects: list[KubernetesObject] = []
    values: Mapping[str, Any] | None = None
    for part in _SEPARATOR.split(text):
        comment = _SOURCE.match(part)
        template = comment[1] if comment else ""
        if template.endswith(f"/{ECHO}"):
            values = _values(part.rpartition("\nvalues: ")[2])
        else:
            objects += read_document(part, _in_repository(template, chart), source)
    if values is None:
        raise ChartRefused(
            f"helm leaves out {ECHO}, by which the chart's values are seen.",
            why="The chart's .helmignore names it, perhaps by a pattern such as `p*`.",
            todo="Narrow that pattern.",
        )
    # Helm prints hooks last, and runs some of them first.
    first = [one for one in objects if one.hooks & _BEFORE]
    return Rendered((*first, *(one for one in objects if not one.hooks & _BEFORE)), values)


def _values(text: str) -> Mapping[str, Any]:
    try:
        values: Mapping[str, Any] = json.loads(text) or {}
    except (ValueError, RecursionError) as error:
        raise ChartRefused(
            "The values that helm merged cannot be read.",
            why="They are nested too deep, or hold what is no JSON.",
        ) from error
    refuse_depths(values, "The values that helm merged are")
    return values


def refuse_depths(value: Any, what: str) -> None:
    """Raise ChartRefused for what is nested deeper than people and this program can follow."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [item for one in level for item in _inside(one)]
        if not level:
            return
    raise ChartRefused(f"{what} nested deeper than {_DEEPEST} levels.", todo="Flatten them.")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _in_repository(template: str, chart: str | None) -> str:
    """Return a template by its path, which helm starts with the chart's name."""
    _, slash, rest = template.partition("/")
    return f"{chart}/{rest}".lstrip("/") if chart is not None and slash else template


def objects_of(rendered: Iterable[Rendered]) -> Objects:
    """Return the objects of all charts of an Application."""
    return tuple(one for each in rendered for one in each.objects)


@lru_cache(maxsize=512)
def read_document(part: str, template: str, source: int) -> Objects:
    """Read one document; most are the same before and after an edit."""
    try:
        body = load(part)
    except yaml.YAMLError as error:
        raise _no_object(template, " ".join(str(error).split())) from error
    refuse_depths(body, f"What {template or 'the chart'} renders is")
    return () if body is None else tuple(_objects(body, template, source))


def _objects(body: Any, template: str, source: int) -> Iterator[KubernetesObject]:
    """Give the object, or those of a list of any kind, as Argo CD splits it."""
    if not isinstance(body, dict):
        raise _no_object(template, f"It is {json.dumps(body, default=str)[:80]}.")
    kind, items = body.get("kind"), body.get("items")
    if not isinstance(kind, str) or not kind:
        raise _no_object(template, "It has no kind.")
    if isinstance(items, list) or kind == "List":
        if not isinstance(items, list | None):
            raise _no_object(template, f"The {kind} has no list of items.")
        for one in items or ():
            yield from _objects(one, template, source)
        return
    if not isinstance(body.get("apiVersion"), str):
        raise _no_object(template, f"The {kind} has no apiVersion.")
    metadata = body.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _no_object(template, f"The {kind} has no metadata, but {metadata!r}.")
    yield KubernetesObject(
        api_version=body["apiVersion"],
        kind=kind,
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or metadata.get("generateName") or ""),
        template=template,
        body=body,
        source=source,
    )


def _no_object(template: str, why: str) -> ChartRefused:
    what = f"{template or 'The chart'} renders something that is no Kubernetes object."
    return ChartRefused(what, why=why, todo="Correct the template.")
