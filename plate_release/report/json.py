"""The report as JSON, as other programs read it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from plate_release.argocd.replay import Replayed
from plate_release.gitops.entry import Recorded
from plate_release.inspect import History, Preflight, ServiceStatus
from plate_release.model import Outcome
from plate_release.result import Result, ServiceResult, Watched
from plate_release.settle import Settled


def report(result: Result) -> dict[str, Any]:
    """Return the report's object; that of a plan has the edits and the rendered difference too."""
    several = len({service.repository for service in result.services}) > 1
    body: dict[str, Any] = {
        "schema": "plate-release/report/v1",
        "outcome": result.outcome.value,
        "exit_code": int(result.exit_code),
        "environment": result.environment,
        "dry_run": result.dry_run,
        "commit": result.commit,
        "base": result.base,
        "revert_commit": result.revert_commit,
        "services": [_service(service, several=several) for service in result.services],
        "findings": [asdict(finding) for finding in result.findings],
        "timeline": [asdict(moment) for moment in result.timeline],
    }
    if result.outcome in {Outcome.PLANNED, Outcome.UNCHANGED}:
        body["edits"] = [
            {"file": e.file, "line": e.line, "before": e.before, "after": e.after}
            for e in result.edits
        ]
        body["diff"] = result.diff
    return body


def _service(service: ServiceResult, *, several: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        name: getattr(service, name)
        for name in ("name", "application", "file", "key", "before", "after")
    }
    body["images"] = {name: asdict(image) for name, image in service.images.items()}
    body |= _watched(service.watched)
    reverted = service.revert_commit or service.revert
    body["revert"] = {"tag": service.back_to, **_watched(service.revert)} if reverted else None
    if several:
        body |= {
            "repository": service.repository,
            "commit": service.commit,
            "revert_commit": service.revert_commit,
        }
    return body


def _watched(watched: Watched | None) -> dict[str, Any]:
    return {
        "verdict": watched.verdict.value if watched else None,
        "reason": watched.reason if watched else None,
        "seconds_to_verdict": round(watched.seconds, 1) if watched else None,
    }


def status(services: Sequence[ServiceStatus]) -> dict[str, Any]:
    """Return the object of `status`."""
    return {
        "services": [
            {
                "name": one.name,
                "application": one.application,
                "git": asdict(one.git) if one.git else None,
                "argocd": asdict(one.argocd) if one.argocd else None,
                "cluster": asdict(one.cluster) if one.cluster else None,
                "last_release": _recorded(one.last_release) if one.last_release else None,
                "disagreements": one.disagreements,
            }
            for one in services
        ]
    }


def history(found: History) -> dict[str, Any]:
    """Return the object of `history`."""
    body: dict[str, Any] = {"releases": [_recorded(one) for one in found.releases]}
    return body | {"dora": asdict(found.dora)} if found.dora else body


def _recorded(recorded: Recorded) -> dict[str, Any]:
    entry = recorded.entry.model_dump(mode="json", by_alias=True)
    return {**entry, "commit": recorded.commit}


def check(found: Preflight) -> dict[str, Any]:
    """Return the object of `check`."""
    return {"ok": found.ok, "findings": [asdict(finding) for finding in found.findings]}


def settled(done: Sequence[Settled]) -> dict[str, Any]:
    """Return the object of `settle`."""
    found = [{"commit": c, "outcome": one.outcome.value} for one in done for c in one.commits]
    return {"settled": found}


def replayed(found: Replayed) -> str:
    """Return one recording's verdict as a line."""
    verdict, revert = found.verdict, found.revert
    return json.dumps(
        {
            "file": found.file,
            "verdict": verdict.judgement if verdict else None,
            "reason": found.reason,
            "t": _second(verdict.at if verdict else None),
            "live_since": _second(verdict.live_since if verdict else None),
            "commit": found.commit,
            "revert": {
                "verdict": revert.judgement,
                "reason": revert.reason,
                "t": _second(revert.at),
            }
            if revert
            else None,
        }
    )


def _second(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def dump(body: dict[str, Any]) -> str:
    """One JSON object as text; ASCII, so that no terminal is moved by what it holds."""
    return json.dumps(body, indent=2)
