"""Watches Applications until each has its verdict: hears, asks, and feeds the judges."""

import random
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, Protocol, TypeVar

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.crew import Crew
from plate_release.argocd.errands import run, tried
from plate_release.argocd.events import (
    Blind,
    Event,
    RefreshUnanswered,
    Seen,
    Via,
    Waiting,
    WhatIs,
)
from plate_release.argocd.failures import CallFailed, Unauthorized, Unreachable
from plate_release.argocd.schedule import Schedule, Together
from plate_release.argocd.sight import Errand, Look, Sight, Watched, event_of, gist
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.stream import Changed, Cut, Missed, News, Opened
from plate_release.model import Clock

# More than these are looked at together, by one list.
_ALONE = 10
_TOGETHER_AGAIN = 20.0
_TOGETHER_WITHOUT_STREAM = 5.0
# What a list shows, the stream may just be about to tell.
_STREAM_BEHIND = 3.0
# A stream subscribes a moment after it has told what there is.
_SUBSCRIBED_AFTER = 1.0


class Closing(Protocol):
    """A stream."""

    def start(self) -> None:
        """Begin to hear."""
        ...

    def close(self) -> None:
        """End it."""
        ...


R = TypeVar("R")
OpenStream = Callable[[Collection[AppRef], Callable[[News], None]], Closing]


