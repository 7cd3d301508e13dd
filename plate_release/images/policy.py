"""Which tag may follow which. Pure."""

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator
from semver import Version

from plate_release.errors import TagRefused
from plate_release.model import Ask, Finding

MUTABLE = frozenset(
    ("latest", "main", "master", "trunk", "head", "develop", "dev", "edge", "nightly", "canary")
) | {"stable", "prod", "production", "staging", "test", "release", "next", "current", "snapshot"}
"""Names of tags that are moved from image to image."""

_REPEATED_REPEAT = re.compile(r"(?<!\\)[*+}]\??\)(?:[*+]|\{\d*,)")
_SEMVER = re.compile(
    r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?((?:-[0-9A-Za-z.-]+)?)((?:[+_][0-9A-Za-z.-]+)?)"
)
_CALVER = re.compile(
    r"v?(?P<year>20\d\d|\d\d)"
    r"(?:(?P<compact>(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))|[.-](?P<month>1[0-2]|0?[1-9]))"
    r"(?P<more>(?:[.-]\d+)*)(?:[.-][0-9A-Za-z][0-9A-Za-z.-]*)?"
)


def _safe(pattern: str | None) -> str | None:
    """Return a pattern that compiles and cannot take exponential time; raises ValueError."""
    if pattern is None:
        return None
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    if _REPEATED_REPEAT.search(pattern) or re.search(r"\\[1-9]|\(\?P=", pattern):
        raise ValueError("repeats of repeats and backreferences may never end")
    return pattern


class TagPolicy(BaseModel):
    """A service's `tags` in the configuration.

    Without `policy`, versions are compared where both tags are versions, and nothing else is
    asked of a tag. `pattern` is a regular expression that the whole tag must match.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )

    policy: Literal["semver", "calver", "pattern", "any"] | None = None
    allow_downgrade: bool = False
    prereleases: Literal["allow", "warn", "refuse"] = "warn"
    pattern: Annotated[str | None, AfterValidator(_safe)] = None

    @model_validator(mode="after")
    def _pattern_is_told(self) -> "TagPolicy":
        if (self.policy == "pattern") != (self.pattern is not None):
            raise ValueError("`pattern` and `policy: pattern` go together")
        return self


def judge(
    before: str, ask: Ask, policy: TagPolicy, *, production: bool = True, digest: str | None = None
) -> tuple[Finding, ...]:
    """Say whether the tag asked for may replace `before` ("" for none).

    `digest` is what the registry has for the tag now, offered in place of a mutable tag. Raises
    TagRefused; an equal tag is always fine.
    """
    if before == ask.tag:
        return ()
    return (*_mutable(ask, production=production, digest=digest), *_ordered(before, ask, policy))


def _mutable(ask: Ask, *, production: bool, digest: str | None) -> tuple[Finding, ...]:
    if ask.tag.lower() not in MUTABLE or ask.digest:
        return ()
    message = f"{ask.service}: the tag {ask.tag} can mean another image tomorrow"
    if not production:
        return (Finding("warning", "mutable-tag", message),)
    why = "What was verified must be what runs after the next restart."
    offer = f"{ask.service}={ask.tag}@{digest or 'sha256:...'}"
    raise TagRefused(message, why=why, todo=f"Release a version, or the digest: {offer}")


def _ordered(before: str, ask: Ask, policy: TagPolicy) -> tuple[Finding, ...]:
    match policy.policy:
        case "any":
            return ()
        case "pattern":
            if not re.fullmatch(policy.pattern or "", ask.tag):
                raise _refused(ask, f"does not match the pattern {policy.pattern}")
            return ()
        case "calver":
            return _compared(before, ask, policy, calver)
        case "semver":
            return _compared(before, ask, policy, semver)
        case None:
            return _versions_if_any(before, ask, policy)


def _versions_if_any(before: str, ask: Ask, policy: TagPolicy) -> tuple[Finding, ...]:
    if "." not in ask.tag or semver(ask.tag) is None:  # a commit's digits are no version
        message = f"{ask.service}: {ask.tag} is not a semantic version, its order is not checked"
        return (Finding("info", "tag-not-compared", message),)
    return _compared(before, ask, policy, semver)


def _compared(
    before: str, ask: Ask, policy: TagPolicy, read: Callable[[str], Version | None]
) -> tuple[Finding, ...]:
    """Compare as versions; a tag that was no version can only be left behind."""
    if ask.digest and ask.tag.lower() in MUTABLE:
        return ()
    old, new = read(before), read(ask.tag)
    if new is None:
        raise _refused(ask, f"is not a {policy.policy} version")
    if old is None:
        return ()
    if new.compare(old) < 0 and not policy.allow_downgrade:
        todo = "Release a newer tag, use `plate-release rollback`, or pass --allow-downgrade."
        what = f"{ask.service}: {ask.tag} is older than {before}"
        raise TagRefused(what, why="A downgrade is not allowed.", todo=todo)
    return _prerelease(ask, policy) if new.prerelease and not old.prerelease else ()


def _prerelease(ask: Ask, policy: TagPolicy) -> tuple[Finding, ...]:
    if policy.prereleases == "refuse":
        raise _refused(ask, "is a prerelease")
    if policy.prereleases == "allow":
        return ()
    message = f"{ask.service}: {ask.tag} is a prerelease and replaces a release"
    return (Finding("warning", "prerelease", message),)


def semver(tag: str) -> Version | None:
    """Read a version, perhaps short (`1.25` is 1.25.0) or with a leading v; None for another tag.

    A tag cannot have the + of build metadata; `_` stands for it, as in Helm's own OCI tags.
    """
    match = _SEMVER.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch, prerelease, build = match.groups()
    text = f"{major}.{minor or 0}.{patch or 0}{prerelease}{build.replace('_', '+')}"
    return Version.parse(text) if Version.is_valid(text) else None


def calver(tag: str) -> Version | None:
    """Read a calendar version such as 2026.11.3, 26.11, 20261123 or 2026-11-23.2; None if none.

    The day (or counter) and the counter after it share the patch number.
    """
    match = _CALVER.fullmatch(tag)
    if match is None:
        return None
    century = 2000 if len(match["year"]) < len("2000") else 0
    more = [int(number) for number in re.findall(r"\d+", match["more"])]
    if match["compact"]:
        more.insert(0, int(match["compact"][2:]))
    day, counter = [*more, 0, 0][:2]
    month = match["month"] or match["compact"][:2]
    return Version(century + int(match["year"]), int(month), day * 1_000_000 + counter)


def _refused(ask: Ask, reason: str) -> TagRefused:
    todo = "Release another tag, or change the service's `tags` in the configuration."
    return TagRefused(f"{ask.service}: {ask.tag} {reason}", todo=todo)
