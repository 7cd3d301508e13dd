"""What a real API server answered to dry runs, and what we make of it."""

from typing import Any

import pytest

from plate_release.cluster import Cluster
from plate_release.errors import ClusterUnavailable, PlanRefused
from plate_release.model import Finding

NAMESPACE = "ns-k8s"
MONITOR = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor"}


@pytest.mark.parametrize("note", ["dry run: fine", "dry run: a Service that is fine"])
def test_what_the_api_server_accepts_is_accepted(api: Any, cluster: Cluster, note: str) -> None:
    api.replay(note)
    assert cluster.dry_run([api.row(note)["body"]], NAMESPACE) == ()


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("dry run: a Service with port 99999", "spec.ports[0].port: Invalid value: 99999"),
        ("dry run: an immutable field (selector)", "field is immutable"),
        ("dry run: unknown field", ".spek: field not declared in schema"),
        ("dry run: request above limit", "must be less than or equal to cpu limit of 100m"),
        ("dry run: an admission policy refuses", "images must not use the tag latest"),
    ],
)
def test_an_object_that_is_at_fault_refuses_the_plan(
    api: Any, cluster: Cluster, note: str, says: str
) -> None:
    api.replay(note)
    with pytest.raises(PlanRefused) as refusal:
        cluster.dry_run([api.row(note)["body"]], NAMESPACE)
    assert says in refusal.value.why


def test_every_refused_object_is_named_at_once(api: Any, cluster: Cluster) -> None:
    notes = ("dry run: a Service with port 99999", "dry run: unknown field", "dry run: fine")
    api.replay(*notes)
    with pytest.raises(PlanRefused) as refusal:
        cluster.dry_run([api.row(note)["body"] for note in notes], NAMESPACE)
    assert [line.partition(":")[0] for line in refusal.value.why.splitlines()] == [
        "Service web",
        "Deployment good",
    ]


def test_a_missing_permission_is_not_the_objects_fault(api: Any, cluster: Cluster) -> None:
    note = "dry run: not permitted"
    api.replay(note)
    api.allow()
    with pytest.raises(ClusterUnavailable) as refusal:
        cluster.dry_run([api.row(note)["body"]], NAMESPACE)
    assert 'User "viewer" cannot patch resource "deployments"' in refusal.value.why


def test_a_quota_forbids_too_but_is_the_objects_fault(api: Any, cluster: Cluster) -> None:
    note = "dry run: a Pod, beyond the quota"
    api.replay(note)
    api.allow("patch pods")
    with pytest.raises(PlanRefused) as refusal:
        cluster.dry_run([api.row(note)["body"]], NAMESPACE)
    assert "exceeded quota: q, requested: pods=1" in refusal.value.why


def test_a_kind_that_the_cluster_does_not_know(api: Any, cluster: Cluster) -> None:
    text = api.row("dry run: a kind that the cluster does not know")["response"]
    assert text == "404 page not found\n"
    api.answer(method="GET", path="/apis/monitoring.coreos.com/v1", status=404, response=text)
    with pytest.raises(PlanRefused) as refusal:
        cluster.dry_run([{**MONITOR, "metadata": {"name": "x"}}], NAMESPACE)
    assert "knows no ServiceMonitor of monitoring.coreos.com/v1" in refusal.value.why


def test_a_kind_that_comes_with_the_release_is_not_known_yet(api: Any, cluster: Cluster) -> None:
    text = api.row("dry run: a kind that the cluster does not know")["response"]
    api.answer(method="GET", path="/apis/monitoring.coreos.com/v1", status=404, response=text)
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
        "spec": {"group": "monitoring.coreos.com", "names": {"kind": "ServiceMonitor"}},
    }
    query = "?fieldManager=argocd-controller&force=true&dryRun=All"
    name = definition["metadata"]["name"]  # type: ignore[index]
    api.answer(
        method="PATCH",
        path=f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}{query}",
        body=definition,
        status=201,
        response=definition,
    )
    findings = cluster.dry_run([definition, {**MONITOR, "metadata": {"name": "x"}}], NAMESPACE)
    assert [(f.level, f.message) for f in findings] == [
        ("info", "ServiceMonitor x: its kind comes with this release and could not be checked")
    ]