class Watch(Generic[R]):
    """One watch of several Applications.

    open_stream: makes the stream that tells of them. should_stop: asked twice a second; once true,
    the watch ends without further verdicts. heard: hears each service's line when it changes.
    chance: a number in [0, 1) for every pause, so that watches do not fall into step.
    """

    def __init__(
        self,
        watched: Sequence[Watched[R]],
        argocd: ArgoCD,
        crew: Crew,
        clock: Clock,
        open_stream: OpenStream,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        heard: Callable[[str, str], None] = lambda _service, _says: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._argocd, self._crew, self._clock, self._chance = argocd, crew, clock, chance
        self._open_stream, self._should_stop, self._heard = open_stream, should_stop, heard
        self._few = len(watched) <= _ALONE
        self._schedule: Schedule[R] = Schedule(len(watched), few=self._few, now=clock.now())
        self._sights: dict[str, list[Sight[R]]] = {}
        self._decided: deque[tuple[str, R]] = deque()
        self._stream: Closing | None = None
        self._era, self._streaming = 0, False
        for one in watched:
            self._begin(one, clock.now())

    def verdicts(self) -> Generator[tuple[str, R], None, None]:
        """Yield each service's verdict when it is certain; closing the iterator ends the watch."""
        try:
            if self._sights:
                self._restream()
            while not self._should_stop():
                while self._decided:
                    yield self._decided.popleft()
                if not self._sights:
                    return
                self._go_on(self._clock.now())
        finally:
            if self._stream:
                self._stream.close()
            self._crew.close()

    def _begin(self, watched: Watched[R], now: float) -> None:
        sight = Sight(watched, watched.app, Waiting("begins", now), alone=self._few)
        self._sights.setdefault(watched.app.name, []).append(sight)
        self._step(sight, watched.judge.tick(now))

    def _go_on(self, now: float) -> None:
        """Do what is due now, then wait for what comes first."""
        while (sight := self._schedule.tick(now)) is not None:
            self._step(sight, sight.watched.judge.tick(now))
        while (turn := self._schedule.turn(now)) is not None:
            if isinstance(turn, Together):
                self._look_together(now)
            else:
                self._ask(*turn, now)
        if not self._decided:
            self._crew.wait(self._schedule.wake_at(now) - now)

    # -- asking ----------------------------------------------------------------------------

    def _ask(self, sight: Sight[R], errand: Errand, now: float) -> None:
        self._schedule.started(now, request=not isinstance(errand, WhatIs))
        sight.started(errand)
        self._schedule.plan(sight)
        self._crew.start(
            partial(run, self._argocd, sight.watched, sight.app, errand, self._clock.wall()),
            partial(self._answered, sight, errand),
        )

    def _answered(self, sight: Sight[R], errand: Errand, answer: object) -> None:
        now = self._clock.now()
        sight.ended(errand, answer, now, self._chance())
        waits = isinstance(event_of(errand, answer), RefreshUnanswered)
        self._schedule.heard(None if waits else answer, now, self._chance())
        if not self._is_watched(sight):
            return
        if isinstance(answer, (Unreachable, Unauthorized)) and not waits:
            self._feed_all(event_of(Look.GET, answer), now)
        else:
            self._feed(sight, self._meaning(sight, errand, answer), now)

    def _meaning(self, sight: Sight[R], errand: Errand, answer: object) -> Event | None:
        if not isinstance(answer, LiveApplication):
            return event_of(errand, answer)
        self._follow(sight, answer)
        return sight.newest(answer, Via.GET if errand is Look.GET else Via.REFRESH)

    def _is_watched(self, sight: Sight[R]) -> bool:
        return sight in self._sights.get(sight.watched.app.name, ())

    def _follow(self, sight: Sight[R], application: LiveApplication) -> None:
        """Hear of it in the project to which it was moved."""
        project = application.spec.project
        if sight.app.project and sight.app.project != project:
            sight.app = replace(sight.app, project=project)
            self._restream()

    def _look_together(self, now: float) -> None:
        self._schedule.started(now)
        projects = {sight.app.project for sight in self._all()}
        asked = sorted(projects) if all(projects) else []
        self._crew.start(partial(tried, partial(self._argocd.glance, asked)), self._glanced)

    def _glanced(self, answer: Sequence[LiveApplication] | CallFailed) -> None:
        now = self._clock.now()
        pause = _TOGETHER_AGAIN if self._streaming else _TOGETHER_WITHOUT_STREAM
        quiet = self._schedule.heard(answer, now, self._chance())
        self._schedule.plan_together(now + max(quiet, pause * (1 + self._chance() / 3)))
        if isinstance(answer, CallFailed):
            self._feed_all(event_of(Look.GET, answer), now)
        else:
            self._compare(answer, now)

    def _compare(self, glances: Sequence[LiveApplication], now: float) -> None:
        """Look closely at those that are not as they were last seen, or not there."""
        found = {(item.metadata.namespace, item.name): item for item in glances}
        for sight in self._all():
            known = sight.latest
            namespace = known.metadata.namespace if known else sight.app.namespace
            item = found.get((namespace, sight.app.name)) or found.get(("", sight.app.name))
            if known is None or item is None or gist(item) != gist(known):
                sight.look_at(now + _STREAM_BEHIND)
                self._schedule.plan(sight)
            elif sight.blind:
                self._feed(sight, Seen(known, Via.STREAM), now)

    # -- hearing ---------------------------------------------------------------------------

    def _restream(self) -> None:
        if self._stream:
            self._stream.close()
        self._era += 1
        era, self._streaming = self._era, False
        self._stream = self._open_stream(
            [sight.app for sight in self._all()],
            lambda news: self._crew.post(partial(self._hear, era, news)),
        )
        self._stream.start()

    def _hear(self, era: int, news: News) -> None:
        if era != self._era:
            return
        now = self._clock.now()
        match news:
            case Changed():
                self._changed(news, now)
            case Opened():
                self._schedule.opened(now)
                self._streaming = True
                self._look_at_all(now + _SUBSCRIBED_AFTER)
            case Missed():
                self._look_at_all(now)
            case Cut():
                self._streaming = False
                self._look_at_all(now)

    def _look_at_all(self, when: float) -> None:
        """See by other means what the stream may have hidden."""
        if not self._few:
            self._schedule.plan_together(when)
        for sight in self._all():
            sight.streaming = self._streaming
            if self._few:
                sight.look_at(when)
                self._schedule.plan(sight)

    def _changed(self, news: Changed, now: float) -> None:
        for sight in self._sights.get(news.application.name, [])[:]:
            if not sight.is_about(news.application):
                continue
            self._schedule.changed(now)
            if news.deleted:
                # Only an answer to us says that it is gone: it may be there again.
                sight.look_at(now)
                self._schedule.plan(sight)
            elif seen := sight.newest(news.application, Via.STREAM):
                sight.changed(now)
                self._feed(sight, seen, now)

    # -- judging ---------------------------------------------------------------------------

    def _feed(self, sight: Sight[R], event: Event | None, now: float) -> None:
        if event is None:
            self._schedule.plan(sight)
            return
        sight.blind = isinstance(event, Blind)
        self._step(sight, sight.watched.judge.feed(now, event))

    def _feed_all(self, event: Event | None, now: float) -> None:
        for sight in self._all():
            self._feed(sight, event, now)

    def _step(self, sight: Sight[R], step: R | Waiting) -> None:
        if not isinstance(step, Waiting):
            self._decide(sight, step)
            return
        if step.says != sight.step.says:
            self._heard(sight.watched.service, step.says)
        sight.take(step, self._clock.now())
        self._schedule.plan(sight)

    def _decide(self, sight: Sight[R], result: R) -> None:
        self._decided.append((sight.watched.service, result))
        self._schedule.drop(sight)
        named = self._sights[sight.app.name]
        named.remove(sight)
        if not named:
            del self._sights[sight.app.name]

    def _all(self) -> list[Sight[R]]:
        return [sight for named in self._sights.values() for sight in named]
