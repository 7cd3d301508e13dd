"""Ends an operation that holds a revert back: it retries the bad commit, pinned to it.

Source: argo-cd #11494, #16489; a revert that was pushed behind retries waited for the last of
them, and was live in seconds where the operation was ended first (recordings of v3.6.0).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.crew import Threads
from plate_release.argocd.events import Event, Gone, Revision, Seen, Via, Waiting, Want
from plate_release.argocd.sight import Watched
from plate_release.argocd.status import LiveApplication, Revised
from plate_release.argocd.watch import OpenStream, Watch
from plate_release.model import Clock

_RUNNING = ("Running", "Terminating")


@dataclass(frozen=True, slots=True)
class Settled:
    """free: no operation of a bad commit runs any more. says: how it stands, for a person."""

    free: bool
    says: str


def end_operations(
    apps: Collection[AppRef],
    is_bad: Callable[[str], bool],
    argocd: ArgoCD,
    clock: Clock,
    open_stream: OpenStream,
    *,
    seconds: float = 60.0,
    should_stop: Callable[[], bool] = lambda: False,
) -> Mapping[AppRef, Settled]:
    """End the operations on bad commits and wait until they have ended, `seconds` at most.

    is_bad: as of `Ending`. An Application without an answer is missing: the wait was stopped.
    """
    by_name = {str(app): app for app in apps}
    deadline = clock.now() + seconds
    watched = [
        Watched(name, app, Ending(is_bad, deadline), lambda sha: Revision(sha, None, None))
        for name, app in by_name.items()
    ]
    watch = Watch(watched, argocd, Threads(), clock, open_stream, should_stop=should_stop)
    return {by_name[name]: settled for name, settled in watch.verdicts()}


class Ending:
    """Waits until no operation on a bad commit runs; fed as the judge of a watch is.

    is_bad: whether a commit, 40 hex digits, is one that the revert undoes. deadline: in seconds
    of the watch's clock; an operation that a sync window holds may stay until it opens (#25361).
    """

    def __init__(self, is_bad: Callable[[str], bool], deadline: float) -> None:
        self._is_bad, self._deadline = is_bad, deadline
        self._step: Waiting | Settled = Waiting("asking for a running operation", deadline)
        self._running = False

    def feed(self, t: float, event: Event) -> Waiting | Settled:
        """Take an event; only Applications matter."""
        match event:
            case Gone():
                self._step = Settled(True, "the Application does not exist any more")
            # A stream starts from a cache: that nothing runs is only believed after a GET.
            case Seen(application, via) if self._running or via is not Via.STREAM:
                self._step = self._look(application)
        return self.tick(t)

    def tick(self, t: float) -> Waiting | Settled:
        """Take the time."""
        if isinstance(self._step, Waiting) and t >= self._deadline:
            self._step = Settled(False, f"gave up while {self._step.says}")
        return self._step

    def _look(self, application: LiveApplication) -> Waiting | Settled:
        state = application.status.operation_state
        phase = state.phase if state else ""
        self._running = application.operation is not None or phase in _RUNNING
        if not self._running:
            return Settled(True, f"no operation runs (the last: {phase or 'none'})")
        commits = _commits(application)
        if commits and not any(map(self._is_bad, commits)):
            return Settled(True, f"the operation is on another commit, {commits[0]}: left alone")
        if phase == "Terminating":
            return Waiting("the operation is terminating", self._deadline)
        return Waiting("the operation is to be ended", self._deadline, frozenset({Want.TERMINATE}))


def _commits(application: LiveApplication) -> list[str]:
    """Return the commits that the running operation names; none where it just goes to the head."""
    state, asked = application.status.operation_state, application.operation
    named: list[Revised | None] = [asked.sync if asked else None]
    if state:
        named += [state.operation.sync, state.sync_result]
    return [
        commit
        for revised in named
        if revised
        for commit in map(revised.at, range(max(1, len(revised.revisions))))
        if commit
    ]
