"""The real clock, and a stop that SIGINT and SIGTERM ask for."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Set once somebody asked the run to stop; waiting for it is how the run sleeps."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """Ask the run to stop."""
        self._asked.set()

    def clear(self) -> None:
        """Go on after all: what was asked for is being seen to."""
        self._asked.clear()

    @property
    def asked(self) -> bool:
        """Whether the run was asked to stop."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the stop is asked for; return whether it was."""
        return self._asked.wait(seconds)


class SystemClock:
    """This machine's time; a sleep ends early when the run is asked to stop."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def now(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait, or return early where the stop was asked for."""
        self._stop.wait(seconds)


@contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into `stop`; the second ends the process as ever."""
    wanted = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in wanted}

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.ask()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in wanted:
        signal.signal(number, ask)
    try:
        yield
    finally:
        restore()
