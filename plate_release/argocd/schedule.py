"""Whose turn it is to be asked about, within the budget of requests."""

from enum import Enum
from math import inf
from typing import Generic, TypeVar

from plate_release.argocd.agenda import Agenda
from plate_release.argocd.failures import CallFailed, Unauthorized, Unreachable
from plate_release.argocd.pace import Pace, backoff
from plate_release.argocd.sight import Sight

R = TypeVar("R")

# With no change for this long, many Applications are asked about sparingly.
_CALM_AFTER = 15.0
_CALM_RATE = 0.7
# However long a server asks to be left alone, and however long an answer may take.
_LONGEST_QUIET = 60.0


class Together(Enum):
    """The turn of one look at all of many Applications."""

    TURN = "together"


class Schedule(Generic[R]):
    """Turns of many Applications. few: each is looked at by itself, and repeating is cheap."""

    def __init__(self, applications: int, *, few: bool, now: float) -> None:
        self._few, self._changed_at = few, now
        self._quiet_until = self._retry_at = now
        self._ticks: Agenda[Sight[R]] = Agenda()
        self._urgent: Agenda[Sight[R] | Together] = Agenda()
        self._routine: Agenda[Sight[R]] = Agenda()
        self._pace, self._calm_pace = Pace.of(applications), Pace(_CALM_RATE, 1)
        self._failures = 0

    def plan(self, sight: Sight[R]) -> None:
        """Give it the turn for its next errand, and the time at which its judge looks again."""
        self._ticks.set(sight, sight.step.look_again)
        when, errand = sight.next()
        routine = errand is not None and sight.is_routine(errand)
        self._urgent.set(sight, inf if routine else when)
        self._routine.set(sight, when if routine else inf)

    def plan_together(self, when: float) -> None:
        """Have all looked at together at `when`."""
        self._urgent.set(Together.TURN, when)

    def drop(self, sight: Sight[R]) -> None:
        """Give it no more turns."""
        for agenda in (self._ticks, self._urgent, self._routine):
            agenda.set(sight, inf)

    def tick(self, now: float) -> Sight[R] | None:
        """Take one whose judge wants to look at the time."""
        return self._ticks.take(now)

    def turn(self, now: float) -> Sight[R] | Together | None:
        """Take one that may be asked about now; what is urgent goes first."""
        if self._free_at(now) > now:
            return None
        if (urgent := self._urgent.take(now)) is not None:
            return urgent
        if self._calm_at(now) > now or (routine := self._routine.take(now)) is None:
            return None
        self._calm_pace.take(now)
        return routine

    def spend(self, now: float) -> None:
        """Count a request that is sent now; to a server that failed, one goes at a time."""
        self._pace.take(now)
        if self._failures:
            self._quiet_until = now + _LONGEST_QUIET

    def wake_at(self, now: float) -> float:
        """Return when there is something to do again, if nothing happens before."""
        free = self._free_at(now)
        urgent = max(free, self._urgent.first())
        return min(self._ticks.first(), urgent, max(self._calm_at(now), self._routine.first()))

    def changed(self, now: float) -> None:
        """Note that something happens."""
        self._changed_at = now

    def opened(self, now: float) -> None:
        """Note that Argo CD can be reached."""
        self._quiet_until = min(self._quiet_until, now)

    def heard(self, answer: object, now: float, chance: float) -> float:
        """Leave Argo CD alone where it cannot or will not answer anybody; return for how long."""
        if not isinstance(answer, CallFailed):
            self._failures = 0
            self.opened(now)
            return 0.0
        self._retry_at = max(self._retry_at, now + min(answer.retry_after, _LONGEST_QUIET))
        self._quiet_until = now
        if isinstance(answer, (Unreachable, Unauthorized)):
            self._failures += 1
            self._quiet_until = now + backoff(self._failures, chance)
        return max(self._quiet_until, self._retry_at) - now

    def _free_at(self, now: float) -> float:
        return max(self._pace.ready_at(now), self._quiet_until, self._retry_at)

    def _calm_at(self, now: float) -> float:
        calm = not self._few and now - self._changed_at > _CALM_AFTER
        return max(self._free_at(now), self._calm_pace.ready_at(now) if calm else now)
