"""Recordings that were never made: what a replay finds out before the judge is asked."""

import json
from dataclasses import replace
from typing import Any

import pytest

from plate_release.argocd.replay import Replayed, judge
from tests.argocd.scenes import (
    BASE,
    BEFORE,
    FAILED,
    FILE,
    FOUND,
    LIMITS,
    LIVE,
    NEW,
    NEWER,
    OLD,
    OURS,
    SOURCE,
    THEIRS,
    State,
    pod,
    replica_set,
)

REVERT = "9" * 40
OTHER_REPOSITORY = "https://git.example.com/charts.git"


class Recording:
    """Rows, one after another."""

    def __init__(self, state: State = BEFORE, *nodes: dict[str, Any], **spec: Any) -> None:
        self.rows: list[dict[str, Any]] = []
        self.version = 100
        manifest = state.json(0)
        self.spec = {**manifest["spec"], **spec}
        self.row(0, "scenario", {"application": {**manifest, "spec": self.spec}})
        if nodes:
            self.row(0, "tree", {"nodes": list(nodes)})
        self.see(0, state)

    def row(self, t: float, kind: str, data: Any, **more: Any) -> None:
        self.rows.append({"t": t, "kind": kind, "data": data, **more})

    def see(self, t: float, state: State) -> None:
        self.version += 1
        application = {**state.json(self.version), "spec": self.spec}
        self.row(t, "stream", {"result": {"type": "MODIFIED", "application": application}})

    def push(
        self,
        t: float,
        commit: str = OURS,
        parent: str = BASE,
        role: str = "release",
        file: str = FILE,
        **values: Any,
    ) -> None:
        diff = [f"{file} | 2 +-", " 1 file changed"]
        data = {"commit": commit, "parent": parent, "role": role, "diff": diff, "set": values}
        self.row(t, "push", data)

    def judged(self) -> Replayed:
        return judge([json.dumps(row) for row in self.rows], LIMITS)


def said(replayed: Replayed) -> str | None:
    return replayed.verdict.judgement.value if replayed.verdict else None


@pytest.mark.parametrize("tag", ["1.5.0", '"1.5.0"', "'1.5.0'"])
def test_the_tag_that_was_pushed_is_expected(tag: str) -> None:
    recording = Recording()
    recording.push(1, tag=tag)
    recording.see(2, LIVE)
    assert said(recording.judged()) == "live"


def test_without_a_tag_the_image_before_is_expected() -> None:
    recording = Recording()
    recording.push(1, replicas=2)
    recording.see(2, replace(LIVE, images=(OLD,)))
    recording.see(9, replace(LIVE, images=(OLD,)))
    assert said(recording.judged()) == "live"


def test_the_tag_of_an_earlier_push_is_still_expected() -> None:
    recording = Recording()
    recording.push(1, THEIRS, BASE, "other", tag="1.5.0")
    recording.push(2, OURS, THEIRS, replicas=2)
    recording.see(3, replace(LIVE, images=(OLD,)))
    recording.see(9, replace(LIVE, images=(OLD,)))
    assert said(recording.judged()) == "failed"


@pytest.mark.parametrize(
    ("results", "images"),
    [
        ((), (OLD,)),
        (
            (
                {"kind": "Job", "hookType": "PreSync", "images": ["reg/migrate:1"]},
                {"kind": "Deployment", "images": [OLD, "reg/proxy:2"]},
            ),
            ("reg/migrate:1", "reg/proxy:2", OLD),
        ),
    ],
)
def test_hooks_and_sidecars_are_not_the_service(
    results: tuple[dict[str, Any], ...], images: tuple[str, ...]
) -> None:
    recording = Recording(replace(BEFORE, results=results, images=images))
    recording.push(1, tag="1.5.0")
    recording.see(2, replace(LIVE, images=(*images, NEW)))
    assert said(recording.judged()) == "live"


def test_the_image_is_that_of_the_pods_where_no_sync_names_one() -> None:
    nodes = (replica_set("old", 1), pod("Running", OLD, of=("ReplicaSet", "old"), ready=True))
    job = pod("Completed", "reg/migrate:1", of=("Job", "job"), name="job")
    recording = Recording(replace(BEFORE, images=("reg/migrate:1", OLD)), job, *nodes)
    recording.push(1, tag="1.5.0")
    recording.see(2, replace(LIVE, images=(NEW,)))
    assert said(recording.judged()) == "live"


def test_an_application_that_was_never_seen_before_expects_no_image() -> None:
    recording = Recording()
    del recording.rows[1]
    recording.push(1, tag="1.5.0")
    recording.see(2, replace(LIVE, images=()))
    assert said(recording.judged()) == "live"


@pytest.mark.parametrize(
    ("at", "expected"), [((BASE, OURS), "live"), ((OURS, BASE), "unsettled")], ids=str
)
@pytest.mark.parametrize("quoted", [True, False])
def test_the_source_is_the_one_that_the_push_went_to(
    at: tuple[str, str], expected: str, quoted: bool
) -> None:
    chart: dict[str, Any] = {**SOURCE, "repoURL": OTHER_REPOSITORY}
    values = {**SOURCE, "path": "", "ref": "values"}
    if quoted:
        chart["helm"] = {"valueFiles": [f"$values/{FILE}"]}
    before = replace(BEFORE, sources=(chart, values), at=("e" * 40, BASE))
    recording = Recording(before)
    recording.push(1, tag="1.5.0")
    recording.see(2, replace(LIVE, at=at, phase="", sources=(chart, values)))
    assert said(recording.judged()) == expected


