"""When a sync window lets a sync through again.

A window opens by a cron schedule and lasts. Source: argo-cd v3.5.1 types.go (SyncWindows.CanSync)
and robfig/cron's standard parser, which it reads the schedules with.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from plate_release.argocd.status import SyncWindow, SyncWindows

_DAYS_AHEAD = 8
_MINUTE = timedelta(minutes=1)
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_UNITS = {"h": 3600, "m": 60, "s": 1}


def opens(windows: SyncWindows, now: float) -> str:
    """Return when automated sync may run again, to be read after "it opens".

    now: seconds since the epoch, by this machine's clock, which is all there is to predict with.
    """
    start = datetime.fromtimestamp(now, UTC).replace(second=0, microsecond=0)
    try:
        when = _first_open(windows, start)
    except (ValueError, ZoneInfoNotFoundError):
        return f"as its schedule says ({_as_written(windows)})"
    if when is None:
        return f"no earlier than {start + timedelta(days=_DAYS_AHEAD - 1):%Y-%m-%d %H:%M} UTC"
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _first_open(windows: SyncWindows, start: datetime) -> datetime | None:
    assigned = windows.assigned_windows or windows.active_windows
    denied: set[datetime] = set()
    allowed: set[datetime] = set()
    for window in assigned:
        (denied if window.kind == "deny" else allowed).update(_active_minutes(window, start))
    gated = any(window.kind == "allow" for window in assigned)
    minutes = (start + n * _MINUTE for n in range(1, (_DAYS_AHEAD - 1) * 24 * 60))
    return next((m for m in minutes if m not in denied and (not gated or m in allowed)), None)


def _active_minutes(window: SyncWindow, start: datetime) -> Iterable[datetime]:
    """Yield the minutes, from `start` on, in which the window is active."""
    zone = ZoneInfo(window.time_zone or "UTC")
    fields, length = _fields(window.schedule), _seconds(window.duration)
    end, until = start + timedelta(days=_DAYS_AHEAD), start
    minute = start - timedelta(minutes=min(length // 60 + 1, 31 * 24 * 60))
    while minute < end:
        if _matches(fields, minute.astimezone(zone)):
            until = minute + timedelta(seconds=length)
        if start <= minute < until:
            yield minute
        minute += _MINUTE


def _fields(schedule: str) -> tuple[frozenset[int] | None, ...]:
    """Return the values of each field; None where it is a star, which matters for days."""
    parts = _NAMED.get(schedule.strip(), schedule).split()
    if len(parts) != len(_RANGES):
        raise ValueError(schedule)
    return tuple(
        None if part in ("*", "?") else frozenset(_values(part.lower(), *bounds))
        for part, bounds in zip(parts, _RANGES, strict=True)
    )


def _values(part: str, low: int, high: int) -> Iterable[int]:
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        begin = low if first in ("*", "?") else _number(first)
        end = _number(last) if last else high if first in ("*", "?") or step else begin
        yield from range(begin, end + 1, int(step or 1))


def _number(text: str) -> int:
    if text in _MONTHS:
        return _MONTHS.index(text) + 1
    return _DAYS.index(text) if text in _DAYS else int(text)


def _matches(fields: tuple[frozenset[int] | None, ...], moment: datetime) -> bool:
    minute, hour, day, month, weekday = fields
    if not all(
        values is None or value in values
        for values, value in ((minute, moment.minute), (hour, moment.hour), (month, moment.month))
    ):
        return False
    in_month = day is None or moment.day in day
    in_week = weekday is None or moment.isoweekday() % 7 in weekday
    # Two restricted fields are alternatives, as cron has always had it.
    return (
        (in_month or in_week) if day is not None and weekday is not None else in_month and in_week
    )


def _seconds(duration: str) -> float:
    found = re.findall(r"(\d+(?:\.\d+)?)(h|m|s)", duration)
    if not found or "".join(number + unit for number, unit in found) != duration:
        raise ValueError(duration)
    return sum(float(number) * _UNITS[unit] for number, unit in found)


def _as_written(windows: SyncWindows) -> str:
    active = windows.active_windows or windows.assigned_windows
    return ", ".join(f"{w.kind} {w.schedule} for {w.duration}" for w in active)
