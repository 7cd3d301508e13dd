"""Tags read as versions that can be compared. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from semver import Version

_SEMVER = re.compile(
    r"v?(\d{1,4}(?=[_+-]|$)|\d+(?=\.))(?:\.(\d+))?(?:\.(\d+))?"
    r"((?:-[0-9A-Za-z.-]+)?)((?:[+_][0-9A-Za-z.-]+)?)"
)
_RELEASE = re.compile(r"v?(?P<release>\d+(?:\.\d+)+)(?P<rest>(?:[._+-]|(?=[A-Za-z])).*|)")
_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_CALENDAR = re.compile(
    rf"v?(?P<year>20\d\d|\d\d)(?:(?P<day>{_DAY})(?P<time>(?:\d{{2}}|\d{{4}}|\d{{6}})?)(?!\d)"
    r"|(?=[._-]\d|[._-]?[Ww]\d))"
)
_LAST_WEEK = 53
# A single letter begins many a commit's name too.
_STAGE = (
    r"(?:(?P<word>rc|alpha|beta|pre|preview|dev|snapshot|nightly|canary|milestone|next)(?![A-Za-z])"
    r"|(?P<letter>[abcm](?=\d)|ea)(?!\d{4}|\d*[A-Za-z]))"
)
_EARLY = re.compile(
    rf"[._+-]?{_STAGE}(?P<numbers>(?:[._-]?\d{{1,4}}(?![0-9A-Z]))?(?:\.\d{{1,4}}(?![0-9A-Z]))*)",
    re.IGNORECASE,
)
# A number is whole: that of a commit's name goes on with letters.
_NUMBER = re.compile(
    rf"(?:[._T-]|[._-]?W)(?P<number>\d{{1,6}})(?=Z?(?![0-9A-Z])|T\d|{_STAGE})", re.IGNORECASE
)
_SHORT = {"a": "alpha", "b": "beta", "c": "rc"}
_STAGES = ("alpha", "beta", "rc")


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a prerelease is, such as rc and 1; of other words than those known nothing is."""

    word: str
    numbers: tuple[int, ...]

    def is_older(self, than: "Stage") -> bool:
        """Whether it comes before another one for certain."""
        if self.word == than.word:
            return self.numbers < than.numbers
        known = self.word in _STAGES and than.word in _STAGES
        return known and _STAGES.index(self.word) < _STAGES.index(than.word)


@dataclass(frozen=True, slots=True)
class TagVersion:
    """A tag as a version, which can be compared with another one read by the same function.

    `release` is comparable; `stage` tells prereleases of one release apart, where it does not.
    """

    release: Any
    prerelease: bool
    stage: Stage | None = None

    def is_older(self, than: "TagVersion") -> bool:
        """Whether it comes before another one for certain."""
        if self.release != than.release:
            return bool(self.release < than.release)
        if self.stage and than.stage:
            return self.stage.is_older(than.stage)
        return self.prerelease and not than.prerelease


def semver(tag: str) -> TagVersion | None:
    """Read a semantic version, perhaps short (`1.25` is 1.25.0) or with a leading v; else None.

    A tag cannot have the + of build metadata; `_` stands for it, as in Helm's own OCI tags. Digits
    alone are a version up to four of them: more are a commit's or a date's.
    """
    match = _SEMVER.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch, prerelease, build = match.groups()
    text = f"{major}.{minor or 0}.{patch or 0}{prerelease}{build.replace('_', '+')}"
    if not Version.is_valid(text):
        return None
    version = Version.parse(text)
    return TagVersion(version, bool(version.prerelease))


def likely(tag: str) -> TagVersion | None:
    """Read a version whose suffix need not mean that it comes before the version without.

    `1.25-alpine` and `1.4.2-5-g0a1b2c3` are as new as 1.25.0 and 1.4.2, `1.5.0-rc.1` is older
    than 1.5.0, and than `1.5.0-rc10`. Only what has a dot is read.
    """
    match = _RELEASE.fullmatch(tag)
    if match is None:
        return None
    numbers = [int(number) for number in match["release"].split(".")]
    while numbers[-1:] == [0]:
        numbers.pop()
    stage = _stage(match["rest"])
    return TagVersion(tuple(numbers), stage is not None, stage)


def _stage(rest: str) -> Stage | None:
    """Read what makes a version come before the one without it."""
    match = _EARLY.match(rest)
    if match is None:
        return None
    word = (match["word"] or match["letter"]).lower()
    numbers = tuple(int(number) for number in re.findall(r"\d+", match["numbers"]))
    return Stage(_SHORT.get(word, word), numbers)


def calver(tag: str) -> TagVersion | None:
    """Read a calendar version such as 2026.11.3, 26.11, 20261123 or 2026-11-23T1200; None if none.

    Its numbers are compared one by one; a suffix such as rc.1 makes it come before.
    """
    match = _CALENDAR.match(tag)
    if match is None:
        return None
    year = 2000 + int(match["year"][-2:])
    numbers = [int(match[name]) for name in ("day", "time") if match[name]]
    position = match.end()
    while found := _NUMBER.match(tag, position):
        numbers.append(int(found["number"]))
        position = found.end()
    if re.fullmatch(_DAY, f"{numbers[0]:04}"):
        numbers[:1] = divmod(numbers[0], 100)
    # pip's first one of a year is 26.0.
    first = 0 if len(match["year"]) < len("2026") else 1
    if not first <= numbers[0] <= _LAST_WEEK:
        return None
    stage = _stage(tag[position:])
    return TagVersion((year, *numbers), stage is not None, stage)
