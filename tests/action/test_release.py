"""The action's steps, run as a runner runs them, into a production that is played in full."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest


def test_a_dry_run_changes_nothing(job: Any, installed: Path, production: Any) -> None:
    before = production.head
    ended = job(installed).run(
        "release", services="plate-api=1.5.0", dry_run="true", **production.inputs
    )
    assert ended.status == 0, ended.stderr
    assert ended.outputs["outcome"] == "planned"
    assert ended.outputs["commit"] == ""
    assert ended.outputs["summary"] == "planned: plate-api 1.4.2 -> 1.5.0"
    report = json.loads(Path(ended.outputs["report"]).read_text())
    assert report["dry_run"] is True
    assert report["edits"][0]["after"] == "1.5.0"
    assert "1.5.0" in ended.summary
    assert production.head == before


def test_a_good_tag_is_live(job: Any, installed: Path, production: Any) -> None:
    steps = job(installed)
    ended = steps.run("release", service="plate-api", tag="1.5.0", **production.inputs)
    assert ended.status == 0, ended.stderr + ended.stdout
    assert ended.outputs["outcome"] == "released"
    assert ended.outputs["commit"] == production.head
    assert ended.outputs["revert-commit"] == ""
    assert production.tag == "1.5.0"
    assert "https://github.invalid/plate/gitops/actions/runs/42" in production.show("log", "-1")
    assert "t0ken" not in ended.stdout.replace("::add-mask::t0ken", "") + ended.stderr
    assert not list(installed.glob("kubeconfig-*"))
    settled = steps.run("settle", **production.inputs)
    assert (settled.status, settled.outputs) == (0, {})


def test_a_bad_tag_is_put_back_and_told(job: Any, installed: Path, production: Any) -> None:
    ended = job(installed).run("release", services="plate-api=1.5.0-bad", **production.inputs)
    assert ended.status == 10, ended.stderr + ended.stdout
    assert ended.outputs["outcome"] == "rolled-back"
    assert ended.outputs["revert-commit"] == production.head
    assert production.tag == "1.4.2"
    errors = [line for line in ended.stdout.splitlines() if line.startswith("::error")]
    assert any("plate-api 1.5.0-bad: failed: " in line for line in errors)


@pytest.mark.parametrize(("on_cancel", "tag"), [("revert", "1.4.2"), ("hold", "1.5.0-never")])
def test_a_cancelled_release_ends_as_on_cancel_says(
    job: Any, installed: Path, production: Any, on_cancel: str, tag: str
) -> None:
    steps, before = job(installed), production.head
    inputs = production.inputs | {"on_cancel": on_cancel}
    running = steps.start("release", services="plate-api=1.5.0-never", **inputs)
    production.pushed(since=before)
    steps.cancel("release", running)
    settled = steps.run("settle", **production.inputs)
    assert settled.status == 0, settled.stderr
    assert production.tag == tag
    again = steps.run("settle", **production.inputs)
    assert (again.status, again.outputs) == (0, {})


@pytest.mark.parametrize("service_tag", ["1.5.0-never", "1.5.0-bad"])
def test_a_killed_release_is_settled_by_the_last_step(
    job: Any, installed: Path, production: Any, service_tag: str
) -> None:
    steps, before = job(installed), production.head
    running = steps.start("release", services=f"plate-api={service_tag}", **production.inputs)
    production.pushed(since=before)
    running.send_signal(signal.SIGKILL)
    steps.end("release", running)
    assert production.tag == service_tag
    settled = steps.run("settle", **production.inputs)
    assert production.tag == "1.4.2"
    assert settled.outputs["outcome"] == "interrupted"
