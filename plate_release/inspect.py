"""Looking without touching: status, history, check."""

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from plate_release.argocd.sources import our_source
from plate_release.argocd.status import LiveApplication
from plate_release.charts import tag_of
from plate_release.cluster import ObjectRef
from plate_release.desk import Desk
from plate_release.errors import ReleaseError, UsageError
from plate_release.gates import ready
from plate_release.gitops.dora import DAY, Dora, dora
from plate_release.gitops.entry import Recorded
from plate_release.gitops.repository import Repository
from plate_release.model import Finding
from plate_release.plan import ServicePlan, Target
from plate_release.planner import current_plan
from plate_release.targets import app_ref, find_targets, known_services
from plate_release.values import Key, read

T = TypeVar("T")

_WINDOW = 30 * DAY


@dataclass(frozen=True, slots=True)
class Preflight:
    """What stands in the way of a release, and what is to be known before one."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether a release may go."""
        return all(finding.level != "error" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class History:
    """The ledger, newest first, and the figures of the last 30 days where they are asked for."""

    releases: tuple[Recorded, ...]
    dora: Dora | None


@dataclass(frozen=True, slots=True)
class InGit:
    """A service at the branch's tip."""

    tag: str
    commit: str


@dataclass(frozen=True, slots=True)
class InArgoCD:
    """A service's Application as Argo CD has it; `operation` is the phase of the last one."""

    revision: str
    sync: str
    health: str
    operation: str | None


@dataclass(frozen=True, slots=True)
class InCluster:
    """What runs of a service: images, the digests that its own ones are, pods."""

    images: tuple[str, ...]
    digests: Mapping[str, tuple[str, ...]]
    ready: int
    replicas: int


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service as git, Argo CD and cluster see it, None for who does not, and who disagrees."""

    name: str
    application: str | None
    git: InGit | None
    argocd: InArgoCD | None
    cluster: InCluster | None
    last_release: Recorded | None
    disagreements: tuple[str, ...]


def check(desk: Desk) -> Preflight:
    """Return the preflight of every service."""
    return Preflight(tuple(ready(desk, find_targets(desk, _services(desk)))))


def _services(desk: Desk) -> list[str]:
    """Return the environment's services. Raises UsageError where it has none."""
    if found := known_services(desk):
        return found
    environment = desk.config.environment
    known = sorted({m.name.rpartition("-")[2] for m in desk.discovery.manifests})
    near = difflib.get_close_matches(environment, known, n=1)
    raise UsageError(
        f"The environment {environment} has no service.",
        why=f"The Applications of {desk.config.applications} are of: {', '.join(known) or 'none'}.",
        todo=f"Did you mean {near[0]}?"
        if near
        else "Correct --environment, or name its services in the configuration.",
    )


def history(desk: Desk, service: str | None, *, limit: int, figures: bool) -> History:
    """Return the ledger. Raises UsageError for a service that neither it nor git knows."""
    entries = desk.ledger(desk.home).entries()
    if service is not None:
        _known(service, {*known_services(desk), *(n for one in entries for n in one.entry.names())})
        entries = tuple(one for one in entries if service in one.entry.names())
    now = desk.world.clock.wall()
    return History(entries[:limit], dora(entries, window=_WINDOW, now=now) if figures else None)


def _known(service: str, names: Collection[str]) -> None:
    if service in names:
        return
    near = difflib.get_close_matches(service, sorted(names), n=1)
    raise UsageError(
        f"Neither the ledger nor git knows a service {service}.",
        why=f"Known: {', '.join(sorted(names)) or 'none'}.",
        todo=f"Did you mean {near[0]}?" if near else "Name a known service.",
    )


def status(desk: Desk, services: Sequence[str]) -> list[ServiceStatus]:
    """Return git, Argo CD and cluster side by side, and where they disagree.

    What cannot be seen is None, and stands among the disagreements with the reason.
    """
    # Who names a service is told that there is none; one that git has may be unfit for a release.
    find_targets(desk, services)
    return [_status(desk, name) for name in services or _services(desk)]


def _status(desk: Desk, service: str) -> ServiceStatus:
    said: list[str] = []
    target = _seen("git", said, lambda: find_targets(desk, [service])[0])
    current = _seen("git", said, lambda: _current(desk, target)) if target else None
    live = _seen("Argo CD", said, lambda: _live(desk, target)) if target else None
    runs = _seen("cluster", said, lambda: _runs(desk, current)) if current else None
    last = _last(desk, target.repository if target else desk.home, service)
    if current:
        found = _seen("git", said, lambda: [*_disagreements(current, live, runs)])
        said += [*(found or ()), *other_images(service, current.before, runs, last)]
    return ServiceStatus(
        service,
        target.application if target else None,
        _git(desk, current) if current else None,
        _argocd(live) if live else None,
        runs,
        last,
        tuple(said),
    )


def _seen(where: str, said: list[str], look: Callable[[], T]) -> T | None:
    """Look, or say why nothing is seen there."""
    try:
        return look()
    except ReleaseError as error:
        said.append(f"{where}: {error.what}" + (f": {error.why}" if error.why else ""))
        return None


def _live(desk: Desk, target: Target) -> LiveApplication:
    return desk.argocd.find(app_ref(desk, target))


def _current(desk: Desk, target: Target) -> ServicePlan:
    return current_plan(target, desk.head(target.repository), desk.helm)


def _git(desk: Desk, current: ServicePlan) -> InGit:
    return InGit(current.before, desk.head(current.target.repository).commit)


def _argocd(live: LiveApplication) -> InArgoCD:
    sync, state = live.status.sync, live.status.operation_state
    return InArgoCD(
        sync.revision or ", ".join(sync.revisions),
        sync.status,
        live.status.health.status,
        state.phase if state else None,
    )


def _runs(desk: Desk, current: ServicePlan) -> InCluster | None:
    cluster = desk.world.cluster()
    if cluster is None:
        return None
    found = cluster.status(
        ObjectRef.of(one.body, current.target.namespace) for one in current.objects
    )
    running = {pair for pod in found.pods for pair in pod.running}
    digests = {
        image: tuple(sorted(digest for name, digest in running if name == image and digest))
        for image in current.images
    }
    return InCluster(tuple(found.images), digests, found.ready, found.replicas)


def _last(desk: Desk, repository: Repository, service: str) -> Recorded | None:
    entries = desk.ledger(repository).entries()
    return next((r for r in entries if service in r.entry.names()), None)


def _behind(current: ServicePlan, live: LiveApplication) -> Iterator[str]:
    """Say where Argo CD's commit holds another tag than the branch; other commits do not matter."""
    index = our_source(
        live.spec, current.target.url, current.target.repository.branch, current.file
    )
    revision = live.status.sync.at(index) if index is not None else None
    if revision is None:
        yield "Argo CD names no commit of this repository"
        return
    data = current.target.repository.read_at(revision, current.file)
    tag = read(data, Key.parse(current.key), file=current.file) if data is not None else None
    if tag is None or tag_of(tag) != tag_of(current.changes[Key.parse(current.key)]):
        yield f"Argo CD is at {revision[:12]}, where the tag is {tag_of(tag or '')}"


def other_images(
    service: str, tag: str, runs: InCluster | None, last: Recorded | None
) -> Iterator[str]:
    """Say where another image runs under a tag than the registry had when it was released. Pure."""
    if runs is None or last is None:
        return
    for one in last.entry.services:
        if one.name == service and one.after == tag:
            for image, released in one.images.items():
                for digest in set(runs.digests.get(image, ())) - released.digests:
                    yield f"{digest} runs, and {image} was released as {released.digest}"


def _disagreements(
    current: ServicePlan, live: LiveApplication | None, runs: InCluster | None
) -> Iterator[str]:
    if live is not None:
        yield from _behind(current, live)
        if live.status.sync.status != "Synced":
            yield f"Argo CD says {live.status.sync.status}"
        if live.status.health.status != "Healthy":
            yield f"Argo CD says {live.status.health.status}"
    shown = set(runs.images) if runs else set(live.status.summary.images if live else ())
    if shown:
        yield from (
            f"{image} of git does not run" for image in current.images if image not in shown
        )
