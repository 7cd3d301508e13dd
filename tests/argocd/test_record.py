"""What a watch saw, written so that anybody can replay it, and nothing secret in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plate_release.argocd.events import Blind, Limits, Seen, Subject, Verdict, Via
from plate_release.argocd.record import Recorded, Recorder, recording_file
from plate_release.argocd.recording import Push, events, rows
from plate_release.argocd.replay import replay
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.verdict import Judge
from plate_release.errors import UsageError
from plate_release.model import Secret

LIMITS = Limits(grace=5)


def recorded_again(recording: Path, into: Path) -> Verdict:
    """Judge the release of a recording while a recorder listens, and return its verdict."""
    applications: list[LiveApplication] = []
    trees: list[Any] = []
    judge: Recorded[Verdict] | None = None
    with Recorder(into, 0.0) as recorder:
        for row in rows(recording.read_bytes().splitlines(), []):
            if row.kind == "push" and judge is None:
                push = Push.model_validate(row.data)
                subject = subject_of(push, applications[-1], trees[-1])
                recorder.scenario(subject, push.parent)
                recorder.pushed(row.t, subject, push.set["tag"])
                judge = Recorded(Judge(subject, LIMITS, row.t), recorder)
            for event in events(row):
                if judge is not None:
                    step = judge.feed(row.t, event)
                    if isinstance(step, Verdict):
                        return step
                elif isinstance(event, Seen):
                    applications.append(event.application)
                elif row.kind == "tree":
                    trees.append(event.tree)  # type: ignore[union-attr]
        assert judge is not None
        end = judge.tick(row.t + LIMITS.soak)
    assert isinstance(end, Verdict)
    return end


def subject_of(push: Push, before: LiveApplication, tree: Any) -> Subject:
    source = before.spec.all_sources[0]
    (image,) = (i for i in before.status.summary.images if "/server:" in i)
    return Subject(
        application=before.name,
        commit=push.commit,
        repository=source.repo_url,
        branch=source.target_revision,
        file=push.files[0],
        images=(f"{image.rpartition(':')[0]}:{push.set['tag']}",),
        before=before,
        tree_before=tree,
    )


@pytest.mark.parametrize(
    "name",
    ["success", "bad-image", "sync-failed", "overridden", "server-restart", "multi-source"],
)
def test_what_was_recorded_replays_to_the_same_verdict(
    recordings: Path, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "recording.jsonl"
    verdict = recorded_again(recordings / f"{name}.jsonl", file)
    again = replay(file, LIMITS)
    assert again.verdict is not None
    assert not again.skipped
    assert again.verdict.judgement is verdict.judgement
    assert again.verdict.code is verdict.code
    assert again.verdict.reason == verdict.reason
    if verdict.live_since is None:
        assert again.verdict.at == pytest.approx(verdict.at, abs=0.001)
    else:
        assert again.verdict.live_since == pytest.approx(verdict.live_since, abs=0.001)


@pytest.fixture
def application(recordings: Path) -> Callable[..., LiveApplication]:
    lines = (recordings / "overridden.jsonl").read_bytes().splitlines()
    data = next(json.loads(line)["data"] for line in lines if b'"kind":"get"' in line)

    def make(**changes: Any) -> LiveApplication:
        return LiveApplication.model_validate({**data, **changes})

    return make


def test_nothing_secret_is_written(tmp_path: Path, application: Any) -> None:
    source = {
        "repoURL": "https://robot:url-pass@git.example.com/r.git",
        "helm": {
            "values": "password: values-pass",
            "valuesObject": {"password": "object-pass"},
            "parameters": [{"name": "db.password", "value": "parameter-pass"}],
            "valueFiles": ["values-prod.yaml"],
        },
        "plugin": {"env": [{"name": "TOKEN", "value": "plugin-pass"}]},
    }
    noted = {"name": "a", "annotations": {"last-applied": "annotation-pass"}}
    seen = application(
        metadata=noted,
        spec={"source": source},
        status={"conditions": [{"type": "X", "message": "Bearer eyJhbGciOiJI.e30.sig our-pass"}]},
    )
    file = tmp_path / "recording.jsonl"
    with Recorder(file, 0.0, [Secret("our-pass")]) as recorder:
        recorder.saw(1.0, Seen(seen, Via.GET))
        recorder.saw(2.0, Blind("no answer, token ghp_abcdefghijklmnop1234"))
    text = file.read_text()
    assert "pass" not in text.replace("password", "").replace("db.", "")
    assert "eyJ" not in text
    assert "ghp_" not in text
    (seen_again, _) = (e for row in rows(text.splitlines(), []) for e in events(row))
    assert isinstance(seen_again, Seen)
    assert seen_again.application.spec.all_sources[0].helm is not None
    assert seen_again.application.spec.all_sources[0].helm.value_files == ("values-prod.yaml",)


def test_equal_values_stay_equal_and_others_do_not(tmp_path: Path, application: Any) -> None:
    def sources(compared: str) -> LiveApplication:
        mine = {"helm": {"values": "a: 1"}}
        theirs = {"helm": {"values": compared}}
        sync = {"comparedTo": {"source": theirs}}
        return application(spec={"source": mine}, status={"sync": sync})  # type: ignore[no-any-return]

    file = tmp_path / "recording.jsonl"
    with Recorder(file, 0.0) as recorder:
        recorder.saw(1.0, Seen(sources("a: 1"), Via.GET))
        recorder.saw(2.0, Seen(sources("a: 2"), Via.GET))
    seen = [e for row in rows(file.read_text().splitlines(), []) for e in events(row)]
    assert [e.application.compared_with_spec for e in seen if isinstance(e, Seen)] == [True, False]


def test_a_read_that_repeats_is_written_once_and_again_after_a_blindness(
    tmp_path: Path, application: Any
) -> None:
    file = tmp_path / "recording.jsonl"
    seen = Seen(application(), Via.GET)
    with Recorder(file, 10.0) as recorder:
        for t, event in ((10.5, seen), (11, seen), (12, Blind("down")), (13, seen)):
            recorder.saw(t, event)
    written = [(row.t, row.kind) for row in rows(file.read_text().splitlines(), [])]
    assert written == [(0.5, "get"), (2, "get"), (3, "get")]


def test_several_applications_have_a_file_each() -> None:
    file = Path("out/seen.jsonl")
    assert recording_file(file, "plate-api-prod", several=False) == file
    assert recording_file(file, "plate-api-prod", several=True).name == "seen-plate-api-prod.jsonl"
    assert recording_file(file, "../x", several=True) == Path("out/seen-.._x.jsonl")


def test_a_file_that_cannot_be_written_is_said_before_anything_happens(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        Recorder(tmp_path / "none" / "recording.jsonl", 0.0)
