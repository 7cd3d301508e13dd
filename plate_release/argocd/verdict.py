"""The judge: fed events and the time, it gives the verdict, or what it waits for.

It never sleeps and never calls out. A live watch and a replay feed the same one. Its rules are in
`rules`, what one snapshot says in `view`, what is carried from event to event in `memory`.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from plate_release.argocd.events import (
    Blind,
    Code,
    Event,
    Gone,
    Limits,
    RefreshUnanswered,
    Revision,
    Seen,
    Step,
    Subject,
    SyncAnswer,
    TreeSeen,
    Verdict,
    Via,
    Waiting,
    Want,
    WindowsSeen,
)
from plate_release.argocd.holding import window_reason
from plate_release.argocd.memory import Blindness, Memory, Named, forget, remember
from plate_release.argocd.pods import Pods, read
from plate_release.argocd.rules import (
    HELD_BACK,
    UNAUTHORIZED,
    conclude,
    expire,
    stayed_live,
    unauthorized,
)
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.view import View
from plate_release.argocd.wants import wants

_UNAUTHORIZED, _FORBIDDEN = 401, 403


class Judge:
    """Judges one commit of one Application, from `start` (the push, in seconds) on."""

    def __init__(self, subject: Subject, limits: Limits, start: float) -> None:
        # What stood before is large, and a release may have a thousand of these.
        self._subject = replace(subject, before=None, tree_before=None)
        self._limits = limits
        self._deadline = start + limits.timeout
        self._before = read(subject.tree_before) if subject.tree_before else None
        self._application = subject.before
        self._pods = self._before
        self._known = {sha: Revision(sha, False, False) for sha in _named_before(subject)}
        self._dry: dict[str, str] = {}
        self._memory = Memory(
            excused=_failing_before(self._before),
            reconciled_before=subject.before.status.reconciled_at if subject.before else None,
        )
        self._verdict: Verdict | None = None
        self._gone = False
        self._now = start
        self._view = self._look()

    def feed(self, t: float, event: Event) -> Step:
        """Take in what happened at `t`; timers that were due before it fire first."""
        self._fire(t)
        if self._verdict is None:
            self._take(self._now, event)
            self._verdict = self._conclude(self._now)
        return self._verdict or self._waiting()

    def tick(self, t: float) -> Step:
        """Let the time be `t`."""
        self._fire(t)
        self._verdict = self._verdict or self._conclude(self._now)
        return self._verdict or self._waiting()

    def close(self, t: float) -> Verdict:
        """Conclude at `t`, the end of what can be seen: it counts as the deadline and the soak."""
        self._fire(t)
        memory = self._memory
        soaking = memory.held and not memory.in_the_dark and not memory.failing
        if self._verdict is None and self._view and soaking:
            self._verdict = stayed_live(self._view, memory, self._now)
        self._verdict = self._verdict or expire(self._view, memory, self._now)
        return self._verdict

    def _fire(self, t: float) -> None:
        """Let the time go on to `t`: the timers that are due by then fire, each at its own time."""
        while self._verdict is None and (due := self._look_again()) <= t:
            self._now = due
            self._verdict = self._conclude(due)
        self._now = max(t, self._now)

    def _conclude(self, t: float) -> Verdict | None:
        verdict = unauthorized(self._memory, t)
        if verdict is None and self._view is not None:
            verdict = conclude(self._view, self._memory, self._limits, t)
        soaking = self._memory.held and t < self._memory.held.since + self._limits.soak
        if verdict is None and t >= self._deadline and not soaking:
            verdict = expire(self._view, self._memory, t)
        return verdict

    def _waiting(self) -> Waiting:
        view, memory = self._view, self._memory
        if view is None:
            return Waiting("nothing seen yet", self._look_again(), frozenset({Want.REFRESH}))
        return Waiting(view.says, self._look_again(), wants(view, memory, self._now))

    def _look_again(self) -> float:
        """Return when the next timer is due, infinity where none is."""
        due = (at for at in self._timers() if at > self._now)
        return min(due, default=math.inf)

    def _timers(self) -> Iterator[float]:
        memory, limits = self._memory, self._limits
        yield self._deadline
        if memory.held:
            yield memory.held.since + limits.soak
        if memory.degraded_since is not None:
            yield memory.degraded_since + limits.grace
        if memory.named:
            yield memory.named.since + HELD_BACK
        if memory.blind and memory.blind.denied_since is not None:
            yield memory.blind.denied_since + UNAUTHORIZED
        for failing in memory.failing.values():
            yield memory.fails_at(failing, limits.grace)
        for doubt in (memory.unrendered, memory.no_effect):
            if doubt:
                yield doubt.since + limits.grace
        if memory.idle_since is not None:
            yield memory.idle_since + HELD_BACK

    def _take(self, t: float, event: Event) -> None:
        match event:
            case Seen():
                self._see(t, event)
            case TreeSeen(tree):
                self._pods = read(tree)
                self._memory = replace(self._memory, blind=None, pods_due=None)
                self._remember(t, None)
            case Revision(sha):
                self._known[sha] = event
                self._remember(t, None)
            case Gone():
                self._memory = forget(self._memory, t)
                self._gone = True
            case RefreshUnanswered():
                done = self._view is not None and not self._view.application.refreshing
                self._memory = replace(self._memory, unrefreshed=not done)
            case WindowsSeen():
                self._memory = replace(self._memory, windows=event)
                self._remember(t, None)
            case SyncAnswer():
                self._hear(t, event)
            case Blind():
                self._memory = replace(self._memory, blind=_blinder(self._memory.blind, event, t))

    def _see(self, t: float, seen: Seen) -> None:
        """Take in an Application, unless it is older than what was seen: streams start stale."""
        pods_due = t if self._memory.blind else self._memory.pods_due
        self._memory = replace(self._memory, blind=None, pods_due=pods_due)
        if not self._is_stale(seen.application):
            self._gone = False
            self._application = seen.application
        hydrator = seen.application.status.source_hydrator
        for run in (hydrator.current_operation, hydrator.last_successful_operation):
            if run and run.hydrated_sha and run.dry_sha:
                self._dry[run.hydrated_sha] = run.dry_sha
        self._remember(t, seen.via)

    def _is_stale(self, new: LiveApplication) -> bool:
        old = self._application.version if self._application else None
        return new.version is not None and old is not None and new.version < old + self._gone

    def _remember(self, t: float, via: Via | None) -> None:
        self._view = self._look()
        if self._view is not None and not self._gone:
            self._memory = remember(self._memory, self._view, t, via)

    def _look(self) -> View | None:
        if self._application is None:
            return None
        return View(
            self._subject, self._application, self._pods, self._before, self._known, self._dry
        )

    def _hear(self, t: float, answer: SyncAnswer) -> None:
        """Take in the answer to a sync: only a refusal that will be repeated concludes."""
        memory = self._memory
        if answer.refusal is None:
            idle = None if memory.idle_since is None else t
            self._memory = replace(memory, idle_since=idle, named=None, refused=None)
        elif "blocked by sync window" in answer.refusal:
            reason = window_reason(memory.windows)
            self._memory = replace(memory, refused=Named(t, Code.SYNC_WINDOW, reason))
        elif answer.status == _FORBIDDEN:
            reason = f"Argo CD refused the sync: {answer.refusal}"
            self._memory = replace(memory, refused=Named(t, Code.SYNC_REFUSED, reason))


def _named_before(subject: Subject) -> Iterator[str]:
    """Name the commits that Argo CD knew before ours existed: they cannot contain it."""
    if subject.before is None:
        return
    status = subject.before.status
    operation = status.operation_state
    for revised in (status.sync, operation and operation.sync_result):
        if revised:
            yield from (revised.revision, *revised.revisions)


def _failing_before(pods: Pods | None) -> frozenset[str]:
    return frozenset(pod.uid for pod in pods.current if pod.fatal) if pods else frozenset()


def _blinder(old: Blindness | None, blind: Blind, t: float) -> Blindness:
    since = old.since if old else t
    denied_since = old.denied_since if old else None
    if blind.status in (_UNAUTHORIZED, _FORBIDDEN):
        denied_since = t if denied_since is None else denied_since
    elif blind.status is not None:
        denied_since = None
    return Blindness(since, blind.why, denied_since)
