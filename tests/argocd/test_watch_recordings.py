"""The live watch, on a virtual clock, in a world that goes as a recording went."""

import heapq
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.events import Limits, Revision, Subject, Verdict
from plate_release.argocd.failures import Answer, TimedOut, Unreachable
from plate_release.argocd.record import Recorded, Recorder
from plate_release.argocd.replay import replay
from plate_release.argocd.sight import Watched
from plate_release.argocd.status import LiveApplication, ResourceTree
from plate_release.argocd.stream import Cut, News, Opened, read_line
from plate_release.argocd.transport import Request
from plate_release.argocd.verdict import Judge
from plate_release.argocd.watch import Watch

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "tests/recordings/argocd/recordings"
JUDGED = [p for p in sorted(RECORDINGS.glob("*.jsonl")) if p.stem not in ("errors", "lifecycle")]
LATENCY = 0.1
LIMITS = Limits(grace=5)
JSON = {"content-type": "application/json"}


class VirtualTime:
    """A clock that goes on when somebody waits for something; jobs are done on it."""

    def __init__(self, start: float, off: float = 0.0) -> None:
        self._now, self._count, self._off = start, count(), off
        self._deeds: list[tuple[float, int, Callable[[], None]]] = []

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return 1_795_000_000 + self._now + self._off

    def sleep(self, seconds: float) -> None:
        self._now += seconds

    def at(self, when: float, deed: Callable[[], None]) -> None:
        heapq.heappush(self._deeds, (max(when, self._now), next(self._count), deed))

    def start(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self.at(self._now + LATENCY, lambda: then(job()))

    def post(self, deed: Callable[[], None]) -> None:
        self.at(self._now, deed)

    def wait(self, seconds: float) -> None:
        until = self._now + max(0.0, seconds)
        if self._deeds and self._deeds[0][0] <= until:
            self._now, _, deed = heapq.heappop(self._deeds)
            deed()
        else:
            assert until < 1e6, "waits for ever"
            self._now = until

    def close(self) -> None:
        pass


@dataclass
class World:
    """A recording as a world: what each request is answered, by the time at which it is asked."""

    rows: list[dict[str, Any]]
    time: VirtualTime
    requests: list[tuple[float, str]] = field(default_factory=list)

    @property
    def push(self) -> dict[str, Any]:
        return next(r for r in self.rows if r["kind"] == "push" and r["data"]["role"] == "release")

    def of(self, *kinds: str) -> list[tuple[float, Any]]:
        return [(r["t"], r["data"]) for r in self.rows if r["kind"] in kinds]

    def applications(self) -> list[tuple[float, Any]]:
        streamed = [(t, d["result"]["application"]) for t, d in self.of("stream")]
        read = [(t, d) for t, d in self.of("get", "call") if _is_application(d)]
        return sorted(streamed + read, key=lambda row: int(row[1]["metadata"]["resourceVersion"]))

    def latest(self, rows: list[tuple[float, Any]], t: float) -> Any:
        # By version: a later row may hold what an earlier moment was.
        return max((row for row in rows if row[0] <= t), key=lambda row: row[0])[1]

    def down(self) -> bool:
        refused = [t for t, _ in self.of("refused")]
        return bool(refused) and refused[0] - 0.2 <= self.time.now() <= refused[-1]

    def call(self, request: Request) -> Answer:
        now = self.time.now()
        self.requests.append((now, str(request)))
        if self.down():
            raise Unreachable("refused")
        if request.method != "GET":
            return self._changed(request)
        if request.path.endswith("resource-tree"):
            return _ok(self.latest(self.of("tree"), now))
        if request.path.endswith("syncwindows"):
            return _ok(self._call("syncwindows") or {"canSync": True})
        refreshed = any(name == "refresh" for name, _ in request.query)
        application = self.latest(self.applications(), now)
        notes = application["metadata"].get("annotations", {})
        if refreshed and "argocd.argoproj.io/refresh" in notes:
            raise TimedOut("still comparing")
        return _ok(application)

    def _changed(self, request: Request) -> Answer:
        row = next(
            (
                r
                for r in self.rows
                if r["kind"] == "call"
                and r["method"] == request.method
                and r["path"].split("?")[0] == request.path.removeprefix("/api/v1")
            ),
            None,
        )
        return Answer(row["status"], JSON, json.dumps(row["data"]).encode()) if row else _ok({})

    def _call(self, ending: str) -> Any:
        paths = [r for r in self.rows if r["kind"] == "call" and ending in r["path"]]
        return paths[0]["data"] if paths else None

    def what_is(self, sha: str) -> Revision:
        pushes = {d["commit"]: d for _, d in self.of("push")}
        ours, at, tags = self.push["data"]["commit"], sha, []
        while at != ours and at in pushes:
            tags += [pushes[at]["set"]["tag"]] if "tag" in pushes[at]["set"] else []
            at = pushes[at]["parent"]
        if at != ours:
            return Revision(sha, contains=False, holds=False)
        mine = self.push["data"]["set"].get("tag")
        return Revision(sha, contains=True, holds=not tags or tags[0] == mine)

    def open_stream(self, _apps: object, tell: Callable[[News], None]) -> "Playing":
        return Playing(self, tell)


@dataclass
class Playing:
    world: World
    tell: Callable[[News], None]

    def start(self) -> None:
        now = self.world.time.now()
        name = self.world.rows[0]["data"]["application"]["metadata"]["name"]
        self.world.time.at(now, lambda: self.tell(Opened()))
        for row in self.world.rows:
            if row["t"] < now:
                continue
            if row["kind"] == "stream":
                news = read_line(json.dumps(row["data"]).encode(), {name})
                assert news
                self.world.time.at(row["t"], lambda news=news: self.tell(news))  # type: ignore[misc]
            elif row["kind"] == "stream_reconnect":
                self.world.time.at(row["t"], lambda: self.tell(Cut(None)))

    def close(self) -> None:
        pass


def _is_application(data: Any) -> bool:
    return isinstance(data, dict) and "spec" in data and "resourceVersion" in data["metadata"]


def _ok(data: Any) -> Answer:
    return Answer(200, JSON, json.dumps(data).encode())


def images(world: World, before: LiveApplication) -> tuple[str, ...]:
    tag = world.push["data"]["set"].get("tag")
    (image,) = (i for i in before.status.summary.images if "/server:" in i)
    return (f"{image.rpartition(':')[0]}:{tag}" if tag else image,)


def watch_recording(
    path: Path, *, off: float = 0.0, record: Recorder | None = None
) -> tuple[World, Verdict]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    pushed = next(r for r in rows if r["kind"] == "push" and r["data"]["role"] == "release")
    time = VirtualTime(pushed["t"], off)
    world = World(rows, time)
    before = LiveApplication.model_validate(world.latest(world.applications(), pushed["t"]))
    tree = ResourceTree.model_validate(world.latest(world.of("tree"), pushed["t"]))
    source = before.spec.all_sources[0]
    folder = before.spec.all_sources[-1].path
    subject = Subject(
        application=before.name,
        commit=pushed["data"]["commit"],
        repository=source.repo_url,
        branch="main",
        file=f"{folder}/values-prod.yaml",
        images=images(world, before),
        project=before.spec.project,
        before=before,
        tree_before=tree,
    )
    judge: Any = Judge(subject, LIMITS, time.now())
    if record:
        record.scenario(subject, pushed["data"]["parent"])
        record.pushed(time.now(), subject, pushed["data"]["set"]["tag"])
        judge = Recorded(judge, record)
    watched = Watched("plate-api", AppRef(before.name, before.spec.project), judge, world.what_is)
    watch = Watch([watched], ArgoCD(world), time, time, world.open_stream, chance=lambda: 0.5)
    ((_, verdict),) = watch.verdicts()
    return world, verdict


@pytest.mark.parametrize("path", JUDGED, ids=lambda path: path.stem)
def test_the_live_watch_reaches_the_truth_within_its_budget(path: Path) -> None:
    world, verdict = watch_recording(path)
    truth = world.rows[-1]["data"]
    assert verdict.judgement == truth["verdict"], verdict
    seconds = world.time.now() - world.push["t"]
    assert len(world.requests) <= 6 + 2 * seconds


@pytest.mark.parametrize("off", [-600.0, 600.0])
@pytest.mark.parametrize("name", ["success", "controller-down", "sync-window", "bad-image"])
def test_a_clock_that_is_ten_minutes_off_changes_nothing(name: str, off: float) -> None:
    _, verdict = watch_recording(RECORDINGS / f"{name}.jsonl")
    _, same = watch_recording(RECORDINGS / f"{name}.jsonl", off=off)
    # A window's opening is predicted by this machine's clock, which is all there is for that.
    assert replace(same, reason="") == replace(verdict, reason="")


@pytest.mark.parametrize(
    "name", ["success", "bad-image", "manual-sync", "superseded", "sync-window", "server-restart"]
)
def test_what_a_live_watch_records_replays_to_its_verdict(name: str, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    with Recorder(file, 0.0) as recorder:
        _, verdict = watch_recording(RECORDINGS / f"{name}.jsonl", record=recorder)
    again = replay(file, LIMITS).verdict
    assert again is not None
    assert (again.judgement, again.code) == (verdict.judgement, verdict.code)
    # When a window opens is our prediction, not something that was seen.
    assert again.reason == verdict.reason.partition("; it opens")[0]
    assert again.live_since == (verdict.live_since and pytest.approx(verdict.live_since, abs=0.002))
