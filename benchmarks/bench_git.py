"""The git engine against raw plumbing and against the plain way, in one run over loopback HTTP.

    uv run python benchmarks/bench_git.py [--files 20000] [--charts 500] [--commits 5000]

A repository is generated, served by `plate_release.sandbox.git`, and released into by:
the engine (in process); partial-clone plumbing as a shell script would have it, without checks;
and `git clone`, edit, commit, push. Medians of several rounds; the ways take turns.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plate_release.gitops.commit import Author
from plate_release.gitops.entry import Entry, ServiceEntry, moment, write
from plate_release.gitops.ledger import Ledger
from plate_release.gitops.push import Proposal, compare_and_swap
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Outcome
from plate_release.sandbox.git import GitServer

ME = Author("Bench", "bench@example.com")
IDENTITY = "Bench <bench@example.com>"


class Clock:
    """The real one."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)


@dataclass(frozen=True)
class Size:
    """Of the generated repository."""

    files: int
    charts: int
    commits: int


def values(chart: int) -> str:
    return f"charts/app-{chart:03d}/values-prod.yaml"


def values_text(tag: str) -> str:
    more = "".join(f"option{number}: {number}\n" for number in range(40))
    return f"image:\n  repository: registry.example/app\n  tag: {tag}\n{more}"


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
        - name: app
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"
"""

APPLICATION = """apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: {name}-prod, namespace: argocd}}
spec:
  project: default
  source:
    repoURL: {url}
    targetRevision: main
    path: charts/{name}
    helm: {{valueFiles: [values-prod.yaml]}}
  destination: {{server: "https://kubernetes.default.svc", namespace: prod}}
  syncPolicy: {{automated: {{}}}}
