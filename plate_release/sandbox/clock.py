"""The sandbox's one clock: timers and timestamps, real or sped up."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(order=True, slots=True)
class Timer:
    """A call that is due at `when` (seconds since the epoch, in the clock's own time)."""

    when: float
    order: int
    call: Callable[[], object] | None = field(compare=False)

    def cancel(self) -> None:
        """Forget the call."""
        self.call = None


class Clock:
    """Time that runs `factor` times as fast as the machine's, and never past a timer that is due.

    Not running past a due timer keeps what happens in the order of its times, however late the
    machine is. Used on one event loop only.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self._base = time.time()
        self._mark = time.monotonic()
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._pauses = 0
        self._handle: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Return seconds since the epoch."""
        raw = self._raw()
        return min(raw, self._timers[0].when) if self._timers else raw

    def stamp(self) -> str:
        """Return the time as Kubernetes writes it, to the second."""
        return stamp(self.now())

    def later(self, delay: float, call: Callable[..., object], *args: Any) -> Timer:
        """Make the call in `delay` seconds of this clock."""
        timer = Timer(self.now() + max(delay, 0.0), next(self._order), lambda: call(*args))
        heapq.heappush(self._timers, timer)
        self._arm()
        return timer

    async def sleep(self, delay: float) -> None:
        """Wait for `delay` seconds of this clock."""
        due = asyncio.Event()
        timer = self.later(delay, due.set)
        try:
            await due.wait()
        finally:
            timer.cancel()

    async def outside(self, work: Awaitable[T], cost: float) -> T:
        """Await work of the real world (git, helm).

        Sped up, this clock stands still meanwhile and the work takes `cost` seconds of it instead:
        else a program of 0.1 s would seem to take seconds.
        """
        if self.factor == 1.0:
            return await work
        self._pause()
        try:
            result = await work
        finally:
            self._resume()
        await self.sleep(cost)
        return result

    def _raw(self) -> float:
        if self._pauses:
            return self._base
        return self._base + (time.monotonic() - self._mark) * self.factor

    def _pause(self) -> None:
        self._base = self._raw()
        self._pauses += 1
        self._arm()

    def _resume(self) -> None:
        self._pauses -= 1
        self._mark = time.monotonic()
        self._arm()

    def _arm(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        if self._timers and not self._pauses:
            delay = max(0.0, (self._timers[0].when - self._raw()) / self.factor)
            self._handle = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._handle = None
        if self._timers and self._timers[0].when <= self._raw():
            timer = self._timers[0]
            if timer.call:
                timer.call()
                timer.call = None
        self._arm()


def stamp(when: float) -> str:
    """Return `when` as Kubernetes writes a time, to the second."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> float:
    """Return the seconds since the epoch of a Kubernetes time."""
    return datetime.fromisoformat(text).timestamp()
