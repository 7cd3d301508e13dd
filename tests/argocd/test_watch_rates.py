"""How often Argo CD is asked, counted on a virtual clock: no fault and no crowd makes it more."""

import heapq
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Any

import pytest

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.crew import AT_ONCE
from plate_release.argocd.events import Event, Revision, Seen, Waiting, Want
from plate_release.argocd.failures import Answer, CallFailed, TimedOut, Unreachable
from plate_release.argocd.pace import Pace, backoff
from plate_release.argocd.sight import Watched
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.stream import Changed, Cut, News, Opened
from plate_release.argocd.transport import Request
from plate_release.argocd.watch import Watch

JSON = {"content-type": "application/json"}
EVERYTHING = frozenset(want for want in Want if want is not Want.HARD_REFRESH)


class World:
    """Virtual time, and an Argo CD on it whose answers are given by the test."""

    def __init__(self, answer: Callable[[float, Request], Answer]) -> None:
        self._now, self._count, self._answer = 1000.0, count(), answer
        self._deeds: list[tuple[float, int, Callable[[], None]]] = []
        self.asked: list[tuple[float, str]] = []
        self.running = self.most_running = 0
        self.latency = 0.05
        self.streams: list[Collection[AppRef]] = []
        self.tell: Callable[[News], None] = lambda _: None

    def now(self) -> float:
        return self._now

    wall = now

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nobody sleeps here, not {seconds} s")

    def at(self, when: float, deed: Callable[[], None]) -> None:
        heapq.heappush(self._deeds, (max(when, self._now), next(self._count), deed))

    def start(self, job: Callable[[], Any], then: Callable[[Any], None]) -> None:
        self.running += 1

        def end() -> None:
            self.running -= 1
            then(job())

        self.most_running = max(self.most_running, self.running)
        self.at(self._now + self.latency, end)

    def post(self, deed: Callable[[], None]) -> None:
        self.at(self._now, deed)

    def wait(self, seconds: float) -> None:
        until = self._now + max(0.0, seconds)
        if self._deeds and self._deeds[0][0] <= until:
            self._now, _, deed = heapq.heappop(self._deeds)
            deed()
        else:
            assert until < inf, "waits for ever"
            self._now = until

    def close(self) -> None:
        pass

    def call(self, request: Request) -> Answer:
        self.asked.append((self._now, request.path))
        return self._answer(self._now, request)

    def open_stream(self, apps: Collection[AppRef], tell: Callable[[News], None]) -> "Told":
        self.streams.append(apps)
        self.tell = tell
        return Told(self)

    def rate(self, since: float, until: float) -> float:
        """Return the requests a second from second `since` to `until` of the watch."""
        start = 1000.0
        seen = [t for t, _ in self.asked if start + since <= t < start + until]
        return len(seen) / (until - since)

    def most_in_a_second(self) -> int:
        times = [t for t, _ in self.asked]
        return max(sum(1 for u in times[i:] if u < t + 1) for i, t in enumerate(times))


@dataclass
class Hungry:
    """A judge that always wants the same, until its deadline."""

    deadline: float
    wants: frozenset[Want] = EVERYTHING
    events: list[tuple[float, Event]] = field(default_factory=list)

    def feed(self, t: float, event: Event) -> Waiting | str:
        self.events.append((t, event))
        return self.tick(t)

    def tick(self, t: float) -> Waiting | str:
        return "over" if t >= self.deadline else Waiting("hungry", self.deadline, self.wants)


def application(name: str, version: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "argocd", "resourceVersion": str(version)},
        "spec": {"project": "default"},
    }


def well(_t: float, request: Request) -> Answer:
    *_, name = request.path.removesuffix("/resource-tree").removesuffix("/sync").split("/")
    known: Any = application(name)
    if request.path.endswith("/applications"):
        known = {"items": [application(f"app-{n}") for n in range(1000)]}
    return Answer(200, JSON, json.dumps(known).encode())


def failing(error: type[CallFailed] | int, **headers: str) -> Callable[[float, Request], Answer]:
    def answer(_t: float, _request: Request) -> Answer:
        if isinstance(error, int):
            return Answer(error, {**JSON, **headers}, b'{"message":"x"}')
        raise error("x")

    return answer


def run(
    world: World, applications: int, seconds: float, wants: frozenset[Want] = EVERYTHING
) -> list[Hungry]:
    judges = [Hungry(world.now() + seconds, wants) for _ in range(applications)]
    watched = [
        Watched(str(n), AppRef(f"app-{n}", "default"), judge, lambda s: Revision(s, None, None))
        for n, judge in enumerate(judges)
    ]

    watch = Watch(watched, ArgoCD(world), world, world, world.open_stream, chance=lambda: 0.5)
    assert len(list(watch.verdicts())) == applications
    return judges


@dataclass
class Told:
    world: World

    def start(self) -> None:
        self.world.post(lambda: self.world.tell(Opened()))

    def close(self) -> None:
        pass


