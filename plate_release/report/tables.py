"""Tables for the commands that only look, and the replay's line."""

import json
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from plate_release.model import Finding
from plate_release.report.console import finding_line, table, text

if TYPE_CHECKING:
    from plate_release.argocd.events import Verdict
    from plate_release.argocd.replay import Replayed


def status(body: dict[str, Any]) -> RenderableType:
    """Git, Argo CD and cluster, a row a service."""
    rows = table("service", "git", "argocd", "cluster", "disagreements")
    for one in body["services"]:
        git, argocd, cluster = (one[name] or {} for name in ("git", "argocd", "cluster"))
        seen = f"{argocd.get('sync', '-')} {argocd.get('health', '')}"
        runs = f"{cluster.get('ready', '-')}/{cluster.get('replicas', '-')}"
        row = (one["name"], git.get("tag", "-"), seen, runs, "\n".join(one["disagreements"]))
        rows.add_row(*map(text, row))
    return rows


def history(body: dict[str, Any]) -> RenderableType:
    """Return the ledger, a row a release, and the four figures below it."""
    rows = table("finished", "commit", "state", "services", "by")
    for one in body["releases"]:
        services = "\n".join(f"{s['name']} {s['before']} -> {s['after']}" for s in one["services"])
        when = one["finished"] or one["started"]
        row = (when, one["commit"][:12], one["state"], services, one["by"])
        rows.add_row(*map(text, row))
    figures = (
        text(_figure(name, figure))
        for name, figure in body.get("dora", {}).items()
        if isinstance(figure, dict)
    )
    return Group(rows, *figures)


def check(body: dict[str, Any]) -> RenderableType:
    """Return the preflight's findings and whether a release may go."""
    lines = [finding_line(Finding(**finding)) for finding in body["findings"]]
    return Group(*lines, Text("ready" if body["ok"] else "not ready", style="bold"))


def settled(body: dict[str, Any]) -> RenderableType:
    """Return what was settled, a line a release."""
    lines = [text(f"{one['commit'][:12]} {one['outcome']}") for one in body["settled"]]
    return Group(*lines) if lines else Text("nothing is unsettled")


def replayed(found: "Replayed") -> Text:
    """Return one recording's verdict as a line."""
    body = _replayed(found)
    revert = f"; revert {body['revert']['verdict']}" if body["revert"] else ""
    return text(f"{body['file']}: {body['verdict']} at {body['t']} s: {body['reason']}{revert}")


def replayed_line(found: "Replayed") -> str:
    """Return one recording's verdict as a line of JSON."""
    return json.dumps(_replayed(found))


def _replayed(found: "Replayed") -> dict[str, Any]:
    verdict = found.verdict
    return {
        "file": found.file,
        "verdict": verdict.judgement.value if verdict else None,
        "reason": found.reason,
        "t": _second(verdict.at if verdict else None),
        "live_since": _second(verdict.live_since if verdict else None),
        "commit": found.commit,
        "revert": _revert(found.revert) if found.revert else None,
    }


def _revert(verdict: "Verdict") -> dict[str, Any]:
    return {
        "verdict": verdict.judgement.value,
        "reason": verdict.reason,
        "t": _second(verdict.at),
    }


def _second(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _figure(name: str, figure: dict[str, Any]) -> str:
    value = "unknown" if figure["value"] is None else f"{figure['value']:.3g} {figure['unit']}"
    return f"{name.replace('_', ' ')}: {value} ({figure['definition']})"
