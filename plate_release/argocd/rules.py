"""The rules by which a watch ends, in the order in which they are tried.

Each takes the snapshot and what is remembered, and gives the verdict that it is certain of, or
None. First content and life, then failure, then what holds the commit back. The deadline alone
is no rule of failure: `expire` says what is left when it comes.
"""

import re
from collections.abc import Callable

from plate_release.argocd.events import Code, Limits, Verdict
from plate_release.argocd.memory import RENDER_ERRORS, Doubt, Memory
from plate_release.argocd.pods import repository
from plate_release.argocd.status import OperationState
from plate_release.argocd.view import View
from plate_release.argocd.wording import About, is_for_good, speaks_about
from plate_release.model import Judgement

# Where nothing is wrong and nothing happens, this long after the refresh something holds it back.
HELD_BACK = 30.0
UNAUTHORIZED = 60.0
_RESTARTS_THAT_FAIL = 2
_SHA = re.compile(r"\b[0-9a-f]{40}\b")

Rule = Callable[[View, Memory, Limits, float], Verdict | None]


def conclude(view: View, memory: Memory, limits: Limits, t: float) -> Verdict | None:
    """Return the verdict that is certain at `t`, if there is one."""
    return next((v for rule in RULES if (v := rule(view, memory, limits, t))), None)


def superseded(view: View, _memory: Memory, _limits: Limits, t: float) -> Verdict | None:
    """End where Argo CD is at a descendant of ours in which our key holds another value."""
    for commit in (view.commit, view.operation_commit):
        if commit and view.replaced_by(commit):
            reason = f"superseded by {commit[:7]}, where our key holds another value"
            return Verdict(Judgement.SUPERSEDED, Code.SUPERSEDED, reason, t, by=commit)
    return None


def live(view: View, memory: Memory, limits: Limits, t: float) -> Verdict | None:
    """End where ours stayed live for the soak, and nothing is under way that could end that."""
    held = memory.held
    if held is None or t < held.since + limits.soak or memory.in_the_dark or memory.failing:
        return None
    under_way = view.busy or not view.in_sync
    return None if under_way else stayed_live(view, memory, t)


def stayed_live(view: View, memory: Memory, t: float) -> Verdict | None:
    """Return the verdict `live` of the hold that goes on, if one does."""
    if memory.held is None:
        return None
    code = Code.LIVE if view.synced_by_operation else Code.NO_DIFFERENCE
    what = "Synced and Healthy" if code is Code.LIVE else "no difference: Synced and Healthy"
    where = f"at {memory.held.commit[:7]} for {t - memory.held.since:.0f} s"
    reason = " ".join((what, where, *view.subject.images))
    return Verdict(Judgement.LIVE, code, reason, t, live_since=memory.held.since)


def sync_ended_badly(view: View, memory: Memory, _limits: Limits, t: float) -> Verdict | None:
    """End where our operation failed, or will: asking again cannot change the answer."""
    operation = view.operation
    if operation is None or not view.ours(view.operation_commit):
        return None
    ended = operation.phase in ("Failed", "Error") and not operation_could_not_see(operation)
    waits_to_retry = operation.phase == "Running" and operation.finished_at is not None
    if not ended and not (waits_to_retry and _refused_for_good(operation)):
        return None
    code, reason = _how_it_failed(operation)
    return _failed(view, memory, (code, reason), t, commit=view.operation_commit)


def sync_error(view: View, memory: Memory, _limits: Limits, t: float) -> Verdict | None:
    """End where a SyncError names our commit: automated sync will not try it again."""
    for condition in view.errors:
        if condition.type != "SyncError" or speaks_about(condition.message) is About.BLIND:
            continue
        for commit in map(view.commit_of, _SHA.findall(condition.message)):
            if view.ours(commit):
                why = Code.SYNC_FAILED, f"sync failed: {condition.type}: {condition.message}"
                return _failed(view, memory, why, t, commit=commit)
    return None


