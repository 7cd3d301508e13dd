"""How often Argo CD may be asked: a budget of requests, and pauses that grow after failures."""

# However long a server asks to be left alone, and however long an answer may take, in seconds.
LONGEST_QUIET = 60.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_FEW = 20


def backoff(attempt: int, chance: float) -> float:
    """Return the seconds to wait before `attempt` (0 is the first again); chance is in [0, 1).

    The pause is spread over its upper half, so that many who were cut at once do not come back
    at once.
    """
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempt, 10))
    return pause * (0.5 + chance / 2)


class Pace:
    """A token bucket: `burst` requests at once, `rate` a second in the long run."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = float(burst), 0.0

    @classmethod
    def of(cls, applications: int) -> "Pace":
        """Return the pace of a release: under 2 a second for a few Applications, under 10 in all.

        The stream's own connections come on top, and are few.
        """
        return cls(1.6, 6) if applications <= _FEW else cls(9.0, 1)

    def ready_at(self, now: float) -> float:
        """Return when the next request may be sent, which is not before `now`."""
        self._refill(now)
        return now + max(0.0, 1.0 - self._tokens) / self._rate

    def take(self, now: float) -> None:
        """Count a request that is sent now."""
        self._refill(now)
        self._tokens -= 1.0

    def _refill(self, now: float) -> None:
        passed = max(0.0, now - self._at)
        self._tokens, self._at = min(self._burst, self._tokens + passed * self._rate), now
