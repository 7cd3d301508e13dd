"""Tags read as versions that can be compared. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from semver import Version

_SEMVER = re.compile(
    r"v?(\d{1,4}(?=[_+-]|$)|\d+(?=\.))(?:\.(\d+))?(?:\.(\d+))?"
    r"((?:-[0-9A-Za-z.-]+)?)((?:[+_][0-9A-Za-z.-]+)?)"
)
_CALENDAR = re.compile(
    r"v?(?P<year>20\d\d|\d\d)"
    r"(?:(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])(?P<time>(?:\d{4}|\d{6})?)(?!\d)"
    r"|(?=[._-]\d))"
)
_NUMBER = re.compile(r"[._T-](\d+)(?![A-Za-z])")
_LAST_WEEK = 53
_EARLY = re.compile(
    r"[._-]?(?:a|b|c|m|rc|alpha|beta|pre|preview|dev|snapshot|nightly|canary|ea|milestone|next)"
    r"(?![A-Za-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TagVersion:
    """A tag as a version; `order` compares with that of another tag read by the same function."""

    order: Any
    prerelease: bool


def semver(tag: str) -> TagVersion | None:
    """Read a semantic version, perhaps short (`1.25` is 1.25.0) or with a leading v; else None.

    A tag cannot have the + of build metadata; `_` stands for it, as in Helm's own OCI tags. Digits
    alone are a version up to four of them: more are a commit's or a date's.
    """
    version = _version(tag)
    return TagVersion(version, bool(version.prerelease)) if version else None


def likely(tag: str) -> TagVersion | None:
    """Read a version whose suffix need not mean that it comes before the version without.

    `1.25-alpine` and `1.4.2-5-g0a1b2c3` are as new as 1.25.0 and 1.4.2, `1.5.0-rc.1` is older
    than 1.5.0. Only what has a dot is read.
    """
    version = _version(tag) if "." in tag else None
    if version is None:
        return None
    early = bool(_EARLY.match(version.prerelease or ""))
    return TagVersion(version if early else version.finalize_version(), early)


def calver(tag: str) -> TagVersion | None:
    """Read a calendar version such as 2026.11.3, 26.11, 20261123 or 2026-11-23T1200; None if none.

    Its numbers are compared one by one; a suffix such as rc.1 makes it come before.
    """
    match = _CALENDAR.match(tag)
    if match is None:
        return None
    year = int(match["year"]) + (2000 if len(match["year"]) < len("2000") else 0)
    numbers = [int(match[name]) for name in ("month", "day", "time") if match[name]]
    position = match.end()
    while found := _NUMBER.match(tag, position):
        numbers.append(int(found[1]))
        position = found.end()
    if not 1 <= numbers[0] <= _LAST_WEEK:
        return None
    rest = tag[position:]
    early = bool(_EARLY.match(rest))
    digits = tuple(int(number) for number in re.findall(r"\d+", rest)) if early else ()
    return TagVersion(((year, *numbers), not early, digits), early)


def _version(tag: str) -> Version | None:
    match = _SEMVER.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch, prerelease, build = match.groups()
    text = f"{major}.{minor or 0}.{patch or 0}{prerelease}{build.replace('_', '+')}"
    return Version.parse(text) if Version.is_valid(text) else None
