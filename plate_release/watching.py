"""Watching what was pushed: one judge a service, one watch for all, until it is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plate_release.argocd.crew import Threads
from plate_release.argocd.events import Limits, Revision, Subject, Verdict
from plate_release.argocd.record import Recorded, Recorder, recording_file
from plate_release.argocd.sight import Watched as Watching
from plate_release.argocd.verdict import Judge
from plate_release.argocd.watch import Watch
from plate_release.commit import Commit, Release
from plate_release.desk import Desk
from plate_release.errors import ReleaseError
from plate_release.model import Secret
from plate_release.outcome import Choice, Decision, Policy, decide
from plate_release.plan import ServicePlan, Target
from plate_release.result import Watched
from plate_release.targets import app_ref
from plate_release.values import read

_CALLS_AT_ONCE = 16
_TOKENS = ("ARGOCD_AUTH_TOKEN", "GITOPS_TOKEN", "GITHUB_TOKEN")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a watch ended: each service's verdict (None: none yet), and what is to be done now.

    because: why there was none, where that has a reason.
    """

    verdicts: Mapping[str, Verdict | None]
    decision: Decision
    interrupted: bool = False
    because: str = ""

    @property
    def reason(self) -> str:
        """Why the release is taken back, in one line."""
        bad = (
            f"{service}: {verdict.judgement}: {verdict.reason}"
            for service, verdict in self.verdicts.items()
            if verdict and verdict.judgement not in ("live", "superseded")
        )
        return next(bad, "interrupted" if self.interrupted else self.because)


def watch_release(desk: Desk, release: Release) -> Ended:
    """Watch every service of a release until all are settled, or one decides for the whole."""
    options, journal = desk.options, desk.journal
    policy = Policy(Choice(options.on_failure), Choice(options.on_unknown))
    if release.rollback:
        # It is never taken back by itself: each of its services is watched to its end.
        policy = Policy(Choice.HOLD, Choice.HOLD)
    verdicts: dict[str, Verdict | None] = {s.target.service: None for _, s in release.services}
    decision = Decision.WAIT
    watch = Watch(
        [_watching(desk, release, commit, service) for commit, service in release.services],
        desk.argocd,
        Threads(_CALLS_AT_ONCE),
        desk.world.clock,
        desk.world.stream,
        should_stop=lambda: desk.world.stop.asked,
        heard=journal.observer.says,
    )
    found = watch.verdicts()
    try:
        for service, verdict in found:
            verdicts[service] = verdict
            journal.event(f"{service}: {verdict.judgement}: {verdict.reason}")
            decision = decide(verdicts, policy)
            if decision is not Decision.WAIT:
                break
    finally:
        found.close()
    revert = any(commit.reverts for commit in release.commits)
    journal.watched(_told(release, verdicts), revert=revert)
    return Ended(verdicts, decision, interrupted=decision is Decision.WAIT)


def _told(release: Release, verdicts: Mapping[str, Verdict | None]) -> dict[str, Watched]:
    return {
        service: Watched(verdict.judgement, verdict.reason, max(0.0, verdict.at - release.pushed))
        for service, verdict in verdicts.items()
        if verdict is not None
    }


def _watching(
    desk: Desk, release: Release, commit: Commit, service: ServicePlan
) -> Watching[Verdict]:
    subject = _subject(desk, release, commit, service)
    options = desk.options
    judge = Judge(subject, Limits(options.grace, options.soak, options.timeout), release.pushed)
    what_is = partial(_what_is, desk, commit, service)
    ref = app_ref(desk, service.target)
    name = service.target.service
    recorder = desk.recorders.get(service.target.application)
    if recorder is None:
        return Watching(name, ref, judge, what_is)
    if service.target.application not in desk.recorded:
        recorder.scenario(subject, desk.tree.commit)
    desk.recorded.add(service.target.application)
    recorder.pushed(release.pushed, subject, service.after)
    return Watching(name, ref, Recorded(judge, recorder), what_is)


def _subject(desk: Desk, release: Release, commit: Commit, service: ServicePlan) -> Subject:
    ref = app_ref(desk, service.target)
    before = release.before.get(service.target.service)
    return Subject(
        application=ref.name,
        commit=commit.sha,
        repository=service.target.url,
        branch=commit.repository.branch,
        file=service.file,
        images=service.images,
        namespace=ref.namespace,
        project=ref.project,
        before=before.application if before else None,
        tree_before=before.tree if before else None,
        reverts=commit.reverts,
    )


def _what_is(desk: Desk, commit: Commit, service: ServicePlan, sha: str) -> Revision:
    """Ask git what a revision is to our commit; what cannot be known is None."""
    repository = commit.repository
    with desk.world.git_lock:
        try:
            contains = repository.contains(sha, commit.sha)
            data = repository.read_at(sha, service.file) if contains else None
        except ReleaseError:
            return Revision(sha, None, None)
    if not contains:
        return Revision(sha, contains, None if contains is None else False)
    return Revision(sha, contains=True, holds=_holds(data, service))


def _holds(data: bytes | None, service: ServicePlan) -> bool | None:
    try:
        return data is not None and all(
            read(data, key, file=service.file) == value for key, value in service.changes.items()
        )
    except ReleaseError:
        return None


def open_recordings(desk: Desk, targets: Sequence[Target]) -> None:
    """Open the recordings that are asked for. Raises UsageError where one cannot be written."""
    if desk.options.record is None:
        return
    applications = list(dict.fromkeys(target.application for target in targets))
    for name in applications:
        file = recording_file(Path(desk.options.record), name, several=len(applications) > 1)
        recorder = Recorder(file, desk.world.clock.now(), _secrets(desk.world.environ))
        desk.recorders[name] = desk.world.keep(recorder)


def _secrets(environ: Mapping[str, str]) -> list[Secret]:
    headers = environ.get("ARGOCD_HEADERS", "").splitlines()
    values = (line.partition(":")[2].strip() for line in headers)
    return [
        Secret(value) for value in (*(environ.get(name, "") for name in _TOKENS), *values) if value
    ]