def test_a_namespace_that_will_be_created_is_no_failure(api: Any, cluster: Cluster) -> None:
    note = "dry run: the namespace is missing"
    api.replay(note)
    assert cluster.dry_run([api.row(note)["body"]], "ns-missing", created=["ns-missing"]) == (
        Finding(
            "info",
            "cluster-dry-run",
            "Deployment good: not checked, its namespace ns-missing does not exist yet",
        ),
    )


def test_a_namespace_that_nobody_creates_is_one(api: Any, cluster: Cluster) -> None:
    note = "dry run: the namespace is missing"
    api.replay(note)
    with pytest.raises(ClusterUnavailable) as refusal:
        cluster.dry_run([api.row(note)["body"]], "ns-missing")
    assert 'namespaces "ns-missing" not found' in refusal.value.why


@pytest.mark.parametrize(
    "annotations",
    [
        {"argocd.argoproj.io/hook": "PreSync"},
        {"helm.sh/hook": "pre-upgrade"},
        {"argocd.argoproj.io/sync-options": "Prune=false, Force=true"},
    ],
)
def test_what_argo_cd_creates_anew_may_change_what_is_immutable(
    api: Any, cluster: Cluster, annotations: dict[str, str]
) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "annotations": annotations},
    }
    anew = {**job, "metadata": {"annotations": annotations, "generateName": "migrate-"}}
    api.answer(
        method="POST",
        path=f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs?fieldManager=argocd-controller&dryRun=All",
        body=anew,
        status=201,
        response=anew,
    )
    assert cluster.dry_run([job], NAMESPACE) == ()


def test_what_the_api_server_warns_of_is_a_finding(api: Any, cluster: Cluster) -> None:
    row = api.row("dry run: fine")
    api.answer(**row | {"warning": '299 - "apps/v1 \\"old\\" is deprecated"'})
    (finding,) = cluster.dry_run([row["body"]], NAMESPACE)
    assert finding == Finding(
        "warning", "cluster-dry-run", 'Deployment good: apps/v1 "old" is deprecated'
    )


def test_a_secrets_values_are_not_in_the_refusal(api: Any, cluster: Cluster) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "pw!"}}
    row = api.row("dry run: a Service with port 99999")
    row["response"]["message"] = 'Secret "s" is invalid: data[k]: Invalid value: "pw!"'
    row["response"]["details"]["causes"] = [{"field": "data[k]", "message": "pw!"}]
    path = row["path"].replace("services/web", "secrets/s")
    api.answer(**row | {"body": secret, "path": path})
    with pytest.raises(PlanRefused) as refusal:
        cluster.dry_run([secret], NAMESPACE)
    assert refusal.value.why == "Secret s: Invalid data[k]"


@pytest.mark.parametrize(
    "response",
    [
        {"kind": "Status", "message": "etcdserver: request timed out", "code": 500},
        {
            "kind": "Status",
            "reason": "InternalError",
            "message": "Internal error occurred: failed calling webhook",
            "code": 500,
        },
        "<html>Bad Gateway</html>",
    ],
)
def test_a_cluster_that_is_unwell_refuses_no_plan(
    api: Any, cluster: Cluster, response: Any
) -> None:
    row = api.row("dry run: fine")
    api.answer(**row | {"status": 500, "response": response})
    with pytest.raises(ClusterUnavailable):
        cluster.dry_run([row["body"]], NAMESPACE)


def test_a_name_cannot_leave_its_path(api: Any, cluster: Cluster) -> None:
    row = api.row("dry run: fine")
    row["body"]["metadata"]["name"] = "../../secrets/x?y"
    path = row["path"].replace("deployments/good", "deployments/..%2F..%2Fsecrets%2Fx%3Fy")
    api.answer(**row | {"path": path})
    assert cluster.dry_run([row["body"]], NAMESPACE) == ()