def does_not_render(view: View, memory: Memory, limits: Limits, t: float) -> Verdict | None:
    """End where the renderer's own error survived a second refresh, or the grace."""
    if not _believed(memory.unrendered, memory, limits, t):
        return None
    condition = next(c for c in view.errors if c.type in RENDER_ERRORS)
    why = Code.RENDER_FAILED, f"{condition.type}: {condition.message}"
    return _failed(view, memory, why, t, commit=None)


def pod_failed(view: View, memory: Memory, limits: Limits, t: float) -> Verdict | None:
    """End where a pod of the release has been failing for longer than the grace."""
    for failing in memory.failing.values():
        if t >= memory.fails_at(failing, limits.grace) and not memory.in_the_dark:
            reasons = ", then ".join(failing.reasons)
            what = f"pod {failing.pod}: {reasons} for {t - failing.since:.0f} s"
            reason = f"{what}: {failing.message}" if failing.message else what
            return _failed(view, memory, (Code.POD_FAILED, reason), t, commit=view.made_by)
    return None


def restarted(view: View, memory: Memory, _limits: Limits, t: float) -> Verdict | None:
    """End where containers restarted again after the soak had begun anew."""
    if memory.restarts < _RESTARTS_THAT_FAIL:
        return None
    worst = max(view.release_pods, key=lambda pod: pod.restarts, default=None)
    pod = f"pod {worst.name}: {worst.reason}, " if worst else ""
    reason = f"{pod}restarted {memory.restarts} times after it was live"
    return _failed(view, memory, (Code.RESTARTED, reason), t, commit=view.made_by)


def degraded(view: View, memory: Memory, limits: Limits, t: float) -> Verdict | None:
    """End where health was Degraded for longer than the grace, with our commit applied."""
    since = memory.degraded_since
    if since is None or not _lasted(since, limits.grace, memory, t):
        return None
    resources = [
        f"{r}: {r.health.message}"
        for r in view.application.status.resources
        if r.health and r.health.status == "Degraded"
    ]
    why = "; ".join(resources) or view.application.status.health.message
    reason = f"Degraded for {t - since:.0f} s: {why}".removesuffix(": ")
    return _failed(view, memory, (Code.DEGRADED, reason), t, commit=view.made_by)


def no_effect(view: View, memory: Memory, limits: Limits, t: float) -> Verdict | None:
    """End where everything is settled on our commit, and the expected image does not run."""
    if not _believed(memory.no_effect, memory, limits, t):
        return None
    missing = next(image for image in view.subject.images if not view.runs(image))
    runs = sorted(i for i in view.running if repository(i) == repository(missing))
    still = f"still {_tag(runs[0])}" if runs else f"not {_tag(missing)}, but none of its repository"
    reason = f"no effect: the image that runs is {still} ({missing} was expected)"
    return _failed(view, memory, (Code.NO_EFFECT, reason), t, commit=view.made_by)


def held_back(view: View, memory: Memory, _limits: Limits, t: float) -> Verdict | None:
    """End where a sync was refused, or something with a name held ours back for a while."""
    refused = memory.refused
    if refused and (refused.code is Code.SYNC_WINDOW or _needs_our_sync(view, memory, t)):
        return _blocked(refused.code, refused.reason, t)
    named = memory.named
    if named and not memory.blind and t >= named.since + HELD_BACK:
        return _blocked(named.code, named.reason, t)
    return None


RULES: tuple[Rule, ...] = (
    superseded,
    live,
    sync_ended_badly,
    sync_error,
    does_not_render,
    pod_failed,
    restarted,
    degraded,
    no_effect,
    held_back,
)


def unauthorized(memory: Memory, t: float) -> Verdict | None:
    """End where Argo CD has not let us in for so long that it will not by itself."""
    blind = memory.blind
    if not blind or blind.denied_since is None or t < blind.denied_since + UNAUTHORIZED:
        return None
    return Verdict(Judgement.UNKNOWN, Code.UNAUTHORIZED, blind.why, t)


