"""What is neither live nor failed: blocked, unknown, unsettled; and what would help."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_release.argocd.events import (
    Blind,
    Code,
    Event,
    Gone,
    RefreshUnanswered,
    Subject,
    SyncAnswer,
    TreeSeen,
    Verdict,
    Via,
    Want,
    WindowsSeen,
)
from plate_release.argocd.status import SyncWindows
from plate_release.argocd.verdict import Judge
from plate_release.model import Judgement
from tests.argocd.scenes import (
    APPLIED,
    BASE,
    BEFORE,
    DEGRADED,
    FAILED,
    FILE,
    FOUND,
    LIMITS,
    LIVE,
    NEW,
    NEW_SET,
    NO_DIFFERENCE,
    OLD,
    OURS,
    READY,
    REPOSITORY,
    SYNCING,
    THEIRS,
    UNREACHABLE,
    UNRENDERED,
    Scene,
    State,
    ended,
    pod,
    tree,
    waits,
)

# --- blocked --------------------------------------------------------------------------------------


BY_HAND = replace(FOUND, policy={})
DENY = SyncWindows.model_validate(
    {
        "activeWindows": [{"kind": "deny", "schedule": "* * * * *", "duration": "1h"}],
        "canSync": False,
    }
)
OPEN = SyncWindows(can_sync=True)
NOT_PERMITTED = SyncAnswer("permission denied: applications, sync, p/a", 403)


def test_automated_sync_that_is_off_blocks_after_half_a_minute() -> None:
    scene = Scene()
    scene.see(1, replace(BY_HAND, refresh=True))
    scene.see(2, BY_HAND)
    waits(scene.until(31.9))
    assert ended(scene.until(32)) == ("blocked", Code.AUTOSYNC_OFF)


def test_a_window_blocks_after_half_a_minute_and_says_when_it_opens() -> None:
    scene = Scene()
    scene.see(1, FOUND)
    scene.feed(20, WindowsSeen(DENY, opens="at 14:00"))
    waits(scene.until(30.9))
    step = scene.until(31)
    assert ended(step) == ("blocked", Code.SYNC_WINDOW)
    assert isinstance(step, Verdict)
    assert "it opens at 14:00" in step.reason


def test_an_allow_window_that_is_not_active_blocks_too() -> None:
    allow = {"kind": "allow", "schedule": "0 9 * * *", "duration": "1h", "manualSync": True}
    windows = SyncWindows.model_validate({"assignedWindows": [allow], "canSync": True})
    scene = Scene()
    scene.see(1, FOUND)
    scene.feed(2, WindowsSeen(windows))
    assert ended(scene.until(31)) == ("blocked", Code.SYNC_WINDOW)


def test_a_window_that_opens_while_we_watch_lets_it_go_on() -> None:
    scene = Scene()
    scene.see(1, FOUND)
    scene.feed(2, WindowsSeen(DENY))
    scene.see(20, SYNCING)
    scene.see(22, LIVE)
    assert ended(scene.until(52)) == ("live", Code.LIVE)


def test_an_operation_that_a_window_caught_is_blocked() -> None:
    scene = Scene()
    caught = replace(SYNCING, message="Sync operation blocked by sync window")
    scene.see(1, caught)
    waits(scene.until(30.9))
    assert ended(scene.until(31)) == ("blocked", Code.SYNC_WINDOW)


@pytest.mark.parametrize(
    ("state", "answer", "code"),
    [
        (FOUND, SyncAnswer("cannot sync: blocked by sync window", 403), Code.SYNC_WINDOW),
        (BY_HAND, NOT_PERMITTED, Code.SYNC_REFUSED),
    ],
)
def test_a_sync_that_is_refused_blocks_at_once(
    state: State, answer: SyncAnswer, code: Code
) -> None:
    scene = Scene()
    scene.see(1, state)
    assert ended(scene.feed(2, answer)) == ("blocked", code)


def test_a_sync_that_we_may_not_ask_for_blocks_only_where_it_is_needed() -> None:
    scene = Scene()
    scene.see(1, FOUND)
    scene.feed(2, NOT_PERMITTED)
    waits(scene.see(3, SYNCING))
    scene.see(4, LIVE)
    assert ended(scene.until(34)) == ("live", Code.LIVE)


def test_automated_sync_that_passed_ours_over_needs_the_sync_that_we_may_not_ask_for() -> None:
    scene = Scene()
    scene.see(1, FOUND)
    waits(scene.feed(2, NOT_PERMITTED))
    assert ended(scene.until(31)) == ("blocked", Code.SYNC_REFUSED)


@pytest.mark.parametrize(
    "answer",
    [
        SyncAnswer(None, 200),
        SyncAnswer("another operation is already in progress", 400),
        SyncAnswer("Bad Gateway", 502),
    ],
)
def test_a_sync_that_may_be_asked_again_blocks_nothing(answer: SyncAnswer) -> None:
    scene = Scene()
    scene.see(1, BY_HAND)
    scene.feed(25, answer)
    waits(scene.until(30.9))


def test_a_sync_that_was_accepted_gets_half_a_minute_of_its_own() -> None:
    scene = Scene()
    scene.see(1, BY_HAND)
    scene.feed(25, SyncAnswer(None, 200))
    scene.see(26, replace(BY_HAND, reconciled=26))
    waits(scene.until(54.9))
    assert ended(scene.until(55)) == ("blocked", Code.AUTOSYNC_OFF)


def test_an_invalid_spec_blocks() -> None:
    scene = Scene()
    scene.see(1, replace(BEFORE, conditions=(("InvalidSpecError", "cluster x is not there"),)))
    assert ended(scene.until(31)) == ("blocked", Code.INVALID_SPEC)


def test_an_application_that_was_deleted_is_blocked_not_failed() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.feed(2, Gone())
    scene.feed(20, Gone())
    waits(scene.until(31.9))
    assert ended(scene.until(32)) == ("blocked", Code.GONE)


def test_an_application_that_is_being_deleted_is_blocked() -> None:
    scene = Scene()
    scene.see(1, replace(APPLIED, deleted=True))
    assert ended(scene.until(31)) == ("blocked", Code.GONE)


def test_an_application_that_is_made_anew_is_judged_on() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.feed(5, Gone())
    scene.see(10, replace(SYNCING, uid="app-2"))
    scene.see(12, replace(LIVE, uid="app-2"))
    step = scene.until(42)
    assert isinstance(step, Verdict)
    assert (step.judgement, step.live_since) == (Judgement.LIVE, 12)


def test_a_stale_event_does_not_bring_a_deleted_application_back() -> None:
    scene = Scene()
    scene.see(1, LIVE, version=200)
    scene.feed(5, Gone())
    scene.see(6, LIVE, version=200)
    assert ended(scene.until(100)) == ("blocked", Code.GONE)


def test_drift_after_our_sync_is_not_what_holds_our_commit_back() -> None:
    scene = Scene()
    scene.see(1, replace(LIVE, policy={}))
    scene.see(10, replace(LIVE, sync="OutOfSync", policy={}))
    scene.feed(11, WindowsSeen(DENY))
    waits(scene.until(299.9))
    assert ended(scene.until(300)) == ("unsettled", Code.STILL_MOVING)


def test_drift_after_our_sync_is_not_undone_by_us() -> None:
    scene = Scene()
    scene.see(1, replace(LIVE, policy={}))
    scene.see(10, replace(LIVE, sync="OutOfSync", policy={}))
    scene.feed(11, WindowsSeen(OPEN))
    assert Want.SYNC not in waits(scene.until(60)).wants


def test_nothing_named_holds_a_commit_that_was_only_passed_over() -> None:
    scene = Scene()
    scene.see(1, FOUND)
    assert ended(scene.judge.close(200)) == ("unsettled", Code.STILL_MOVING)


# --- unknown, unsettled ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_not_being_let_in_for_a_minute_is_unknown(status: int) -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    for t, why in ((10, status), (30, None), (60, status)):
        scene.feed(t, Blind("no session information", why))
    waits(scene.until(69.9))
    assert ended(scene.until(70)) == ("unknown", Code.UNAUTHORIZED)


def test_another_answer_in_between_starts_the_minute_anew() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    for t, status in ((10, 401), (30, 502), (60, 401)):
        scene.feed(t, Blind("?", status))
    waits(scene.until(119.9))
    assert ended(scene.until(120)) == ("unknown", Code.UNAUTHORIZED)


def test_being_let_in_again_starts_the_minute_anew() -> None:
    scene = Scene()
    scene.feed(10, Blind("denied", 401))
    scene.see(50, APPLIED)
    scene.feed(60, Blind("denied", 401))
    waits(scene.until(119.9))
    assert ended(scene.until(120)) == ("unknown", Code.UNAUTHORIZED)


@pytest.mark.parametrize("status", [None, 429, 500, 502, 503, 504])
def test_nobody_answering_is_unknown_at_the_deadline(status: int | None) -> None:
    scene = Scene()
    scene.see(1, DEGRADED)
    scene.feed(2, Blind("Bad Gateway", status))
    scene.see(3, APPLIED)
    scene.feed(4, Blind("Bad Gateway", status))
    waits(scene.until(299.9))
    assert ended(scene.until(300)) == ("unknown", Code.UNREACHABLE)


@pytest.mark.parametrize(
    "message",
    [
        UNREACHABLE,
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "code = Unknown desc = failed to list refs: Get http://g/info/refs: connection refused",
        "code = Internal desc = Failed to fetch default: `git fetch origin` failed timeout",
        "code = Unknown desc = authentication required: Repository not found.",
        "code = Unknown desc = failed to get index: Get https://c/index.yaml: no such host",
        "error synchronizing cache state: Get https://10.0.0.1/version: i/o timeout",
    ],
)
def test_argo_cd_that_cannot_see_is_unknown_never_failed(message: str) -> None:
    scene = Scene()
    blind = replace(UNRENDERED, conditions=(("ComparisonError", message),))
    scene.see(1, blind)
    scene.see(2, replace(blind, reconciled=3), via=Via.REFRESH)
    waits(scene.until(299.9))
    assert ended(scene.until(300)) == ("unknown", Code.UNREACHABLE)


def test_a_controller_that_does_not_answer_is_unknown() -> None:
    scene = Scene()
    scene.see(1, replace(BEFORE, refresh=True))
    scene.feed(11, RefreshUnanswered())
    assert ended(scene.until(300)) == ("unknown", Code.UNSEEN)


def test_a_controller_that_dies_in_the_rollout_is_unknown() -> None:
    scene = Scene()
    scene.see(1, replace(APPLIED, refresh=True))
    scene.feed(11, RefreshUnanswered())
    assert ended(scene.until(300)) == ("unknown", Code.UNSEEN)


def test_a_refresh_that_was_done_after_all_is_no_blindness() -> None:
    scene = Scene()
    scene.feed(11, RefreshUnanswered())
    scene.see(12, APPLIED)
    assert ended(scene.until(300)) == ("unsettled", Code.STILL_MOVING)


def test_nothing_ever_seen_is_unknown() -> None:
    subject = Subject("server-prod", OURS, REPOSITORY, "main", FILE, (NEW,))
    judge = Judge(subject, LIMITS, start=0)
    step = waits(judge.tick(1))
    assert step.wants == {Want.REFRESH}
    assert ended(judge.tick(300)) == ("unknown", Code.UNSEEN)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (replace(APPLIED, health="Suspended"), Code.SUSPENDED),
        (APPLIED, Code.STILL_MOVING),
        (SYNCING, Code.STILL_MOVING),
        (BEFORE, Code.STILL_MOVING),
        (replace(APPLIED, health="Missing"), Code.STILL_MOVING),
    ],
)
def test_the_deadline_alone_is_never_a_failure(state: State, code: Code) -> None:
    scene = Scene()
    scene.see(1, state)
    waits(scene.until(299.9))
    step = scene.until(300)
    assert ended(step) == ("unsettled", code)
    assert isinstance(step, Verdict)
    assert step.at == 300


def test_a_rollout_that_goes_on_after_a_pause_is_live() -> None:
    scene = Scene()
    scene.see(1, replace(APPLIED, health="Suspended"))
    scene.see(100, LIVE)
    assert ended(scene.until(130)) == ("live", Code.LIVE)


# --- what is told late, twice, or out of order ----------------------------------------------------


def test_an_older_resource_version_is_ignored() -> None:
    scene = Scene()
    scene.see(1, LIVE, version=200)
    scene.see(2, BEFORE, version=150)
    assert ended(scene.until(31)) == ("live", Code.LIVE)


def test_the_end_of_a_recording_counts_as_the_soak() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    verdict = scene.judge.close(9)
    assert (verdict.judgement, verdict.live_since, verdict.at) == (Judgement.LIVE, 1, 9)


@pytest.mark.parametrize(
    ("event", "judgement"),
    [(Blind("refused"), "unknown"), (TreeSeen(tree(NEW_SET, pod("Error"))), "unsettled")],
)
def test_a_soak_that_ends_in_doubt_does_not_count(event: Event, judgement: str) -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.feed(8, event)
    assert scene.judge.close(9).judgement == judgement


def test_a_verdict_stays_whatever_comes_after() -> None:
    scene = Scene()
    verdict = scene.see(1, FAILED)
    assert scene.see(2, LIVE) == verdict
    assert scene.until(1000) == verdict
    assert scene.judge.close(2000) == verdict


def test_timers_fire_before_an_event_that_comes_later() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    step = scene.see(100, DEGRADED)
    assert isinstance(step, Verdict)
    assert (step.judgement, step.at) == (Judgement.LIVE, 31)


def test_the_time_to_look_again_is_told() -> None:
    scene = Scene()
    assert waits(scene.see(1, SYNCING)).look_again == 300
    assert waits(scene.tree(2, NEW_SET, pod("Error"))).look_again == 7
    assert waits(scene.tree(3, NEW_SET, READY)).look_again == 300
    assert waits(scene.see(4, LIVE)).look_again == 34


# --- what would help ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "wants"),
    [
        (BEFORE, {Want.REFRESH}),
        (FOUND, {Want.WINDOWS}),
        (BY_HAND, {Want.WINDOWS}),
        (SYNCING, {Want.TREE}),
        (APPLIED, {Want.TREE}),
        (LIVE, {Want.TREE}),
        (replace(LIVE, reconciled=2), {Want.TREE, Want.REFRESH}),
        (replace(LIVE, at=THEIRS), {Want.TREE}),
    ],
)
def test_what_would_help_is_asked_for(state: State, wants: set[Want]) -> None:
    assert waits(Scene().see(1, state)).wants == wants


@pytest.mark.parametrize(
    ("state", "windows", "after", "wanted"),
    [
        (BY_HAND, OPEN, 3, True),
        (BY_HAND, DENY, 3, False),
        (FOUND, OPEN, 3, False),
        (FOUND, OPEN, 31, True),
        (replace(FOUND, phase="Error", op_at=None, message="x"), OPEN, 3, True),
        (replace(FAILED, phase="Error", message=f"ComparisonError: {UNREACHABLE}"), OPEN, 3, True),
        (SYNCING, OPEN, 100, False),
        (BEFORE, OPEN, 100, False),
    ],
)
def test_a_sync_is_asked_for_where_automated_sync_does_not_and_no_window_forbids_it(
    state: State, windows: SyncWindows, after: float, wanted: bool
) -> None:
    scene = Scene()
    scene.see(1, state)
    scene.feed(2, WindowsSeen(windows))
    assert (Want.SYNC in waits(scene.until(after)).wants) is wanted


@pytest.mark.parametrize(
    ("reverts", "op_at", "wanted"),
    [(BASE, BASE, True), (BASE, OURS, False), (None, BASE, False)],
    ids=["a revert behind the bad commit", "the revert's own sync", "no revert"],
)
def test_an_operation_that_holds_a_revert_back_is_to_be_ended(
    reverts: str | None, op_at: str, wanted: bool
) -> None:
    scene = Scene(reverts=reverts)
    step = waits(scene.see(1, replace(SYNCING, op_at=op_at)))
    assert (Want.TERMINATE in step.wants) is wanted


# --- whatever comes -------------------------------------------------------------------------------

STATES = [
    BEFORE,
    FOUND,
    SYNCING,
    APPLIED,
    LIVE,
    NO_DIFFERENCE,
    DEGRADED,
    UNRENDERED,
    BY_HAND,
    replace(LIVE, at=THEIRS),
    replace(SYNCING, op_at=BASE),
    replace(LIVE, images=(OLD,)),
    replace(LIVE, refresh=True),
    replace(APPLIED, health="Suspended"),
]
TREES = [(NEW_SET, pod(reason, restarts=n)) for reason in ("Error", "Running") for n in range(3)]
happenings = st.one_of(
    st.sampled_from(STATES),
    st.sampled_from(TREES).map(lambda nodes: TreeSeen(tree(*nodes))),
    st.sampled_from(
        [
            Gone(),
            Blind("refused"),
            Blind("denied", 401),
            RefreshUnanswered(),
            WindowsSeen(DENY),
            WindowsSeen(OPEN),
            SyncAnswer(None, 200),
            SyncAnswer("another operation is already in progress", 400),
        ]
    ),
)


@given(st.lists(st.tuples(st.floats(0, 40), happenings), max_size=30))
def test_no_order_of_things_breaks_the_rules(story: list[tuple[float, State | Event]]) -> None:
    scene, now, states = Scene(), 0.0, [BEFORE]
    for pause, what in story:
        now += pause
        if isinstance(what, State):
            step = scene.see(now, what)
            states.append(what)
        else:
            step = scene.feed(now, what)
        if isinstance(step, Verdict):
            break
        assert step.look_again > now
    verdict = scene.judge.close(now + 1)
    assert verdict.at <= now + 1
    assert (verdict.live_since is not None) == (verdict.judgement is Judgement.LIVE)
    if verdict.live_since is not None:
        assert LIVE.images in {state.images for state in states}
        assert verdict.at in (verdict.live_since + LIMITS.soak, now + 1)
