"""The recordings of a real Argo CD, and what is compared of them.

A row's state is five tracks: sync (status, whose revision), health, operation (there or not, its
phase, whose revision it syncs and has synced, whether it waits for a retry), condition types and
images. Each track must go through the same values. Between tracks, changes that the recording has
less than `RACE` seconds apart may swap, since Argo CD's status, operation and live-object writers
race; nothing else is forgiven. What operations and conditions say is compared as well.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "tests/recordings"
RECORDINGS = SHARED / "argocd/recordings"
RACE = 1.1
TRACKS = ("sync", "health", "operation", "conditions", "images")
Row = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    name: str
    rows: tuple[Row, ...]

    @property
    def scenario(self) -> Row:
        found: Row = self.of("scenario")[0]["data"]
        return found

    @property
    def end(self) -> float:
        return float(self.rows[-1]["t"])

    def of(self, *kinds: str) -> list[Row]:
        return [row for row in self.rows if row["kind"] in kinds]

    def heals(self, push: Row) -> bool:
        """Whether a sync after the push succeeded and was then, with a stale cache, healed."""
        later = [p["t"] for p in self.of("push") if p["t"] > push["t"]]
        until = min(later, default=self.end)
        shown = list(applications(self.of("stream")))
        return any(
            push["t"] < t < until
            and (app.get("operation") or {}).get("sync", {}).get("autoHealAttemptsCount")
            and before["status"].get("operationState", {}).get("phase") == "Succeeded"
            and _commits(before["status"]["operationState"]["operation"])
            == _commits(app["operation"])
            for (_, before), (t, app) in pairwise(shown)
        )

    def owners(self) -> dict[str, str]:
        """Name each commit by what it is."""
        names = {self.scenario["commit_before"]: "before", "main": "main"}
        return names | {
            push["data"]["commit"]: f"{push['data']['role']}-{index}"
            for index, push in enumerate(self.of("push"))
        }


def _commits(operation: Row) -> Any:
    return operation["sync"].get("revision") or operation["sync"].get("revisions")


def load(name: str) -> Recording:
    lines = (RECORDINGS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return Recording(name, tuple(json.loads(line) for line in lines))


def applications(rows: Iterable[Row]) -> Iterator[tuple[float, Row]]:
    for row in rows:
        if row["kind"] == "stream" and "result" in (row["data"] or {}):
            yield row["t"], row["data"]["result"]["application"]


@dataclass(frozen=True)
class Change:
    t: float
    row: int
    track: str
    value: Any


def _revision(fields: Row, owners: Mapping[str, str]) -> Any:
    many = fields.get("revisions")
    one = fields.get("revision")
    named = [owners.get(each, each) for each in (many or ([one] if one else []))]
    return named[0] if len(set(named)) == 1 else named


def state(app: Row, owners: Mapping[str, str]) -> dict[str, Any]:
    status = app.get("status", {})
    sync, operation = status.get("sync", {}), status.get("operationState", {})
    phase = operation.get("phase")
    syncs = operation.get("operation", {}).get("sync", {})
    return {
        "sync": (sync.get("status"), _revision(sync, owners)),
        "health": status.get("health", {}).get("status"),
        "operation": (
            "operation" in app,
            phase,
            _revision(syncs, owners),
            _revision(operation.get("syncResult", {}), owners),
            phase == "Running" and "finishedAt" in operation,
        ),
        "conditions": tuple(sorted(c["type"] for c in status.get("conditions") or ())),
        "images": tuple(
            image.rpartition(":")[2] for image in status.get("summary", {}).get("images") or ()
        ),
    }


def changes(rows: Iterable[tuple[float, Row]], owners: Mapping[str, str]) -> list[Change]:
    found: list[Change] = []
    last: dict[str, Any] = {}
    for index, (t, app) in enumerate(rows):
        now = state(app, owners)
        found += [Change(t, index, k, now[k]) for k in TRACKS if k not in last or now[k] != last[k]]
        last = now
    return found


def messages(rows: Iterable[tuple[float, Row]], owners: Mapping[str, str]) -> set[str]:
    """Return what operations and conditions say, commits and times swapped."""
    said = set()
    for _, app in rows:
        status = app.get("status", {})
        said.add(status.get("operationState", {}).get("message", ""))
        said |= {condition["message"] for condition in status.get("conditions") or ()}
    return {_swapped(text, owners) for text in said}


def _swapped(text: str, owners: Mapping[str, str]) -> str:
    for commit, name in owners.items():
        text = text.replace(commit, name).replace(f"-{commit[:7]}-", f"-{name}-")
    text = re.sub(r"at \d+:\d\d[AP]M", "at TIME", text)
    return re.sub(r"(sync-|yaml:)[\d:]+", r"\1N", text)


def track(found: list[Change], name: str) -> list[Any]:
    return [change.value for change in found if change.track == name]


def disorder(recorded: list[Change], played: list[Change]) -> list[tuple[Change, Change]]:
    """Return the pairs that the recording has clearly in one order, and the play in the other."""
    pairs = []
    by_track = {name: [c for c in played if c.track == name] for name in TRACKS}
    place: dict[int, Change] = {}
    for name in TRACKS:
        mine = [c for c in recorded if c.track == name]
        place |= {id(c): p for c, p in zip(mine, by_track[name], strict=False)}
    for first in recorded:
        for second in recorded:
            clear = second.t - first.t > RACE and first.track != second.track
            known = id(first) in place and id(second) in place
            if clear and known and place[id(first)].row > place[id(second)].row:
                pairs.append((first, second))
    return pairs
