"""Whose turn it is to be asked about, within the budget of requests."""

from enum import Enum
from math import inf
from typing import Generic, TypeVar

from plate_release.argocd.agenda import Agenda
from plate_release.argocd.crew import AT_ONCE
from plate_release.argocd.failures import CallFailed, Unauthorized, Unreachable
from plate_release.argocd.pace import LONGEST_QUIET, Pace, backoff
from plate_release.argocd.sight import Errand, Sight

R = TypeVar("R")

# With no change for this long, many Applications are asked about sparingly.
_CALM_AFTER = 15.0
_CALM_RATE = 0.7


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
        self._failures = self._running = 0

    def plan(self, sight: Sight[R]) -> None:
        """Give it the turn for its next errand, and the time at which its judge looks again."""
        self._ticks.set(sight, sight.step.look_again)
        self._urgent.set(sight, sight.next(routine=False)[0])
        self._routine.set(sight, sight.next(routine=True)[0])

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

    def turn(self, now: float) -> tuple[Sight[R], Errand] | Together | None:
        """Take one question that may be asked now; what is urgent goes first."""
        if self._free_at(now) > now:
            return None
        urgent = self._urgent.take(now)
        if isinstance(urgent, Together):
            return urgent
        sight = urgent
        if sight is None and self._calm_at(now) <= now:
            sight = self._routine.take(now)
            if sight and self._is_calm(now):
                self._calm_pace.take(now)
        if sight is None:
            return None
        errand = sight.next(routine=urgent is None)[1]
        return None if errand is None else (sight, errand)

    def started(self, now: float, *, request: bool = True) -> None:
        """Count what is begun now; to a server that failed, one request goes at a time."""
        self._running += 1
        if not request:
            return
        self._pace.take(now)
        if self._failures:
            self._quiet_until = now + LONGEST_QUIET

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
        """Count the answer to what was begun; return for how long Argo CD is to be left alone."""
        self._running -= 1
        if not isinstance(answer, CallFailed):
            self._failures = 0
            self.opened(now)
            return 0.0
        self._retry_at = max(self._retry_at, now + min(answer.retry_after, LONGEST_QUIET))
        self._quiet_until = now
        if isinstance(answer, (Unreachable, Unauthorized)):
            self._failures += 1
            self._quiet_until = now + backoff(self._failures, chance)
        return max(self._quiet_until, self._retry_at) - now

    def _free_at(self, now: float) -> float:
        if self._running >= AT_ONCE:
            return inf  # what is begun now would wait for a thread, and be sent in a burst
        return max(self._pace.ready_at(now), self._quiet_until, self._retry_at)

    def _is_calm(self, now: float) -> bool:
        return not self._few and now - self._changed_at > _CALM_AFTER

    def _calm_at(self, now: float) -> float:
        calm = self._calm_pace.ready_at(now) if self._is_calm(now) else now
        return max(self._free_at(now), calm)
