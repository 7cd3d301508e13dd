"""Render an Application's charts with the real helm, as Argo CD does.

Source: argo-cd util/helm/cmd.go (template).
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plate_release.charts.complaints import Complaint, Name, complaint, linted
from plate_release.charts.helm import Helm, no_helm
from plate_release.charts.inputs import SKIP_SCHEMA, ChartInputs, Parameter
from plate_release.charts.layout import lay_out
from plate_release.charts.objects import Rendered, read_rendered
from plate_release.charts.secrets import without_secrets
from plate_release.charts.winner import place_of
from plate_release.errors import ChartRefused, PreflightRefused
from plate_release.model import Check, Finding

if TYPE_CHECKING:
    import subprocess

_MEMORY = "/dev/shm"  # noqa: S108  # mkdtemp makes a folder of our own in it
_ROOM = 512 * 1024 * 1024  # bytes; the 64 MiB of a container are too few
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")


@contextmanager
def open_charts(helm: Helm, inputs: Sequence[ChartInputs]) -> Iterator[tuple["OpenChart", ...]]:
    """Lay an Application's charts out in a temporary folder.

    It is in TMPDIR if that is set, else in memory where there is room: files are made at once
    there, and values touch no disk. Raises ChartRefused where a chart or what it depends on is not
    there, PreflightRefused where no folder can be made.
    """
    folder = helm.environ.get("TMPDIR") or _in_memory()
    try:
        temporary = tempfile.TemporaryDirectory(prefix="plate-release-", dir=folder)
    except OSError as error:
        raise PreflightRefused(
            f"No temporary folder can be made in {folder or tempfile.gettempdir()}.",
            why=str(error.strerror),
            todo="Set TMPDIR to a folder that can be written to.",
        ) from error
    with temporary as name:
        homes = [(one, Path(name) / str(one.source)) for one in inputs]
        yield tuple(OpenChart(helm, one, home, lay_out(helm, one, home, {})) for one, home in homes)


def _in_memory() -> str | None:
    with suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _ROOM and os.access(_MEMORY, os.W_OK | os.X_OK):
            return _MEMORY
    return None


@dataclass(frozen=True, slots=True)
class OpenChart:
    """A chart laid out on disk, ready to be rendered, or to be edited first."""

    helm: Helm
    inputs: ChartInputs
    home: Path
    folder: Path

    def edited(self, files: Mapping[str, bytes]) -> "OpenChart":
        """Lay the chart out with other bytes in `files`, by their real paths.

        One that reads none of them is returned as it is.
        """
        inputs, folder = self.inputs.edited(files), self.folder
        if inputs.shows(files):
            folder = lay_out(self.helm, inputs, Path(tempfile.mkdtemp(dir=self.home)), files)
        elif not inputs.takes(files):
            return self
        return replace(self, inputs=inputs, folder=folder)

    def render(self, values: Mapping[str, Any] | None = None) -> Rendered:
        """Render, or try out what it would be with `values` alone.

        Raises ChartRefused with helm's own message, files named as in the repository.
        """
        with self._ran("template", values, []) as run:
            if run.done.returncode:
                raise self._refused(run)
            chart = None if self.inputs.remote else self.inputs.chart
            return read_rendered(run.done.stdout, chart, self.inputs.source)

    def lint(self, *, strict: bool = False) -> tuple[Finding, ...]:
        """Return what `helm lint` warns of or fails for: Argo CD does not ask it.

        With `strict`, any of it raises ChartRefused.
        """
        with self._ran("lint", None, ["--strict"] if strict else []) as run:
            said = f"{run.done.stdout}\n{run.done.stderr}"
            found = [run.plain(text) for text in linted(said, self.inputs.chart)]
            if strict and run.done.returncode:
                raise self._refused(run, "\n".join(found))
            return tuple(Finding("warning", Check.HELM_LINT, text) for text in found)

    @contextmanager
    def _ran(
        self, command: str, values: Mapping[str, Any] | None, flags: list[str]
    ) -> "Iterator[_Run]":
        """Run helm, and keep what it was given until its answer is read.

        Raises PreflightRefused for a helm that is too old.
        """
        inputs, folder = self.inputs, self.folder
        if values is not None:
            # What is tried out need not be what a schema allows.
            more = (*inputs.flags, SKIP_SCHEMA)
            inputs = replace(inputs, parameters=(), flags=more)
        with tempfile.TemporaryDirectory(dir=self.home) as name:
            scratch = Path(name)
            names = _written(inputs, scratch, values)
            arguments = [command, *_arguments(command, inputs, folder, scratch, names), *flags]
            done = self.helm.run(arguments, self.home)
            if "unknown flag" in done.stderr:
                raise no_helm(f"{self.helm.version()} has an {done.stderr.strip()[7:]}")
            known = {str(path): name for path, name in names.items()}
            yield _Run(command, inputs, done, known | {str(folder): Name(inputs.chart)}, self.home)

    def _refused(self, run: "_Run", why: str = "") -> ChartRefused:
        found = run.complaint(why or run.done.stderr)
        file, line = self._known(found.file), found.line
        places = (place_of(run.inputs, value) for value in found.values)
        file, line = next((place for place in places if place[0]), (file, line if file else 0))
        where = f"{file}{f', line {line}' if line else ''}: " if file else ""
        return ChartRefused(
            f"{where}helm {run.command} of {run.inputs.application} fails.",
            why=found.text,
            todo=found.todo or self._advice(found.text),
        )

    def _advice(self, said: str) -> str:
        if "incompatible with Kubernetes" in said and not self.inputs.capabilities.kube_version:
            # helm takes a version of its own where it is given none.
            return "Set `kubernetes: {version: ...}` in the configuration: the cluster's."
        return "Correct the chart or its values."

    def _known(self, file: str) -> str:
        """Return a file as the repository has it; "" where it has none, as in a packed chart."""
        candidates = [file]
        for one in self.inputs.dependencies:
            below = f"{self.inputs.chart}/charts/{one.name}/"
            if one.folder and file.startswith(below):
                candidates.append(f"{one.folder}/{file.removeprefix(below)}")
        own = {layer.file for layer in self.inputs.layers}
        found = self.inputs.tree.read_many([one for one in candidates if one])
        return next((one for one in candidates if one in found or one in own), "")


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of helm, with the repository's names of what it was given."""

    command: str
    inputs: ChartInputs
    done: "subprocess.CompletedProcess[str]"
    names: Mapping[str, Name]
    home: Path

    def complaint(self, said: str) -> Complaint:
        subcharts = {one.name for one in self.inputs.dependencies}
        said = without_secrets(said, self.inputs)
        return complaint(said, self.home, self.names, self.inputs.chart, subcharts)

    def plain(self, text: str) -> str:
        return self.complaint(text).text


def _arguments(
    command: str, inputs: ChartInputs, folder: Path, scratch: Path, names: Mapping[Path, Name]
) -> Iterator[str]:
    yield str(folder)
    if command == "template":
        yield from ("--name-template", inputs.release)
        yield from (f"--api-versions={version}" for version in inputs.capabilities.api_versions)
        yield from inputs.flags
    else:
        yield from (flag for flag in inputs.flags if flag == SKIP_SCHEMA)
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
) -> dict[Path, Name]:
    """Write what helm reads from files; returns each file's name in the repository."""
    names: dict[Path, Name] = {}
    for index, layer in enumerate(layer for layer in inputs.layers if not layer.is_default):
        path = scratch / f"values-{index}.yaml"
        path.write_bytes(layer.data)
        # The text of a block starts on the line after `values: |`.
        names[path] = Name(layer.file, layer.line + (layer.kind == "values"))
    if values is not None:
        path = scratch / "values-all.yaml"
        path.write_text(json.dumps(values))
        names[path] = Name("the values tried out")
    for index, given in enumerate(inputs.parameters):
        if given.flag == "--set-file":
            path = scratch / f"parameter-{index}"
            path.write_text(given.value)
            names[path] = Name(given.file)
    return names
