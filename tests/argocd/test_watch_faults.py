"""A release that goes well, watched over real HTTP through faults: live in the end, never failed.

The server plays the recording `success`; the clock of the watch runs forty times faster, so that
its pauses cost a fortieth. What is judged is what the real judge says.
"""

import copy
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.connection import Connection
from plate_release.argocd.crew import Threads
from plate_release.argocd.events import Code, Limits, Revision, Subject, Verdict
from plate_release.argocd.sight import Watched
from plate_release.argocd.status import LiveApplication, ResourceTree
from plate_release.argocd.stream import Stream
from plate_release.argocd.transport import Request, Transport
from plate_release.argocd.verdict import Judge
from plate_release.argocd.watch import Watch
from plate_release.model import Judgement, Secret

SPEED = 40.0
STEP_SECONDS = 0.04
NAME = "success"


class FastClock:
    def now(self) -> float:
        return monotonic() * SPEED

    def wall(self) -> float:
        return 1_795_000_000 + monotonic() * SPEED

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody sleeps here, not {seconds} s")


class FastThreads(Threads):
    def wait(self, seconds: float) -> None:
        super().wait(seconds / SPEED)


@dataclass
class Playing:
    """Argo CD as `success` was recorded, one state after the other from the first refresh on."""

    states: list[dict[str, Any]]
    trees: list[dict[str, Any]]
    commit: str
    fault: Callable[["Playing", Any], bool] = lambda _playing, _exchange: False
    project: str = "default"
    began: float | None = None
    counts: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, recordings: Path) -> "Playing":
        lines = (recordings / f"{NAME}.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        push = next(row for row in rows if row["kind"] == "push")
        states: list[dict[str, Any]] = []
        trees: list[dict[str, Any]] = []
        tree: dict[str, Any] = {}
        for row in rows:
            if row["kind"] == "tree":
                tree = row["data"]
            if row["kind"] == "stream":
                states.append(row["data"]["result"]["application"])
                trees.append(tree)
        return cls(states, [*trees[:-1], tree], push["data"]["commit"])

    def count(self, what: str) -> int:
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            return self.counts[what]

    @property
    def position(self) -> int:
        if self.began is None:
            return 0
        return min(int((monotonic() - self.began) / STEP_SECONDS), len(self.states) - 1)

    def answer(self, exchange: Any) -> None:
        path, query = exchange.asked.path, exchange.asked.query
        if "refresh" in query and self.began is None:
            self.began = monotonic()
        if self.fault(self, exchange):
            return
        if path == "/api/v1/stream/applications":
            self.stream(exchange)
        elif path.endswith("/resource-tree"):
            exchange.json(self.trees[self.position])
        elif path.endswith("/syncwindows"):
            exchange.json({"canSync": True})
        elif query.get("project", self.project) != self.project:
            message = f'applications.argoproj.io "{NAME}" not found'
            exchange.json({"code": 5, "message": message}, 404)
        else:
            exchange.json(self.states[self.position])

    def stream(self, exchange: Any, write: Callable[[Any, int], None] | None = None) -> None:
        """Send each state as it comes; `write` sends one otherwise than it should."""
        if exchange.asked.query.get("projects", self.project) != self.project:
            exchange.hang()
            return
        exchange.head(200)
        sent = self.position
        exchange.line("ADDED", self.states[sent])
        while not exchange.closing.wait(STEP_SECONDS / 2):
            while sent < self.position:
                sent += 1
                (write or self.send)(exchange, sent)

    def send(self, exchange: Any, position: int) -> None:
        exchange.line("MODIFIED", self.states[position])


def on_stream(break_it: Callable[[Playing, Any], None], times: int = 3) -> Any:
    """Break the first streams in this way; the later ones are well."""

    def fault(playing: Playing, exchange: Any) -> bool:
        streams = exchange.asked.path == "/api/v1/stream/applications"
        if not streams or playing.count("stream") > times:
            return False
        break_it(playing, exchange)
        return True

    return fault


def on_calls(break_it: Callable[[Any], None], times: int = 4) -> Any:
    """Break the first calls in this way, the stream as well."""

    def fault(playing: Playing, exchange: Any) -> bool:
        if playing.count("call") > times:
            return False
        break_it(exchange)
        return True

    return fault


def cut_in_a_line(playing: Playing, exchange: Any) -> None:
    exchange.head(200)
    exchange.write(json.dumps({"result": {"application": playing.states[0]}}).encode()[:500])


def unauthorized_half_way(playing: Playing, exchange: Any) -> None:
    exchange.head(200)
    exchange.line("ADDED", playing.states[playing.position])
    exchange.write(b'{"error":{"grpc_code":16,"http_code":401,"message":"invalid session: x"}}\n')


def a_16_mib_line(playing: Playing, exchange: Any) -> None:
    exchange.head(200)
    for _ in range(256):
        exchange.write(b"{" * 65536)
    exchange.write(b"\n")
    exchange.line("ADDED", playing.states[playing.position])


def not_utf_8(playing: Playing, exchange: Any) -> None:
    def write(exchange: Any, position: int) -> None:
        event = {"result": {"type": "MODIFIED", "application": playing.states[position]}}
        raw = json.dumps(event).encode()
        exchange.write(raw.replace(b'"message": "', b'"message": "\xff\xfe') + b"\n")

    playing.stream(exchange, write)


def each_event_twice(playing: Playing, exchange: Any) -> None:
    def write(exchange: Any, position: int) -> None:
        playing.send(exchange, position)
        playing.send(exchange, position)

    playing.stream(exchange, write)


def older_after_newer(playing: Playing, exchange: Any) -> None:
    def write(exchange: Any, position: int) -> None:
        playing.send(exchange, position)
        playing.send(exchange, max(0, position - 3))

    playing.stream(exchange, write)


FAULTS = {
    "none": lambda _playing, _exchange: False,
    "stream cut in a line": on_stream(cut_in_a_line),
    "stream silent for ever": on_stream(lambda _, exchange: exchange.hang(), times=99),
    "stream is HTML": on_stream(lambda _, exchange: exchange.text("<html>"), times=99),
    "stream 401 half-way": on_stream(unauthorized_half_way),
    "stream 16 MiB line": on_stream(a_16_mib_line),
    "stream not UTF-8": on_stream(not_utf_8, times=99),
    "stream each event twice": on_stream(each_event_twice, times=99),
    "stream older after newer": on_stream(older_after_newer, times=99),
    "stream reset": on_stream(lambda _, exchange: exchange.reset()),
    "calls 500": on_calls(lambda exchange: exchange.json({"code": 13, "message": "x"}, 500)),
    "calls 502": on_calls(lambda exchange: exchange.text("<html>", 502)),
    "calls 503": on_calls(lambda e: e.json({"code": 14, "message": "x"}, 503, Retry_After="3")),
    "calls 429": on_calls(lambda e: e.json({"code": 8, "message": "x"}, 429, Retry_After="2")),
    "calls 401": on_calls(lambda exchange: exchange.json({"code": 16, "message": "x"}, 401)),
    "calls HTML": on_calls(lambda exchange: exchange.text("<html>Sign in</html>")),
    "calls reset": on_calls(lambda exchange: exchange.reset()),
    "calls never answered": on_calls(lambda exchange: exchange.hang()),
}


def subject(playing: Playing, **changes: Any) -> Subject:
    before = LiveApplication.model_validate(playing.states[0])
    source = before.spec.all_sources[0]
    image = before.status.summary.images[0]
    values = {
        "application": NAME,
        "commit": playing.commit,
        "repository": source.repo_url,
        "branch": "main",
        "file": f"{source.path}/values-prod.yaml",
        "images": (f"{image.rpartition(':')[0]}:1.5.0",),
        "before": before,
        "tree_before": ResourceTree.model_validate(playing.trees[0]),
    }
    return Subject(**{**values, **changes})


def watch(server: Any, playing: Playing, *, limits: Limits, **options: Any) -> list[Verdict]:
    server.answer = playing.answer
    clock = FastClock()
    judge = Judge(subject(playing), limits, clock.now())
    transport = Transport(Connection(server.url, Secret("a.b.c")))
    watched = Watched(
        "plate-api",
        AppRef(NAME, "default"),
        judge,
        lambda sha: Revision(sha, contains=sha == playing.commit, holds=sha == playing.commit),
    )

    def open_stream(apps: Any, tell: Any) -> Stream:
        return Stream(transport, apps, tell, pause=lambda n: min(n, 4) * 0.02)

    watch = Watch([watched], ArgoCD(transport), FastThreads(16), clock, open_stream, **options)
    return [verdict for _, verdict in watch.verdicts()]


@pytest.fixture
def playing(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> Playing:
    """The recording as a server, and a client that waits for silence 0.3 s at most."""
    opening = Transport.open

    def impatient(self: Transport, request: Request) -> Any:
        return opening(self, replace(request, read_seconds=0.3))

    monkeypatch.setattr(Transport, "open", impatient)
    return Playing.of(recordings)


@pytest.mark.parametrize("fault", FAULTS)
def test_live_in_the_end(server: Any, playing: Playing, fault: str) -> None:
    playing.fault = FAULTS[fault]
    (verdict,) = watch(server, playing, limits=Limits(grace=60, soak=4, timeout=600))
    assert verdict.judgement is Judgement.LIVE, verdict
    assert playing.position == len(playing.states) - 1


@pytest.mark.parametrize(
    ("answer", "judgement", "code"),
    [
        (lambda e: e.json({"code": 16, "message": "expired"}, 401), "unknown", Code.UNAUTHORIZED),
        (lambda e: e.json({"code": 7, "message": "denied"}, 403), "unknown", Code.UNAUTHORIZED),
        (lambda e: e.json({"code": 13, "message": "x"}, 500), "unknown", Code.UNREACHABLE),
        (lambda e: e.text("<html>Sign in</html>"), "unknown", Code.UNREACHABLE),
        (lambda e: e.reset(), "unknown", Code.UNREACHABLE),
    ],
    ids=["401", "403", "500", "html", "reset"],
)
def test_a_blindness_that_stays_is_unknown_and_never_failed(
    server: Any, playing: Playing, answer: Any, judgement: str, code: Code
) -> None:
    playing.fault = on_calls(answer, times=10**6)
    (verdict,) = watch(server, playing, limits=Limits(grace=5, soak=4, timeout=70))
    assert verdict.judgement == judgement, verdict
    assert verdict.code is code


def test_an_application_that_was_deleted_is_neither_live_nor_failed(
    server: Any, playing: Playing
) -> None:
    def deleted(playing: Playing, exchange: Any) -> bool:
        if playing.position < 5:
            return False
        if "stream" in exchange.asked.path:
            exchange.head(200)
            exchange.line("DELETED", playing.states[5])
            exchange.hang()
        else:
            exchange.json({"code": 5, "message": f'"{NAME}" not found'}, 404)
        return True

    playing.fault = deleted
    (verdict,) = watch(server, playing, limits=Limits(grace=5, soak=4, timeout=100))
    assert verdict.code is Code.GONE, verdict
    assert verdict.judgement not in (Judgement.LIVE, Judgement.FAILED)


def test_an_application_that_moved_to_another_project_is_followed(
    server: Any, playing: Playing
) -> None:
    def moved(playing: Playing, exchange: Any) -> bool:
        if playing.position >= 3 and playing.project == "default":
            playing.project = "other"
            for state in playing.states:
                state["spec"]["project"] = "other"
        if "stream" in exchange.asked.path and playing.project == "default":
            exchange.head(200)
            exchange.line("ADDED", playing.states[0])
            return True
        return False

    playing.states = copy.deepcopy(playing.states)
    playing.fault = moved
    (verdict,) = watch(server, playing, limits=Limits(grace=60, soak=4, timeout=600))
    assert verdict.judgement is Judgement.LIVE, verdict
    assert {"name": NAME, "projects": "other"} in [asked.query for asked in server.asked]


def test_a_source_that_changes_while_we_watch_is_not_taken_for_ours(
    server: Any, playing: Playing
) -> None:
    playing.states = copy.deepcopy(playing.states)
    for state in playing.states[3:]:
        state["spec"]["source"]["repoURL"] = "https://git.example.com/other.git"
    (verdict,) = watch(server, playing, limits=Limits(grace=5, soak=4, timeout=60))
    assert verdict.judgement not in (Judgement.LIVE, Judgement.FAILED), verdict


def test_a_stop_ends_the_watch_though_every_call_hangs(server: Any, playing: Playing) -> None:
    stop = threading.Event()

    def hang(_playing: Playing, exchange: Any) -> bool:
        stop.set()
        exchange.hang()
        return True

    playing.fault = hang
    verdicts = watch(server, playing, limits=Limits(timeout=1e6), should_stop=stop.is_set)
    assert verdicts == []


def test_what_is_heard_are_the_judges_lines(server: Any, playing: Playing) -> None:
    heard: list[tuple[str, str]] = []
    watch(
        server,
        playing,
        limits=Limits(grace=60, soak=4, timeout=600),
        heard=lambda service, says: heard.append((service, says)),
    )
    assert {service for service, _ in heard} == {"plate-api"}
    assert all(a != b for a, b in pairwise(heard))
    assert len(heard) > 2