"""


def chart_files(chart: int, count: int, url: str, rng: random.Random) -> Iterator[bytes]:
    name = f"app-{chart:03d}"
    yield blob(f"environments/argocd/apps/{name}.yaml", APPLICATION.format(name=name, url=url))
    yield blob(values(chart), values_text("1.0.0"))
    yield blob(f"charts/{name}/Chart.yaml", f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n")
    yield blob(f"charts/{name}/templates/deployment.yaml", DEPLOYMENT)
    for number in range(count - 4):
        text = "".join(f"key{i}: {rng.random()}\n" for i in range(20))
        yield blob(f"charts/{name}/files/file-{number}.yaml", text)


def stream(size: Size, url: str) -> Iterator[bytes]:
    """Yield a fast-import stream: everything in the first commit, then one edit a commit."""
    rng = random.Random(5)
    yield b"feature done\n"
    yield f"commit refs/heads/main\ncommitter {IDENTITY} 1700000000 +0000\ndata 4\nSeed\n".encode()
    for chart in range(size.charts):
        yield from chart_files(chart, size.files // size.charts, url, rng)
    for number in range(2, size.commits + 1):
        committer = f"committer {IDENTITY} {1700000000 + number} +0000"
        yield f"commit refs/heads/main\n{committer}\ndata 4\nEdit\n".encode()
        yield blob(values(number % size.charts), values_text(f"1.0.{number}"))
    yield b"done\n"


def blob(path: str, text: str) -> bytes:
    return f"M 100644 inline {path}\ndata {len(text)}\n{text}\n".encode()


def generate(server: GitServer, name: str, size: Size) -> Path:
    bare = server.create(name)
    done = b"".join(stream(size, server.url(name)))
    git(bare, "fast-import", "--quiet", "--done", stdin=done)
    git(bare, "repack", "-adq", "--window=10")
    git(bare, "config", "pack.writeBitmaps", "true")
    return bare


def git(directory: Path, *arguments: str, stdin: bytes = b"") -> str:
    environment = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Bench",
        "GIT_AUTHOR_EMAIL": "bench@example.com",
        "GIT_COMMITTER_NAME": "Bench",
        "GIT_COMMITTER_EMAIL": "bench@example.com",
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env=environment,
        input=stdin,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"git {arguments}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-git-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def bump(text: bytes, tag: str) -> bytes:
    head, _, rest = text.partition(b"tag: ")
    return head + b"tag: " + tag.encode() + b"\n" + rest.partition(b"\n")[2]


def engine(url: str, chart: int, tag: str) -> None:
    with Repository.open(url, "main", Credentials(), clock=Clock) as repository:

        def make(head: RepositoryTree) -> Proposal:
            edited = {values(chart): bump(head.read(values(chart)), tag)}
            commit = repository.commit(head, edited, f"Release {tag}\n", ME)
            return Proposal(commit, (repository.branch_update(head, commit),))

        compare_and_swap(repository, make, seconds=120, clock=Clock, rng=random.Random())


def plumbing(url: str, chart: int, tag: str) -> None:
    """Do the least that git asks for: partial clone, one blob, a tree a level, commit, push."""
    with scratch() as folder:
        repo = folder / "r.git"
        git(folder, "clone", "-q", "--bare", "--depth=1", "--filter=blob:none", url, str(repo))
        path = values(chart)
        text = git(repo, "cat-file", "blob", f"main:{path}")
        oid = git(repo, "hash-object", "-w", "--stdin", stdin=bump(text.encode() + b"\n", tag))
        name, kind = path.rpartition("/")[2], "100644 blob"
        folders = path.split("/")[:-1]
        for depth in range(len(folders), -1, -1):
            listing = git(repo, "ls-tree", f"main:{'/'.join(folders[:depth])}").splitlines()
            kept = [line for line in listing if line.partition("\t")[2] != name]
            lines = "\n".join([*kept, f"{kind} {oid}\t{name}", ""])
            oid = git(repo, "mktree", "--missing", stdin=lines.encode())
            name, kind = folders[depth - 1] if depth else "", "040000 tree"
        commit = git(repo, "commit-tree", "-p", "main", "-m", f"Release {tag}", oid)
        git(repo, "push", "-q", url, f"{commit}:refs/heads/main")


def plain(url: str, chart: int, tag: str) -> None:
    with scratch() as folder:
        work = folder / "work"
        git(folder, "clone", "-q", url, str(work))
        file = work / values(chart)
        file.write_bytes(bump(file.read_bytes(), tag))
        git(work, "commit", "-q", "-a", "-m", f"Release {tag}")
        git(work, "push", "-q", "origin", "HEAD:main")


Way = Callable[[str, int, str], None]


def alone(server: GitServer, url: str, rounds: int) -> dict[str, float]:
    ways: dict[str, Way] = {"engine": engine, "plumbing": plumbing, "plain": plain}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    requests: dict[str, int] = {}
    for number in range(rounds):
        for index, (name, way) in enumerate(ways.items()):
            before, start = server.requests(), time.perf_counter()
            way(url, number, f"2.{number}.{index}")
            taken[name].append(time.perf_counter() - start)
            requests[name] = server.requests() - before
    medians = {name: statistics.median(times) for name, times in taken.items()}
    print("one release, alone          median      min      max   requests")
    for name, times in taken.items():
        print(
            f"  {name:<24}{medians[name]:8.3f} {min(times):8.3f} {max(times):8.3f}"
            f"   {requests[name]:8d}"
        )
    print(f"  engine / plumbing   {medians['engine'] / medians['plumbing']:.2f}   (at most 1.3)")
    print(f"  plain / engine      {medians['plain'] / medians['engine']:.2f}   (at least 4)")
    return medians


def command(server: GitServer, url: str, helm: Path) -> None:
    """Measure the whole command, start-up and helm included, against the plain way."""
    arguments = ["deploy", "app-010=9.0.0", "--yes", "--no-wait", "--image-check", "off"]
    program = [sys.executable, "-m", "plate_release", "--repo", url, *arguments]
    environment = {"PATH": os.environ["PATH"], "PLATE_RELEASE_HELM": str(helm.resolve())}
    before, start = server.requests(), time.perf_counter()
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"deploy ended with {done.returncode}: {done.stdout}{done.stderr}")
    requests = server.requests() - before
    start = time.perf_counter()
    plain(url, 11, "9.0.1")
    took = time.perf_counter() - start
    print(f"deploy --no-wait, the whole command: {whole:.2f} s, {requests} requests")
    print(f"  plain / command     {took / whole:.2f}   (above 1)")


def stubborn(url: str, chart: int, tags: list[str]) -> None:
    """Go the plain way among many writers: pull --rebase and push until it works."""
    with scratch() as folder:
        work = folder / "work"
        git(folder, "clone", "-q", "--depth=1", url, str(work))
        file = work / values(chart)
        for tag in tags:
            file.write_bytes(bump(file.read_bytes(), tag))
            git(work, "commit", "-q", "-a", "-m", f"Release {tag}")
            while True:
                try:
                    git(work, "push", "-q", "origin", "HEAD:main")
                    break
                except RuntimeError:
                    git(work, "pull", "-q", "--rebase", "origin", "main")


def patient(url: str, chart: int, tags: list[str]) -> None:
    with Repository.open(url, "main", Credentials(), clock=Clock) as repository:
        for tag in tags:

            def make(head: RepositoryTree, tag: str = tag) -> Proposal:
                edited = {values(chart): bump(head.read(values(chart)), tag)}
                commit = repository.commit(head, edited, f"Release {tag}\n", ME)
                return Proposal(commit, (repository.branch_update(head, commit),))

            compare_and_swap(repository, make, seconds=600, clock=Clock, rng=random.Random())


def contended(server: GitServer, bare: Path, url: str, writers: int, each: int) -> None:
    print(f"{writers} writers, {each} releases each")
    rates = {}
    for name, way in {"engine": patient, "plain push retries": stubborn}.items():
        before = int(git(bare, "rev-list", "--count", "main"))
        asked, start = server.requests(), time.perf_counter()
        with ThreadPoolExecutor(writers) as pool:
            jobs = [
                pool.submit(way, url, chart, [f"3.{chart}.{n}" for n in range(each)])
                for chart in range(writers)
            ]
            for job in jobs:
                job.result()
        took = time.perf_counter() - start
        landed = int(git(bare, "rev-list", "--count", "main")) - before
        if landed != writers * each:
            sys.exit(f"{name}: {landed} commits landed, not {writers * each}")
        rates[name] = landed / took
        print(
            f"  {name:<22}{took:7.1f} s {rates[name]:6.1f} commits/s"
            f" {(server.requests() - asked) / landed:6.1f} requests a commit"
        )
    print(f"  engine / plain      {rates['engine'] / rates['plain push retries']:.2f}")


def ledger(server: GitServer, url: str, bare: Path, count: int) -> None:
    commits = git(bare, "rev-list", f"--max-count={count}", "main").splitlines()
    notes = [
        b"feature done\ncommit refs/notes/plate-release\ncommitter Bench <b@x> 1 +0000\ndata 0\n"
    ]
    for number, commit in enumerate(commits):
        service = ServiceEntry(name=f"app-{number % 500:03d}", before="1.0.0", after="1.0.1")
        entry = Entry(
            id=f"r{number}", state=Outcome.RELEASED, environment="prod", services=(service,),
            started=moment(1_700_000_000 + number), finished=moment(1_700_000_060 + number),
        )  # fmt: skip
        body = write(entry)
        notes.append(b"N inline %b\ndata %d\n%b\n" % (commit.encode(), len(body), body))
    git(bare, "fast-import", "--quiet", "--force", "--done", stdin=b"".join([*notes, b"done\n"]))
    git(bare, "repack", "-adq")
    before, start = server.requests(), time.perf_counter()
    with Repository.open(url, "main", Credentials(), clock=Clock) as repository:
        repository.head()
        fetched = time.perf_counter() - start
        found = Ledger(repository, ME).entries()
    took = time.perf_counter() - start
    if len(found) != len(commits):
        sys.exit(f"{len(found)} entries, not {len(commits)}")
    print(
        f"ledger of {len(found)} releases: {took:.2f} s (head {fetched:.2f}),"
        f" {server.requests() - before} requests   (under 2 s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--charts", type=int, default=500)
    parser.add_argument("--commits", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--helm", type=Path, help="also measure the whole command, with this helm")
    options = parser.parse_args()
    size = Size(options.files, options.charts, options.commits)
    with scratch() as root, GitServer(root) as server:
        start = time.perf_counter()
        bare = generate(server, "gitops.git", size)
        print(f"{size} generated in {time.perf_counter() - start:.1f} s; {os.cpu_count()} cores")
        url = server.url("gitops.git")
        alone(server, url, options.rounds)
        if options.helm:
            command(server, url, options.helm)
        contended(server, bare, url, options.writers, options.each)
        ledger(server, url, bare, size.commits)


if __name__ == "__main__":
    main()
