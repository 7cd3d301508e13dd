"""Trying again, bounded in time, with full jitter so that many writers do not march in step."""

from collections.abc import Iterator
from itertools import count
from random import Random

from plate_release.model import Clock

_FIRST, _MOST = 0.05, 2.0


def attempts(clock: Clock, seconds: float, rng: Random) -> Iterator[int]:
    """Yield 0, 1, 2, ..., pausing between them, until `seconds` are over; at least once."""
    end = clock.now() + seconds
    for attempt in count():
        yield attempt
        pause = rng.uniform(0, min(_MOST, _FIRST * 2**attempt))
        if clock.now() + pause >= end:
            return
        clock.sleep(pause)
