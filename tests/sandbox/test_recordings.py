"""The sandbox goes through the states that a real Argo CD was recorded to go through."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from plate_release.sandbox import Sandbox
from plate_release.sandbox.cache import Pace
from tests.sandbox.conftest import Chart, Direct, settled
from tests.sandbox.recordings import (
    RECORDINGS,
    Recording,
    applications,
    changes,
    disorder,
    load,
    messages,
    track,
)

FACTOR = 40
STALE = 0.3
# How long applying took where that decides what happens in between.
APPLY = {("unrelated-commit", "release"): 1.6, ("revert-behind-retries", "release"): 1.0}
DENY = [{"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": False}]
VALUES: dict[str, dict[str, Any]] = {
    "slow": {"backend": {"replicas": 3, "image": {"tag": "1.4.2"}}},
    "busy": {"hook": "ok"},
    "postsync-ok": {"hook": "ok"},
}
SWITCHES: dict[str, Callable[[Sandbox], object]] = {
    "controller off": lambda sandbox: sandbox.controller.parts.running.clear(),
    "controller on": lambda sandbox: sandbox.controller.parts.running.set(),
    "renderer off": lambda sandbox: setattr(sandbox.renderer, "down", True),
    "renderer on": lambda sandbox: setattr(sandbox.renderer, "down", False),
}
OUTAGES = {
    "controller-down": (("controller off", 0.01), ("controller on", 25.0)),
    "repo-server-down": (("renderer off", 0.1), ("renderer on", 41.0)),
    "server-restart": (("reconnect", 13.7),),
}
TOGETHER = (
    "bad-image-early-revert",
    "bad-image",
    "busy",
    "crash-after-ready",
    "manual-sync",
    "multi-source",
    "never-ready",
    "never-synced",
    "no-difference",
    "no-refresh",
    "overridden",
    "paused",
    "postsync-failed",
    "postsync-ok",
    "prune-only",
    "render-failed",
    "revert-after-terminate",
    "revert-behind-retries",
    "slow",
    "success",
    "superseded",
    "sync-failed",
    "sync-window",
    "unrelated-commit",
    "wave-stuck",
)


class Play:
    """One recording's scenario, played."""

    def __init__(self, sandbox: Sandbox, recording: Recording, folder: Path) -> None:
        self.sandbox, self.recording = sandbox, recording
        self.clock = sandbox.clock
        self.chart = Chart(folder, VALUES.get(recording.name))
        self.api = Direct(sandbox)
        self.owners = {self.chart.first: "before", "main": "main"}
        self.rows: list[tuple[float, dict[str, Any]]] = []
        self.answers: list[tuple[dict[str, Any], int | str, Any]] = []
        spec = recording.scenario["application"]["spec"]
        for source in spec.get("sources") or [spec["source"]]:
            source["repoURL"] = str(folder)
        self.manifest = recording.scenario["application"]
        self.start = 0.0

    async def run(self) -> None:
        """Bring the Application to where the recording begins; do what was done, at its times."""
        await self._prepare()
        started = datetime.fromisoformat(self.recording.scenario["started"]).timestamp()
        # Argo CD reckons in whole seconds: begin in the same part of one.
        await self.clock.sleep(4 + (started - self.clock.now()) % 1)
        self.start = self.clock.now()
        following = asyncio.create_task(self._follow())
        calls = []
        outage = [{"kind": kind, "t": t} for kind, t in OUTAGES.get(self.recording.name, ())]
        for row in sorted([*self.recording.of("push", "call"), *outage], key=_begun):
            await self._until(_begun(row))
            match row["kind"]:
                case "push":
                    await self._push(row)
                case "call":
                    calls.append(asyncio.create_task(self._call(row)))
                case "reconnect":
                    following.cancel()
                    following = asyncio.create_task(self._follow())
                case switch:
                    SWITCHES[switch](self.sandbox)
        await self._until(self.recording.end)
        for task in (following, *calls):
            task.cancel()

    async def _prepare(self) -> None:
        name, spec = self.recording.name, self.manifest["spec"]
        automatic = {"syncPolicy": spec["syncPolicy"] | {"automated": {"prune": True}}}
        self.sandbox.apply_here(self.manifest | {"spec": spec | automatic})
        await self.sandbox.passing(name, lambda app: settled(app) and "history" in app["status"])
        self.sandbox.apply_here(self.manifest)
        await self.sandbox.passing(name, settled)
        if name == "sync-window":
            self.sandbox.projects.put("frozen", DENY)

    async def _until(self, t: float) -> None:
        await self.clock.sleep(self.start + t - self.clock.now())

    async def _follow(self) -> None:
        async for event in self.api.follow(f"/stream/applications?name={self.recording.name}"):
            self.rows.append((self.clock.now() - self.start, event["application"]))

    async def _push(self, row: dict[str, Any]) -> None:
        push = row["data"]
        namespace = self.manifest["spec"]["destination"]["namespace"]
        self.sandbox.controller.cache.paces[namespace] = Pace(
            lag=STALE if self.recording.heals(row) else Pace().lag,
            apply=APPLY.get((self.recording.name, push["role"]), Pace().apply),
        )
        commit = await self.clock.outside(asyncio.to_thread(self._commit, push), 0)
        self.owners[commit] = self.recording.owners()[push["commit"]]

    def _commit(self, push: dict[str, Any]) -> str:
        self._edit(push)
        return self.chart.push(**push["set"])

    def _edit(self, push: dict[str, Any]) -> None:
        """Do what a push did beside setting values."""
        templates = self.chart.path / "helm/applications/plate-server/templates"
        match self.recording.name, push["role"]:
            case "paused", "release":
                _insert(templates / "deployment.yaml", "spec:\n", "  paused: true\n")
            case "prune-only", "release":
                (templates / "configmap.yaml").unlink()
            case "wave-stuck", "other":
                wave = "metadata:\n  annotations: {argocd.argoproj.io/sync-wave: '%s'}\n"
                for file, number in (("configmap.yaml", 1), ("deployment.yaml", 0)):
                    path = templates / file
                    path.write_text(path.read_text().replace("metadata:\n", wave % number, 1))
            case ("render-failed", role):
                repository = "" if role == "release" else "harbor.cocdev.co.kr/stg-server/server"
                self.chart.write(repository=repository)
            case _:
                pass

    async def _call(self, row: dict[str, Any]) -> None:
        asked = asyncio.create_task(self.api.ask(row["method"], row["path"], row["body"]))
        if row["status"] != "timeout":
            self.answers.append((row, *await asked))
            return
        await self.clock.sleep(row["took"])
        self.answers.append((row, "answered" if asked.done() else "timeout", None))
        asked.cancel()

    def judge(self) -> None:
        """Compare."""
        recorded = changes(applications(self.recording.of("stream")), self.recording.owners())
        played = changes(self.rows, self.owners)
        for name in ("operation", "sync", "health", "conditions", "images"):
            assert track(played, name) == track(recorded, name), name
        assert disorder(recorded, played) == []
        said = messages(applications(self.recording.of("stream")), self.recording.owners())
        mine = messages(self.rows, self.owners)
        assert said <= mine
        # Whether a wave is healthy by the first look at it is a race too.
        assert all(text.startswith("waiting for healthy state") for text in mine - said)
        assert len(self.answers) == len(self.recording.of("call"))
        for row, status, body in self.answers:
            assert status == row["status"], row["path"]
            if status in (400, 403):
                assert body == row["data"]


