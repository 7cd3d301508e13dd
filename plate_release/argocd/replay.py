"""Judge a recording as a watch would have: row by row, with no knowledge of later ones."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from plate_release.application import Application, Source
from plate_release.argocd.events import (
    Blind,
    Event,
    Gone,
    Limits,
    Revision,
    Seen,
    Step,
    Subject,
    TreeSeen,
    Verdict,
    Waiting,
    WhatIs,
    WindowsSeen,
)
from plate_release.argocd.pods import read, repository
from plate_release.argocd.recording import Push, Row, Scenario, events, rows
from plate_release.argocd.status import LiveApplication, ResourceTree, Sync
from plate_release.argocd.verdict import Judge
from plate_release.errors import UsageError

_TAG = "tag"


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a recording was judged; both verdicts are None where nothing was pushed.

    commit: the release commit. skipped: the lines that are no rows, each with why.
    """

    file: str
    commit: str | None
    verdict: Verdict | None
    revert: Verdict | None
    skipped: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why, for a person."""
        return self.verdict.reason if self.verdict else "no release in this recording"


def replay(file: Path, limits: Limits) -> Replayed:
    """Judge the recording in `file`.

    Raises UsageError where the file cannot be read, or holds no row at all.
    """
    try:
        with file.open("rb") as lines:
            return judge(lines, limits, name=str(file))
    except OSError as error:
        raise UsageError(
            f"The recording {file} cannot be read.", why=str(error.strerror)
        ) from error


def judge(lines: Iterable[str | bytes], limits: Limits, *, name: str = "") -> Replayed:
    """Judge the recording in `lines`. Raises UsageError where no line is a row."""
    skipped: list[str] = []
    run = _Run(limits)
    for row in rows(lines, skipped):
        try:
            run.take(row)
        except ValidationError as error:
            skipped.append(f"the {row.kind} at {row.t} s is not understood: {error.errors()[0]}")
    if run.t is None:
        raise UsageError(
            f"{name or 'The recording'} holds no row of a recording.",
            why="\n".join(skipped[:3]),
            todo="A recording is what `--record FILE` writes: one JSON object a line.",
        )
    run.end()
    release, revert = run.verdicts.get("release"), run.verdicts.get("revert")
    return Replayed(name, run.commit, release, revert, tuple(skipped))


@dataclass(slots=True)
class _Run:
    """One pass over a recording: what has been seen so far, and the judge of the moment."""

    limits: Limits
    t: float | None = None
    commit: str | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    _manifest: Application = field(default_factory=Application)
    _lineage: "_Lineage" = field(default_factory=lambda: _Lineage({}))
    _application: LiveApplication | None = None
    _tree: ResourceTree | None = None
    _windows: WindowsSeen | None = None
    _unseen: Blind | Gone | None = None
    _answers: bool = False
    _images: tuple[str, ...] = ()
    _file: str = ""
    _judge: Judge | None = None
    _judging: Push | None = None

    def take(self, row: Row) -> None:
        """Take in the next row."""
        self.t = t = max(row.t, row.t if self.t is None else self.t)
        if row.kind == "scenario":
            self._manifest = Scenario.model_validate(row.data).application
        elif row.kind == "push":
            self._pushed(Push.model_validate(row.data), t)
        else:
            for event in events(row):
                if self._believes(row, event):
                    self._keep(event)
                    self._feed(event, t)

    def end(self) -> None:
        """Conclude at the last row: the end counts as the deadline."""
        if self._judge and self.t is not None:
            self._conclude(self._judge.close(self.t))

    def _pushed(self, push: Push, t: float) -> None:
        self._lineage.pushes[push.commit] = push
        begins = push.role == "release" if self._judging is None else push.role == "revert"
        if not begins:
            self._answer(push.commit, t)
            return
        self.end()
        self.commit = self.commit or push.commit
        self._judging = push
        self._judge = Judge(self._subject(push), self.limits, t)
        for event in (self._windows, self._unseen):
            if event:
                self._feed(event, t)

    def _believes(self, row: Row, event: Event) -> bool:
        """Whether `event` is news: nobody is blind whose GETs are answered.

        GETs are polled and written when they change, so the last one that is written still holds.
        """
        blind = isinstance(event, Blind)
        if row.kind == "get":
            self._answers = not blind
        return not (blind and self._answers)

    def _keep(self, event: Event) -> None:
        """Keep what was seen last: it is what stands before the next push."""
        if isinstance(event, Blind | Gone | TreeSeen | Seen):
            self._unseen = event if isinstance(event, Blind | Gone) else None
        if isinstance(event, TreeSeen):
            self._tree = event.tree
        elif isinstance(event, WindowsSeen):
            self._windows = event
        elif isinstance(event, Seen):
            old = self._application.version if self._application else None
            if old is None or (event.application.version or old) >= old:
                self._application = event.application

    def _feed(self, event: Event, t: float) -> None:
        """Feed the judge, and answer what it asks about commits."""
        if self._judge is None:
            return
        step: Step | None = self._judge.feed(t, event)
        if isinstance(step, Waiting):
            for sha in [want.sha for want in step.wants if isinstance(want, WhatIs)]:
                step = self._answer(sha, t)
        self._conclude(step)

    def _answer(self, sha: str, t: float) -> Step | None:
        if self._judge is None or self._judging is None:
            return None
        ours = self._judging.commit
        return self._judge.feed(t, self._lineage.what_is(sha, ours, self._file))

    def _conclude(self, step: Step | None) -> None:
        if isinstance(step, Verdict) and self._judging:
            self.verdicts[self._judging.role] = step
            self._judge = None

    def _subject(self, push: Push) -> Subject:
        self._images = self._images or _service_images(self._application, self._tree)
        source, self._file = _followed(self._manifest, self._application, push)
        tag = self._lineage.tag_at(push.commit, self._file)
        return Subject(
            application=self._manifest.name,
            commit=push.commit,
            repository=source.repo_url,
            branch=source.target_revision.removeprefix("refs/heads/"),
            file=self._file,
            images=tuple(f"{repository(i)}:{tag}" if tag else i for i in self._images),
            before=self._application,
            tree_before=self._tree,
            reverts=self.commit if push.role == "revert" else None,
        )


@dataclass(frozen=True, slots=True)
class _Lineage:
    """The commits that were pushed so far, by their SHA."""

    pushes: dict[str, Push]

    def what_is(self, sha: str, ours: str, file: str) -> Revision:
        """Answer what the commit `sha` is to `ours`; nothing is known of commits never pushed."""
        if sha not in self.pushes:
            return Revision(sha, contains=None, holds=None)
        contains = any(push.commit == ours for push in self._line(sha))
        return Revision(sha, contains, holds=self.tag_at(sha, file) == self.tag_at(ours, file))

    def tag_at(self, sha: str, file: str) -> str | None:
        """Return the tag that `file` holds at `sha`; None where no push has set one.

        A push that does not say which files it changed is taken to have changed this one.
        """
        pushes = (p for p in self._line(sha) if not p.files or file in p.files)
        tags = (str(push.set[_TAG]) for push in pushes if _TAG in push.set)
        return next((tag.strip("\"'") for tag in tags), None)

    def _line(self, sha: str) -> Iterator[Push]:
        while push := self.pushes.get(sha):
            yield push
            sha = push.parent


def _service_images(before: LiveApplication | None, tree: ResourceTree | None) -> tuple[str, ...]:
    """Return the images whose tag the values hold: those of workloads, hooks left out.

    A recording does not say which of several containers is the service; the first one is.
    """
    if before is None:
        return ()
    state = before.status.operation_state
    results = state.sync_result.resources if state and state.sync_result else ()
    synced = [r.images[0] for r in results if r.images and not r.hook_type]
    pods = [p.images[0] for p in read(tree).current if p.images and not p.of_job] if tree else []
    return tuple((synced or pods or list(before.status.summary.images))[:1])


def _followed(
    manifest: Application, before: LiveApplication | None, push: Push
) -> tuple[Source, str]:
    """Return the source that follows the push, and the file that was pushed.

    A recording does not name the repository of a push. What is quoted as `$ref/file` says most,
    then which source was at the commit before, then what looks like values.
    """
    spec = manifest.spec
    if spec.source_hydrator is not None:
        return spec.source_hydrator.dry_source, next(iter(push.files), "")
    quoted = {name for s in spec.all_sources if s.helm for name in s.helm.value_files}
    sync = before.status.sync if before else Sync()
    _, index, file = max(
        (
            (
                f"${source.ref}/{file}" in quoted,
                sync.at(i) == push.parent,
                not source.chart,
                "values" in file,
            ),
            -i,
            file,
        )
        for i, source in enumerate(spec.all_sources or (Source(),))
        for file in push.files or ("",)
    )
    return (spec.all_sources or (Source(),))[-index], file
