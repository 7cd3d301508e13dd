"""Taking a release back: the inverse edit, as a release of its own, of what is still ours."""

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from plate_release.argocd.settle import end_operations
from plate_release.charts import retagged, tag_of
from plate_release.commit import Commit, Release, Why, commit, entry_of, held
from plate_release.desk import Desk
from plate_release.errors import ReleaseError
from plate_release.gitops.entry import Entry, moment
from plate_release.gitops.repository import Repository
from plate_release.gitops.revert import Decision, decide
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Edit, Finding
from plate_release.outcome import Decision as Next
from plate_release.outcome import Revert
from plate_release.plan import Plan, RepositoryPlan, ServicePlan
from plate_release.targets import app_ref
from plate_release.values import Key
from plate_release.watching import Ended, watch_release

# How long an operation may take to end before the revert is pushed all the same, in seconds.
_ENDING = 15.0


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The revert that was pushed, how the watch of the old values ended, what was not possible."""

    release: Release | None
    ended: Ended | None
    impossible: bool

    @property
    def revert(self) -> Revert:
        """What the outcome is decided from."""
        return Revert(self.ended.verdicts if self.ended else {}, pushed=not self.impossible)


def take_back(desk: Desk, release: Release, ended: Ended) -> TakenBack:
    """Push the inverse of a release and watch it until it is settled.

    A value that somebody has changed since is left alone and named; a key that has gone, or a
    push that is refused, is told with the edit to make by hand.
    """
    desk.journal.event(f"taking {release.id} back: {ended.reason}")
    try:
        pushed, impossible = _push(desk, release, ended.reason)
        back = replace(pushed, commits=(*pushed.commits, *_already(release, pushed)))
    except ReleaseError as error:
        _tell_impossible(desk, release, error)
        return TakenBack(None, None, impossible=True)
    if not back.commits:
        return TakenBack(None, None, impossible=impossible)
    return TakenBack(pushed, _watch(desk, back), impossible)


def _push(desk: Desk, release: Release, reason: str) -> tuple[Release, bool]:
    """Push what undoes a release; also whether a part of that is not possible."""
    parts, impossible = _inverse(desk, release)
    if desk.options.wait:
        _end_operations(desk, parts, {commit.sha for commit in release.commits})
    reverts = {c.repository: c.sha for c in release.commits}
    why = Why(rollback=True, reverts=reverts, reason=reason)
    pushed = commit(desk, Plan(tuple(parts)), {}, why)
    if pushed.refused:
        done = [made.repository for made in pushed.commits]
        _tell_impossible(desk, release, pushed.refused, done)
    elif sum(len(part.services) for part in parts) > len(pushed.services):
        # Somebody was faster with the rest: it is told what stands there now.
        impossible |= _inverse(desk, release)[1]
    return pushed, impossible or pushed.refused is not None


def _watch(desk: Desk, back: Release) -> Ended:
    """Watch until the old values are live again, unless nobody is to watch."""
    if desk.options.wait:
        return watch_release(desk, back)
    return Ended({service.target.service: None for _, service in back.services}, Next.WAIT)


def _already(release: Release, pushed: Release) -> Iterator[Commit]:
    """Return what somebody else has put back before us: the head is watched for it."""
    ours = {service.target.service for _, service in pushed.services}
    for made in release.commits:
        head = made.repository.head()
        back = tuple(
            _undo(service, service.before)
            for service in made.services
            if service.target.service not in ours
            and all(now == edit.before for edit, now in held(service, head))
        )
        if back:
            yield Commit(made.repository, head.commit, back, made.sha)


def _end_operations(desk: Desk, parts: Sequence[RepositoryPlan], bad: AbstractSet[str]) -> None:
    """End what still syncs the bad commit: a revert would wait behind all its retries."""
    names = {app_ref(desk, s.target): s.target.service for part in parts for s in part.services}
    if not names:
        return
    ended = end_operations(
        names,
        bad.__contains__,
        desk.argocd,
        desk.world.clock,
        desk.world.stream,
        seconds=_ENDING,
        should_stop=lambda: desk.world.stop.asked,
    )
    for ref, settled in ended.items():
        if not settled.free:
            desk.journal.event(f"{names[ref]}: {settled.says}")


def _inverse(desk: Desk, release: Release) -> tuple[list[RepositoryPlan], bool]:
    parts, impossible = [], False
    for made in release.commits:
        head = made.repository.head()
        decision = _decide(desk, release, made, head)
        impossible |= bool(decision.gone)
        desk.journal.find(*_findings(made, decision, head))
        undone = tuple(_undo(_of(made, undo.service.name), undo.target) for undo in decision.undo)
        if undone:
            parts.append(RepositoryPlan(made.repository, head, undone))
    return parts, impossible


def _decide(desk: Desk, release: Release, made: Commit, head: RepositoryTree) -> Decision:
    now = moment(desk.world.clock.wall())
    entry = Entry(
        id=release.id,
        state="watching",
        environment=desk.config.environment,
        services=tuple(entry_of(service) for service in made.services),
        started=now,
    )
    values = {service.target.service: _now(service, head) for service in made.services}
    history = [r for r in desk.ledger(made.repository).entries() if r.commit != made.sha]
    return decide(entry, values, history)


def _now(service: ServicePlan, head: RepositoryTree) -> str | None:
    """Return the tag on the head: ours and the old one only where every key we wrote says so."""
    found = {edit.key: now for edit, now in held(service, head)}
    if None in found.values():
        return None
    for tag, values in (
        (service.after, {e.key: e.after for e in service.edits}),
        (service.before, {e.key: e.before for e in service.edits}),
    ):
        if found == values:
            return tag
    # The text itself, so that another digest of our tag is not taken for our value.
    return str(found.get(service.key, next(iter(found.values()))))


def _undo(service: ServicePlan, target: str) -> ServicePlan:
    """Return the inverse of what was written for a service."""
    if target == service.before:
        edits = tuple(replace(e, before=e.after, after=e.before) for e in service.edits)
        images = service.images_before
    else:
        edits = tuple(_to_good(e, service, target) for e in service.edits)
        images = tuple(retagged(image, target, service.before) for image in service.images_before)
    return replace(
        service,
        before=service.after,
        after=target,
        changes={Key.parse(e.key): e.after for e in edits},
        edits=edits,
        images=images,
        images_before=service.images,
        objects=(),
    )


def _to_good(edit: Edit, service: ServicePlan, target: str) -> Edit:
    """Return the edit to a tag other than the one before; a digest beside it is cleared."""
    after = retagged(edit.after, target) if edit.key == service.key else ""
    return replace(edit, before=edit.after, after=after)


def _of(made: Commit, name: str) -> ServicePlan:
    return next(s for s in made.services if s.target.service == name)


def _findings(made: Commit, decision: Decision, head: RepositoryTree) -> Iterator[Finding]:
    for left in decision.left:
        change = made.repository.last_change(left.service.file, made.sha, head.commit)
        who = f" ({change.commit[:12]} by {change.author})" if change else ""
        text = f"{left.service.name} holds {tag_of(left.theirs)} now{who}; it was left alone."
        yield Finding("warning", "left-alone", text)
    for gone in decision.gone:
        yield Finding("error", "rollback-impossible", gone.by_hand)


def _tell_impossible(
    desk: Desk, release: Release, error: ReleaseError, done: Collection[Repository] = ()
) -> None:
    by_hand = (
        f"Set {edit.key} in {edit.file} to {edit.before} and push that."
        for made, service in release.services
        if made.repository not in done
        for edit in service.edits
    )
    text = "\n".join((str(error), *by_hand))
    desk.journal.find(Finding("error", "rollback-impossible", text))
