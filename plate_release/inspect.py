"""Looking without touching: status, history, check."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from plate_release.argocd.failures import CallFailed
from plate_release.argocd.sources import our_source
from plate_release.argocd.status import LiveApplication
from plate_release.cluster import Cluster, ObjectRef
from plate_release.desk import Desk
from plate_release.errors import ReleaseError
from plate_release.gates import ready
from plate_release.gitops.dora import DAY, dora
from plate_release.gitops.entry import Recorded
from plate_release.plan import ServicePlan, Target, tag_of, where
from plate_release.values import Key, read

_WINDOW = 30 * DAY


def check(desk: Desk) -> dict[str, Any]:
    """Return the preflight of every service: `{"ok","findings"}`."""
    targets = desk.targets(desk.services())
    findings = ready(desk, targets)
    ok = all(finding.level != "error" for finding in findings)
    return {"ok": ok, "findings": [asdict(finding) for finding in findings]}


def history(desk: Desk, service: str | None, *, limit: int, figures: bool) -> dict[str, Any]:
    """Return the ledger, newest first: `{"releases":[...],"dora":{...}}`."""
    entries = [
        recorded
        for recorded in desk.ledger(desk.home).entries()
        if service is None or service in recorded.entry.names()
    ]
    body: dict[str, Any] = {"releases": [_entry(recorded) for recorded in entries[:limit]]}
    if figures:
        now = desk.world.clock.wall()
        body["dora"] = asdict(dora(entries, window=_WINDOW, now=now))
    return body


def _entry(recorded: Recorded) -> dict[str, Any]:
    entry = recorded.entry.model_dump(mode="json", by_alias=True)
    return {**entry, "commit": recorded.commit}


def status(desk: Desk, services: Sequence[str]) -> dict[str, Any]:
    """Return git, Argo CD and cluster side by side, and where they disagree."""
    targets = desk.targets(services or desk.services())
    cluster = desk.world.cluster()
    return {"services": [_status(desk, target, cluster) for target in targets]}


def _status(desk: Desk, target: Target, cluster: Cluster | None) -> dict[str, Any]:
    disagreements: list[str] = []
    spot = where(target, desk.head(target.repository), desk.renderer)
    live = _live(desk, target, disagreements)
    runs = _runs(spot, cluster, disagreements)
    last = _last(desk, target)
    disagreements += _disagreements(spot, live, runs)
    return {
        "name": target.service,
        "application": target.application,
        "git": {"tag": spot.before, "commit": desk.head(target.repository).commit},
        "argocd": _argocd(live),
        "cluster": runs,
        "last_release": _entry(last) if last else None,
        "disagreements": disagreements,
    }


def _live(desk: Desk, target: Target, disagreements: list[str]) -> LiveApplication | None:
    try:
        return desk.argocd.find(desk.ref(target))
    except CallFailed as error:
        disagreements.append(f"Argo CD: {error.what}: {error.why}")
        return None


def _argocd(live: LiveApplication | None) -> dict[str, Any] | None:
    if live is None:
        return None
    state = live.status.operation_state
    return {
        "revision": live.status.sync.revision or ", ".join(live.status.sync.revisions),
        "sync": live.status.sync.status,
        "health": live.status.health.status,
        "operation": state.phase if state else None,
    }


def _runs(
    spot: ServicePlan, cluster: Cluster | None, disagreements: list[str]
) -> dict[str, Any] | None:
    if cluster is None:
        return None
    namespace = spot.target.manifest.application.spec.destination.namespace
    try:
        found = cluster.status(ObjectRef.of(one.body, namespace) for one in spot.objects)
    except ReleaseError as error:
        disagreements.append(f"cluster: {error.what}")
        return None
    return {"images": list(found.images), "ready": found.ready, "replicas": found.replicas}


def _last(desk: Desk, target: Target) -> Recorded | None:
    entries = desk.ledger(target.repository).entries()
    return next((r for r in entries if target.service in r.entry.names()), None)


def _behind(spot: ServicePlan, live: LiveApplication) -> Iterator[str]:
    """Say where Argo CD's commit holds another tag than the branch; other commits do not matter."""
    index = our_source(live.spec, spot.target.url, spot.target.repository.branch, spot.file)
    revision = live.status.sync.at(index) if index is not None else None
    if revision is None:
        yield "Argo CD names no commit of this repository"
        return
    data = spot.target.repository.read_at(revision, spot.file)
    tag = read(data, Key.parse(spot.key), file=spot.file) if data is not None else None
    if tag is None or tag_of(tag) != spot.before:
        yield f"Argo CD is at {revision[:12]}, where the tag is {tag_of(tag or '')}"


def _disagreements(
    spot: ServicePlan, live: LiveApplication | None, runs: dict[str, Any] | None
) -> Iterator[str]:
    if live is not None:
        yield from _behind(spot, live)
        if live.status.sync.status != "Synced":
            yield f"Argo CD says {live.status.sync.status}"
        if live.status.health.status != "Healthy":
            yield f"Argo CD says {live.status.health.status}"
    shown = set(runs["images"]) if runs else set(live.status.summary.images if live else ())
    if shown:
        yield from (f"{image} of git does not run" for image in spot.images if image not in shown)
