"""The four DORA figures, from the ledger. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from plate_release.gitops.entry import Entry, Recorded
from plate_release.model import Outcome

DAY = 86_400.0

_GOOD = frozenset({Outcome.RELEASED})
_BAD = frozenset(
    {
        Outcome.ROLLED_BACK,
        Outcome.ROLLBACK_UNVERIFIED,
        Outcome.ROLLBACK_IMPOSSIBLE,
        Outcome.HELD,
    }
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `value` is None where nothing in the window tells."""

    value: float | None
    unit: str
    definition: str


@dataclass(frozen=True, slots=True)
class Dora:
    """The four figures over the last `window_days`."""

    window_days: float
    deployment_frequency: Figure
    lead_time: Figure
    change_failure_rate: Figure
    time_to_restore: Figure


def dora(history: Sequence[Recorded], *, window: float, now: float) -> Dora:
    """Compute the figures over the releases that ended in the `window` seconds before `now`.

    Rollbacks are no deployments of their own: they are how a failed one was restored.
    """
    releases = [r.entry for r in history if r.entry.reverts is None and r.entry.finished]
    recent = [e for e in releases if now - window <= _end(e) <= now]
    good = [e for e in recent if e.state in _GOOD]
    bad = [e for e in recent if e.state in _BAD]
    leads = [_end(e) - e.started.timestamp() for e in good]
    restores = [took for e in bad if (took := _restored(e, releases, now)) is not None]
    return Dora(
        window / DAY,
        Figure(
            len(good) / (window / DAY),
            "releases a day",
            "Releases that were verified live in the window, divided by its days.",
        ),
        Figure(
            median(leads) if leads else None,
            "seconds",
            "Median time from the request to verified live; the time before the request is not"
            " known to the ledger.",
        ),
        Figure(
            len(bad) / len(good + bad) if good or bad else None,
            "share",
            "Releases that were rolled back, could not be, or were held, among these and the"
            " verified ones.",
        ),
        Figure(
            median(restores) if restores else None,
            "seconds",
            "Median time from a failed release's start until the old version was verified again,"
            " or else until a later release of the same services was.",
        ),
    )


def _end(entry: Entry) -> float:
    return entry.finished.timestamp() if entry.finished else 0.0


def _restored(failed: Entry, releases: Sequence[Entry], now: float) -> float | None:
    start = failed.started.timestamp()
    if failed.state is Outcome.ROLLED_BACK:
        return _end(failed) - start
    later = [
        _end(e) - start
        for e in releases
        if e.state in _GOOD and _end(failed) < _end(e) <= now and failed.names() <= e.names()
    ]
    return min(later, default=None)
