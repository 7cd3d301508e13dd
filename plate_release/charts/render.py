"""Run the real helm as Argo CD runs it, and read what it rendered.

A `Renderer` holds no state, and an open chart only its own temporary folder: charts may be
rendered side by side. helm gets no plugins, no user's settings, no cluster; only fetching a chart
from a Helm repository goes to the network.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from plate_release.charts.inputs import ChartInputs, Parameter
from plate_release.charts.reading import load
from plate_release.charts.valuefiles import inside
from plate_release.charts.winner import place_of
from plate_release.errors import ChartRefused, PreflightRefused

HELM = "PLATE_RELEASE_HELM"
_SEPARATOR = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE)
_SOURCE = re.compile(r"# Source: (\S+)\n")
_ECHO = "templates/zz-plate-release-values.yaml"
_ECHO_TEMPLATE = """\
apiVersion: plate-release/v1
kind: Values
metadata: {name: values}
values: {{ .Values | toJson }}
"""
_NAME = re.compile(r"[\w-][\w.-]*")
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")
_PASSED_ON = ("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(frozen=True, slots=True)
class KubernetesObject:
    """One rendered object; `template` is the file of the chart it came from."""

    api_version: str
    kind: str
    namespace: str
    name: str
    template: str
    body: dict[str, Any] = field(repr=False, compare=False)

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
        file, line = found.file, found.line
        if found.value:
            file, line = place_of(inputs, found.value)
        where = f"{file}{f', line {line}' if line else ''}: " if file else ""
        return ChartRefused(
            f"{where}helm {command} of {self.inputs.application} fails.",
            why=found.text,
            todo=found.todo or "Correct the chart or its values.",
        )


def find_helm(environ: Mapping[str, str]) -> str:
    """Return the helm to run: `PLATE_RELEASE_HELM`, else the one on PATH.

    Raises PreflightRefused where there is none.
    """
    wanted = environ.get(HELM) or "helm"
    found = shutil.which(wanted, path=environ.get("PATH"))
    if found is None:
        raise _no_helm(f"{wanted} is not on PATH" if wanted == "helm" else f"{wanted} does not run")
    return found


def read_rendered(text: str) -> Rendered:
    """Read helm's output; raises ChartRefused for what is no Kubernetes object."""
    objects: list[KubernetesObject] = []
    values: Mapping[str, Any] = {}
    for part in _SEPARATOR.split(text):
        source = _SOURCE.match(part)
        template = source[1] if source else ""
        if template.endswith(f"/{_ECHO}"):
            values = json.loads(part.rpartition("\nvalues: ")[2]) or {}
        else:
            objects += _objects(part, template)
    return Rendered(tuple(objects), values)


def _objects(part: str, template: str) -> Iterator[KubernetesObject]:
    try:
        body = load(part)
    except yaml.YAMLError as error:
        raise _not_an_object(template, " ".join(str(error).split())) from error
    if body is None:
        return
    if not isinstance(body, dict) or "kind" not in body:
        raise _not_an_object(template, "It has no kind.")
    bodies = (body.get("items") or ()) if body["kind"] == "List" else (body,)
    for one in bodies:
        metadata = one.get("metadata") or {}
        yield KubernetesObject(
            api_version=str(one.get("apiVersion", "")),
            kind=str(one["kind"]),
            namespace=str(metadata.get("namespace") or ""),
            name=str(metadata.get("name") or metadata.get("generateName") or ""),
            template=template,
            body=one,
        )


def _not_an_object(template: str, why: str) -> ChartRefused:
    return ChartRefused(f"{template} renders something that is no Kubernetes object.", why=why)


def _arguments(
    command: str, inputs: ChartInputs, folder: Path, scratch: Path, names: Mapping[Path, str]
) -> Iterator[str]:
    yield str(folder)
    if command == "template":
        yield from ("--name-template", inputs.release)
        yield from (f"--api-versions={version}" for version in inputs.api_versions)
        yield from inputs.flags
    if inputs.namespace:
        yield f"--namespace={inputs.namespace}"
    if inputs.kube_version:
        yield f"--kube-version={inputs.kube_version}"
    for index, given in enumerate(inputs.parameters):
        yield f"{given.flag}={given.name}={_value(given, scratch / f'parameter-{index}')}"
    yield from (f"--values={path}" for path in names if path.suffix == ".yaml")


def _value(given: Parameter, file: Path) -> str:
    """Write a parameter's value as Argo CD does: commas escaped, but in a `{list}`."""
    if given.flag == "--set-file":
        return str(file)
    if given.value.startswith("{") and given.value.endswith("}"):
        return given.value
    return _UNESCAPED_COMMA.sub(r"\\,", given.value)


def _written(
    inputs: ChartInputs, scratch: Path, values: Mapping[str, Any] | None
) -> dict[Path, str]:
    """Write what helm reads from files; returns each file's name in the repository."""
    names: dict[Path, str] = {}
    for index, layer in enumerate(layer for layer in inputs.layers if layer.kind != "chart"):
        path = scratch / f"values-{index}.yaml"
        path.write_bytes(layer.data)
        names[path] = layer.file
    if values is not None:
        path = scratch / "values-all.yaml"
        path.write_text(json.dumps(values))
        names[path] = ""
    for index, given in enumerate(inputs.parameters):
        if given.flag == "--set-file":
            path = scratch / f"parameter-{index}"
            path.write_text(given.value)
            names[path] = given.file
    return names


def _vendor_neighbours(inputs: ChartInputs, tree: Path) -> None:
    """Put `file://` dependencies into charts/, as `helm dependency build` would."""
    folder = tree / inputs.chart
    metadata = load((folder / "Chart.yaml").read_bytes()) or {}
    for dependency in metadata.get("dependencies") or ():
        name, repository = str(dependency.get("name")), str(dependency.get("repository") or "")
        vendored = [*folder.glob(f"charts/{name}/Chart.yaml"), *folder.glob(f"charts/{name}-*.tgz")]
        if repository.startswith("file://") and not vendored and _NAME.fullmatch(name):
            neighbour = inside(inputs.chart, repository.removeprefix("file://"))
            inputs.tree.export(neighbour, tree)
            shutil.copytree(tree / neighbour, folder / "charts" / name, symlinks=True)


def _no_helm(why: str) -> PreflightRefused:
    return PreflightRefused(
        "helm cannot be run.",
        why=f"{why}.",
        todo=f"Install helm 3.16 or later, or name it in {HELM}.",
    )
