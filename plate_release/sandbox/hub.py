"""Who follows the Applications: the API server's own cache, and its subscribers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from plate_release.sandbox.applications import GROUP, KIND
from plate_release.sandbox.world import Change, Object, Ref, World

CACHE_LAG, GAP, BUFFER = 0.01, 0.005, 1000
Event = tuple[str, Object]


@dataclass(frozen=True, slots=True)
class _Waiter:
    revision: int
    annotation: str
    future: asyncio.Future[Object]


class Hub:
    """The API server's informer: a cache that is a little stale, and events after it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.cached: dict[Ref, Object] = {}
        self.gap = GAP
        self._queues: dict[asyncio.Queue[Event], Callable[[Object], bool]] = {}
        self._waiters: dict[Ref, list[_Waiter]] = {}
        world.subscribe(self._noticed)

    async def follow(
        self, wanted: Callable[[Object], bool], *, first: bool
    ) -> AsyncIterator[Event]:
        """Yield what is in the cache, and *then* what is written from now on.

        What is written between the two is lost, as with Argo CD.
        """
        if first:
            for _, obj in sorted(self.cached.items()):
                if wanted(obj):
                    yield "ADDED", obj
            await self._world.clock.sleep(self.gap)
        queue: asyncio.Queue[Event] = asyncio.Queue(BUFFER)
        self._queues[queue] = wanted
        last: Any = None
        try:
            while True:
                event = await queue.get()
                if event != last:
                    yield event
                last = event
        finally:
            del self._queues[queue]

    async def refreshed(self, ref: Ref, revision: int, annotation: str) -> Object:
        """Wait for a write after `revision` that lacks the annotation."""
        future: asyncio.Future[Object] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(ref, []).append(_Waiter(revision, annotation, future))
        return await future

    def _noticed(self, change: Change) -> None:
        if (change.ref.group, change.ref.kind) == (GROUP, KIND):
            self._world.clock.later(CACHE_LAG, self._see, change)

    def _see(self, change: Change) -> None:
        if change.kind == "DELETED":
            self.cached.pop(change.ref, None)
        else:
            self.cached[change.ref] = change.object
        for queue, wanted in tuple(self._queues.items()):
            if wanted(change.object) and not queue.full():
                queue.put_nowait((change.kind, change.object))
        self._wake(change)

    def _wake(self, change: Change) -> None:
        waiting = self._waiters.pop(change.ref, [])
        notes = change.object["metadata"].get("annotations") or {}
        kept = []
        for waiter in waiting:
            if waiter.future.done():
                continue
            if change.revision > waiter.revision and waiter.annotation not in notes:
                waiter.future.set_result(change.object)
            else:
                kept.append(waiter)
        if kept:
            self._waiters[change.ref] = kept
