"""What a run ends with, and the journal in which it grows."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol

from plate_release.errors import ExitCode, ReleaseError
from plate_release.model import Clock, Edit, Finding, FoundImage, Judgement, Outcome


@dataclass(frozen=True, slots=True)
class Watched:
    """One watch's end for one service; `seconds` run from the push."""

    verdict: Judgement
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ServiceResult:
    """One service of a run."""

    name: str
    application: str
    repository: str
    file: str
    key: str
    before: str
    after: str
    images: Mapping[str, FoundImage] = field(default_factory=dict)
    commit: str | None = None
    watched: Watched | None = None
    revert_commit: str | None = None
    revert_tag: str | None = None
    revert: Watched | None = None

    @property
    def back_to(self) -> str:
        """The tag that a revert went to: the last good one, which need not be the one before."""
        return self.revert_tag or self.before


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline, `t` seconds after the start."""

    t: float
    event: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended, whatever happened; what is not known yet is None or empty."""

    outcome: Outcome
    exit_code: ExitCode
    environment: str
    dry_run: bool = False
    base: str | None = None
    services: tuple[ServiceResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    timeline: tuple[Moment, ...] = ()
    edits: tuple[Edit, ...] = ()
    diff: str = ""

    @property
    def commit(self) -> str | None:
        """The first release commit."""
        return next((s.commit for s in self.services if s.commit), None)

    @property
    def revert_commit(self) -> str | None:
        """The first revert commit."""
        return next((s.revert_commit for s in self.services if s.revert_commit), None)


def refused(error: ReleaseError, environment: str = "") -> Result:
    """Return the result of a run that was refused before it knew anything."""
    return refuse(Result(Outcome.REFUSED, error.exit_code, environment), error)


def refuse(result: Result, error: ReleaseError) -> Result:
    """Return `result` ended by a refusal."""
    finding = Finding("error", error.code, str(error))
    interrupted = error.exit_code is ExitCode.INTERRUPTED
    return replace(
        result,
        outcome=Outcome.INTERRUPTED if interrupted else Outcome.REFUSED,
        exit_code=error.exit_code,
        findings=(*result.findings, finding),
    )


def abandon(result: Result, error: ReleaseError) -> Result:
    """Return `result` ended by an error after its commit was pushed, with what stands where."""
    interrupted = error.exit_code is ExitCode.INTERRUPTED
    stands = [
        f"{s.name}: {s.back_to if s.revert_commit else s.after} was pushed by"
        f" {(s.revert_commit or s.commit or '')[:12]}, and is not settled."
        for s in result.services
        if s.commit or s.revert_commit
    ]
    todo = (
        f"`plate-release watch {result.commit}` judges it now;"
        " `plate-release settle` finishes it when its time is over."
    )
    return replace(
        result,
        outcome=Outcome.INTERRUPTED if interrupted else Outcome.HELD,
        exit_code=ExitCode.INTERRUPTED if interrupted else ExitCode.HELD,
        findings=(
            *result.findings,
            Finding("error", error.code, "\n".join((str(error), *stands, todo))),
        ),
    )


class Observer(Protocol):
    """Who is told while a run goes on: a terminal, a log, nobody."""

    def event(self, moment: Moment) -> None:
        """Show one line of the timeline."""
        ...

    def says(self, service: str, text: str) -> None:
        """Show what a service is waiting for; the same service's next text replaces it."""
        ...

    def difference(self, diff: str) -> None:
        """Show what would change in the cluster."""
        ...

    def asking(self) -> AbstractContextManager[None]:
        """Leave the terminal to a question for as long as the context lasts."""
        ...


class Silent:
    """An observer that shows nothing."""

    def event(self, moment: Moment) -> None:
        """Show nothing."""

    def says(self, service: str, text: str) -> None:
        """Show nothing."""

    def difference(self, diff: str) -> None:
        """Show nothing."""

    def asking(self) -> AbstractContextManager[None]:
        """There is nothing to leave."""
        return nullcontext()


@dataclass(slots=True)
class Journal:
    """Grows a Result while a run goes on, and tells the observer."""

    clock: Clock
    observer: Observer
    result: Result
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    def event(self, text: str) -> None:
        """Add a line to the timeline."""
        moment = Moment(round(self.clock.now() - self.started, 1), text)
        self.result = replace(self.result, timeline=(*self.result.timeline, moment))
        self.observer.event(moment)

    def find(self, *findings: Finding) -> None:
        """Add findings, each once."""
        known = self.result.findings
        new = tuple(dict.fromkeys(f for f in findings if f not in known))
        self.result = replace(self.result, findings=known + new)

    def services(self, change: Callable[[ServiceResult], ServiceResult]) -> None:
        """Change every service's result."""
        self.result = replace(self.result, services=tuple(map(change, self.result.services)))

    def committed(self, sha: str, tags: Mapping[str, str], *, revert: bool) -> None:
        """Note a commit, and the tag that it brings each of its services to."""

        def note(service: ServiceResult) -> ServiceResult:
            tag = tags.get(service.name)
            if tag is None:
                return service
            if revert:
                return replace(service, revert_commit=sha, revert_tag=tag)
            return replace(service, commit=sha)

        self.services(note)

    def watched(self, verdicts: Mapping[str, Watched], *, revert: bool) -> None:
        """Note the verdicts of a watch, or of the watch of a revert."""

        def note(service: ServiceResult) -> ServiceResult:
            verdict = verdicts.get(service.name)
            if verdict is None:
                return service
            return replace(service, revert=verdict) if revert else replace(service, watched=verdict)

        self.services(note)

    def end(self, outcome: Outcome, exit_code: ExitCode) -> Result:
        """Set how the run ended."""
        self.result = replace(self.result, outcome=outcome, exit_code=exit_code)
        return self.result