FAULTS: dict[str, Callable[[float, Request], Answer]] = {
    "well": well,
    "500": failing(500),
    "503": failing(503),
    "401": failing(401),
    "403": failing(403),
    "404": failing(404),
    "409": failing(409),
    "HTML": lambda _t, _r: Answer(200, {"content-type": "text/html"}, b"<html>"),
    "unreachable": failing(Unreachable),
    "silent": failing(TimedOut),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("applications", [1, 3])
def test_a_release_asks_at_most_twice_a_second_whatever_is_answered(
    fault: str, applications: int
) -> None:
    world = World(FAULTS[fault])
    run(world, applications, 300)
    assert world.rate(0, 300) <= 2
    assert world.rate(0, 10) <= 2.5  # the first seconds may ask some questions at once


def test_a_dead_server_is_asked_ever_less_often() -> None:
    world = World(failing(Unreachable))
    run(world, 1, 300)
    assert world.rate(60, 300) <= 0.2


def test_retry_after_is_kept() -> None:
    world = World(failing(503, **{"retry-after": "20"}))
    run(world, 2, 100)
    times = [t for t, _ in world.asked]
    answered = times[0] + 0.05
    in_flight = [t for t in times if t < answered]
    assert min(times[len(in_flight) :]) >= answered + 20


def test_a_stream_that_is_cut_all_the_time_makes_no_busy_loop() -> None:
    world = World(well)
    for n in range(2000):
        world.at(1000 + n * 0.1, lambda: world.tell(Cut(None)))
        world.at(1000 + n * 0.1 + 0.05, lambda: world.tell(Opened()))
    run(world, 1, 200)
    assert world.rate(0, 200) <= 2


def test_a_crowd_is_asked_about_at_most_ten_times_a_second_and_once_in_calm() -> None:
    world = World(well)
    for n in range(3000):  # something changes ten times a second, for 300 s
        changed = Changed(LiveApplication(**application(f"app-{n % 400}", n + 2)), deleted=False)
        world.at(1000 + n * 0.1, lambda changed=changed: world.tell(changed))  # type: ignore[misc]
    run(world, 400, 700, frozenset({Want.REFRESH, Want.TREE}))
    assert world.most_in_a_second() <= 10
    # What changed last is looked at once more; then nothing happens any more.
    assert world.rate(420, 700) <= 1
    assert len(world.streams) == 1


def test_a_slow_server_is_not_sent_in_a_burst_what_it_kept_waiting() -> None:
    world = World(well)
    world.latency = 5.0
    run(world, 100, 60, frozenset({Want.REFRESH}))
    assert world.most_running == AT_ONCE


def test_many_are_looked_at_together_and_closely_where_they_differ() -> None:
    def answer(t: float, request: Request) -> Answer:
        if not request.path.endswith("/applications"):
            return well(t, request)
        items = [application(f"app-{n}") for n in range(20)]
        if t > 1100:  # an event that the stream has lost
            items[7]["status"] = {"health": {"status": "Degraded"}}
        return Answer(200, JSON, json.dumps({"items": items}).encode())

    world = World(answer)
    for n in range(20):
        seen = Changed(LiveApplication(**application(f"app-{n}")), deleted=False)
        world.at(1000.01, lambda seen=seen: world.tell(seen))  # type: ignore[misc]
    judges = run(world, 20, 160, frozenset())
    looks = [(t, path) for t, path in world.asked if not path.endswith("/applications")]
    assert {path for t, path in looks if t > 1100} == {"/api/v1/applications/app-7"}
    assert not [path for t, path in looks if t < 1100]
    assert any(isinstance(event, Seen) for t, event in judges[7].events if t > 1100)


def test_in_calm_those_that_are_well_have_their_trees_read_all_the_same_but_seldom() -> None:
    def healthy(n: int) -> dict[str, Any]:
        return {**application(f"app-{n}"), "status": {"health": {"status": "Healthy"}}}

    def answer(t: float, request: Request) -> Answer:
        if not request.path.endswith("/applications"):
            return well(t, request)
        return Answer(200, JSON, json.dumps({"items": [healthy(n) for n in range(50)]}).encode())

    world = World(answer)
    for n in range(50):
        seen = Changed(LiveApplication(**healthy(n)), deleted=False)
        world.at(1000.01, lambda seen=seen: world.tell(seen))  # type: ignore[misc]
    run(world, 50, 200, frozenset({Want.TREE}))
    assert 0.6 <= world.rate(60, 200) <= 1
    assert {path for _, path in world.asked if "tree" in path} == {
        f"/api/v1/applications/app-{n}/resource-tree" for n in range(50)
    }


def test_what_is_certain_at_once_needs_neither_stream_nor_request() -> None:
    world = World(well)
    run(world, 3, 0)
    assert world.streams == []
    assert world.asked == []


def test_the_pause_grows_and_is_spread() -> None:
    assert [backoff(n, 0) for n in range(7)] == [0.25, 0.5, 1, 2, 4, 7.5, 7.5]
    assert backoff(50, 0.999) < 15
    assert backoff(3, 0.5) == 3


def test_a_pace_counts_what_was_spent() -> None:
    pace = Pace(2.0, 3)
    for _ in range(3):
        assert pace.ready_at(10.0) == 10.0
        pace.take(10.0)
    assert pace.ready_at(10.0) == 10.5
    pace.take(10.5)
    assert pace.ready_at(10.6) == pytest.approx(11.0)