def _begun(row: dict[str, Any]) -> float:
    return float(row["t"] - (row.get("took") or 0))


def _insert(path: Path, after: str, text: str) -> None:
    path.write_text(path.read_text().replace(after, after + text, 1))


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Play]:
    folder = tmp_path_factory.mktemp("plays")
    with Sandbox(factor=FACTOR) as sandbox:
        sandbox.project("frozen")
        played = {name: Play(sandbox, load(name), folder / name) for name in TOGETHER}
        sandbox.run(_all(list(played.values())))
    return played


async def _all(plays: list[Play]) -> None:
    await asyncio.gather(*(play.run() for play in plays))


@pytest.mark.parametrize("name", TOGETHER)
def test_the_states_are_those_recorded(plays: dict[str, Play], name: str) -> None:
    plays[name].judge()


@pytest.mark.parametrize("name", OUTAGES)
def test_the_states_are_those_recorded_with_a_part_out_of_order(tmp_path: Path, name: str) -> None:
    with Sandbox(factor=FACTOR) as sandbox:
        play = Play(sandbox, load(name), tmp_path / name)
        sandbox.run(play.run())
    play.judge()


def test_every_recording_of_a_release_is_played() -> None:
    answers_only = {"errors", "lifecycle"}
    recorded = {path.stem for path in RECORDINGS.glob("*.jsonl")}
    assert recorded == {*TOGETHER, *OUTAGES, *answers_only}
