"""When a commit is live, whose commit it is, and when another one supersedes it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from plate_release.argocd.events import (
    Blind,
    Code,
    Revision,
    Seen,
    Verdict,
    Via,
    WhatIs,
)
from plate_release.argocd.status import LiveApplication
from plate_release.model import Judgement
from tests.argocd.scenes import (
    APPLIED,
    BASE,
    BEFORE,
    FAILED,
    FILE,
    FOUND,
    HELM,
    LINEAGE,
    LIVE,
    NEW,
    NEW_SET,
    NEWER,
    NO_DIFFERENCE,
    OLD,
    OLD_POD,
    OLD_SET,
    OTHER,
    OURS,
    READY,
    REPOSITORY,
    SOURCE,
    SYNCING,
    THEIRS,
    Scene,
    State,
    ended,
    pod,
    replica_set,
    tree,
    waits,
)

# --- live -----------------------------------------------------------------------------------------


def test_live_is_what_stays_live_for_the_soak() -> None:
    scene = Scene()
    for t, state in enumerate((BEFORE, FOUND, SYNCING, APPLIED, LIVE), start=1):
        waits(scene.see(t, state))
    waits(scene.until(34.9))
    step = scene.until(35)
    assert ended(step) == ("live", Code.LIVE)
    assert isinstance(step, Verdict)
    assert (step.live_since, step.at) == (5, 35)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(BEFORE, id="the old Synced and Healthy"),
        pytest.param(replace(BEFORE, at="main", sync="Unknown"), id="no commit named"),
        pytest.param(replace(SYNCING, sync="Synced"), id="the operation still runs"),
        pytest.param(replace(LIVE, refresh=True), id="a refresh is under way"),
        pytest.param(replace(LIVE, phase="", busy=True), id="an operation is about to run"),
        pytest.param(
            replace(NO_DIFFERENCE, images=(NEW,), op_at="e" * 40),
            id="the last operation's commit is not understood yet",
        ),
        pytest.param(replace(LIVE, reconciled=2), id="compared before the operation ended"),
        pytest.param(replace(LIVE, health="Progressing"), id="not healthy yet"),
        pytest.param(replace(LIVE, health="Missing"), id="missing"),
        pytest.param(replace(LIVE, sync="OutOfSync"), id="out of sync"),
        pytest.param(replace(LIVE, images=()), id="no image runs"),
        pytest.param(replace(LIVE, at=BASE), id="at the commit before"),
        pytest.param(replace(LIVE, at="e" * 40), id="at a commit nobody knows"),
        pytest.param(replace(LIVE, compared=({**SOURCE, "path": "x"},)), id="of another spec"),
        pytest.param(replace(LIVE, conditions=(("UnknownError", "?"),)), id="an error"),
        pytest.param(replace(NO_DIFFERENCE, images=(NEW,), refresh=True), id="no difference yet"),
    ],
)
def test_what_only_looks_live_is_not(state: State) -> None:
    scene = Scene()
    scene.see(1, state)
    assert ended(scene.judge.close(2))[0] != "live"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        pytest.param(LIVE, Code.LIVE, id="synced by its operation"),
        pytest.param(replace(LIVE, images=(OLD, NEW)), Code.LIVE, id="the old image lingers"),
        pytest.param(replace(LIVE, reconciled=9), Code.LIVE, id="compared later"),
        pytest.param(replace(LIVE, finished=None), Code.LIVE, id="no end written"),
        pytest.param(replace(LIVE, at=THEIRS, op_at=THEIRS), Code.LIVE, id="a descendant"),
        pytest.param(replace(LIVE, at=THEIRS), Code.LIVE, id="a descendant without difference"),
        pytest.param(replace(NO_DIFFERENCE, images=(NEW,)), Code.NO_DIFFERENCE, id="no difference"),
        pytest.param(
            replace(LIVE, conditions=(("OrphanedResourceWarning", "1"),)), Code.LIVE, id="a warning"
        ),
        pytest.param(
            replace(LIVE, images=(), results=({"kind": "Deployment", "images": [NEW]},)),
            Code.LIVE,
            id="scaled to zero",
        ),
        pytest.param(
            replace(
                LIVE,
                sync="OutOfSync",
                resources=(
                    {"kind": "ConfigMap", "status": "OutOfSync", "requiresPruning": True},
                    {"kind": "Deployment", "status": "Synced"},
                ),
            ),
            Code.LIVE,
            id="nothing but objects to prune is out of sync",
        ),
        pytest.param(replace(LIVE, compared=({},)), Code.LIVE, id="no word of what was compared"),
    ],
)
def test_live_in_every_way(state: State, code: Code) -> None:
    scene = Scene()
    scene.see(1, state)
    assert ended(scene.until(31)) == ("live", code)


def test_out_of_sync_is_live_only_where_all_of_it_is_to_be_pruned() -> None:
    resources = (
        {"kind": "ConfigMap", "status": "OutOfSync", "requiresPruning": True},
        {"kind": "Deployment", "status": "OutOfSync"},
    )
    scene = Scene()
    scene.see(1, replace(LIVE, sync="OutOfSync", resources=resources))
    waits(scene.until(100))


@pytest.mark.parametrize(
    ("prune", "judgement"), [(False, "live"), (True, "unsettled")], ids=["never", "about to be"]
)
def test_no_difference_but_an_object_to_prune(prune: bool, judgement: str) -> None:
    left = {"kind": "ConfigMap", "status": "OutOfSync", "requiresPruning": True}
    scene = Scene()
    state = replace(NO_DIFFERENCE, sync="OutOfSync", resources=(left,), images=(NEW,))
    scene.see(1, replace(state, policy={"automated": {"prune": prune}}))
    assert ended(scene.judge.close(9))[0] == judgement


def test_a_hold_that_is_broken_begins_again() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(20, replace(LIVE, health="Progressing"))
    scene.see(25, LIVE)
    waits(scene.until(50))
    step = scene.until(55)
    assert isinstance(step, Verdict)
    assert step.live_since == 25


@pytest.mark.parametrize(
    "between",
    [
        replace(LIVE, refresh=True),
        replace(LIVE, sync="OutOfSync", reconciled=9),
        replace(LIVE, sync="OutOfSync", busy=True, phase="Running", finished=None),
        replace(LIVE, finished=20),
    ],
    ids=["a refresh", "drift", "a self-heal", "a self-heal that has just ended"],
)
def test_a_refresh_and_a_self_heal_do_not_break_the_hold(between: State) -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(10, between)
    scene.see(12, LIVE)
    step = scene.until(31)
    assert isinstance(step, Verdict)
    assert (step.judgement, step.live_since) == (Judgement.LIVE, 1)


def test_a_self_heal_of_a_descendant_does_not_break_the_hold_either() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    theirs = replace(LIVE, at=THEIRS, op_at=THEIRS)
    scene.see(5, replace(LIVE, at=THEIRS))
    scene.see(10, replace(theirs, sync="OutOfSync", busy=True, phase="Running", finished=None))
    scene.see(12, theirs)
    step = scene.until(31)
    assert isinstance(step, Verdict)
    assert (step.judgement, step.live_since) == (Judgement.LIVE, 1)


def test_a_commit_about_which_git_is_still_asked_does_not_break_the_hold() -> None:
    scene = Scene()
    scene.lineage = {BASE: LINEAGE[BASE]}
    scene.see(1, LIVE)
    scene.see(30, replace(LIVE, at=THEIRS))
    waits(scene.until(40))
    step = scene.feed(41, LINEAGE[THEIRS])
    assert isinstance(step, Verdict)
    assert (step.judgement, step.live_since, step.at) == (Judgement.LIVE, 1, 41)


def test_the_sync_of_a_descendant_begins_the_hold_anew() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(10, replace(LIVE, at=THEIRS, sync="OutOfSync"))
    scene.see(12, replace(LIVE, at=THEIRS, op_at=THEIRS))
    step = scene.until(42)
    assert isinstance(step, Verdict)
    assert (step.judgement, step.live_since) == (Judgement.LIVE, 12)


def test_drift_that_nobody_heals_breaks_the_hold() -> None:
    scene = Scene()
    manual = replace(LIVE, policy={"automated": {}})
    scene.see(1, manual)
    scene.see(10, replace(manual, sync="OutOfSync"))
    waits(scene.until(100))
    assert ended(scene.judge.close(101)) == ("unsettled", Code.STILL_MOVING)


def test_live_waits_for_the_end_of_a_self_heal() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(29, replace(LIVE, sync="OutOfSync", busy=True, phase="Running", finished=None))
    waits(scene.until(40))
    assert ended(scene.see(41, LIVE)) == ("live", Code.LIVE)


def test_live_is_not_said_while_nobody_answers() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.feed(20, Blind("refused"))
    waits(scene.until(40))
    assert ended(scene.see(41, LIVE, via=Via.GET)) == ("live", Code.LIVE)


def test_a_tree_that_is_answered_ends_blindness() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.feed(20, Blind("refused"))
    scene.tree(25, NEW_SET, READY)
    assert ended(scene.until(31)) == ("live", Code.LIVE)


def test_a_deadline_within_the_soak_lets_it_end() -> None:
    scene = Scene()
    scene.see(290, LIVE)
    waits(scene.until(310))
    assert ended(scene.until(320)) == ("live", Code.LIVE)


def test_a_soak_that_breaks_after_the_deadline_is_unsettled() -> None:
    scene = Scene()
    scene.see(290, LIVE)
    step = scene.see(310, replace(LIVE, health="Progressing"))
    assert ended(step) == ("unsettled", Code.STILL_MOVING)


def test_another_repository_in_the_pods_does_not_matter() -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, replace(LIVE, images=(NEW, "reg/proxy:1")))
    scene.tree(2, OLD_SET, NEW_SET, READY, pod("Running", "reg/proxy:1", name="proxy", ready=True))
    assert ended(scene.until(31)) == ("live", Code.LIVE)


def test_a_new_pod_with_another_tag_is_not_ours() -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, APPLIED)
    scene.tree(2, OLD_SET, NEW_SET, pod("Running", OTHER, ready=True))
    scene.see(3, replace(LIVE, images=(NEW, OTHER)))
    assert ended(scene.until(100)) == ("failed", Code.NO_EFFECT)


CRON_JOB = {"kind": "Job", "uid": "job-1", "parentRefs": [{"kind": "CronJob", "uid": "cron"}]}
RAN = pod("Completed", OLD, of=("Job", "job-1"), ready=True)


def applied(image: str) -> tuple[Mapping[str, Any], ...]:
    return ({"kind": "CronJob", "name": "nightly", "status": "Synced", "images": [image]},)


def test_what_a_job_ran_last_time_is_not_what_it_will_run() -> None:
    scene = Scene(tree_before=tree(CRON_JOB, RAN))
    scene.see(1, replace(LIVE, images=(OLD,), results=applied(NEW)))
    scene.tree(2, CRON_JOB, RAN)
    assert ended(scene.until(31)) == ("live", Code.LIVE)


@pytest.mark.parametrize(
    ("image", "end"),
    [(OLD, ("live", Code.NO_DIFFERENCE)), (NEW, ("failed", Code.NO_EFFECT))],
)
def test_where_nothing_runs_what_was_applied_last_counts(image: str, end: tuple[str, Code]) -> None:
    scene = Scene(images=(image,))
    scene.see(1, replace(NO_DIFFERENCE, images=(), results=applied(OLD)))
    assert ended(scene.until(40)) == end


def test_of_two_sets_without_a_revision_the_one_made_last_is_the_newest() -> None:
    first, last = ({**replica_set(name, 0), "info": []} for name in ("z", "a"))
    first["createdAt"], last["createdAt"] = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, first, last, pod("CrashLoopBackOff", of=("ReplicaSet", "z")))
    waits(scene.until(60))
    scene.tree(61, first, last, pod("CrashLoopBackOff", of=("ReplicaSet", "a")))
    assert ended(scene.until(66)) == ("failed", Code.POD_FAILED)


def test_old_pods_do_not_matter() -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, replace(LIVE, images=(OLD, NEW)))
    going = {**OLD_POD, "info": [{"name": "Status Reason", "value": "Terminating"}]}
    scene.tree(2, OLD_SET, NEW_SET, going, READY)
    assert ended(scene.until(31)) == ("live", Code.LIVE)


# --- which revision is ours -----------------------------------------------------------------------


VALUES = {"repoURL": REPOSITORY, "targetRevision": "main", "ref": "values"}
CHART = {
    "repoURL": "https://charts.example.com",
    "chart": "server",
    "targetRevision": "1.2.3",
    "helm": {"valueFiles": [f"$values/{FILE}"]},
}


@pytest.mark.parametrize(
    ("sources", "at", "judgement"),
    [
        ((CHART, VALUES), ("1.2.3", OURS), "live"),
        ((CHART, VALUES), (OURS, BASE), "unsettled"),
        ((VALUES, CHART), (OURS, "1.2.3"), "live"),
        ((CHART, VALUES), (), "unsettled"),
        ((CHART, VALUES), ("1.2.3",), "unsettled"),
        (({**SOURCE, "targetRevision": "HEAD"},), OURS, "live"),
        (({**SOURCE, "targetRevision": "release-1"},), OURS, "blocked"),
        (({**SOURCE, "repoURL": "git@git.example.com:gitops"},), OURS, "live"),
        (({**SOURCE, "repoURL": "https://other.example.com/x"},), OURS, "blocked"),
    ],
)
def test_the_revision_of_our_source_counts(
    sources: tuple[Mapping[str, Any], ...], at: str | tuple[str, ...], judgement: str
) -> None:
    scene = Scene()
    scene.see(1, replace(NO_DIFFERENCE, sources=sources, at=at, images=(NEW,)))
    assert ended(scene.judge.close(2))[0] == judgement


def test_an_application_that_no_longer_follows_us_is_blocked() -> None:
    scene = Scene()
    scene.see(1, replace(LIVE, sources=({**SOURCE, "targetRevision": "other"},)))
    step = scene.until(31)
    assert ended(step) == ("blocked", Code.OTHER_SOURCE)


HYDRATED = "f" * 40


def hydrated(state: State, dry: str, **run: str) -> State:
    done = {"drySHA": dry, "hydratedSHA": HYDRATED}
    return replace(
        state, extra={"sourceHydrator": {"lastSuccessfulOperation": done, "currentOperation": run}}
    )


class Hydrating(Scene):
    """An Application whose source hydrator renders our commit into another."""

    spec: ClassVar[Mapping[str, Any]] = {"sourceHydrator": {"drySource": {"repoURL": REPOSITORY}}}


@pytest.mark.parametrize(("dry", "judgement"), [(OURS, "live"), (BASE, "unsettled")])
def test_a_hydrated_commit_stands_for_its_dry_one(dry: str, judgement: str) -> None:
    scene = Hydrating()
    scene.see(1, hydrated(replace(LIVE, at=HYDRATED, op_at=HYDRATED), dry))
    assert ended(scene.judge.close(2))[0] == judgement


def test_our_commit_that_cannot_be_hydrated_failed() -> None:
    scene = Hydrating()
    scene.see(1, hydrated(BEFORE, BASE, phase="Failed", drySHA=OURS, message=HELM))
    assert ended(scene.until(6)) == ("failed", Code.RENDER_FAILED)


def test_another_commit_that_cannot_be_hydrated_is_nothing_to_us() -> None:
    scene = Hydrating()
    scene.see(1, hydrated(BEFORE, BASE, phase="Failed", drySHA=BASE, message=HELM))
    waits(scene.until(100))


# --- superseded -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        replace(FOUND, at=NEWER),
        replace(LIVE, at=NEWER, images=(OTHER,)),
        replace(BEFORE, phase="", op_at=NEWER, busy=True),
        replace(FAILED, at=NEWER, op_at=NEWER),
    ],
    ids=["found", "live there", "about to be synced", "failed there"],
)
@pytest.mark.parametrize("was_live", [True, False])
def test_superseded_is_where_argo_cd_holds_another_value(state: State, was_live: bool) -> None:
    scene = Scene()
    scene.see(1, LIVE if was_live else APPLIED)
    step = scene.see(2, state)
    assert ended(step) == ("superseded", Code.SUPERSEDED)
    assert isinstance(step, Verdict)
    assert step.by == NEWER


def test_the_mere_push_of_another_value_does_not_supersede() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.feed(2, LINEAGE[NEWER])
    assert ended(scene.until(31)) == ("live", Code.LIVE)


def test_nothing_is_said_of_a_commit_before_git_has_answered() -> None:
    scene = Scene()
    scene.lineage = {BASE: LINEAGE[BASE]}
    step = waits(scene.see(1, replace(LIVE, at=NEWER, op_at=NEWER)))
    assert WhatIs(NEWER) in step.wants
    assert ended(scene.feed(2, LINEAGE[NEWER])) == ("superseded", Code.SUPERSEDED)


def test_git_that_could_not_say_is_asked_again() -> None:
    scene = Scene()
    scene.lineage = {}
    scene.see(1, LIVE)
    scene.see(20, replace(LIVE, at=THEIRS))
    step = waits(scene.feed(21, Revision(THEIRS, contains=None, holds=None)))
    assert WhatIs(THEIRS) in step.wants
    step = waits(scene.feed(26, Revision(THEIRS, contains=True, holds=None)))
    assert WhatIs(THEIRS) in step.wants
    waits(scene.until(40))
    assert ended(scene.feed(41, LINEAGE[THEIRS])) == ("live", Code.LIVE)


def test_an_old_operation_that_git_knows_nothing_of_does_not_keep_us_waiting() -> None:
    scene = Scene()
    scene.lineage = {"e" * 40: Revision("e" * 40, contains=None, holds=None)}
    state = replace(NO_DIFFERENCE, op_at="e" * 40, images=(NEW,))
    waits(scene.judge.feed(1, Seen(LiveApplication.model_validate(state.json(200)), Via.GET)))
    waits(scene.judge.feed(2, scene.lineage["e" * 40]))
    assert ended(scene.until(32)) == ("live", Code.NO_DIFFERENCE)


def test_the_commits_of_before_are_not_asked_about() -> None:
    scene = Scene()
    scene.lineage = {}
    assert not any(isinstance(want, WhatIs) for want in waits(scene.see(1, BEFORE)).wants)


# --- the soak -------------------------------------------------------------------------------------


def soaking(scene: Scene) -> None:
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, READY)
    scene.see(3, LIVE)


def test_the_first_restart_begins_the_soak_anew() -> None:
    scene = Scene()
    soaking(scene)
    scene.tree(20, NEW_SET, pod(ready=True, restarts=1))
    waits(scene.until(49))
    step = scene.until(50)
    assert isinstance(step, Verdict)
    assert (step.judgement, step.live_since) == (Judgement.LIVE, 20)


def test_a_second_restart_fails() -> None:
    scene = Scene()
    soaking(scene)
    scene.tree(20, NEW_SET, pod(ready=True, restarts=1))
    step = scene.tree(40, NEW_SET, pod(ready=True, restarts=2))
    assert ended(step) == ("failed", Code.RESTARTED)


def test_a_restart_that_breaks_health_counts_as_the_first() -> None:
    scene = Scene()
    soaking(scene)
    scene.see(10, APPLIED)
    scene.tree(11, NEW_SET, pod(restarts=1))
    scene.see(13, LIVE)
    scene.tree(14, NEW_SET, pod(ready=True, restarts=1))
    assert ended(scene.tree(20, NEW_SET, pod(restarts=2))) == ("failed", Code.RESTARTED)


def test_restarts_before_it_was_live_do_not_count() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, pod(restarts=3))
    scene.see(3, LIVE)
    scene.tree(4, NEW_SET, pod(ready=True, restarts=4))
    step = scene.until(33)
    assert isinstance(step, Verdict)
    assert (step.judgement, step.live_since) == (Judgement.LIVE, 3)


def test_a_fatal_reason_in_the_soak_fails_after_the_grace() -> None:
    scene = Scene()
    soaking(scene)
    scene.tree(30, NEW_SET, READY, pod("ImagePullBackOff", name="moved"))
    waits(scene.until(34))
    assert ended(scene.until(35)) == ("failed", Code.POD_FAILED)
