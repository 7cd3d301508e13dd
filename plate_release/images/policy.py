"""Which tag may follow which."""

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from plate_release.errors import TagRefused
from plate_release.images.versions import TagVersion, calver, likely, semver
from plate_release.model import Ask, Check, Finding
from plate_release.section import Section

_MOVED = re.compile(
    "latest|main|master|trunk|head|mainline|dev|devel|develop|development|edge|nightly|canary"
    "|rolling|daily|weekly|snapshot|unstable|testing|test|stable|lts|current|release|next"
    "|beta|alpha|preview"
    "|prod|production|preprod|staging"
)
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_MATCH_SECONDS = 1.0


def is_mutable(tag: str) -> bool:
    """Whether it is a name that is moved from image to image: `latest`, `main`, `stable-alpine`."""
    words = re.split(r"[._-]", tag.lower())
    named = _MOVED.fullmatch(words[0]) and not re.search(r"\d", tag)
    commit = any(_COMMIT.fullmatch(word) for word in words[1:])
    return "latest" in words or bool(named and not commit)


def _compiles(pattern: str | None) -> str | None:
    import regex

    try:
        regex.compile(pattern or "")
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return pattern


class TagPolicy(Section):
    """A service's `tags` in the configuration.

    Without `policy`, only what is certainly an older version is refused. `pattern` is a regular
    expression that the whole tag must match.
    """

    policy: Literal["semver", "calver", "pattern", "any"] | None = None
    allow_downgrade: bool = False
    prereleases: Literal["allow", "warn", "refuse"] = "warn"
    pattern: Annotated[str | None, AfterValidator(_compiles)] = None

    @model_validator(mode="after")
    def _pattern_is_told(self) -> "TagPolicy":
        if (self.policy == "pattern") != (self.pattern is not None):
            raise ValueError("`pattern` and `policy: pattern` go together")
        return self


def judge(
    before: str,
    ask: Ask,
    policy: TagPolicy,
    *,
    production: bool,
    offer: Callable[[], str | None],
) -> tuple[Finding, ...]:
    """Say whether the tag asked for may replace `before` ("" for none).

    offer: asked for the digest that is offered in place of a mutable tag. Raises TagRefused; an
    equal tag is always fine.
    """
    if before == ask.tag:
        return ()
    if policy.pattern is not None and not _matches(policy.pattern, ask):
        raise _refused(ask, f"does not match the pattern {policy.pattern}")
    if not is_mutable(ask.tag):
        return _ordered(before, ask, policy)
    if ask.digest:
        return ()
    message = f"{ask.service}: the tag {ask.tag} can mean another image tomorrow"
    if not production:
        return (Finding("warning", Check.MUTABLE_TAG, message),)
    why = "What was verified must be what runs after the next restart."
    todo = f"Release a version, or the digest: {ask.service}={ask.tag}@{offer() or 'sha256:...'}"
    raise TagRefused(message, why=why, todo=todo)


def _ordered(before: str, ask: Ask, policy: TagPolicy) -> tuple[Finding, ...]:
    match policy.policy:
        case "any" | "pattern":
            new = likely(ask.tag)
            if new and new.prerelease and policy.prereleases == "refuse":
                raise _refused(ask, "is a prerelease")
            return ()
        case "calver":
            return _compared(before, ask, policy, calver)
        case "semver":
            return _compared(before, ask, policy, semver)
        case None:
            return _compared(before, ask, policy, likely)


def _matches(pattern: str, ask: Ask) -> bool:
    """Match in bounded time, which a pattern of nested repeats would not keep to by itself."""
    import regex  # unlike re, it can be stopped

    try:
        return regex.fullmatch(pattern, ask.tag, timeout=_MATCH_SECONDS) is not None
    except TimeoutError:
        raise _refused(ask, f"takes too long to match with the pattern {pattern}") from None


def _compared(
    before: str, ask: Ask, policy: TagPolicy, read: Callable[[str], TagVersion | None]
) -> tuple[Finding, ...]:
    old, new = read(before), read(ask.tag)
    if new is None and policy.policy:
        raise _refused(ask, f"is not a {policy.policy} version")
    early = _prerelease(ask, policy) if new and new.prerelease else ()
    if old is None or new is None:
        # From `latest` or nothing to a version is an upgrade.
        unread = ask.tag if new is None else before
        if new and (not before or is_mutable(before)):
            return early
        message = f"{ask.service}: {unread} is no version, so its order is not checked"
        return (*early, Finding("info", Check.TAG_NOT_COMPARED, message))
    if new.is_older(old) and not policy.allow_downgrade:
        todo = "Release a newer tag, use `plate-release rollback`, or pass --allow-downgrade."
        what = f"{ask.service}: {ask.tag} is older than {before}"
        raise TagRefused(what, why="A downgrade is not allowed.", todo=todo)
    return () if old.prerelease else early


def _prerelease(ask: Ask, policy: TagPolicy) -> tuple[Finding, ...]:
    """Say what the policy makes of a prerelease. Raises TagRefused where it refuses every one."""
    if policy.prereleases == "refuse":
        raise _refused(ask, "is a prerelease")
    if policy.prereleases == "allow":
        return ()
    message = f"{ask.service}: {ask.tag} is a prerelease"
    return (Finding("warning", Check.PRERELEASE, message),)


def _refused(ask: Ask, reason: str) -> TagRefused:
    todo = "Release another tag, or change the service's `tags` in the configuration."
    return TagRefused(f"{ask.service}: {ask.tag} {reason}", todo=todo)
