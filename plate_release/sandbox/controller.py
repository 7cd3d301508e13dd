"""Argo CD's application controller: notices what moved, and reconciles it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from plate_release.sandbox.applications import GROUP, KIND, NAMESPACE, REFRESH, Applications
from plate_release.sandbox.cache import ClusterCache
from plate_release.sandbox.clock import Clock, Timer
from plate_release.sandbox.events import Events
from plate_release.sandbox.operation import Operation, Parts
from plate_release.sandbox.projects import Projects
from plate_release.sandbox.reconcile import LATEST, RECENT, Reconciliation
from plate_release.sandbox.render import Renderer
from plate_release.sandbox.world import Change, Ref, World

# Argo CD's own poll came 205 s after the one before in the recorded run without a refresh.
POLL = 205.0
DEBOUNCE = 0.02
log = logging.getLogger(__name__)


class Worker:
    """All that is under way for one Application."""

    def __init__(self, parts: Parts, ref: Ref) -> None:
        self._parts, self.ref = parts, ref
        self.stirred = asyncio.Event()
        self.reconciliation = Reconciliation(parts, ref, self.request)
        self._level = 0
        self._timer: Timer | None = None
        self._poll: Timer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy = self._operating = False
        self._refresh = ""
        self._followers: set[asyncio.Event] = set()

    def noticed(self, change: Change) -> None:
        """React to a write of the Application itself."""
        self.stirred.set()
        obj = change.object
        notes = obj["metadata"].get("annotations") or {}
        asked = notes.get(f"{REFRESH}-timestamp", "") if REFRESH in notes else ""
        if asked and asked != self._refresh:
            self._refresh = asked
            self.request(LATEST)
        elif (
            change.kind == "ADDED"
            or "deletionTimestamp" in obj["metadata"]
            or self.reconciliation.outdated(obj)
        ):
            self.request(LATEST)
        if "operation" in obj and not self._operating:
            self._operating = True
            self._spawn(self._operate())

    def live_changed(self) -> None:
        """React to a change of one of its live objects."""
        self.stirred.set()
        for follower in self._followers:
            follower.set()
        self.request(RECENT)

    def request(self, level: int, delay: float = DEBOUNCE) -> None:
        """Reconcile soon, on this level or a higher one that was asked for too."""
        self._level = max(self._level, level)
        if self._timer is None and not self._busy:
            self._timer = self._parts.clock.later(delay, self._start)

    async def moves(self) -> AsyncIterator[None]:
        """Yield at once, and then whenever one of its live objects may have moved."""
        moved = asyncio.Event()
        moved.set()
        self._followers.add(moved)
        try:
            while True:
                await moved.wait()
                moved.clear()
                yield
        finally:
            self._followers.discard(moved)

    def stop(self) -> None:
        """End everything."""
        for timer in (self._timer, self._poll):
            if timer:
                timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()

    def _start(self) -> None:
        self._timer, self._busy = None, True
        self._spawn(self._reconcile())

    async def _reconcile(self) -> None:
        try:
            await self._parts.running.wait()
            level, self._level = self._level, 0
            await self.reconciliation.run(level)
            if level == LATEST:
                self._arm_poll()
        finally:
            self._busy = False
        if self._level:
            self.request(self._level)

    def _arm_poll(self) -> None:
        if self._poll:
            self._poll.cancel()
        self._poll = self._parts.clock.later(POLL, self.request, LATEST)

    async def _operate(self) -> None:
        try:
            await Operation(self._parts, self.ref, self.stirred).run()
        finally:
            self._operating = False
        self.request(LATEST)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("the sandbox's controller failed", exc_info=task.exception())


class Controller:
    """A worker for every Application."""

    def __init__(self, world: World, clock: Clock, renderer: Renderer, projects: Projects) -> None:
        self.apps = Applications(world)
        self.cache = ClusterCache(world, self._live_changed)
        running = asyncio.Event()
        running.set()
        self.parts = Parts(self.apps, self.cache, renderer, projects, clock, running, Events(world))
        self.workers: dict[Ref, Worker] = {}
        world.subscribe(self._noticed)

    def worker(self, ref: Ref) -> Worker:
        """Return the Application's worker."""
        if ref not in self.workers:
            self.workers[ref] = Worker(self.parts, ref)
        return self.workers[ref]

    def stop(self) -> None:
        """End all workers."""
        for worker in self.workers.values():
            worker.stop()

    def _noticed(self, change: Change) -> None:
        if (change.ref.group, change.ref.kind) != (GROUP, KIND):
            return
        if change.kind == "DELETED":
            worker = self.workers.pop(change.ref, None)
            if worker:
                worker.stop()
            return
        self.worker(change.ref).noticed(change)

    def _live_changed(self, instance: str) -> None:
        namespace, _, name = instance.rpartition("_")
        worker = self.workers.get(self.apps.ref(name, namespace or NAMESPACE))
        if worker:
            worker.live_changed()
