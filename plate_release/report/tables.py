"""Tables for the commands that only look, and the replay's line."""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from rich.console import Group, RenderableType
from rich.text import Text

from plate_release.argocd.replay import Replayed
from plate_release.gitops.dora import Dora, Figure
from plate_release.inspect import History, Preflight, ServiceStatus
from plate_release.report.console import finding_line, table, text
from plate_release.settle import Settled


def status(services: Sequence[ServiceStatus]) -> RenderableType:
    """Git, Argo CD and cluster, a row a service."""
    rows = table("service", "git", "argocd", "cluster", "disagreements")
    for one in services:
        git = one.git.tag if one.git else "-"
        argocd = f"{one.argocd.sync} {one.argocd.health}" if one.argocd else "-"
        runs = f"{one.cluster.ready}/{one.cluster.replicas}" if one.cluster else "-"
        rows.add_row(*map(text, (one.name, git, argocd, runs, "\n".join(one.disagreements))))
    return rows


def history(found: History) -> RenderableType:
    """Return the ledger, a row a release, and the four figures below it."""
    rows = table("finished", "commit", "state", "services", "by")
    for one in found.releases:
        entry = one.entry
        services = "\n".join(f"{s.name} {s.before} -> {s.after}" for s in entry.services)
        when = (entry.finished or entry.started).isoformat(timespec="seconds")
        when = when.replace("+00:00", "Z")
        rows.add_row(*map(text, (when, one.commit[:12], entry.state, services, entry.by)))
    figures = _figures(found.dora) if found.dora else ()
    return Group(rows, *map(text, figures))


def check(found: Preflight) -> RenderableType:
    """Return the preflight's findings and whether a release may go."""
    lines = map(finding_line, found.findings)
    return Group(*lines, Text("ready" if found.ok else "not ready", style="bold"))


def settled(done: Sequence[Settled]) -> RenderableType:
    """Return what was settled, a line a release."""
    lines = [text(f"{c[:12]} {one.outcome.value}") for one in done for c in one.commits]
    return Group(*lines) if lines else Text("nothing is left to settle")


def _figures(dora: Dora) -> Iterator[str]:
    for field in fields(dora):
        figure = getattr(dora, field.name)
        if isinstance(figure, Figure):
            value = "unknown" if figure.value is None else f"{figure.value:.3g} {figure.unit}"
            yield f"{field.name.replace('_', ' ')}: {value} ({figure.definition})"


def replayed(found: Replayed) -> Text:
    """Return one recording's verdict as a line."""
    verdict, revert = found.verdict, found.revert
    judged = f"{verdict.judgement} at {verdict.at:g} s" if verdict else "no verdict"
    behind = f"; revert {revert.judgement}" if revert else ""
    return text(f"{found.file}: {judged}: {found.reason}{behind}")
