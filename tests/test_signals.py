"""What asks a run to end, and what does not."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from plate_release.signals import Stop, ending, stopping


@pytest.fixture
def _in_a_terminal() -> Iterator[None]:
    """What a shell starts in the background inherits SIGINT as ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_in_a_terminal")
def test_the_first_signal_asks_and_the_second_ends() -> None:
    stop = Stop()
    with stopping(stop):
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("handled", [stopping, lambda _: ending()])
def test_a_terminal_that_is_closed_asks_for_nothing(
    handled: Callable[[Stop], AbstractContextManager[None]],
) -> None:
    stop = Stop()
    before = signal.getsignal(signal.SIGHUP)
    with handled(stop):
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.asked
    assert signal.getsignal(signal.SIGHUP) is before