def expire(view: View | None, memory: Memory, t: float) -> Verdict:
    """Return what is left to say when no more is to come: neither live nor failed."""
    if unseen := _unseen(view, memory):
        return Verdict(Judgement.UNKNOWN, unseen[0], unseen[1], t)
    if memory.named:
        return _blocked(memory.named.code, memory.named.reason, t)
    code, reason = Code.STILL_MOVING, f"neither live nor failed: {view.says if view else ''}"
    if view and view.at_ours and view.health == "Suspended":
        code, reason = Code.SUSPENDED, "Suspended: the rollout is paused"
    return Verdict(Judgement.UNSETTLED, code, reason, t)


def _unseen(view: View | None, memory: Memory) -> tuple[Code, str] | None:
    """Say who does not answer, or cannot see, if that is so."""
    if memory.blind:
        return Code.UNREACHABLE, memory.blind.why
    if memory.named:
        return None
    if view is None:
        return Code.UNSEEN, "Argo CD has shown nothing"
    if view.blind:
        return Code.UNREACHABLE, view.blind
    asked_in_vain = view.application.refreshing and not view.descends(view.commit)
    if memory.unrefreshed or asked_in_vain:
        return Code.UNSEEN, "Argo CD's controller does not answer the refresh"
    return None


def operation_could_not_see(operation: OperationState) -> bool:
    """Whether the operation ended because Argo CD could not see, before it did anything."""
    untouched = operation.sync_result is None or not operation.sync_result.resources
    return untouched and speaks_about(operation.message) is About.BLIND


def _failed(
    view: View, memory: Memory, why: tuple[Code, str], t: float, *, commit: str | None
) -> Verdict:
    """Return `failed`, unless ours was live and it is somebody else's commit that fails."""
    code, reason = why
    if memory.was_live and commit != view.subject.commit:
        other = f"live at first, then a later commit failed: {reason}"
        return Verdict(Judgement.UNSETTLED, Code.FOREIGN_FAILURE, other, t)
    return Verdict(Judgement.FAILED, code, reason, t)


def _needs_our_sync(view: View, memory: Memory, t: float) -> bool:
    """Whether nobody but us will sync: automated sync is off, or passed our commit over."""
    idle = memory.idle_since
    return idle is not None and (not view.application.spec.automated or t >= idle + HELD_BACK)


def _blocked(code: Code, reason: str, t: float) -> Verdict:
    return Verdict(Judgement.BLOCKED, code, reason, t)


def _lasted(since: float, seconds: float, memory: Memory, t: float) -> bool:
    """Whether it has lasted so long, as far as can be seen: in the dark it may be over."""
    return t >= since + seconds and not memory.in_the_dark


def _believed(doubt: Doubt | None, memory: Memory, limits: Limits, t: float) -> bool:
    return doubt is not None and (doubt.confirmed or _lasted(doubt.since, limits.grace, memory, t))


def _refused_for_good(operation: OperationState) -> bool:
    results = operation.sync_result.resources if operation.sync_result else ()
    refused = [r.message for r in results if r.status == "SyncFailed"]
    return any(map(is_for_good, refused or [operation.message]))


def _how_it_failed(operation: OperationState) -> tuple[Code, str]:
    results = operation.sync_result.resources if operation.sync_result else ()
    if operation.message.startswith("Operation terminated"):
        return Code.TERMINATED, f"the sync was terminated by hand: {operation.message}"
    refused = [f"{r}: {r.message}" for r in results if r.status == "SyncFailed"]
    for hook in results if not refused else ():
        if hook.hook_type and hook.hook_phase in ("Failed", "Error"):
            return Code.HOOK_FAILED, f"{hook.hook_type} hook failed: {hook}: {hook.message}"
    return Code.SYNC_FAILED, f"sync failed: {'; '.join(refused) or operation.message}"


def _tag(image: str) -> str:
    return image.removeprefix(repository(image)).lstrip(":@")
