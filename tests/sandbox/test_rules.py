"""The sandbox's pure rules: tags, windows, health, merging."""

from datetime import UTC, datetime
from typing import Any

import pytest

from plate_release.sandbox.compare import differs, last_applied, merged
from plate_release.sandbox.health import health
from plate_release.sandbox.pods import word_of
from plate_release.sandbox.projects import Projects, duration, matches


@pytest.mark.parametrize(
    ("image", "word"),
    [
        ("registry:5000/a/b:1.5.0", ""),
        ("a/b:9.9.9-bad", "bad"),
        ("a/b:1.5.0-CRASH.2", "crash"),
        ("a/bad:1.5.0", ""),
        ("a/b:badge", ""),
        ("smoke:fail", "fail"),
        ("a/b:1.5.0-oom@sha256:bad", "oom"),
        ("bad", ""),
    ],
)
def test_words_count_in_the_tag_only(image: str, word: str) -> None:
    assert word_of(image) == word


@pytest.mark.parametrize(
    ("schedule", "at", "fires"),
    [
        ("* * * * *", "2026-11-23 13:45", True),
        ("45 13 * * *", "2026-11-23 13:45", True),
        ("45 13 * * *", "2026-11-23 13:46", False),
        ("*/15 9-17 * * 1-5", "2026-11-23 13:45", True),
        ("*/15 9-17 * * 0,6", "2026-11-23 13:45", False),
        ("0 0 1 12 *", "2026-12-01 00:00", True),
    ],
)
def test_a_schedule_fires_as_cron_does(schedule: str, at: str, fires: bool) -> None:
    when = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    assert matches(schedule, when) is fires


def test_durations_are_gos() -> None:
    assert duration("1h30m") == 5400
    assert duration("5s") == 5


DENY = {"kind": "deny", "schedule": "0 13 * * *", "duration": "1h", "manualSync": False}
ALLOW = DENY | {"kind": "allow"}


@pytest.mark.parametrize(
    ("windows", "hour", "automatic", "manual"),
    [
        ([], 13, True, True),
        ([DENY], 13, False, False),
        ([DENY], 15, True, True),
        ([DENY | {"manualSync": True}], 13, False, True),
        ([ALLOW], 13, True, True),
        ([ALLOW], 15, False, False),
        ([ALLOW | {"manualSync": True}], 15, False, True),
        ([ALLOW, DENY], 13, False, False),
        ([DENY | {"applications": ["other-*"]}], 13, True, True),
        ([DENY | {"namespaces": ["ns-*"]}], 13, False, False),
    ],
)
def test_windows_let_a_sync_pass(
    windows: list[dict[str, Any]], hour: int, automatic: bool, manual: bool
) -> None:
    projects = Projects()
    projects.put("p", windows)
    app = {"metadata": {"name": "web"},
           "spec": {"project": "p", "destination": {"namespace": "ns-web"}}}  # fmt: skip
    now = datetime(2026, 11, 23, hour, 30, tzinfo=UTC).timestamp()
    assert projects.can_sync(app, now, manual=False) is automatic
    assert projects.can_sync(app, now, manual=True) is manual


def kind_of(api: str, kind: str, spec: Any, status: Any) -> dict[str, Any]:
    meta = {"name": "x", "generation": 2}
    return {"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec, "status": status}


SET = {"replicas": 2, "updateStrategy": {"type": "RollingUpdate"}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (kind_of("v1", "ConfigMap", {}, {}), None),
        (kind_of("v1", "Service", {"type": "ClusterIP"}, {}), "Healthy"),
        (kind_of("v1", "Service", {"type": "LoadBalancer"}, {}), "Progressing"),
        (kind_of("networking.k8s.io/v1", "Ingress", {}, {}), "Progressing"),
        (kind_of("v1", "PersistentVolumeClaim", {}, {"phase": "Lost"}), "Degraded"),
        (kind_of("apps/v1", "StatefulSet", SET, {"observedGeneration": 0}), "Progressing"),
        (
            kind_of(
                "apps/v1",
                "StatefulSet",
                SET,
                {"observedGeneration": 2, "readyReplicas": 2, "updateRevision": "b",
                 "currentRevision": "a"},
            ),
            "Progressing",
        ),
        (
            kind_of("apps/v1", "DaemonSet", {"updateStrategy": {"type": "OnDelete"}},
                    {"observedGeneration": 2}),
            "Healthy",
        ),
        (kind_of("batch/v1", "Job", {}, {}), "Progressing"),
        (
            kind_of("batch/v1", "Job", {}, {"conditions": [{"type": "Failed", "status": "True"}]}),
            "Degraded",
        ),
        (kind_of("apps/v1", "Deployment", {"paused": True, "replicas": 1}, {}), "Suspended"),
    ],
)  # fmt: skip
def test_health_is_judged_as_argo_cd_judges_it(obj: dict[str, Any], expected: str | None) -> None:
    found = health(obj)
    assert (found.status if found else None) == expected


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def test_what_was_applied_before_and_is_gone_is_removed() -> None:
    live = merged(config(a="1", b="2"), None)
    live["data"]["foreign"] = "3"
    assert not differs(config(a="1", b="2"), live)
    assert differs(config(a="1"), live)
    after = merged(config(a="1"), live)
    assert after["data"] == {"a": "1", "foreign": "3"}
    assert last_applied(after)["data"] == {"a": "1"}


def test_a_foreign_change_of_an_own_field_differs() -> None:
    live = merged(config(a="1"), None)
    live["data"]["a"] = "changed"
    assert differs(config(a="1"), live)
