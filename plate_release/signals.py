"""The real clock, and a stop that SIGINT and SIGTERM ask for."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

# What asks a process to end.
_ASKING = (signal.SIGINT, signal.SIGTERM)


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
    """Turn the first SIGINT or SIGTERM into `stop`; the second ends the process as ever.

    A terminal that is closed asks for nothing: the run is seen through.
    """

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.ask()
        _handle({number: before[number] for number in _ASKING})

    with _handling(ask) as before:
        yield


@contextmanager
def ending() -> Iterator[None]:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt, whatever is being waited for."""
    with _handling(signal.default_int_handler):
        yield


@contextmanager
def _handling(handler: Any) -> Iterator[Mapping[signal.Signals, Any]]:
    """Handle what asks to end; give the handlers that were there before, and put them back.

    Signals are the main thread's: in another one nothing is handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before = {number: signal.getsignal(number) for number in (*_ASKING, signal.SIGHUP)}
    # Ignored, not handled: git and helm inherit that.
    _handle(dict.fromkeys(_ASKING, handler) | {signal.SIGHUP: signal.SIG_IGN})
    try:
        yield before
    finally:
        _handle(before)


def _handle(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
