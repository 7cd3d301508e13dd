"""What the judge remembers from one event to the next: since when something holds.

Frozen like everything it judges: `remember` takes a memory and gives the next one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from plate_release.argocd.events import Code, Via, WindowsSeen
from plate_release.argocd.holding import held_back_by
from plate_release.argocd.pods import Pod
from plate_release.argocd.view import View
from plate_release.argocd.wording import About, speaks_about

RENDER_ERRORS = frozenset({"ComparisonError", "HydrateError"})


@dataclass(frozen=True, slots=True)
class Failing:
    """A pod that failed at `since` and has not been ready again, for these reasons in turn."""

    pod: str
    since: float
    reasons: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that is only believed when a later reconcile, or the grace, confirms it."""

    since: float
    reconciled: datetime | None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Our commit is live since `since`, at Argo CD's `commit`."""

    since: float
    commit: str


@dataclass(frozen=True, slots=True)
class Named:
    """Something with a name that holds our commit back."""

    since: float
    code: Code
    reason: str


@dataclass(frozen=True, slots=True)
class Blindness:
    """Nobody has answered since `since`; nobody has let us in since `denied_since`."""

    since: float
    why: str
    denied_since: float | None


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is carried from one event to the next; times as they were fed.

    held: the hold that goes on. was_live: whether there ever was one. baseline: restarts that
    each pod already had when our commit first was live; restarts: those since then. excused:
    pods that failed before the push and were not ready since. refused: why Argo CD refused a
    sync. unrefreshed: whether a refresh was asked for in vain. pods_due: since when somebody
    answers again, where no pod was seen since. reconciled_before: of the last comparison before
    the push.
    """

    held: Hold | None = None
    was_live: bool = False
    baseline: Mapping[str, int] = field(default_factory=dict)
    restarts: int = 0
    failing: Mapping[str, Failing] = field(default_factory=dict)
    excused: frozenset[str] = frozenset()
    degraded_since: float | None = None
    degraded_is_new: bool = False
    unrendered: Doubt | None = None
    no_effect: Doubt | None = None
    idle_since: float | None = None
    named: Named | None = None
    refused: Named | None = None
    windows: WindowsSeen | None = None
    blind: Blindness | None = None
    unrefreshed: bool = False
    pods_due: float | None = None
    reconciled_before: datetime | None = None

    @property
    def in_the_dark(self) -> bool:
        """Whether what was seen last may be over: nobody answers, or the controller does not."""
        return self.blind is not None or self.unrefreshed

    def fails_at(self, pod: Failing, grace: float) -> float:
        """Return when the grace of `pod` ends; after a blindness it has time to be seen again."""
        return max(pod.since, self.pods_due or pod.since) + grace


def remember(memory: Memory, view: View, t: float, via: Via | None) -> Memory:
    """Return the memory after `view` was seen at `t`; `via` is None where the tree is what is new.

    The order matters: a restart is told from the baseline that the hold begins with.
    """
    memory = _remember_failing(memory, view, t)
    memory = _remember_hold(memory, view, t)
    memory = _remember_restarts(memory, view, t)
    memory = _remember_degraded(memory, view, t)
    memory = replace(
        memory,
        unrefreshed=memory.unrefreshed and view.application.refreshing,
        unrendered=_doubt(memory.unrendered, _does_not_render(memory, view), view, t, via),
        no_effect=_doubt(memory.no_effect, view.settled and not view.image_runs, view, t, via),
        idle_since=_since(memory.idle_since, view.idle_out_of_sync, t),
    )
    return replace(memory, named=_named(memory, view, t))


def forget(memory: Memory, t: float) -> Memory:
    """Return the memory after the Application was deleted: nothing that it said goes on."""
    gone = Named(t, Code.GONE, "the Application does not exist any more")
    return replace(
        memory,
        held=None,
        failing={},
        degraded_since=None,
        unrendered=None,
        no_effect=None,
        idle_since=None,
        blind=None,
        named=memory.named if memory.named and memory.named.code is Code.GONE else gone,
    )


def _named(memory: Memory, view: View, t: float) -> Named | None:
    """Keep what holds our commit back, counted from when nothing happened any more."""
    what = held_back_by(view, memory.windows)
    if what is None:
        return None
    since = memory.named.since if memory.named else t
    return Named(since if memory.idle_since is None else memory.idle_since, *what)


def _since(old: float | None, holds: bool, t: float) -> float | None:
    return (t if old is None else old) if holds else None


def _doubt(old: Doubt | None, holds: bool, view: View, t: float, via: Via | None) -> Doubt | None:
    if not holds:
        return None
    reconciled = view.application.status.reconciled_at
    if old is None:
        return Doubt(t, reconciled)
    again = via is Via.REFRESH and reconciled != old.reconciled
    return replace(old, confirmed=True) if again else old


def _does_not_render(memory: Memory, view: View) -> bool:
    """Whether our commit's rendering failed, with the renderer's own words.

    A ComparisonError names no commit: one of before our push says nothing of ours.
    """
    after_push = view.application.status.reconciled_at != memory.reconciled_before
    said = RENDER_ERRORS if after_push else RENDER_ERRORS - {"ComparisonError"}
    return any(c.type in said and speaks_about(c.message) is About.RELEASE for c in view.errors)


def _remember_failing(memory: Memory, view: View, t: float) -> Memory:
    """Keep each failing pod from its first fatal reason until it is ready or gone."""
    failing = {}
    excused = memory.excused
    for pod in view.release_pods:
        if pod.ready:
            excused -= {pod.uid}
        elif pod.uid not in excused and (pod.fatal or pod.uid in memory.failing):
            failing[pod.uid] = _failing(memory.failing.get(pod.uid), pod, t)
    return replace(memory, failing=failing, excused=excused)


def _failing(old: Failing | None, pod: Pod, t: float) -> Failing:
    """Keep the message that says why: those of a back-off only say that it is tried again."""
    if old is None:
        return Failing(pod.name, t, (pod.reason,), pod.message)
    says_why = pod.fatal and pod.message and not pod.message.lower().startswith("back-off")
    return Failing(
        pod.name,
        old.since,
        old.reasons if not pod.fatal or pod.reason in old.reasons else (*old.reasons, pod.reason),
        pod.message if says_why else old.message,
    )


def _remember_hold(memory: Memory, view: View, t: float) -> Memory:
    held = memory.held
    if held is not None and not _still_held(held, view):
        return replace(memory, held=None)
    if not view.live or view.commit is None:
        return memory
    return replace(memory, held=Hold(held.since if held else t, view.commit), was_live=True)


def _still_held(held: Hold, view: View) -> bool:
    """Whether the hold goes on: a refresh or a self-heal of the same commit does not break it.

    Neither does a commit about which git has not answered yet.
    """
    if view.commit in view.unknown:
        return True
    same = view.commit == held.commit
    policy = view.application.spec.sync_policy.automated
    heals = same and view.application.spec.automated and bool(policy and policy.self_heal)
    return (
        view.at_ours
        and (view.in_sync or heals)
        and view.health == "Healthy"
        and view.image_runs
        and not view.errors
        and (not view.busy or view.operation_commit in (None, held.commit))
        and not view.application.metadata.deletion_timestamp
    )


def _remember_restarts(memory: Memory, view: View, t: float) -> Memory:
    """Count the restarts since our commit first was live; each begins the soak anew.

    A pod counts from when it was first seen ready: what happened on its way there is no harm.
    """
    if not memory.was_live:
        return memory
    baseline = dict(memory.baseline)
    for pod in view.release_pods:
        if pod.ready or pod.uid in baseline:
            baseline[pod.uid] = max(pod.restarts, baseline.get(pod.uid, 0))
    again = sum(count - memory.baseline.get(uid, count) for uid, count in baseline.items())
    held = replace(memory.held, since=t) if memory.held and again else memory.held
    return replace(memory, baseline=baseline, restarts=memory.restarts + again, held=held)


def _remember_degraded(memory: Memory, view: View, t: float) -> Memory:
    """Count Degraded only where it is our commit's: not what was there before it was applied."""
    degraded = view.health == "Degraded"
    is_new = memory.degraded_is_new or (view.applied and not degraded)
    counts = degraded and view.at_ours and (is_new or view.synced_by_operation or view.in_sync)
    return replace(
        memory,
        degraded_is_new=is_new,
        degraded_since=_since(memory.degraded_since, counts, t),
    )
