"""What one watched Application has shown, and what should be asked about it next, and when.

Pure: it takes answers and the time, and sends nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from math import inf
from typing import Generic, Protocol, TypeVar

from plate_release.argocd.client import AppRef
from plate_release.argocd.events import (
    Blind,
    Event,
    Gone,
    RefreshUnanswered,
    Revision,
    Seen,
    SyncAnswer,
    TreeSeen,
    Via,
    Waiting,
    Want,
    WhatIs,
    WindowsSeen,
)
from plate_release.argocd.failures import (
    CallFailed,
    Forbidden,
    NoOperation,
    NotFound,
    OperationInProgress,
    Rejected,
    TimedOut,
)
from plate_release.argocd.pace import backoff
from plate_release.argocd.status import LiveApplication, ResourceTree

R_co = TypeVar("R_co", covariant=True)


class Look(StrEnum):
    """Looking again, whatever the judge wants: no stream is trusted for ever."""

    GET = "get"


Errand = Want | WhatIs | Look

_REFRESHES = (Want.REFRESH, Want.HARD_REFRESH)
# The least seconds between two errands of a kind; a third of it is added by chance.
_AGAIN: dict[Errand, float] = {
    Want.REFRESH: 15.0,
    Want.HARD_REFRESH: 15.0,
    Want.SYNC: 5.0,
    Want.TREE: 1.0,
    Want.WINDOWS: 20.0,
    Want.TERMINATE: 5.0,
    Look.GET: 20.0,
}
_GIT_AGAIN = 5.0
_WITHOUT_STREAM = 3.0
_TREE_AFTER_CHANGE = 0.25
# In a crowd most get well by themselves before anybody needs a look.
_PATIENCE: dict[Errand, float] = {Want.TREE: 8.0, Want.WINDOWS: 5.0}
# After an answer that will not change soon: a refusal, a sync that was accepted.
_SETTLED_AGAIN = 30.0


class Judge(Protocol[R_co]):
    """What turns events into a result: `plate_release.argocd.verdict.Judge` into a verdict."""

    def feed(self, t: float, event: Event) -> R_co | Waiting:
        """Take an event that happened at `t`."""
        ...

    def tick(self, t: float) -> R_co | Waiting:
        """Take the time alone."""
        ...


@dataclass(frozen=True, slots=True)
class Watched(Generic[R_co]):
    """One Application to watch. what_is: asks git about a commit; it may take its time."""

    service: str
    app: AppRef
    judge: Judge[R_co]
    what_is: Callable[[str], Revision]


@dataclass(slots=True, eq=False)
class Sight(Generic[R_co]):
    """One Application under watch.

    streaming: a stream tells of its changes. alone: few are watched, so that each is looked at by
    itself now and then. asked, ever: what was asked since it changed, and at all.
    """

    watched: Watched[R_co]
    app: AppRef
    step: Waiting
    alone: bool
    streaming: bool = False
    latest: LiveApplication | None = None
    blind: bool = False
    troubled: bool = False
    failures: int = 0
    running: set[Errand] = field(default_factory=set)
    not_before: dict[Errand, float] = field(default_factory=dict)
    asked: set[Errand] = field(default_factory=set)
    ever: set[Errand] = field(default_factory=set)

    def is_about(self, application: LiveApplication) -> bool:
        """Whether `application` is this one and not a namesake in another namespace."""
        namespace = application.metadata.namespace
        mine = self.app.namespace or (self.latest.metadata.namespace if self.latest else namespace)
        return application.name == self.app.name and namespace == mine

    def newest(self, application: LiveApplication, via: Via) -> Seen | None:
        """Return what is to be believed now that `application` came; None where nothing is new.

        Answers overtake each other. The version of an object grows as long as its uid stays.
        """
        latest = self.latest
        if latest is None or latest.metadata.uid != application.metadata.uid:
            return None if self._is_predecessor(application) else self._see(application, via)
        known, came = latest.version, application.version
        if known is None or came is None or came > known:
            return self._see(application, via)
        # What is known is at least as new as this answer.
        return None if via is Via.STREAM else Seen(latest, via)

    def _is_predecessor(self, application: LiveApplication) -> bool:
        """Whether it is of an object that was deleted before the one that we know was made."""
        latest = self.latest
        return latest is not None and (
            application.metadata.creation_timestamp < latest.metadata.creation_timestamp
        )

    def _see(self, application: LiveApplication, via: Via) -> Seen:
        self.latest = application
        return Seen(application, via)

    def take(self, step: Waiting, now: float) -> None:
        """Take in what the judge says; in a crowd, what it wants has to be wanted for a while."""
        self.step = step
        for errand, patience in _PATIENCE.items():
            if errand in self.ever or self.alone:
                continue
            if errand in step.wants:
                self.not_before.setdefault(errand, now + patience)
            else:
                self.not_before.pop(errand, None)

    def next(self, *, routine: bool) -> tuple[float, Errand | None]:
        """Return when a routine, or an urgent, errand is due first, and which; else infinity."""
        wanted: set[Errand] = {*self.step.wants, Look.GET} - self.running
        due = [(self._due(e), _rank(e), e) for e in wanted if self.is_routine(e) is routine]
        when, _, first = min(due, key=lambda entry: entry[:2], default=(inf, 0, None))
        return when, first

    def _due(self, errand: Errand) -> float:
        return self.not_before.get(errand, inf if errand is Look.GET and not self.alone else 0.0)

    def is_routine(self, errand: Errand) -> bool:
        """Whether it only repeats what was asked before, or looks at one that is well."""
        if errand is Want.TREE and self.troubled:
            return False
        well = self.latest is not None and self.latest.status.health.status == "Healthy"
        unneeded = errand is Want.TREE and not self.alone and well and errand not in self.ever
        return errand in self.asked or unneeded

    def started(self, errand: Errand) -> None:
        """Note that `errand` runs."""
        self.running.add(errand)
        self.asked.add(errand)
        self.ever.add(errand)

    def changed(self, now: float) -> None:
        """Note that the stream told of a change: a tree that is wanted is wanted now."""
        self.asked.clear()
        if not self.alone:
            self.not_before.pop(Look.GET, None)
        soon = now if not self.running & {Want.TREE} else now + _TREE_AFTER_CHANGE
        if Want.TREE in self.ever and Want.TREE in self.not_before:
            self.not_before[Want.TREE] = min(self.not_before[Want.TREE], soon)

    def look_at(self, when: float) -> None:
        """Have it looked at at `when`, or before."""
        self.not_before[Look.GET] = min(self.not_before.get(Look.GET, inf), when)

    def ended(self, errand: Errand, answer: object, now: float, chance: float) -> None:
        """Note that `errand` was answered, and when the like of it may be asked again."""
        self.running.discard(errand)
        failed = isinstance(answer, CallFailed) and not isinstance(
            answer, (OperationInProgress, NoOperation, NotFound)
        )
        self.failures = self.failures + 1 if failed else 0
        least = backoff(self.failures, chance) if failed else 0.0
        for kind in _REFRESHES if errand in _REFRESHES else (errand,):
            pause = self._pause(kind, answer) * (1 + chance / 3)
            self.not_before[kind] = now + max(least, pause)
        if errand is Look.GET or errand in _REFRESHES:
            pause = self._pause(Look.GET, answer) * (1 + chance / 3)
            self.not_before[Look.GET] = now + max(least, pause) if self.alone or failed else inf
        if failed and errand is Want.TREE:
            self.look_at(now)
        if isinstance(answer, ResourceTree):
            self.troubled = any(node.health.status == "Degraded" for node in answer.nodes)

    def _pause(self, errand: Errand, answer: object) -> float:
        if errand is Look.GET:
            return _AGAIN[errand] if self.streaming else _WITHOUT_STREAM
        if isinstance(answer, (Forbidden, Rejected)) or (errand is Want.SYNC and answer is None):
            return _SETTLED_AGAIN
        return _AGAIN.get(errand, _GIT_AGAIN)


def _rank(errand: Errand) -> int:
    order = (Want.TERMINATE, Want.SYNC, Want.WINDOWS, Want.TREE, *_REFRESHES, Look.GET)
    return order.index(errand) if errand in order else -1


def event_of(errand: Errand, answer: object) -> Event | None:
    """Return what the answer to `errand` means to the judge.

    None where it means nothing yet: another operation is in progress and the sync is tried again.
    """
    event: Event | None = None
    match answer:
        case Seen() | Revision() | WindowsSeen():
            event = answer
        case ResourceTree():
            event = TreeSeen(answer)
        case NotFound():
            event = Gone()
        case TimedOut() if errand in _REFRESHES:
            event = RefreshUnanswered()
        case Forbidden() | Rejected() if errand is Want.SYNC:
            event = SyncAnswer(answer.message or answer.what, answer.status)
        case OperationInProgress() | NoOperation():
            event = None
        case CallFailed() if errand not in (Want.TERMINATE, Want.WINDOWS, Want.TREE):
            event = Blind(answer.why or answer.what, answer.status or None)
        case None if errand is Want.SYNC:
            event = SyncAnswer(None, HTTPStatus.OK)
    return event


def gist(application: LiveApplication) -> tuple[str, str, str, str, datetime | None]:
    """Return what a glance at an Application and the whole of it have in common."""
    status = application.status
    ran = status.operation_state
    return (
        status.sync.status,
        status.sync.revision,
        status.health.status,
        ran.phase if ran else "",
        ran.finished_at if ran else None,
    )
