"""When a release failed: its pods, its health, its sync, its rendering, its effect."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from plate_release.argocd.events import (
    Code,
    Verdict,
    Via,
    Want,
)
from tests.argocd.scenes import (
    APPLIED,
    BASE,
    BEFORE,
    DEGRADED,
    FAILED,
    FOUND,
    INVALID,
    LIVE,
    NEW,
    NEW_SET,
    NO_DIFFERENCE,
    OLD,
    OLD_POD,
    OLD_SET,
    OURS,
    READY,
    SYNCING,
    THEIRS,
    UNREACHABLE,
    UNRENDERED,
    WEBHOOK,
    Scene,
    State,
    ended,
    pod,
    replica_set,
    tree,
    waits,
)

# --- failed: pods ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "CrashLoopBackOff",
        "Error",
        "OOMKilled",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "StartError",
        "PostStartHookError",
        "Init:ImagePullBackOff",
        "Init:CrashLoopBackOff",
        "Init:Error",
        "Init:OOMKilled",
        "Init:ExitCode:1",
        "ExitCode:137",
        "Signal:9",
    ],
)
@pytest.mark.parametrize(
    "owner", [("ReplicaSet", "new"), ("StatefulSet", "server"), ("DaemonSet", "server")]
)
def test_a_pod_that_fails_for_longer_than_the_grace_fails_the_release(
    reason: str, owner: tuple[str, str]
) -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, APPLIED)
    scene.tree(2, OLD_SET, OLD_POD, NEW_SET, pod(reason, of=owner, message="why"))
    waits(scene.until(6.9))
    step = scene.until(7)
    assert ended(step) == ("failed", Code.POD_FAILED)
    assert isinstance(step, Verdict)
    assert step.reason == f"pod server-new-1: {reason} for 5 s: why"


@pytest.mark.parametrize(
    "reason",
    [
        "Pending",
        "ContainerCreating",
        "PodInitializing",
        "Init:0/1",
        "Running",
        "Completed",
        "Evicted",
        "NodeAffinity",
        "UnexpectedAdmissionError",
        "Terminating",
        "SchedulingGated",
        "Unknown",
        "",
    ],
)
def test_a_pod_that_may_still_start_does_not_fail_the_release(reason: str) -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, APPLIED)
    scene.tree(2, OLD_SET, OLD_POD, NEW_SET, pod(reason))
    waits(scene.until(299))


def test_the_grace_runs_on_whatever_reason_follows() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, pod("ErrImagePull", message="not found"))
    scene.tree(4, NEW_SET, pod("ContainerCreating"))
    scene.tree(6, NEW_SET, pod("ImagePullBackOff", message="Back-off pulling image"))
    step = scene.until(7)
    assert isinstance(step, Verdict)
    assert step.reason == (
        "pod server-new-1: ErrImagePull, then ImagePullBackOff for 5 s: not found"
    )


@pytest.mark.parametrize(
    "relief", [(NEW_SET, READY), (NEW_SET,), (NEW_SET, pod(name="another"))], ids=str
)
def test_a_pod_that_is_ready_or_gone_ends_its_grace(relief: tuple[Mapping[str, Any], ...]) -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, pod("Error"))
    scene.tree(6, *relief)
    waits(scene.tree(8, NEW_SET, pod("Error")))
    waits(scene.until(12.9))
    assert ended(scene.until(13)) == ("failed", Code.POD_FAILED)


def test_each_pod_has_a_grace_of_its_own() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.tree(2, NEW_SET, pod("Error", name="one"))
    scene.tree(6, NEW_SET, pod("Error", name="two"))
    waits(scene.until(10.9))
    assert ended(scene.until(11)) == ("failed", Code.POD_FAILED)


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param((pod("Error", OLD, of=("ReplicaSet", "old"), name="o"),), id="old set"),
        pytest.param((pod("Error", "reg/x:1", of=("ReplicaSet", "x"), name="x"),), id="stranger"),
        pytest.param((pod("Error", of=("Job", "job")),), id="a job's, tried again"),
        pytest.param((pod("CrashLoopBackOff", "reg/x:1", of=("Job", "job")),), id="a hook's"),
    ],
)
def test_pods_that_are_not_the_releases_do_not_fail_it(
    nodes: tuple[Mapping[str, Any], ...],
) -> None:
    others = replica_set("x", 1, of="x")
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD, others))
    scene.see(1, APPLIED)
    scene.tree(2, OLD_SET, NEW_SET, others, *nodes)
    waits(scene.until(299))


def test_a_hook_whose_image_cannot_be_pulled_fails_the_release() -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, SYNCING)
    scene.tree(2, OLD_SET, OLD_POD, pod("ImagePullBackOff", "reg/migrate:1", of=("Job", "job")))
    assert ended(scene.until(7)) == ("failed", Code.POD_FAILED)


def test_a_scheduled_job_is_not_of_the_releases_making() -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, APPLIED)
    job = {"kind": "Job", "uid": "job", "parentRefs": [{"kind": "CronJob", "uid": "cron"}]}
    scene.tree(2, job, pod("ImagePullBackOff", "reg/report:1", of=("Job", "job")))
    waits(scene.until(299))


def test_a_new_set_of_another_workload_is_the_releases() -> None:
    scene = Scene(tree_before=tree(OLD_SET, OLD_POD))
    scene.see(1, APPLIED)
    worker = replica_set("worker", 2, of="worker")
    scene.tree(2, NEW_SET, READY, worker, pod("Error", "reg/worker:1", of=("ReplicaSet", "worker")))
    assert ended(scene.until(7)) == ("failed", Code.POD_FAILED)


def test_a_pod_that_failed_before_the_push_is_excused_until_it_was_ready() -> None:
    failing = pod("CrashLoopBackOff", name="s-0", of=("StatefulSet", "s"))
    scene = Scene(images=(NEW,), tree_before=tree(failing))
    scene.see(1, APPLIED)
    scene.tree(2, failing)
    waits(scene.until(100))
    scene.tree(101, pod(name="s-0", of=("StatefulSet", "s"), ready=True))
    scene.tree(110, failing)
    assert ended(scene.until(115)) == ("failed", Code.POD_FAILED)


def test_pods_count_only_once_our_commit_is_being_applied() -> None:
    scene = Scene()
    scene.see(1, FOUND)
    scene.tree(2, NEW_SET, pod("Error"))
    waits(scene.until(20))
    scene.see(21, SYNCING)
    waits(scene.until(25.9))
    scene.tree(26, NEW_SET, pod("Error"))
    assert ended(scene.until(26)) == ("failed", Code.POD_FAILED)


# --- failed: health -------------------------------------------------------------------------------


def test_degraded_fails_after_the_grace_and_says_why() -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    scene.see(2, DEGRADED)
    waits(scene.until(6.9))
    step = scene.until(7)
    assert ended(step) == ("failed", Code.DEGRADED)
    assert isinstance(step, Verdict)
    assert "Deployment server: exceeded its progress deadline" in step.reason


def test_a_passing_degraded_is_no_failure() -> None:
    scene = Scene()
    scene.see(1, DEGRADED)
    scene.see(5, APPLIED)
    scene.see(8, DEGRADED)
    scene.see(12, LIVE)
    assert ended(scene.until(42)) == ("live", Code.LIVE)


@pytest.mark.parametrize(
    "state",
    [
        replace(BEFORE, health="Degraded"),
        replace(FOUND, health="Degraded"),
        replace(SYNCING, health="Degraded"),
        replace(FOUND, health="Degraded", phase="Running", op_at=BASE, busy=True),
    ],
    ids=["before", "found", "while it is applied", "behind another operation"],
)
def test_degraded_from_before_is_not_our_commits(state: State) -> None:
    scene = Scene(replace(BEFORE, health="Degraded"))
    scene.see(1, state)
    waits(scene.until(299))


def test_degraded_that_begins_within_a_wave_is_ours() -> None:
    scene = Scene()
    scene.see(1, SYNCING)
    scene.see(2, replace(SYNCING, health="Degraded"))
    assert ended(scene.until(7)) == ("failed", Code.DEGRADED)


# --- failed: the operation ------------------------------------------------------------------------


def hook(kind: str, phase: str) -> dict[str, str]:
    text = "Job has reached the specified backoff limit"
    return {
        "kind": "Job",
        "name": "smoke",
        "hookType": kind,
        "hookPhase": phase,
        "message": text,
        "status": "Synced",
    }


REFUSED = {"kind": "Service", "name": "x", "status": "SyncFailed", "message": INVALID}


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (replace(FAILED, message="Operation terminated"), Code.TERMINATED, "terminated by hand"),
        (replace(FAILED, message="one failed"), Code.SYNC_FAILED, "sync failed: one failed"),
        (replace(FAILED, phase="Error", message="bad"), Code.SYNC_FAILED, "sync failed: bad"),
        (replace(FAILED, results=(REFUSED,)), Code.SYNC_FAILED, f"Service x: {INVALID}"),
        (
            replace(FAILED, results=(hook("PreSync", "Failed"),)),
            Code.HOOK_FAILED,
            "PreSync hook failed: Job smoke: Job has reached",
        ),
        (
            replace(LIVE, phase="Failed", results=(hook("Sync", "Error"),)),
            Code.HOOK_FAILED,
            "Sync hook",
        ),
        (
            replace(LIVE, phase="Failed", results=(hook("PostSync", "Failed"),)),
            Code.HOOK_FAILED,
            "PostSync hook failed",
        ),
        (
            replace(FAILED, results=(hook("SyncFail", "Failed"), REFUSED)),
            Code.SYNC_FAILED,
            f"Service x: {INVALID}",
        ),
        (replace(FAILED, at=THEIRS, op_at=THEIRS, message="no"), Code.SYNC_FAILED, "sync failed"),
        (
            replace(FAILED, results=({**REFUSED, "message": WEBHOOK},)),
            Code.SYNC_FAILED,
            "failed calling webhook",
        ),
    ],
)
def test_a_sync_that_failed_for_good_fails_at_once(state: State, code: Code, words: str) -> None:
    scene = Scene()
    step = scene.see(1, state)
    assert ended(step) == ("failed", code)
    assert isinstance(step, Verdict)
    assert words in step.reason


RETRIES = replace(SYNCING, finished=3, results=(REFUSED,), message="Retrying attempt #1 at 1:47PM.")


@pytest.mark.parametrize(
    "message",
    [
        INVALID,
        'Deployment.apps "x" is invalid: spec.selector: Invalid value: field is immutable',
        'deployments.apps is forbidden: User "argocd" cannot create resource',
        'no matches for kind "Rollout" in version "argoproj.io/v1alpha1"',
    ],
)
@pytest.mark.parametrize("of_object", [True, False])
def test_a_refusal_that_asking_again_cannot_change_fails_at_once(
    message: str, of_object: bool
) -> None:
    scene = Scene()
    of = replace(RETRIES, results=({**REFUSED, "message": message},))
    whole = replace(RETRIES, results=({"status": "Synced"},), message=f"{message}. Retrying")
    assert ended(scene.see(1, of if of_object else whole)) == ("failed", Code.SYNC_FAILED)


@pytest.mark.parametrize(
    "state",
    [
        replace(RETRIES, results=({**REFUSED, "message": WEBHOOK},)),
        replace(RETRIES, results=({**REFUSED, "message": "context deadline exceeded"},)),
        replace(
            RETRIES,
            results=(
                {
                    **REFUSED,
                    "message": "unable to create new content in namespace x because it is being "
                    "terminated: forbidden",
                },
            ),
        ),
        replace(RETRIES, results=(hook("PostSync", "Failed"),)),
        replace(RETRIES, finished=None),
        replace(RETRIES, op_at=BASE),
        replace(SYNCING, phase="Terminating"),
    ],
    ids=[
        "a webhook",
        "a timeout",
        "a namespace that goes",
        "a hook",
        "still running",
        "another commit",
        "being terminated",
    ],
)
def test_what_may_heal_is_awaited(state: State) -> None:
    scene = Scene()
    scene.see(1, state)
    waits(scene.until(299))


@pytest.mark.parametrize(
    "state",
    [
        replace(FAILED, op_at=BASE),
        replace(FAILED, dry_run=True),
        replace(FAILED, phase="Error", message=f"ComparisonError: {UNREACHABLE}"),
    ],
    ids=["of the commit before", "a dry run", "it could not see"],
)
def test_an_operation_that_says_nothing_of_our_commit_is_no_failure(state: State) -> None:
    scene = Scene()
    scene.see(1, state)
    waits(scene.until(299))


def test_a_sync_error_that_names_our_commit_fails_at_once() -> None:
    scene = Scene()
    error = ("SyncError", f"Failed last sync attempt to [{OURS}]: it failed (retried 5 times).")
    step = scene.see(1, replace(FOUND, conditions=(error,)))
    assert ended(step) == ("failed", Code.SYNC_FAILED)


@pytest.mark.parametrize(
    "text",
    [
        f"Failed last sync attempt to [{BASE}]: it failed",
        f"Failed last sync attempt to [{OURS}]: {UNREACHABLE}",
        "auto-sync will wipe out all resources",
    ],
)
def test_a_sync_error_that_does_not_speak_of_our_commit_is_no_failure(text: str) -> None:
    scene = Scene()
    scene.see(1, replace(FOUND, conditions=(("SyncError", text),)))
    waits(scene.until(299))


# --- failed: rendering, and no effect -------------------------------------------------------------


def test_a_chart_that_does_not_render_fails_after_the_grace() -> None:
    scene = Scene()
    assert Want.HARD_REFRESH in waits(scene.see(1, UNRENDERED)).wants
    waits(scene.until(5.9))
    step = scene.until(6)
    assert ended(step) == ("failed", Code.RENDER_FAILED)


def test_a_second_refresh_makes_it_certain() -> None:
    scene = Scene()
    scene.see(1, UNRENDERED)
    waits(scene.see(2, UNRENDERED, via=Via.REFRESH))  # the same comparison, told again
    step = scene.see(3, replace(UNRENDERED, reconciled=3), via=Via.REFRESH)
    assert ended(step) == ("failed", Code.RENDER_FAILED)


def test_a_second_refresh_counts_though_the_stream_was_faster() -> None:
    scene = Scene()
    scene.see(1, UNRENDERED, version=200)
    scene.see(2, replace(UNRENDERED, reconciled=3), version=202)
    step = scene.see(3, replace(UNRENDERED, reconciled=3), via=Via.REFRESH, version=201)
    assert ended(step) == ("failed", Code.RENDER_FAILED)


def test_an_error_of_before_the_push_is_not_ours() -> None:
    scene = Scene(UNRENDERED)
    scene.see(1, UNRENDERED)
    waits(scene.until(100))
    scene.see(101, replace(NO_DIFFERENCE, images=(NEW,), reconciled=100))
    assert ended(scene.until(131)) == ("live", Code.NO_DIFFERENCE)


def test_an_error_that_passes_is_no_failure() -> None:
    scene = Scene()
    scene.see(1, UNRENDERED)
    scene.see(4, SYNCING)
    waits(scene.until(100))


UNAFFECTED = replace(NO_DIFFERENCE, images=(OLD,))


@pytest.mark.parametrize("state", [UNAFFECTED, replace(LIVE, images=(OLD,))])
def test_a_commit_without_effect_fails_after_the_grace(state: State) -> None:
    scene = Scene()
    assert Want.REFRESH in waits(scene.see(1, state)).wants
    step = scene.until(6)
    assert ended(step) == ("failed", Code.NO_EFFECT)
    assert isinstance(step, Verdict)
    assert step.reason.startswith("no effect: the image that runs is still 1.4.2")


def test_a_second_refresh_shows_that_there_is_no_effect() -> None:
    scene = Scene()
    scene.see(1, UNAFFECTED)
    step = scene.see(2, replace(UNAFFECTED, reconciled=3), via=Via.REFRESH)
    assert ended(step) == ("failed", Code.NO_EFFECT)


def test_an_image_that_comes_within_the_grace_is_live() -> None:
    scene = Scene()
    scene.see(1, replace(LIVE, images=(OLD,)))
    scene.see(3, LIVE)
    assert ended(scene.until(33)) == ("live", Code.LIVE)


def test_without_an_expected_image_none_is_looked_for() -> None:
    scene = Scene(images=())
    scene.see(1, UNAFFECTED)
    assert ended(scene.until(31)) == ("live", Code.NO_DIFFERENCE)


# --- somebody else's descendant -------------------------------------------------------------------


FOREIGN_FAILURES = [
    replace(FAILED, at=THEIRS, op_at=THEIRS, message="no", images=(NEW,)),
    replace(DEGRADED, at=THEIRS, op_at=THEIRS),
    replace(UNRENDERED, images=(NEW,)),
]


@pytest.mark.parametrize("state", FOREIGN_FAILURES, ids=["sync", "health", "rendering"])
@pytest.mark.parametrize(
    ("was_live", "judgement"), [(True, "unsettled"), (False, "failed")], ids=["live", "never live"]
)
def test_a_descendant_that_fails(state: State, was_live: bool, judgement: str) -> None:
    scene = Scene()
    scene.see(1, LIVE if was_live else APPLIED)
    scene.see(10, state)
    assert ended(scene.until(20))[0] == judgement


@pytest.mark.parametrize(
    "end",
    [
        lambda scene: scene.see(12, replace(DEGRADED, at=THEIRS)),
        lambda scene: scene.tree(12, NEW_SET, pod("CrashLoopBackOff")),
    ],
    ids=["health", "pod"],
)
def test_what_ours_made_is_ours_to_answer_for_whatever_was_pushed_since(
    end: Callable[[Scene], object],
) -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(10, replace(LIVE, at=THEIRS))
    end(scene)
    assert ended(scene.until(20))[0] == "failed"


def test_our_own_failure_after_it_was_live_is_a_failure() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(10, DEGRADED)
    assert ended(scene.until(15)) == ("failed", Code.DEGRADED)
