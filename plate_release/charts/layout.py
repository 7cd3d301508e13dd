"""A chart laid out on disk as helm wants it: its files, and the charts that it depends on."""

import re
import shutil
from pathlib import Path

from plate_release.charts.complaints import complaint
from plate_release.charts.helm import Helm
from plate_release.charts.inputs import ChartInputs, Dependency, RemoteChart
from plate_release.charts.objects import ECHO, ECHO_TEMPLATE
from plate_release.errors import ChartRefused

_NAME = re.compile(r"[\w-][\w.-]*")
_REMOTE = ("http://", "https://", "oci://")


def lay_out(helm: Helm, inputs: ChartInputs, home: Path) -> Path:
    """Write the chart below `home`, and return its folder.

    A dependency that is not in charts/ comes from its neighbour in the repository (`file://`) or
    is fetched, as Argo CD's `helm dependency build` would. Raises ChartRefused where the chart or
    what it depends on cannot be had.
    """
    tree = home / "tree"
    tree.mkdir(parents=True)
    if inputs.remote:
        folder = _fetched(helm, inputs.remote, tree)
    else:
        inputs.tree.export(inputs.chart, tree)
        folder = tree / inputs.chart
    for dependency in inputs.dependencies:
        if _NAME.fullmatch(dependency.name) and not _vendored(dependency, folder):
            _vendor(helm, dependency, inputs, folder, tree)
    (folder / "templates").mkdir(exist_ok=True)
    (folder / ECHO).write_text(ECHO_TEMPLATE)
    return folder


def _vendored(dependency: Dependency, folder: Path) -> bool:
    name = dependency.name
    return any(folder.glob(f"charts/{name}/Chart.yaml")) or any(folder.glob(f"charts/{name}-*.tgz"))


def _vendor(
    helm: Helm, dependency: Dependency, inputs: ChartInputs, folder: Path, tree: Path
) -> None:
    if dependency.folder is not None:
        inputs.tree.export(dependency.folder, tree)
        place = folder / "charts" / dependency.name
        shutil.copytree(tree / dependency.folder, place, symlinks=True)
    elif dependency.repository.startswith(_REMOTE):
        chart = RemoteChart(dependency.repository, dependency.name, dependency.version)
        todo = f"Run `helm dependency build {inputs.chart}` and commit {inputs.chart}/charts."
        _fetched(helm, chart, folder / "charts", todo)


def _fetched(
    helm: Helm,
    chart: RemoteChart,
    into: Path,
    todo: str = "Check the chart's name, its version and the way to the repository.",
) -> Path:
    http = chart.repository.startswith(("http://", "https://"))
    address = chart.repository.removeprefix("oci://").rstrip("/")
    name = [chart.name, "--repo", chart.repository] if http else [f"oci://{address}/{chart.name}"]
    version = ["--version", chart.version] if chart.version else []
    into.mkdir(exist_ok=True)
    done = helm.run(["pull", *name, *version, "--untar", "--untardir", str(into)], into)
    if done.returncode:
        raise ChartRefused(
            f"The chart {chart.name} {chart.version} of {chart.repository} cannot be fetched.",
            why=complaint(done.stderr, into).text,
            todo=todo,
        )
    return next(path.parent for path in into.glob("*/Chart.yaml"))
