"""What is concluded while nobody answers, and when somebody answers again: nothing too early."""

from dataclasses import replace

import pytest

from plate_release.argocd.events import Blind, Code, Gone, RefreshUnanswered
from tests.argocd.scenes import (
    APPLIED,
    DEGRADED,
    FOUND,
    LIVE,
    NEW_SET,
    NO_DIFFERENCE,
    READY,
    UNRENDERED,
    Scene,
    State,
    ended,
    pod,
    waits,
)

BY_HAND = replace(FOUND, policy={})
DARK = [Blind("refused"), RefreshUnanswered()]


@pytest.mark.parametrize("state", [DEGRADED, UNRENDERED, NO_DIFFERENCE, BY_HAND])
def test_what_may_have_passed_unseen_is_no_verdict(state: State) -> None:
    scene = Scene()
    scene.see(1, state)
    scene.feed(2, Blind("refused"))
    waits(scene.until(60))
    waits(scene.see(61, APPLIED))


@pytest.mark.parametrize("state", [DEGRADED, UNRENDERED, NO_DIFFERENCE, BY_HAND])
def test_what_goes_on_when_somebody_answers_again_has_lasted(state: State) -> None:
    scene = Scene()
    scene.see(1, state)
    scene.feed(2, Blind("refused"))
    waits(scene.until(60))
    assert ended(scene.see(61, state))[0] in ("failed", "blocked")


def test_a_controller_that_does_not_answer_leaves_what_was_seen_in_doubt() -> None:
    scene = Scene()
    scene.see(1, replace(DEGRADED, refresh=True))
    scene.feed(2, RefreshUnanswered())
    waits(scene.until(60))
    assert ended(scene.see(61, DEGRADED)) == ("failed", Code.DEGRADED)


@pytest.mark.parametrize("dark", DARK)
def test_a_pod_that_became_ready_unseen_does_not_fail(dark: Blind | RefreshUnanswered) -> None:
    scene = Scene()
    scene.see(1, replace(APPLIED, refresh=True))
    scene.tree(2, NEW_SET, pod("ErrImagePull"))
    scene.feed(3, dark)
    waits(scene.until(60))
    waits(scene.tree(61, NEW_SET, READY))
    waits(scene.see(62, LIVE))
    assert ended(scene.until(92)) == ("live", Code.LIVE)


def test_a_pod_is_looked_at_again_before_it_fails() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, pod("ErrImagePull"))
    scene.feed(3, Blind("refused"))
    waits(scene.see(20, LIVE))
    scene.tree(21, NEW_SET, READY)
    assert ended(scene.until(50)) == ("live", Code.LIVE)


def test_a_pod_that_still_fails_when_it_is_seen_again_has_used_up_its_grace() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, pod("ErrImagePull"))
    scene.feed(3, Blind("refused"))
    waits(scene.see(20, APPLIED))
    assert ended(scene.tree(21, NEW_SET, pod("ImagePullBackOff"))) == ("failed", Code.POD_FAILED)


def test_a_pod_that_is_not_seen_again_fails_after_another_grace() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, pod("ErrImagePull"))
    scene.feed(3, Blind("refused"))
    scene.see(20, APPLIED)
    waits(scene.until(24.9))
    assert ended(scene.until(25)) == ("failed", Code.POD_FAILED)


def test_live_waits_for_the_controller() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(20, replace(LIVE, refresh=True))
    scene.feed(25, RefreshUnanswered())
    waits(scene.until(60))
    assert ended(scene.see(61, LIVE)) == ("live", Code.LIVE)


def test_a_refresh_that_was_done_though_its_answer_was_lost_leaves_nothing_in_doubt() -> None:
    scene = Scene()
    scene.see(1, replace(LIVE, refresh=True))
    scene.see(2, LIVE)
    scene.feed(11, RefreshUnanswered())
    assert ended(scene.until(32)) == ("live", Code.LIVE)


def test_a_soak_that_ends_with_a_controller_that_does_not_answer_is_unknown() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(20, replace(LIVE, refresh=True))
    scene.feed(25, RefreshUnanswered())
    assert ended(scene.judge.close(29)) == ("unknown", Code.UNSEEN)


@pytest.mark.parametrize("state", [DEGRADED, UNRENDERED, NO_DIFFERENCE, BY_HAND, LIVE])
def test_nothing_that_a_deleted_application_said_goes_on(state: State) -> None:
    scene = Scene()
    scene.see(1, state)
    scene.tree(2, NEW_SET, pod("ErrImagePull"))
    scene.feed(3, Gone())
    waits(scene.until(32.9))
    assert ended(scene.until(33)) == ("blocked", Code.GONE)
