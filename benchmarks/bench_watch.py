"""The watch: from the deciding line to the verdict, and a thousand Applications on the sandbox.

    bench_watch.py [latency] [crowd [APPLICATIONS]]

Figures are of one run on this machine. The watch of the crowd is a process of its own; what it
asks is counted by the sandbox, what it costs is read from /proc.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.connection import Connection
from plate_release.argocd.crew import Threads
from plate_release.argocd.events import Limits, Revision, Subject, Verdict
from plate_release.argocd.recording import Push, rows
from plate_release.argocd.sight import Watched
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.stream import Stream
from plate_release.argocd.transport import Transport
from plate_release.argocd.verdict import Judge
from plate_release.argocd.watch import Watch
from plate_release.model import Judgement, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "tests/recordings/argocd/recordings"
RUNS = 200
REPOSITORY_PATH = "app"
BEFORE, AFTER = "registry.example.com/app:1.0.0", "registry.example.com/app:1.1.0"


class Clock:
    """The machine's."""

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)


# -- from the line to the verdict ----------------------------------------------------------------


class Deciding:
    """A server that tells of a sync that fails for good, and remembers when it told the last."""

    def __init__(self) -> None:
        lines = (RECORDINGS / "sync-failed.jsonl").read_bytes().splitlines()
        self.told = 0.0
        self.states: list[dict[str, Any]] = []
        for row in rows(lines, []):
            if row.kind == "push":
                self.push = Push.model_validate(row.data)
            if row.kind == "stream":
                self.states.append(row.data["result"]["application"])
            if self.states and _failed(self.states[-1]):
                break

    def serve(self) -> ThreadingHTTPServer:
        """Serve on a free port of the loopback."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            if "/stream/" in handler.path:
                self.stream(handler)
            elif "resource-tree" in handler.path:
                handler.wfile.write(b'{"nodes":[]}')
            else:
                handler.wfile.write(json.dumps(self.states[-2]).encode())

        quiet = {"do_GET": answer, "log_message": lambda *_: None}
        handler = type("Handler", (BaseHTTPRequestHandler,), quiet)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def stream(self, handler: BaseHTTPRequestHandler) -> None:
        """Tell all states; note when the last one leaves."""
        for state in self.states[:-1]:
            handler.wfile.write(_line(state))
        threading.Event().wait(0.05)
        line = _line(self.states[-1])
        self.told = time.monotonic()
        handler.wfile.write(line)
        threading.Event().wait(1)


def _failed(state: dict[str, Any]) -> bool:
    message = state["status"].get("operationState", {}).get("message", "")
    return "is invalid" in message and "Retrying" in message


def _line(state: dict[str, Any]) -> bytes:
    event = {"result": {"type": "MODIFIED", "application": state}}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def latency() -> bool:
    deciding = Deciding()
    server = deciding.serve()
    before = LiveApplication.model_validate(deciding.states[0])
    transport = Transport(Connection(f"http://127.0.0.1:{server.server_port}", Secret("a.b.c")))
    took = []
    for _ in range(RUNS):
        push, clock = deciding.push, Clock()
        subject = _subject(before, push.commit, push.files[0], ("x:1",))
        watched = _watched(before.name, subject, Limits(), clock.now())
        for _, verdict in _watch([watched], transport):
            took.append(clock.now() - deciding.told)
            assert verdict.judgement is Judgement.FAILED, verdict
    server.shutdown()
    cut = quantiles(took, n=100)
    p50, p99 = cut[49] * 1000, cut[98] * 1000
    print(f"line to verdict, {RUNS} runs: p50 {p50:.1f} ms (at most 100), p99 {p99:.1f} ms (500)")
    return p50 <= 100 and p99 <= 500


# -- a crowd -------------------------------------------------------------------------------------


def crowd(count: int) -> bool:
    """Roll out `count` Applications with one commit, watched by a process of its own."""
    from plate_release.sandbox import Sandbox
    from plate_release.sandbox.git import GitServer

    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox() as sandbox,
        GitServer(Path(folder)) as git,
    ):
        bare = git.create("fleet.git")
        _push(Path(folder), bare, BEFORE)
        for n in range(count):
            sandbox.apply(_manifest(n, git.url("fleet.git")))
        _until(lambda: _running(sandbox, BEFORE) == count, 900, "all stand")
        commit = _push(Path(folder), bare, AFTER)
        asked = _Asked(sandbox)
        child = subprocess.Popen(
            [sys.executable, __file__, "child", sandbox.argocd_url, sandbox.token, commit],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            began = time.monotonic()
            _until(lambda: _running(sandbox, AFTER) == count, 900, "all run the new image")
            rolled = time.monotonic() - began
            busy = asked.rates()
            time.sleep(20)
            quiet = _Quiet(child.pid, asked)
            time.sleep(40)
            frugal = _told(count, rolled, busy, quiet.figures())
            return _cost(child.pid, sandbox) and frugal
        finally:
            child.kill()
            child.wait()


class _Asked:
    """How often the sandbox is asked, second by second."""

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self._samples = [(time.monotonic(), len(sandbox.requests))]
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while True:
            time.sleep(1)
            self._samples.append((time.monotonic(), len(self._sandbox.requests)))

    def rates(self, since: float = 0.0) -> list[float]:
        """Return requests a second over each ten seconds: a busy machine answers in bursts."""
        samples = [sample for sample in self._samples[:] if sample[0] >= since]
        ends = zip(samples, samples[10:], strict=False)
        return [(n - m) / (u - t) for (t, m), (u, n) in ends]


class _Quiet:
    """What a process costs from now on."""

    def __init__(self, pid: int, asked: _Asked) -> None:
        self._pid, self._asked = pid, asked
        self._began, self._cpu = time.monotonic(), _cpu(pid)

    def figures(self) -> tuple[float, float]:
        """Return requests a second, and the share of a core."""
        passed = time.monotonic() - self._began
        rates = self._asked.rates(self._began)
        return sum(rates) / len(rates), (_cpu(self._pid) - self._cpu) / passed


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _told(count: int, rolled: float, busy: list[float], quiet: tuple[float, float]) -> bool:
    calm, core = quiet
    print(f"{count} Applications rolled out in {rolled:.0f} s")
    mean, most = sum(busy) / len(busy), max(busy)
    print(f"requests a second: {mean:.1f} on average (at most 10), {most:.1f} in the busiest ten")
    print(f"in calm: {calm:.2f} requests a second (at most 1), {core:.1%} of a core (at most 5 %)")
    return mean <= 10 and calm <= 1 and core <= 0.05


def _cost(pid: int, sandbox: Any) -> bool:
    peak = _peak_mib(pid)
    streams = sum(1 for request in sandbox.requests if "/stream/applications" in request)
    print(f"memory: {peak:.0f} MiB at most (150); streams opened: {streams} (1)")
    return peak <= 150 and streams == 1


def _running(sandbox: Any, image: str) -> int:
    def count() -> int:
        statuses = [obj["status"] for obj in sandbox.hub.cached.values()]
        return sum(
            1
            for status in statuses
            if status.get("health", {}).get("status") == "Healthy"
            and status.get("summary", {}).get("images") == [image]
        )

    return int(sandbox.call(count))


def _until(true: Any, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            sys.exit(f"it never came: {what}")
        time.sleep(1)


def _push(folder: Path, bare: Path, image: str) -> str:
    work = folder / "work"
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    if not work.exists():
        run(["git", "clone", "--quiet", str(bare), str(work)])
        run(["git", "-C", str(work), "checkout", "--quiet", "-B", "main"])
    chart = work / REPOSITORY_PATH
    chart.mkdir(exist_ok=True)
    labels = {"app": "app"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    }
    (chart / "deployment.yaml").write_text(json.dumps(deployment))
    run(["git", "-C", str(work), "add", "--all"])
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    run(["git", "-C", str(work), *identity, "commit", "--quiet", "-m", image])
    run(["git", "-C", str(work), "push", "--quiet", "origin", "main"])
    return str(run(["git", "-C", str(work), "rev-parse", "HEAD"]).stdout.strip())


def _manifest(n: int, repository: str) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": f"app-{n:04}"},
        "spec": {
            "project": "default",
            "source": {
                "repoURL": repository,
                "targetRevision": "main",
                "path": REPOSITORY_PATH,
            },
            "destination": {
                "server": "https://kubernetes.default.svc",
                "namespace": f"ns-{n:04}",
            },
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true"],
            },
        },
    }


def _child(url: str, token: str, commit: str) -> None:
    """Watch all Applications of the sandbox; they are live, and stay in a long soak."""
    transport = Transport(Connection(url, Secret(token)))
    argocd, clock = ArgoCD(transport), Clock()
    watched = [
        _watched(
            before.name,
            _subject(before, commit, f"{REPOSITORY_PATH}/deployment.yaml", (AFTER,)),
            Limits(soak=3600, timeout=7200),
            clock.now(),
        )
        for before in argocd.list()
    ]
    for service, verdict in _watch(watched, transport):
        print(service, verdict, flush=True)


def _subject(before: LiveApplication, commit: str, file: str, images: tuple[str, ...]) -> Subject:
    source = before.spec.all_sources[0]
    return Subject(
        before.name,
        commit,
        source.repo_url,
        source.target_revision,
        file,
        images,
        project=before.spec.project,
        before=before,
    )


def _watched(name: str, subject: Subject, limits: Limits, now: float) -> Watched[Verdict]:
    def what_is(sha: str) -> Revision:
        ours = sha == subject.commit
        return Revision(sha, contains=ours, holds=ours)

    return Watched(name, AppRef(name, subject.project), Judge(subject, limits, now), what_is)


def _watch(
    watched: list[Watched[Verdict]], transport: Transport
) -> "Iterator[tuple[str, Verdict]]":
    stream, crew = partial(Stream, transport), Threads()
    return Watch(watched, ArgoCD(transport), crew, Clock(), stream).verdicts()


def main(words: list[str]) -> int:
    if words[:1] == ["child"]:
        _child(*words[1:])
        return 0
    good = True
    if not words or "latency" in words:
        good &= latency()
    if not words or "crowd" in words:
        count = next((int(word) for word in words if word.isdecimal()), 1000)
        good &= crowd(count)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
