"""What the judge is fed, what it asks for, and what it answers.

Who watches (live, or from a recording) turns what it sees into events, carries out the wants as
sparingly as it likes, and feeds the answers back. All are plain frozen values; times are seconds
of one clock that never goes back, and come beside the events.
"""

from dataclasses import dataclass
from enum import StrEnum

from plate_release.argocd.status import LiveApplication, ResourceTree, SyncWindows
from plate_release.model import Judgement


class Via(StrEnum):
    """How an Application was seen."""

    STREAM = "stream"  # may start from a stale cache
    GET = "get"
    REFRESH = "refresh"  # the answer to a refresh: compared with git after it was asked


@dataclass(frozen=True, slots=True)
class Seen:
    """The Application, as somebody has just answered it."""

    application: LiveApplication
    via: Via


@dataclass(frozen=True, slots=True)
class Gone:
    """The Application does not exist (any more)."""


@dataclass(frozen=True, slots=True)
class TreeSeen:
    """The Application's resource tree."""

    tree: ResourceTree


@dataclass(frozen=True, slots=True)
class Revision:
    """The answer to `WhatIs`: what git says of the commit `sha`; None where it cannot say now.

    contains: our commit is `sha` or an ancestor of it. holds: our key has our value there.
    """

    sha: str
    contains: bool | None
    holds: bool | None


@dataclass(frozen=True, slots=True)
class RefreshUnanswered:
    """A refresh was asked for and not answered in time: the controller may be down."""


@dataclass(frozen=True, slots=True)
class SyncAnswer:
    """The answer to a sync that we asked for; `refusal` is Argo CD's message, None if accepted."""

    refusal: str | None
    status: int


@dataclass(frozen=True, slots=True)
class WindowsSeen:
    """The sync windows; `opens` says when a sync is possible again, as a person reads it."""

    windows: SyncWindows
    opens: str = ""


@dataclass(frozen=True, slots=True)
class Blind:
    """Nobody answered: `why` for a person, the HTTP status where there was one."""

    why: str
    status: int | None = None


Event = Seen | Gone | TreeSeen | Revision | RefreshUnanswered | SyncAnswer | WindowsSeen | Blind


class Want(StrEnum):
    """Something that would help; it is wanted until a later step no longer names it."""

    REFRESH = "refresh"
    HARD_REFRESH = "hard-refresh"
    SYNC = "sync"  # POST sync without a revision
    TREE = "tree"
    WINDOWS = "windows"
    TERMINATE = "terminate"  # end the operation that holds a revert back


@dataclass(frozen=True, slots=True)
class WhatIs:
    """A commit that Argo CD names and about which git has to be asked."""

    sha: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """No verdict yet.

    says: what a live line shows. look_again: the time at which `tick` may say something else
    without any event. wants: what would help.
    """

    says: str
    look_again: float
    wants: frozenset[Want | WhatIs] = frozenset()


class Code(StrEnum):
    """Why a verdict was given, as a stable slug."""

    LIVE = "live"
    NO_DIFFERENCE = "no-difference"
    POD_FAILED = "pod-failed"
    RESTARTED = "restarted"
    DEGRADED = "degraded"
    SYNC_FAILED = "sync-failed"
    HOOK_FAILED = "hook-failed"
    TERMINATED = "terminated"
    RENDER_FAILED = "render-failed"
    INVALID_SPEC = "invalid-spec"
    NO_EFFECT = "no-effect"
    SUPERSEDED = "superseded"
    SYNC_WINDOW = "sync-window"
    AUTOSYNC_OFF = "automated-sync-off"
    SYNC_REFUSED = "sync-refused"
    OTHER_SOURCE = "other-source"
    SUSPENDED = "suspended"
    GONE = "gone"
    FOREIGN_FAILURE = "foreign-failure"
    STILL_MOVING = "still-moving"
    UNSEEN = "unseen"
    UNAUTHORIZED = "unauthorized"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a watch.

    at: when it was certain. live_since: the start of the unbroken hold that led to `live`.
    by: the commit that superseded ours.
    """

    judgement: Judgement
    code: Code
    reason: str
    at: float
    live_since: float | None = None
    by: str | None = None


Step = Verdict | Waiting


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait, in seconds: for a failing pod, for a live one to stay live, in all."""

    grace: float = 20
    soak: float = 30
    timeout: float = 900


@dataclass(frozen=True, slots=True)
class Subject:
    """What is watched: one Application, and one commit of ours that it should run.

    repository, branch and file say which source is ours. images: what must run afterwards.
    before, tree_before: what was seen before the push, if anything. reverts: the commit that
    ours undoes, where it is a revert.
    """

    application: str
    commit: str
    repository: str
    branch: str
    file: str
    images: tuple[str, ...]
    namespace: str = ""
    project: str = ""
    before: LiveApplication | None = None
    tree_before: ResourceTree | None = None
    reverts: str | None = None
