"""The judge's rules, one scene each: what an Application says, in order, and what follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest

from plate_release.argocd.events import (
    Blind,
    Code,
    Event,
    Gone,
    Limits,
    RefreshUnanswered,
    Revision,
    Seen,
    Step,
    Subject,
    SyncAnswer,
    TreeSeen,
    Verdict,
    Via,
    Waiting,
    Want,
    WhatIs,
    WindowsSeen,
)
from plate_release.argocd.status import LiveApplication, ResourceTree, SyncWindows
from plate_release.argocd.verdict import Judge
from plate_release.model import Judgement

BASE, OURS, THEIRS, NEWER = ("b" * 40, "a" * 40, "c" * 40, "d" * 40)
OLD, NEW, OTHER = "reg/server:1.4.2", "reg/server:1.5.0", "reg/server:1.6.0"
LIMITS = Limits(grace=5, soak=30, timeout=300)
REPOSITORY, FILE = "https://git.example.com/gitops.git", "charts/server/values-prod.yaml"
SOURCE = {"repoURL": REPOSITORY, "path": "charts/server", "targetRevision": "main"}
SELF_HEAL = {"automated": {"prune": True, "selfHeal": True}}
LINEAGE = {
    BASE: Revision(BASE, contains=False, holds=False),
    THEIRS: Revision(THEIRS, contains=True, holds=True),
    NEWER: Revision(NEWER, contains=True, holds=False),
}
HELM = (
    "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: "
    "code = Unknown desc = failed to execute helm template command: exit status 1: "
    "Error: execution error at (server/templates/deployment.yaml:19:21): tag is required"
)
UNREACHABLE = (
    "Failed to load target state: rpc error: code = Unavailable desc = connection error: "
    'desc = "transport: Error while dialing: dial tcp 10.0.0.1:8081: connect: connection refused"'
)
INVALID = 'Service "x" is invalid: spec.ports[0].port: Invalid value: 99999'
WEBHOOK = 'Internal error occurred: failed calling webhook "v.example.com": connection refused'


def at_second(second: int | None) -> str | None:
    return None if second is None else f"2026-01-01T00:{second // 60:02}:{second % 60:02}Z"


@dataclass(frozen=True)
class State:
    """What an Application says, flat."""

    sync: str = "Synced"
    at: str | tuple[str, ...] = BASE
    health: str = "Healthy"
    phase: str = "Succeeded"
    op_at: str | None = BASE
    busy: bool = False
    refresh: bool = False
    reconciled: int = 1
    finished: int | None = 1
    message: str = ""
    results: tuple[Mapping[str, Any], ...] = ()
    images: tuple[str, ...] = (OLD,)
    conditions: tuple[tuple[str, str], ...] = ()
    resources: tuple[Mapping[str, Any], ...] = ()
    sources: tuple[Mapping[str, Any], ...] = (SOURCE,)
    compared: tuple[Mapping[str, Any], ...] | None = None
    policy: Mapping[str, Any] = field(default_factory=lambda: SELF_HEAL)
    extra: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    uid: str = "app-1"

    def operation(self) -> dict[str, Any]:
        revision = {} if self.op_at is None else {"revision": self.op_at}
        return {"sync": revision | {"dryRun": self.dry_run}}

    def operation_state(self) -> dict[str, Any]:
        if not self.phase:
            return {}
        done = {"revision": self.op_at, "resources": list(self.results)}
        running = self.phase == "Running" and not self.results
        return {
            "operationState": {
                "phase": self.phase,
                "message": self.message,
                "operation": self.operation(),
                "finishedAt": at_second(self.finished),
                "syncResult": None if running or self.op_at is None else done,
            }
        }

    def revision(self) -> dict[str, Any]:
        if isinstance(self.at, tuple):
            return {"revisions": list(self.at)}
        return {"revision": self.at}

    def json(self, version: int) -> dict[str, Any]:
        compared = self.sources if self.compared is None else self.compared
        refresh = {"argocd.argoproj.io/refresh": "normal"} if self.refresh else {}
        status = {
            "sync": {"status": self.sync, **self.revision(), "comparedTo": sources(compared)},
            "health": {"status": self.health},
            "reconciledAt": at_second(self.reconciled),
            "summary": {"images": list(self.images)},
            "conditions": [{"type": kind, "message": text} for kind, text in self.conditions],
            "resources": list(self.resources),
            **self.operation_state(),
            **self.extra,
        }
        return {
            "metadata": {
                "name": "server-prod",
                "uid": self.uid,
                "resourceVersion": str(version),
                "annotations": refresh,
            },
            "spec": {**sources(self.sources), "syncPolicy": dict(self.policy)},
            "status": status,
            **({"operation": self.operation()} if self.busy else {}),
        }


def sources(given: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    one = len(given) == 1
    return {"source": dict(given[0])} if one else {"sources": [dict(s) for s in given]}


BEFORE = State()
FOUND = replace(BEFORE, sync="OutOfSync", at=OURS, reconciled=2)
SYNCING = replace(FOUND, phase="Running", op_at=OURS, busy=True, finished=None)
APPLIED = replace(
    FOUND,
    sync="Synced",
    health="Progressing",
    op_at=OURS,
    reconciled=3,
    finished=3,
    images=(OLD, NEW),
)
LIVE = replace(APPLIED, health="Healthy", images=(NEW,))
FAILED = replace(FOUND, phase="Failed", op_at=OURS, reconciled=3, finished=3)
NO_DIFFERENCE = replace(BEFORE, at=OURS, reconciled=2)


class Scene:
    """A judge, and the Application that it is told about."""

    spec: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, before: State = BEFORE, **subject: Any) -> None:
        self.version = 100
        self.lineage = dict(LINEAGE)
        known: dict[str, Any] = {
            "application": "server-prod",
            "commit": OURS,
            "repository": REPOSITORY,
            "branch": "main",
            "file": FILE,
            "images": (NEW,),
            "before": LiveApplication.model_validate(before.json(self.version)),
        }
        self.judge = Judge(Subject(**(known | subject)), LIMITS, start=0)

    def see(
        self, t: float, state: State, via: Via = Via.STREAM, version: int | None = None
    ) -> Step:
        self.version = version or self.version + 1
        raw = {**state.json(self.version), **({"spec": self.spec} if self.spec else {})}
        return self.feed(t, Seen(LiveApplication.model_validate(raw), via))

    def tree(self, t: float, *nodes: Mapping[str, Any]) -> Step:
        return self.feed(t, TreeSeen(tree(*nodes)))

    def feed(self, t: float, event: Event) -> Step:
        step = self.judge.feed(t, event)
        while isinstance(step, Waiting) and (sha := next(iter(self.asked(step)), None)):
            step = self.judge.feed(t, self.lineage[sha])
        return step

    def asked(self, step: Waiting) -> list[str]:
        asked = (want.sha for want in step.wants if isinstance(want, WhatIs))
        return [sha for sha in asked if sha in self.lineage]

    def until(self, t: float) -> Step:
        return self.judge.tick(t)


def tree(*nodes: Mapping[str, Any]) -> ResourceTree:
    return ResourceTree.model_validate({"nodes": list(nodes)})


def replica_set(name: str, revision: int, of: str = "server") -> dict[str, Any]:
    return {
        "kind": "ReplicaSet",
        "name": name,
        "uid": name,
        "parentRefs": [{"kind": "Deployment", "uid": of}],
        "info": [{"name": "Revision", "value": f"Rev:{revision}"}],
    }


def pod(
    reason: str = "Running",
    image: str = NEW,
    *,
    of: tuple[str, str] = ("ReplicaSet", "new"),
    name: str = "server-new-1",
    ready: bool = False,
    restarts: int = 0,
    message: str = "",
) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "name": name,
        "uid": name,
        "parentRefs": [{"kind": of[0], "uid": of[1]}],
        "info": [
            {"name": "Status Reason", "value": reason},
            {"name": "Restart Count", "value": str(restarts)},
        ],
        "images": [image],
        "health": {"status": "Healthy" if ready else "Progressing", "message": message},
    }


OLD_SET, NEW_SET = replica_set("old", 1), replica_set("new", 2)
OLD_POD = pod("Running", OLD, of=("ReplicaSet", "old"), name="server-old-1", ready=True)
READY = pod(ready=True)


def ended(step: Step) -> tuple[str, Code]:
    assert isinstance(step, Verdict), step
    return step.judgement.value, step.code


def waits(step: Step) -> Waiting:
    assert isinstance(step, Waiting), step
    return step


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


def test_the_commits_of_before_are_not_asked_about() -> None:
    scene = Scene()
    scene.lineage = {}
    assert not any(isinstance(want, WhatIs) for want in waits(scene.see(1, BEFORE)).wants)


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
    assert step.reason == "pod server-new-1: ImagePullBackOff for 5 s: not found"


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


# --- failed: health -------------------------------------------------------------------------------

DEADLINE = {
    "kind": "Deployment",
    "name": "server",
    "health": {"status": "Degraded", "message": "exceeded its progress deadline"},
}
DEGRADED = replace(APPLIED, health="Degraded", resources=(DEADLINE,))


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

UNRENDERED = replace(
    BEFORE, sync="Unknown", at="main", reconciled=2, conditions=(("ComparisonError", HELM),)
)


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


def test_our_own_failure_after_it_was_live_is_a_failure() -> None:
    scene = Scene()
    scene.see(1, LIVE)
    scene.see(10, DEGRADED)
    assert ended(scene.until(15)) == ("failed", Code.DEGRADED)


# --- blocked --------------------------------------------------------------------------------------

BY_HAND = replace(FOUND, policy={})
DENY = SyncWindows.model_validate(
    {
        "activeWindows": [{"kind": "deny", "schedule": "* * * * *", "duration": "1h"}],
        "canSync": False,
    }
)
OPEN = SyncWindows(can_sync=True)


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
    ("answer", "code"),
    [
        (SyncAnswer("cannot sync: blocked by sync window", 403), Code.SYNC_WINDOW),
        (SyncAnswer("permission denied: applications, sync, p/a", 403), Code.SYNC_REFUSED),
    ],
)
def test_a_sync_that_is_refused_blocks_at_once(answer: SyncAnswer, code: Code) -> None:
    scene = Scene()
    scene.see(1, FOUND)
    assert ended(scene.feed(2, answer)) == ("blocked", code)


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


def test_nothing_named_holds_a_commit_that_was_only_passed_over() -> None:
    scene = Scene()
    scene.see(1, FOUND)
    assert ended(scene.judge.close(200)) == ("unsettled", Code.STILL_MOVING)


# --- unknown, unsettled ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_not_being_let_in_for_a_minute_is_unknown(status: int) -> None:
    scene = Scene()
    scene.see(1, APPLIED)
    for t in (10, 30, 60):
        scene.feed(t, Blind("no session information", status))
    waits(scene.until(69.9))
    assert ended(scene.until(70)) == ("unknown", Code.UNAUTHORIZED)


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
