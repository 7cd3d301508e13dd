"""The sandbox's one clock: timers and timestamps, real or sped up."""

import asyncio
import heapq
import itertools
import selectors
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")
SHORT = 0.003


@dataclass(order=True, slots=True)
class Timer:
    """A call that is due at `when` (seconds since the epoch, in the clock's own time)."""

    when: float
    order: int
    call: Callable[[], object] | None = field(compare=False)

    def cancel(self) -> None:
        """Forget the call."""
        self.call = None


class IdleSelector(selectors.DefaultSelector):
    """A selector that tells for how long its event loop had nothing to do."""

    def __init__(self, idled: Callable[[float], object]) -> None:
        super().__init__()
        self._idled = idled

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, and tell how long."""
        start = time.monotonic()
        found = super().select(timeout)
        self._idled(time.monotonic() - start)
        return found


class Clock:
    """Time that is the machine's, or runs `factor` times as fast.

    It never runs past a timer that is due, so what happens keeps the order of its times however
    late the machine is. Sped up, it moves only while the event loop has nothing to do: else the
    machine's own work would seem to take `factor` times as long. Used on one event loop only, which
    must have `selector`.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.selector = IdleSelector(self._idled)
        self._time = time.time()
        self._offset = self._time - time.monotonic()
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._pauses = 0
        self._debt = 0.0
        self._handle: asyncio.Handle | None = None

    def now(self) -> float:
        """Return seconds since the epoch."""
        if self.factor == 1.0:
            self._move(self._offset + time.monotonic())
        return self._time

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

    def _idled(self, seconds: float) -> None:
        if self.factor != 1.0 and not self._pauses:
            self._move(self._time + seconds * self.factor)

    def _move(self, when: float) -> None:
        due = self._timers[0].when if self._timers else when
        self._time = max(self._time, min(when, due))

    def _pause(self) -> None:
        self._pauses += 1
        self._arm()

    def _resume(self) -> None:
        self._pauses -= 1
        self._arm()

    def _arm(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None
        while self._timers and self._timers[0].call is None:
            heapq.heappop(self._timers)
        if not self._timers or self._pauses:
            return
        loop = asyncio.get_running_loop()
        wait = self._debt + max(0.0, (self._timers[0].when - self.now()) / self.factor)
        if self.factor != 1.0 and wait < SHORT:
            self._handle = loop.call_soon(self._jump, wait)
        else:
            self._handle = loop.call_later(wait, self._fire)

    def _jump(self, wait: float) -> None:
        """Go to the next timer at once, and owe that wait: the system's own waits are longer."""
        self._debt = wait
        self._time = max(self._time, self._timers[0].when)
        self._due()

    def _fire(self) -> None:
        self._debt = 0.0
        self._due()

    def _due(self) -> None:
        self._handle = None
        if self._timers and self._timers[0].when <= self.now():
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
