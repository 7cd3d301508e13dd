"""Every recording of a real Argo CD is judged to its truth, and nothing else is ever said."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from plate_release.argocd.events import Code, Limits, Verdict
from plate_release.argocd.replay import Replayed, judge, replay
from plate_release.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "tests/recordings/argocd/recordings"
LIMITS = Limits(grace=5)
NOT_YET = ("unsettled", "unknown", "blocked")

# name, code, words of the reason, second of the verdict, second from which it was live
TRUTHS: list[tuple[str, Code | None, str, float, float | None]] = [
    ("bad-image", Code.POD_FAILED, "ImagePullBackOff for 5 s: rpc error", 8.09, None),
    ("bad-image-early-revert", Code.POD_FAILED, "ImagePullBackOff for 5 s", 10.078, None),
    ("busy", Code.TERMINATED, "terminated by hand", 3.09, None),
    ("controller-down", Code.LIVE, "Healthy", 34.933, 27.604),
    ("crash-after-ready", Code.POD_FAILED, "CrashLoopBackOff", 17.093, None),
    ("errors", None, "no release", 0, None),
    ("lifecycle", None, "no release", 0, None),
    ("manual-sync", Code.LIVE, "server:1.5.0", 17.273, 9.674),
    ("multi-source", Code.LIVE, "server:1.5.0", 13.539, 3.052),
    ("never-ready", Code.DEGRADED, "progress deadline", 66.309, None),
    ("never-synced", Code.AUTOSYNC_OFF, "automated sync is off", 30.424, None),
    ("no-difference", Code.NO_DIFFERENCE, "no difference", 14.545, 0.421),
    ("no-refresh", Code.LIVE, "server:1.5.0", 210.444, 203.438),
    ("overridden", Code.NO_EFFECT, "no effect: the image that runs is still 1.4.2", 5.948, None),
    ("paused", Code.SUSPENDED, "Suspended", 22.656, None),
    ("postsync-failed", Code.HOOK_FAILED, "PostSync hook failed", 121.907, None),
    ("postsync-ok", Code.LIVE, "server:1.5.0", 22.823, 12.788),
    ("prune-only", Code.LIVE, "server:1.5.0", 32.543, 3.152),
    ("render-failed", Code.RENDER_FAILED, "ComparisonError", 5.595, None),
    ("repo-server-down", Code.LIVE, "server:1.5.0", 50.611, 43.576),
    ("revert-after-terminate", Code.SYNC_FAILED, "sync failed", 2.671, None),
    ("revert-behind-retries", Code.SYNC_FAILED, "sync failed", 2.758, None),
    ("server-restart", Code.LIVE, "server:1.5.0-slow", 38.784, 31.77),
    ("slow", Code.LIVE, "server:1.5.0-slow", 107.0, 96.842),
    ("success", Code.LIVE, "server:1.5.0", 19.072, 5.006),
    ("superseded", Code.SUPERSEDED, "superseded by 8792d2d", 9.2, None),
    ("sync-failed", Code.SYNC_FAILED, "sync failed", 2.397, None),
    ("sync-window", Code.SYNC_WINDOW, "sync window", 9.779, None),
    ("unrelated-commit", Code.LIVE, "at 795fe57", 22.068, 4.297),
    ("wave-stuck", Code.POD_FAILED, "ImagePullBackOff", 14.086, None),
]
NAMES = [name for name, code, *_ in TRUTHS if code]
# Where only the pods, or only the answer to the sync, say in time what is wrong.
SAID_BY_PODS = ("bad-image", "bad-image-early-revert", "crash-after-ready", "wave-stuck")
SAID_BY_CALLS = ("sync-window",)


@cache
def lines(name: str) -> tuple[str, ...]:
    return tuple((RECORDINGS / f"{name}.jsonl").read_text().splitlines())


@cache
def rows(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(line) for line in lines(name))


def truth(name: str) -> dict[str, Any]:
    return dict(rows(name)[-1]["data"])


def said(verdict: Verdict | None) -> str | None:
    return verdict.judgement.value if verdict else None


def verdicts(replayed: Replayed) -> tuple[str | None, str | None]:
    return said(replayed.verdict), said(replayed.revert)


def true_verdicts(name: str) -> tuple[str | None, str | None]:
    return truth(name)["verdict"], truth(name).get("revert_verdict")


def test_every_recording_is_in_the_table() -> None:
    assert [name for name, *_ in TRUTHS] == sorted(p.stem for p in RECORDINGS.glob("*.jsonl"))


@pytest.mark.parametrize(("name", "code", "words", "at", "live_since"), TRUTHS)
def test_a_recording_is_judged_to_its_truth(
    name: str, code: Code | None, words: str, at: float, live_since: float | None
) -> None:
    replayed = replay(RECORDINGS / f"{name}.jsonl", LIMITS)
    assert verdicts(replayed) == true_verdicts(name)
    assert replayed.commit == truth(name).get("commit")
    assert words in replayed.reason
    assert not replayed.skipped
    if verdict := replayed.verdict:
        assert (verdict.code, verdict.by) == (code, truth(name).get("by"))
        assert (round(verdict.at, 3), verdict.live_since) == (at, live_since)


@pytest.mark.parametrize("name", NAMES)
def test_no_later_row_changes_a_verdict(name: str) -> None:
    whole = replay(RECORDINGS / f"{name}.jsonl", LIMITS)
    assert whole.verdict
    for count in range(2, len(lines(name)), max(1, len(lines(name)) // 20)):
        cut = judge(lines(name)[:count], LIMITS)
        if cut.verdict is None:
            assert not any(is_release(row) for row in rows(name)[:count])
        elif rows(name)[count - 1]["t"] > whole.verdict.at:
            assert cut.verdict == whole.verdict
        else:
            assert is_no_claim(cut.verdict) or said(cut.verdict) == said(whole.verdict)


def is_release(row: dict[str, Any]) -> bool:
    return bool(row["kind"] == "push" and row["data"]["role"] == "release")


def is_no_claim(verdict: Verdict) -> bool:
    """Whether it only says how the recording ended: a soak that was cut off counts as soaked."""
    since = verdict.live_since
    return said(verdict) in NOT_YET or (since is not None and verdict.at - since < LIMITS.soak)


def without(*kinds: str) -> Callable[[str], list[str]]:
    return lambda name: [
        line for line, row in zip(lines(name), rows(name), strict=True) if row["kind"] not in kinds
    ]


def twice(name: str) -> list[str]:
    return [line for line in lines(name) for _ in range(2)]


def repeated_later(name: str) -> list[str]:
    """Every Application is told again six rows later, when there is a newer one."""
    told = []
    for index, row in enumerate(rows(name)):
        told.append(lines(name)[index])
        stale = rows(name)[index - 6] if index >= 6 else {"kind": ""}
        if stale["kind"] in ("stream", "get"):
            told.append(json.dumps(stale | {"t": row["t"]}))
    return told


def with_unknown_fields(name: str) -> list[str]:
    def add(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: add(inner) for key, inner in value.items()} | {"surprise": "new"}
        return [add(inner) for inner in value] if isinstance(value, list) else value

    known = ("stream", "get", "tree")
    return [
        json.dumps(row | {"data": add(row["data"])} if row["kind"] in known else row)
        for row in rows(name)
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "told",
    [without("get"), without("stream"), twice, repeated_later, with_unknown_fields],
    ids=["no GET", "no stream", "everything twice", "stale events later", "unknown fields"],
)
def test_what_is_told_in_another_way_is_judged_alike(
    name: str, told: Callable[[str], list[str]]
) -> None:
    assert verdicts(judge(told(name), LIMITS)) == true_verdicts(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("kinds", "needed_by"),
    [
        (("tree",), SAID_BY_PODS),
        (("call",), SAID_BY_CALLS),
        (("tree", "call", "get"), SAID_BY_PODS + SAID_BY_CALLS),
        (("tree", "call", "stream"), SAID_BY_PODS + SAID_BY_CALLS),
    ],
    ids=["no tree", "no call", "stream alone", "GET alone"],
)
def test_what_was_not_seen_is_never_guessed(
    name: str, kinds: tuple[str, ...], needed_by: tuple[str, ...]
) -> None:
    release, revert = verdicts(judge(without(*kinds)(name), LIMITS))
    true_release, true_revert = true_verdicts(name)
    assert release == ("unsettled" if name in needed_by else true_release)
    assert revert == true_revert


def test_the_soak_ends_the_watch_where_the_recording_is_long_enough() -> None:
    replayed = replay(RECORDINGS / "success.jsonl", Limits(grace=5, soak=10))
    assert replayed.verdict
    assert (replayed.verdict.live_since, replayed.verdict.at) == (5.006, 15.006)


def test_the_timeout_ends_what_is_still_moving() -> None:
    replayed = replay(RECORDINGS / "slow.jsonl", Limits(grace=5, timeout=20))
    assert replayed.verdict
    assert (said(replayed.verdict), replayed.verdict.at) == ("unsettled", 20.09)


def test_the_timeout_does_not_cut_off_a_soak_that_has_begun() -> None:
    replayed = replay(RECORDINGS / "success.jsonl", Limits(grace=5, soak=10, timeout=8))
    assert (said(replayed.verdict), replayed.verdict and replayed.verdict.at) == ("live", 15.006)


def test_a_longer_grace_waits_longer() -> None:
    replayed = replay(RECORDINGS / "bad-image.jsonl", Limits(grace=20))
    assert replayed.verdict
    assert round(replayed.verdict.at, 3) == 23.09
    assert "for 20 s" in replayed.reason


def test_a_line_that_is_cut_off_is_named_and_left_out() -> None:
    cut = [*lines("success"), '{"t": 20.1, "kind": "str']
    replayed = judge(cut, LIMITS)
    assert said(replayed.verdict) == "live"
    assert replayed.skipped[0].startswith(f"line {len(cut)} is no row")


@pytest.mark.parametrize("text", ["", "\n\n", "<html></html>\n", "[]\n", "{}\n"])
def test_a_file_without_any_row_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text(text)
    with pytest.raises(UsageError, match=r"other\.jsonl holds no row"):
        replay(file, LIMITS)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        replay(tmp_path / "none.jsonl", LIMITS)
