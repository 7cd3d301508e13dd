"""A chart laid out on disk as helm wants it: its files, and the charts that it depends on."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from plate_release.charts.complaints import complaint
from plate_release.charts.dependencies import Dependency
from plate_release.charts.helm import Helm
from plate_release.charts.inputs import SKIP_SCHEMA, ChartInputs, RemoteChart
from plate_release.charts.objects import ECHO, ECHO_TEMPLATE
from plate_release.charts.reading import at, load
from plate_release.errors import ChartRefused

_DEEPEST = 12  # of what is packed
_HTTP = ("http://", "https://")


def lay_out(helm: Helm, inputs: ChartInputs, home: Path, files: Mapping[str, bytes]) -> Path:
    """Write the chart below `home`, other bytes in `files` by real paths, and return its folder.

    Where charts/ lacks a dependency, `helm dependency build` brings all of them, as for Argo CD:
    neighbours of the repository (`file://`), and what is fetched. Raises ChartRefused where the
    chart or what it depends on cannot be had.
    """
    tree = home / "tree"
    tree.mkdir(parents=True)
    if inputs.remote:
        folder = fetched(helm, inputs.remote, tree)
    else:
        _export(inputs, inputs.chart, tree, files)
        folder = tree / inputs.chart
        _build(helm, inputs, folder, home, files)
    if SKIP_SCHEMA in inputs.flags:
        # helm 3 holds values.yaml to it when it lints, whatever the flag says.
        (folder / "values.schema.json").unlink(missing_ok=True)
    templates = folder / "templates"
    if templates.exists() and not templates.is_dir():
        raise ChartRefused(f"{inputs.chart}/templates is no folder.", todo="Correct the chart.")
    echo = templates / ("d/" * (_depth(folder) - 1)) / ECHO
    echo.parent.mkdir(parents=True, exist_ok=True)
    echo.write_text(ECHO_TEMPLATE)
    return folder


def _depth(folder: Path) -> int:
    """Return how many folders deep the chart's deepest template may stand."""
    deepest = 1
    for place, folders, files in os.walk(folder):
        names = (*folders, *files)
        if any(name.endswith(".tgz") or (Path(place) / name).is_symlink() for name in names):
            return _DEEPEST
        deepest = max(deepest, len(Path(place).relative_to(folder).parts) + 1)
    return deepest


def _export(inputs: ChartInputs, folder: str, into: Path, files: Mapping[str, bytes]) -> None:
    inputs.tree.export(folder, into)
    for path, _ in inputs.tree.entries(folder, follow=True) if files else ():
        if (real := inputs.tree.real(path)) in files:
            (into / path).write_bytes(files[real])


def _vendored(dependency: Dependency, folder: Path) -> bool:
    # A package has the version behind the name: redis-20.1.2.tgz is no redis-ha.
    packed = (folder / "charts").glob(f"{dependency.name}-[0-9v]*.tgz")
    unpacked = (folder / "charts").glob("*/Chart.yaml")
    return any(packed) or any(_name_of(chart) == dependency.name for chart in unpacked)


def _name_of(chart: Path) -> Any:
    with suppress(yaml.YAMLError):
        return at(load(chart.read_bytes()), ("name",))
    return None


def _build(
    helm: Helm, inputs: ChartInputs, folder: Path, home: Path, files: Mapping[str, bytes]
) -> None:
    wanted = [one for one in inputs.dependencies if one.repository and one.plain]
    lacking = [one for one in wanted if not _vendored(one, folder)]
    if not lacking:
        return
    remote = [one for one in lacking if not one.folder] or lacking
    missing = ", ".join(dict.fromkeys(one.name for one in remote))
    for one in inputs.dependencies:
        if one.folder and any(inputs.tree.entries(one.folder)):
            _export(inputs, one.folder, home / "tree", files)
    urls = dict.fromkeys(d.repository for d in wanted if d.repository.startswith(_HTTP))
    commands = [["repo", "add", f"r{number}", "--", url] for number, url in enumerate(urls)]
    for command in (*commands, ["dependency", "build", "--", str(folder)]):
        done = helm.run(command, home)
        if done.returncode:
            raise ChartRefused(
                f"{inputs.chart}/charts lacks {missing}, and helm cannot bring it.",
                why=complaint(done.stderr, home / "tree", {}).text,
                todo=f"Run `helm dependency build {inputs.chart}` "
                f"and commit {inputs.chart}/charts.",
            )


def fetched(helm: Helm, chart: RemoteChart, into: Path) -> Path:
    """Fetch a chart into a folder and return its own. Raises ChartRefused."""
    address = chart.repository.removeprefix("oci://").rstrip("/")
    http = chart.repository.startswith(_HTTP)
    options = [f"--repo={chart.repository}"] if http else []
    options += [f"--version={chart.version}"] if chart.version else []
    name = chart.name if http else f"oci://{address}/{chart.name}"
    done = helm.run(["pull", *options, "--untar", f"--untardir={into}", "--", name], into)
    folder = next((path.parent for path in into.glob("*/Chart.yaml")), None)
    if done.returncode or folder is None:
        raise ChartRefused(
            f"The chart {chart.name} {chart.version} of {chart.repository} cannot be fetched.",
            why=complaint(done.stderr, into, {}).text,
            todo="Check the chart's name, its version and the way to the repository.",
        )
    return folder
