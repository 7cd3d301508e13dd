"""The threads that wait for Argo CD and git, so that who decides never waits for one answer."""

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

T = TypeVar("T")
Deed = Callable[[], None]

# Calls that may wait at once; a refresh waits for seconds.
AT_ONCE = 16
_NEWS_AT_ONCE = 256
_GLANCE_AT_FLAG_SECONDS = 0.5


class Crew(Protocol):
    """Runs jobs elsewhere; what follows from them is done by who calls `wait`."""

    def start(self, job: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run `job` elsewhere, and `then` with its answer in a later `wait`."""
        ...

    def post(self, deed: Deed) -> None:
        """Have `deed` done in a later `wait`; called by any thread, blocks while many wait."""
        ...

    def wait(self, seconds: float) -> None:
        """Do the deeds that have come, or those that come first within `seconds`."""
        ...

    def close(self) -> None:
        """Start nothing more; what still runs is left to end by itself."""
        ...


class Threads:
    """A crew of daemon threads: one that waits for a dead server does not hold the process."""

    def __init__(self, size: int = AT_ONCE) -> None:
        self._size, self._threads, self._idle = size, 0, threading.Semaphore(0)
        self._jobs: queue.SimpleQueue[Deed | None] = queue.SimpleQueue()
        self._deeds: queue.SimpleQueue[Deed] = queue.SimpleQueue()
        self._room = threading.Semaphore(_NEWS_AT_ONCE)
        self._closed = False

    def start(self, job: Callable[[], T], then: Callable[[T], None]) -> None:
        """Run `job` in a thread; what it raises is raised by `wait`."""

        def run() -> None:
            try:
                answer = job()
            except BaseException as error:  # noqa: BLE001
                self._deeds.put(partial(_raise, error))
            else:
                self._deeds.put(lambda: then(answer))

        if not self._idle.acquire(blocking=False) and self._threads < self._size:
            self._threads += 1
            threading.Thread(target=self._work, name="argocd-call", daemon=True).start()
        self._jobs.put(run)

    def post(self, deed: Deed) -> None:
        """Have `deed` done by `wait`; blocks while many wait, so that memory stays flat."""
        while not self._closed:
            if self._room.acquire(timeout=1.0):
                self._deeds.put(partial(self._do_posted, deed))
                return

    def wait(self, seconds: float) -> None:
        """Do what has come; return early, so that a flag set by a signal is soon seen.

        However fast news comes, it returns after some: timers and stops have their turn.
        """
        try:
            self._deeds.get(timeout=max(0.0, min(seconds, _GLANCE_AT_FLAG_SECONDS)))()
            for _ in range(_NEWS_AT_ONCE):
                self._deeds.get_nowait()()
        except queue.Empty:
            return

    def close(self) -> None:
        """Let the idle threads end."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)

    def _do_posted(self, deed: Deed) -> None:
        self._room.release()
        deed()

    def _work(self) -> None:
        while (run := self._jobs.get()) is not None:
            run()
            self._idle.release()


def _raise(error: BaseException) -> None:
    raise error
