"""Run the real helm as Argo CD runs it, in a folder of its own.

A `Renderer` holds no state, and an open chart only its own temporary folder: charts may be
rendered side by side. helm gets no plugins, no user's settings, no cluster; only fetching a chart
from a Helm repository goes to the network.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plate_release.charts.complaints import complaint
from plate_release.charts.inputs import ChartInputs, Parameter, RemoteChart
from plate_release.charts.objects import ECHO, ECHO_TEMPLATE, Rendered, read_rendered
from plate_release.charts.reading import load
from plate_release.charts.valuefiles import inside
from plate_release.charts.winner import place_of
from plate_release.errors import ChartRefused, PreflightRefused
from plate_release.model import Finding

HELM = "PLATE_RELEASE_HELM"
_NAME = re.compile(r"[\w-][\w.-]*")
_UNESCAPED_COMMA = re.compile(r"(?<!\\),")
_PASSED_ON = ("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(frozen=True, slots=True)
class Renderer:
    """Runs `helm`; `environ` is what it may pass on of the caller's environment."""

    helm: str
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0

    @contextmanager
    def open(self, inputs: ChartInputs) -> "Iterator[OpenChart]":
        """Lay the chart out in a temporary folder.

        Raises ChartRefused where the chart or what it depends on is not there.
        """
        with tempfile.TemporaryDirectory(prefix="plate-release-") as name:
            home = Path(name)
            yield OpenChart(self, inputs, home, self._lay_out(inputs, home))

    def version(self) -> str:
        """Return helm's version, such as `v3.17.3`."""
        with tempfile.TemporaryDirectory(prefix="plate-release-") as home:
            return self.run(["version", "--template", "{{.Version}}"], Path(home)).stdout.strip()

    def run(self, arguments: list[str], home: Path) -> "subprocess.CompletedProcess[str]":
        """Run helm with settings of its own below `home`.

        Raises PreflightRefused where there is no helm, ChartRefused where it takes too long.
        """
        passed = {key: self.environ[key] for key in _PASSED_ON + _PROXIES if key in self.environ}
        own = {f"HELM_{what}_HOME": str(home / what) for what in ("CONFIG", "CACHE", "DATA")}
        rest = {"HOME": str(home), "HELM_PLUGINS": str(home), "KUBECONFIG": str(home / "none")}
        try:
            return subprocess.run(
                [self.helm, *arguments],
                env=passed | own | rest,
                cwd=home,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ChartRefused(
                f"helm {arguments[0]} did not end within {self.timeout:g} s.",
                todo="Look for a template that does not end.",
            ) from error
        except OSError as error:
            raise _no_helm(f"{self.helm}: {error.strerror}") from error

    def _lay_out(self, inputs: ChartInputs, home: Path) -> Path:
        tree = home / "tree"
        tree.mkdir()
        if inputs.remote:
            folder = self._fetched(inputs.remote, tree)
        else:
            inputs.tree.export(inputs.chart, tree)
            folder = tree / inputs.chart
            _vendor_neighbours(inputs, tree)
        (folder / "templates").mkdir(exist_ok=True)
        (folder / ECHO).write_text(ECHO_TEMPLATE)
        return folder

    def _fetched(self, chart: RemoteChart, into: Path) -> Path:
        http = re.match(r"https?://", chart.repository)
        address = chart.repository.removeprefix("oci://").rstrip("/")
        name = (
            [chart.name, "--repo", chart.repository] if http else [f"oci://{address}/{chart.name}"]
        )
        version = ["--version", chart.version] if chart.version else []
        done = self.run(["pull", *name, *version, "--untar", "--untardir", str(into)], into)
        if done.returncode:
            raise ChartRefused(
                f"The chart {chart.name} {chart.version} of {chart.repository} cannot be fetched.",
                why=complaint(done.stderr, into).text,
                todo="Check the chart's name, its version and the way to the repository.",
            )
        return next(path.parent for path in into.glob("*/Chart.yaml"))


@dataclass(frozen=True, slots=True)
class OpenChart:
    """A chart laid out on disk, ready to be rendered with changed files."""

    renderer: Renderer
    inputs: ChartInputs
    home: Path
    folder: Path

    def render(
        self, files: Mapping[str, bytes] | None = None, *, values: Mapping[str, Any] | None = None
    ) -> Rendered:
        """Render with other bytes in the `files` named, or with `values` alone, whatever else says.

        Raises ChartRefused with helm's own message, files named as in the repository.
        """
        return read_rendered(self._run("template", files or {}, values, []))

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
            done = self.renderer.run(arguments, self.home)
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
            return _no_helm(f"{self.renderer.version()} has an {done.stderr.strip()[7:]}")
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


def find_helm(environ: Mapping[str, str]) -> str:
    """Return the helm to run: `PLATE_RELEASE_HELM`, else the one on PATH.

    Raises PreflightRefused where there is none.
    """
    wanted = environ.get(HELM) or "helm"
    found = shutil.which(wanted, path=environ.get("PATH"))
    if found is None:
        raise _no_helm(f"{wanted} is not on PATH" if wanted == "helm" else f"{wanted} does not run")
    return found


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
