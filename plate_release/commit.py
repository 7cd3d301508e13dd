"""The release commit: one a repository, pushed together with its entry in the ledger."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from plate_release import __version__
from plate_release.desk import Desk
from plate_release.errors import Overtaken, ReleaseError, UnderWay
from plate_release.gitops.entry import WATCHING, Entry, ServiceEntry, moment
from plate_release.gitops.message import Message, Shift
from plate_release.gitops.push import Proposal, compare_and_swap
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Edit, Outcome
from plate_release.plan import Plan, RepositoryPlan, ServicePlan
from plate_release.planning import plan_again
from plate_release.request import Options
from plate_release.values import Key, read

if TYPE_CHECKING:
    from plate_release.argocd.status import LiveApplication, ResourceTree

# How long others may be faster before a push is given up, in seconds.
PUSHING = 120.0
# What a watch may take beyond its timeout: git and Argo CD answer late.
_SLACK = 60.0


@dataclass(frozen=True, slots=True)
class Before:
    """An Application as it was before the push."""

    application: "LiveApplication"
    tree: "ResourceTree | None"


@dataclass(frozen=True, slots=True)
class Commit:
    """One release commit, and what it wrote."""

    repository: Repository = field(repr=False)
    sha: str
    services: tuple[ServicePlan, ...]
    reverts: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """What was pushed, at `pushed` of this run's clock; `refused`: why not all of it was."""

    id: str
    commits: tuple[Commit, ...]
    pushed: float
    before: Mapping[str, Before] = field(default_factory=dict, repr=False)
    rollback: bool = False
    refused: ReleaseError | None = None

    @property
    def services(self) -> tuple[tuple[Commit, ServicePlan], ...]:
        """Every service, with the commit that wrote its tag."""
        return tuple((commit, service) for commit in self.commits for service in commit.services)


@dataclass(frozen=True, slots=True)
class Why:
    """What a commit is for: a rollback names what it takes back, by repository, and the reason."""

    rollback: bool = False
    reverts: Mapping[Repository, str] = field(default_factory=dict)
    reason: str = ""


def commit(desk: Desk, plan: Plan, before: Mapping[str, Before], why: Why) -> Release:
    """Push a plan: one commit a repository, each upon a head on which the plan still holds.

    Where a repository refuses after another was pushed to, the release says so; a rollback goes on
    to the next. Raises PushRefused, PreflightRefused where another release of a service came
    between, Interrupted: nothing was pushed then.
    """
    identity = str(uuid.uuid4())
    desk.intend(identity)
    release = Release(identity, (), desk.world.clock.now(), before, why.rollback)
    for part in plan.parts:
        try:
            made = _Writer(desk, part, identity, why).push()
        except ReleaseError as error:
            release = replace(release, refused=error)
            if why.reverts:
                continue
            break
        if made is not None:
            commits = (*release.commits, made)
            release = replace(release, commits=commits, pushed=desk.world.clock.now())
            tell_commit(desk, made)
    if release.refused and not release.commits:
        raise release.refused
    return release


