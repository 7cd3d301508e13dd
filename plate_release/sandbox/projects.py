"""Projects and their sync windows."""

import calendar
import re
import time
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from plate_release.sandbox.world import Object

FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@dataclass(frozen=True, slots=True)
class Window:
    """A sync window, as a project has it; `wire` is what it was given as."""

    wire: Object

    def assigned(self, app: Object) -> bool:
        """Tell whether it is about this Application; one that names nothing is about all."""
        named = {
            "applications": app["metadata"]["name"],
            "namespaces": app["spec"]["destination"].get("namespace", ""),
            "clusters": app["spec"]["destination"].get("server", ""),
        }
        patterns = {key: self.wire.get(key) or () for key in named}
        if not any(patterns.values()):
            return True
        return any(fnmatchcase(named[key], p) for key, many in patterns.items() for p in many)

    def active(self, now: float) -> bool:
        """Tell whether it is open: its schedule fired at most its duration ago."""
        seconds = duration(self.wire["duration"])
        minute = int(now) // 60 * 60
        return any(
            matches(self.wire["schedule"], when)
            for when in range(minute, int(now - seconds) - 1, -60)
        )


def duration(text: str) -> float:
    """Return the seconds of a Go duration such as 1h30m."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(n) * units[u] for n, u in re.findall(r"([\d.]+)(ms|[hms])", text))


def matches(schedule: str, when: float) -> bool:
    """Tell whether a cron schedule fires in the minute of `when` (UTC)."""
    at = time.gmtime(when)
    values = (at.tm_min, at.tm_hour, at.tm_mday, at.tm_mon, (calendar.weekday(*at[:3]) + 1) % 7)
    parts = schedule.split()
    return all(
        _field(part, value, low, high)
        for part, value, (low, high) in zip(parts, values, FIELDS, strict=True)
    )


def _field(part: str, value: int, low: int, high: int) -> bool:
    for item in part.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start = low if span == "*" else int(first)
        end = high if span == "*" or (step and not last) else int(last or first)
        if start <= value <= end and (value - start) % int(step or 1) == 0:
            return True
    return False


@dataclass(slots=True)
class Projects:
    """The projects by name, each with its windows."""

    windows: dict[str, list[Window]] = field(default_factory=lambda: {"default": []})

    def put(self, name: str, windows: list[Object]) -> None:
        """Create or replace a project."""
        self.windows[name] = [Window(each) for each in windows]

    def assigned(self, app: Object) -> list[Window]:
        """Return the windows that are about the Application."""
        return [w for w in self.windows.get(app["spec"]["project"], ()) if w.assigned(app)]

    def can_sync(self, app: Object, now: float, *, manual: bool) -> bool:
        """Tell whether the windows let the Application be synced."""
        assigned = self.assigned(app)
        active = [w for w in assigned if w.active(now)]
        denies = [w for w in active if w.wire["kind"] == "deny"]
        allows = [w for w in assigned if w.wire["kind"] == "allow"]
        if denies:
            return manual and all(w.wire.get("manualSync") for w in denies)
        if not allows or any(w in active for w in allows):
            return True
        return manual and all(w.wire.get("manualSync") for w in allows)
