"""Render an Application's charts with the real helm, as Argo CD does.

Source: argo-cd util/helm/cmd.go (template).
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plate_release.charts.complaints import complaint
from plate_release.charts.helm import Helm, no_helm
from plate_release.charts.inputs import ChartInputs, Parameter
from plate_release.charts.layout import lay_out
from plate_release.charts.objects import Rendered, read_rendered
from plate_release.charts.winner import place_of
from plate_release.errors import ChartRefused, PreflightRefused
from plate_release.model import Finding

if TYPE_CHECKING:
    import subprocess

_UNESCAPED_COMMA = re.compile(r"(?<!\\),")


@contextmanager
def open_charts(helm: Helm, inputs: Sequence[ChartInputs]) -> Iterator[tuple["OpenChart", ...]]:
    """Lay an Application's charts out in a temporary folder.

    Raises ChartRefused where a chart or what it depends on is not there.
    """
    with tempfile.TemporaryDirectory(prefix="plate-release-") as name:
        homes = [(one, Path(name) / str(one.source)) for one in inputs]
        yield tuple(OpenChart(helm, one, home, lay_out(helm, one, home)) for one, home in homes)


@dataclass(frozen=True, slots=True)
class OpenChart:
    """A chart laid out on disk, ready to be rendered with changed files."""

    helm: Helm
    inputs: ChartInputs
    home: Path
    folder: Path

    def render(
        self, files: Mapping[str, bytes] | None = None, *, values: Mapping[str, Any] | None = None
    ) -> Rendered:
        """Render with other bytes in the `files` named, or with `values` alone, whatever else says.

        Raises ChartRefused with helm's own message, files named as in the repository.
        """
        chart = "" if self.inputs.remote else self.inputs.chart
        said = self._run("template", files or {}, values, [])
        return read_rendered(said, chart, self.inputs.source)

    def lint(
        self, files: Mapping[str, bytes] | None = None, *, strict: bool = False
    ) -> tuple[Finding, ...]:
        """Return the warnings of `helm lint`; raises ChartRefused where it fails.

        With `strict`, warnings fail too.
        """
        said = self._run("lint", files or {}, None, ["--strict"] if strict else [])
        warnings = re.findall(r"^\[WARNING\] (.+)$", said, re.MULTILINE)
        return tuple(Finding("warning", "helm-lint", text) for text in warnings)

    def _run(
        self,
        command: str,
        files: Mapping[str, bytes],
        values: Mapping[str, Any] | None,
        flags: list[str],
    ) -> str:
        inputs = self.inputs.edited(files)
        if values is not None:
            # What is tried out need not be what a schema allows.
            more = (*inputs.flags, "--skip-schema-validation")
            inputs = replace(inputs, parameters=(), flags=more)
        with tempfile.TemporaryDirectory(dir=self.home) as name:
            scratch = Path(name)
            folder = self._changed(files, scratch)
            names = _written(inputs, scratch, values)
            arguments = [command, *_arguments(command, inputs, folder, scratch, names), *flags]
            done = self.helm.run(arguments, self.home)
            if done.returncode:
                raise self._refused(command, inputs, done, folder, names)
            return done.stdout

    def _changed(self, files: Mapping[str, bytes], scratch: Path) -> Path:
        """Return the chart's folder, a copy of it where the files change it."""
        start = f"{self.inputs.chart}/" if self.inputs.chart else ""
        touched = {name: data for name, data in files.items() if name.startswith(start)}
        if not touched or not self.inputs.ours:
            return self.folder
        # Its name must stay: helm lint compares it with the chart's.
        copy = scratch / "chart" / self.folder.name
        shutil.copytree(self.folder, copy, symlinks=True, copy_function=os.link)
        for name, data in touched.items():
            file = copy / name.removeprefix(start)
            file.unlink(missing_ok=True)  # the link alone: the chart's own file stays
            file.write_bytes(data)
        return copy

    def _refused(
        self,
        command: str,
        inputs: ChartInputs,
        done: "subprocess.CompletedProcess[str]",
        folder: Path,
        names: Mapping[Path, str],
    ) -> ChartRefused | PreflightRefused:
        said = done.stderr if command == "template" else f"{done.stdout}\n{done.stderr}"
        if "unknown flag" in done.stderr:
            return no_helm(f"{self.helm.version()} has an {done.stderr.strip()[7:]}")
        known = {str(path): name for path, name in names.items()} | {str(folder): self.inputs.chart}
        found = complaint(said, self.home, known, self.inputs.chart)
        file, line = found.file, found.line
        if found.value:
            file, line = place_of(inputs, found.value)
        where = f"{file}{f', line {line}' if line else ''}: " if file else ""
        return ChartRefused(
            f"{where}helm {command} of {self.inputs.application} fails.",
            why=found.text,
            todo=found.todo or "Correct the chart or its values.",
        )


def _arguments(
    command: str, inputs: ChartInputs, folder: Path, scratch: Path, names: Mapping[Path, str]
) -> Iterator[str]:
    yield str(folder)
    if command == "template":
        yield from ("--name-template", inputs.release)
        yield from (f"--api-versions={version}" for version in inputs.capabilities.api_versions)
        yield from inputs.flags
    if inputs.namespace:
        yield f"--namespace={inputs.namespace}"
    if inputs.capabilities.kube_version:
        yield f"--kube-version={inputs.capabilities.kube_version}"
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