@dataclass(frozen=True, slots=True)
class _Writer:
    desk: Desk
    part: RepositoryPlan
    id: str
    why: Why

    def push(self) -> Commit | None:
        """Push, or return None where somebody else has already brought about the same."""
        world = self.desk.world
        made: dict[str, RepositoryPlan] = {}

        def propose(head: RepositoryTree) -> Proposal | None:
            part = self._on(head)
            if part is None:
                return None
            proposal = self._proposal(part, head)
            made[proposal.commit] = part
            return proposal

        repository = self.part.repository
        sha = compare_and_swap(
            repository,
            propose,
            seconds=PUSHING,
            clock=world.clock,
            rng=world.rng,
            head=self.part.tree,
        )
        if sha is None:
            return None
        return Commit(repository, sha, made[sha].services, self.why.reverts.get(repository))

    def _on(self, head: RepositoryTree) -> RepositoryPlan | None:
        """Return the plan as it is on `head`; None where nothing is left to do there."""
        if self.why.reverts:
            ours = (
                service
                for service in self.part.services
                if all(now == edit.before for edit, now in held(service, head))
            )
            part = replace(self.part, services=tuple(ours))
            return part if part.services else None
        self.desk.check_stop()
        self._refuse_company()
        for service in self.part.services:
            self._refuse_moved(service, head)
        return self.part if self.part.holds_on(head) else plan_again(self.desk, self.part, head)

    def _refuse_company(self) -> None:
        """Refuse where another release of a service is under way since we looked."""
        names = [service.target.service for service in self.part.services]
        for other in self.desk.ledger(self.part.repository).unsettled(names):
            raise UnderWay(
                f"Another release of {', '.join(sorted(other.entry.names() & set(names)))}"
                " is under way.",
                why=f"{other.commit[:12]} by {other.entry.by or 'somebody'} {other.entry.run}",
                todo="Wait for it, or pass --queue.",
            )

    def _refuse_moved(self, service: ServicePlan, head: RepositoryTree) -> None:
        """Never write over a value that somebody has set since the plan was made."""
        if any(now not in (edit.before, edit.after) for edit, now in held(service, head)):
            change = self.part.repository.last_change(
                service.file, self.part.tree.commit, head.commit
            )
            who = f"{change.commit[:12]} by {change.author}: {change.subject}" if change else ""
            raise Overtaken(
                f"{service.target.service} was changed by somebody else meanwhile.",
                why=who or f"{service.file} is not as it was at {self.part.tree.commit[:12]}.",
                todo="Look at that change, then run the release again.",
            )

    def _proposal(self, part: RepositoryPlan, head: RepositoryTree) -> Proposal:
        desk, repository = self.desk, part.repository
        message = Message(
            self.id,
            desk.config.environment,
            tuple(Shift(s.target.service, s.before, s.after) for s in part.services),
            run=desk.request.run,
            reverts=self.why.reverts.get(repository),
            reason=self.why.reason,
            rollback=self.why.rollback,
        )
        text = message.text(skip_ci=desk.config.release.skip_ci)
        sha = repository.commit(head, part.files(head), text, desk.author)
        reverts = self.why.reverts.get(repository)
        entry = first_entry(desk, self.id, part.services, reverts, rollback=self.why.rollback)
        note = desk.ledger(repository).record(sha, entry)
        return Proposal(sha, (repository.branch_update(head, sha), note))


def _longest(options: Options) -> float:
    """Return how long a watch may take: what is live at its deadline soaks to its end."""
    return options.timeout + options.soak + _SLACK


def held(service: ServicePlan, head: RepositoryTree) -> list[tuple[Edit, str | None]]:
    """Return what each key of a service's edits holds on `head`; None where it has gone."""
    data = head.read_many([service.file]).get(service.file)
    if data is None:
        return [(edit, None) for edit in service.edits]
    return [(edit, read(data, Key.parse(edit.key), file=edit.file)) for edit in service.edits]


def first_entry(
    desk: Desk,
    identity: str,
    services: Sequence[ServicePlan],
    reverts: str | None,
    *,
    rollback: bool,
) -> Entry:
    """Return what the ledger says of a release commit when it is pushed."""
    now, waits = desk.world.clock.wall(), desk.options.wait
    return Entry(
        id=identity,
        state=WATCHING if waits else Outcome.UNWATCHED,
        environment=desk.config.environment,
        services=tuple(entry_of(service) for service in services),
        started=moment(now),
        deadline=moment(now + _longest(desk.options)) if waits else None,
        finished=None if waits else moment(now),
        by=desk.request.by,
        run=desk.request.run,
        tool=f"plate-release {__version__}",
        reverts=reverts,
        rollback=rollback,
    )


def entry_of(service: ServicePlan) -> ServiceEntry:
    """Return what the ledger says of a service before there is a verdict."""
    return ServiceEntry(
        name=service.target.service,
        before=service.before,
        after=service.after,
        application=service.target.application,
        file=service.file,
        key=service.key,
        images=dict(service.found),
    )


def tell_commit(desk: Desk, made: Commit) -> None:
    """Note in the journal which commit wrote which services."""
    tags = {service.target.service: service.after for service in made.services}
    desk.journal.committed(made.sha, tags, revert=made.reverts is not None)
    what = "revert" if made.reverts else "release"
    desk.journal.event(f"{what} commit {made.sha[:12]} is on {made.repository.branch}")
