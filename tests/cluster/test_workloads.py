"""What runs, as a real API server showed eight roll-outs; and the backup of it."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from plate_release.cluster import Cluster, ObjectRef

NAMESPACE = "ns-k8s"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def deployment(name: str) -> ObjectRef:
    return ObjectRef("apps", "v1", "Deployment", NAMESPACE, name)


@pytest.mark.parametrize(
    ("name", "counts", "waiting"),
    [
        ("good", (2, 2), ""),
        ("pull", (1, 1), "ImagePullBackOff"),
        ("crash", (0, 1), "CrashLoopBackOff"),
        ("oom", (1, 1), "OOMKilled"),
        ("cfgerr", (1, 1), "CreateContainerConfigError"),
        ("never", (1, 1), ""),
        ("unschedulable", (0, 1), "Unschedulable"),
        ("quota", (1, 9), ""),
    ],
)
def test_a_workload_is_read_as_it_stands(
    api: Any, cluster: Cluster, name: str, counts: tuple[int, int], waiting: str
) -> None:
    api.replay(f"{name}: deployment", f"{name}: pods")
    recorded = api.row(f"{name}: deployment")["response"]
    found = cluster.status([deployment(name)])
    assert (found.ready, found.replicas) == counts
    assert found.items[0].images == (
        recorded["spec"]["template"]["spec"]["containers"][0]["image"],
    )
    reasons = [pod.waiting for pod in found.pods if pod.waiting]
    assert bool(reasons) == bool(waiting)
    assert all(waiting in reason for reason in reasons)


def test_pods_of_both_generations_say_what_they_run(api: Any, cluster: Cluster) -> None:
    api.replay("pull: deployment", "pull: pods")
    found = cluster.status([deployment("pull")])
    by_image = {pod.images: pod.ready for pod in found.pods}
    assert sorted(found.images) == sorted(image for images in by_image for image in images)
    assert sorted(by_image.values()) == [False, True]


def test_a_crash_says_how_it_ended(api: Any, cluster: Cluster) -> None:
    api.replay("oom: deployment", "oom: pods")
    (failing,) = [pod for pod in cluster.status([deployment("oom")]).pods if pod.waiting]
    assert failing.waiting.endswith("(last ended: OOMKilled, exit code 137)")
    assert failing.restarts > 0


def test_a_pod_says_which_digest_runs(api: Any, cluster: Cluster) -> None:
    api.replay("good: deployment")
    pods = api.row("good: pods")
    (image,) = {c["image"] for pod in pods["response"]["items"] for c in pod["spec"]["containers"]}
    first, second = pods["response"]["items"]
    first["status"]["containerStatuses"][0]["imageID"] = f"docker-pullable://x@sha256:{'1' * 64}"
    second["status"]["containerStatuses"][0]["imageID"] = f"sha256:{'2' * 64}"  # built on the node
    api.answer(**pods)
    found = cluster.status([deployment("good")])
    assert [pod.running for pod in found.pods] == [
        ((image, f"sha256:{'1' * 64}"),),
        ((image, ""),),
    ]


def test_what_does_not_exist_and_what_runs_nothing_is_left_out(api: Any, cluster: Cluster) -> None:
    api.replay("not found")
    service = ObjectRef("", "v1", "Service", NAMESPACE, "web")
    found = cluster.status([deployment("nope"), service])
    assert (found.items, found.images, found.ready, found.replicas) == ((), (), 0, 0)


def test_containers_that_a_mesh_added_are_not_what_it_runs(api: Any, cluster: Cluster) -> None:
    api.replay("good: deployment")
    pods = api.row("good: pods")
    for pod in pods["response"]["items"]:
        pod["spec"]["containers"].append({"name": "istio-proxy", "image": "istio/proxyv2:1"})
    api.answer(**pods)
    assert len(cluster.status([deployment("good")]).images) == 1


def test_a_daemon_set_counts_nodes(api: Any, cluster: Cluster) -> None:
    row = api.row("good: deployment")
    path = row["path"].replace("deployments", "daemonsets")
    row["response"]["status"] = {"numberReady": 3, "desiredNumberScheduled": 5}
    api.answer(**row | {"path": path})
    api.replay("good: pods")
    found = cluster.status([ObjectRef("apps", "v1", "DaemonSet", NAMESPACE, "good")])
    assert (found.ready, found.replicas) == (3, 5)


def test_a_selector_is_asked_for_whole(api: Any, cluster: Cluster) -> None:
    row = api.row("good: deployment")
    row["response"]["spec"]["selector"] = {
        "matchLabels": {"app": "good"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "canary", "operator": "DoesNotExist"},
            {"key": "zone", "operator": "Exists"},
        ],
    }
    api.answer(**row)
    asked = "app%3Dgood%2Ctier+in+%28a%2Cb%29%2C%21canary%2Czone"
    pods = api.row("good: pods")
    api.answer(**pods | {"path": pods["path"].partition("?")[0] + f"?labelSelector={asked}"})
    assert len(cluster.status([deployment("good")]).pods) == 2


def test_a_backup_can_be_applied_and_only_its_owner_can_read_it(
    api: Any, cluster: Cluster, tmp_path: Path
) -> None:
    api.replay("good: deployment", "not found")
    api.answer(
        method="GET",
        path=f"/api/v1/namespaces/{NAMESPACE}/secrets/db",
        status=200,
        response={
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "db",
                "annotations": {LAST_APPLIED: '{"data":{"password":"aHVzaA=="}}'},
            },
            "type": "Opaque",
            "data": {"password": "aHVzaA==", "user": "bWU="},
        },
    )
    secret = ObjectRef("", "v1", "Secret", NAMESPACE, "db")
    refs = [deployment("good"), deployment("nope"), secret]
    file = cluster.backup(refs, tmp_path / "backups" / "good.yaml")

    text = file.read_text("utf-8")
    saved, kept = yaml.safe_load_all(text)
    live = api.row("good: deployment")["response"]
    assert saved["spec"] == live["spec"]
    assert "status" not in saved
    assert set(saved["metadata"]) <= {"name", "namespace", "labels", "annotations"}
    assert kept == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db"},
        "type": "Opaque",
    }
    assert "# The values are left out: 'password', 'user'\n" in text
    assert "aHVzaA==" not in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_backup_overwrites_no_other(api: Any, cluster: Cluster, tmp_path: Path) -> None:
    api.replay("good: deployment")
    file = tmp_path / "good.yaml"
    file.write_text("earlier")
    with pytest.raises(FileExistsError):
        cluster.backup([deployment("good")], file)
    assert file.read_text() == "earlier"
