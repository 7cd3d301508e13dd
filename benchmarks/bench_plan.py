"""What a plan costs over the helm processes that it cannot do without.

    bench_plan.py [ROUNDS]

One service of this repository, planned on a view of it that was fetched before, takes two
renderings. The same two helm processes are run alone, in turns with it, and the medians compared
(bound: 1.3; on a machine with a core to spare, since `helm lint` runs beside them). Then four
services, side by side and one after the other.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from plate_release.charts import Helm, Sought, applications
from plate_release.charts.objects import read_document
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Ask
from plate_release.plan import Checks, Judged, RegistryAnswer, Target
from plate_release.planner import plan_release

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("plate-api", "plate-web", "plate-llm", "plate-cache")
HELMS = ("helm-3", "helm-4")
LIMIT = 1.3


class Clock:
    """The machine's."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def plan(tree: RepositoryTree, repository: Repository, helm: str, *services: str) -> None:
    read_document.cache_clear()  # a run of its own has read nothing before
    found = applications(tree)
    wanted = []
    for service in services:
        manifest = found.services("prod")[service]
        url = manifest.application.spec.all_sources[0].repo_url
        wanted.append((Target(Sought(service), manifest, repository, url), Ask(service, "9.9.9")))
    made = plan_release(
        wanted,
        {repository: tree},
        Helm(helm, os.environ),
        Checks(
            judge=lambda _target, _keys, ask: Judged(ask),
            ask=lambda _: RegistryAnswer(),
            readers=lambda *_: (),
            reader=lambda *_: wanted[0][0],
            generated=lambda *_: (),
            strict=False,
        ),
    )
    if len(made.services) != len(services):
        raise SystemExit("nothing was planned")


def helms(helm: str, chart: Path) -> None:
    command = [helm, "template", str(chart), "--name-template", "plate-api"]
    command += ["--namespace=plate-prod", "--include-crds", f"--values={chart}/values-prod.yaml"]
    for _ in range(2):
        subprocess.run(command, check=True, capture_output=True)


def compare(tree: RepositoryTree, repository: Repository, helm: str, rounds: int) -> float:
    chart = ROOT / "helm" / "applications" / "plate-server"
    first = SERVICES[0]
    alone, whole, four, each = [], [], [], []
    for _ in range(rounds):
        alone.append(seconds(lambda: helms(helm, chart)))
        whole.append(seconds(lambda: plan(tree, repository, helm, first)))
        four.append(seconds(lambda: plan(tree, repository, helm, *SERVICES)))
        singles = [partial(plan, tree, repository, helm, service) for service in SERVICES]
        each.append(sum(map(seconds, singles)))
    ratio = statistics.median(w / a for w, a in zip(whole, alone, strict=True))
    middle = [f"{statistics.median(times) * 1000:.0f} ms" for times in (alone, whole, four, each)]
    print(f"{Path(helm).parent.name}: two helm processes {middle[0]}, a plan {middle[1]}", end="")
    print(f": {ratio:.2f} (limit {LIMIT})")
    gain = statistics.median(e / f for e, f in zip(each, four, strict=True))
    print(f"  four services: {middle[2]} side by side, {middle[3]} one by one: {gain:.2f} times")
    return ratio


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name) / "platform.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", str(ROOT), str(bare)], check=True)
        branch = subprocess.run(
            ["git", "-C", str(bare), "symbolic-ref", "--short", "HEAD"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        with Repository.open(str(bare), branch, Credentials(), clock=Clock()) as repository:
            tree = repository.head()
            plan(tree, repository, str(ROOT / ".tools" / HELMS[0] / "helm"), *SERVICES)
            ratios = [
                compare(tree, repository, str(ROOT / ".tools" / helm / "helm"), rounds)
                for helm in HELMS
            ]
    return 0 if max(ratios) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