def test_a_hydrated_application_is_followed_by_its_dry_source() -> None:
    hydrator = {"drySource": {"repoURL": SOURCE["repoURL"], "targetRevision": "main"}}
    recording = Recording(BEFORE, source=None, sourceHydrator=hydrator)
    recording.push(1, tag="1.5.0")
    done = {
        "sourceHydrator": {"lastSuccessfulOperation": {"drySHA": OURS, "hydratedSHA": "f" * 40}}
    }
    recording.see(2, replace(LIVE, at="f" * 40, op_at="f" * 40, extra=done))
    assert said(recording.judged()) == "live"


def test_somebody_elses_newer_tag_supersedes_once_argo_cd_is_there() -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.push(2, NEWER, OURS, "other", tag="1.6.0")
    recording.see(3, replace(LIVE, at=NEWER))
    replayed = recording.judged()
    assert said(replayed) == "superseded"
    assert replayed.verdict
    assert replayed.verdict.by == NEWER


def test_a_tag_in_another_file_does_not_supersede() -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.push(2, NEWER, OURS, "other", file="charts/web/values-prod.yaml", tag="2.0.0")
    recording.see(3, replace(LIVE, at=NEWER))
    assert said(recording.judged()) == "live"


def test_a_commit_that_is_seen_before_its_push_is_told_is_understood_then() -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.see(2, replace(LIVE, at=THEIRS))
    recording.push(3, THEIRS, OURS, "other")
    recording.see(4, replace(LIVE, at=THEIRS, reconciled=9))
    replayed = recording.judged()
    assert said(replayed) == "live"
    assert replayed.verdict
    assert replayed.verdict.live_since == 3


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("stream", "<html>Bad Gateway</html>"),
        ("refused", "HTTPError"),
        ("tree", {"refused": "ReadTimeout"}),
    ],
)
def test_nobody_is_blind_whose_gets_are_answered(kind: str, data: Any) -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.row(2, "get", {**LIVE.json(150), "spec": recording.spec})
    recording.row(3, kind, data)
    recording.row(40, "truth", {})
    replayed = recording.judged()
    assert said(replayed) == "live"
    assert replayed.verdict
    assert replayed.verdict.at == 32


def test_a_stream_that_fails_is_blindness_once_the_gets_fail_too() -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.row(2, "get", {**LIVE.json(150), "spec": recording.spec})
    recording.row(3, "get", {"refused": "ConnectionError"})
    recording.see(4, LIVE)
    recording.row(5, "refused", "ConnectionError")
    recording.row(40, "truth", {})
    assert said(recording.judged()) == "unknown"


@pytest.mark.parametrize(
    ("answer", "judgement"),
    [
        ({"refused": "ConnectionError"}, "unknown"),
        ({"error": "invalid session", "code": 16}, "unknown"),
        ({"error": "not found", "code": 5}, "blocked"),
    ],
)
def test_what_could_not_be_seen_when_it_was_pushed_still_cannot(
    answer: dict[str, Any], judgement: str
) -> None:
    recording = Recording()
    recording.row(0.5, "get", answer)
    recording.push(1, tag="1.5.0")
    recording.row(20, "truth", {})
    assert said(recording.judged()) == judgement


def test_a_window_that_was_read_before_the_push_is_known() -> None:
    deny = {"kind": "deny", "schedule": "* * * * *", "duration": "1h"}
    windows = {"canSync": False, "activeWindows": [deny], "assignedWindows": [deny]}
    more = {"method": "GET", "path": "/applications/a/syncwindows?project=p", "status": 200}
    recording = Recording()
    recording.row(0.5, "call", windows, **more)
    recording.push(1, tag="1.5.0")
    recording.see(2, FOUND)
    recording.row(20, "truth", {})
    assert said(recording.judged()) == "blocked"


def test_the_revert_is_judged_from_its_push_on() -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.see(2, FAILED)
    recording.push(3, REVERT, OURS, "revert", tag="1.4.2")
    back = replace(LIVE, at=REVERT, op_at=REVERT, images=(OLD,))
    recording.see(4, back)
    recording.row(40, "truth", {})
    replayed = recording.judged()
    assert said(replayed) == "failed"
    assert replayed.commit == OURS
    assert replayed.revert
    assert (replayed.revert.judgement.value, replayed.revert.at) == ("live", 34)


def test_a_release_without_a_verdict_ends_where_its_revert_begins() -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.push(3, REVERT, OURS, "revert", tag="1.4.2")
    recording.row(4, "truth", {})
    replayed = recording.judged()
    assert replayed.verdict
    assert replayed.revert
    assert (said(replayed), replayed.verdict.at) == ("unsettled", 3)
    assert (replayed.revert.judgement.value, replayed.revert.at) == ("unsettled", 4)


def test_a_push_that_is_not_understood_is_named() -> None:
    recording = Recording()
    recording.row(1, "push", {"role": "release"})
    replayed = recording.judged()
    assert replayed.verdict is None
    assert "the push at 1.0 s is not understood" in replayed.skipped[0]


def test_rows_out_of_order_do_not_turn_back_the_time() -> None:
    recording = Recording()
    recording.push(1, tag="1.5.0")
    recording.see(5, LIVE)
    recording.see(4, replace(LIVE, reconciled=9))
    recording.row(6, "truth", {})
    replayed = recording.judged()
    assert replayed.verdict
    assert (replayed.verdict.live_since, replayed.verdict.at) == (5, 6)
