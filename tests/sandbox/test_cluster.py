"""What the sandbox's cluster answers is what a real one was recorded to answer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import yaml

from plate_release.sandbox import Sandbox
from plate_release.sandbox.world import Ref
from tests.sandbox.recordings import SHARED

FOLDER = SHARED / "kubernetes"
# What this cluster does not play: a quota, an admission policy.
NOT_PLAYED = {"dry run: a Pod, beyond the quota", "dry run: an admission policy refuses"}
# Lists of pods of another cluster, and tokens that only that one understands.
OTHER_CLUSTERS = {"a page of pods", "the next page", "logs where there is no kubelet"}
VIEWER = ("not permitted", "(viewer)", "who am I", "dry run: not permitted")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


def questions() -> list[dict[str, Any]]:
    both = [*rows("answers"), *rows("dry-run")]
    return [row for row in both if row["note"] not in NOT_PLAYED | OTHER_CLUSTERS]


def workload(name: str, tag: str, **spec: Any) -> dict[str, Any]:
    containers = [
        {
            "name": "main",
            "image": f"harbor.cocdev.co.kr/stg-server/server:{tag}",
            "ports": [{"containerPort": 3006}],
        }
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/instance": name}},
        "spec": {
            "replicas": 1,
            "progressDeadlineSeconds": 20,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}},
        }
        | spec,
    }


class Cluster:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def ask(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        token = kwargs.pop("token", self.sandbox.kubernetes.token)
        headers = kwargs.pop("headers", {})
        if token:
            headers |= {"Authorization": f"Bearer {token}"}
        url = self.sandbox.kubernetes_url + path
        return requests.request(method, url, headers=headers, timeout=60, **kwargs)

    def apply(self, obj: dict[str, Any]) -> None:
        from plate_release.sandbox.syncing import apply
        from plate_release.sandbox.world import ref_of

        obj = obj | {"metadata": obj["metadata"] | {"namespace": "ns-k8s"}}
        self.sandbox.call(lambda: apply(self.sandbox.world, ref_of(obj), obj))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Sandbox(factor=40) as sandbox:
        cluster = Cluster(sandbox)
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns-k8s"}}
        cluster.ask("POST", "/api/v1/namespaces", json=body)
        tags = {
            "good": "1.5.0",
            "pull": "9.9.9-bad",
            "crash": "1.5.0-crash",
            "oom": "1.5.0-oom",
            "cfgerr": "1.5.0-cfgerr",
            "never": "1.5.0-never",
        }
        for name in tags:
            cluster.apply(workload(name, "1.4.2", replicas=2 if name == "good" else 1))
        sandbox.sleep(6)
        for name, tag in tags.items():
            cluster.apply(workload(name, tag, replicas=2 if name == "good" else 1))
        hungry = workload("unschedulable", "1.5.0")
        hungry["spec"]["template"]["spec"]["containers"][0]["resources"] = {
            "requests": {"cpu": "1000"}
        }
        cluster.apply(hungry)
        sandbox.sleep(30)
        yield cluster


@pytest.mark.parametrize("row", questions(), ids=lambda row: row["note"])
def test_an_answer_is_as_recorded(cluster: Cluster, row: dict[str, Any]) -> None:
    note = row["note"]
    kubernetes = cluster.sandbox.kubernetes
    token: str | None = kubernetes.token
    if any(part in note for part in VIEWER):
        token = kubernetes.viewer_token
    if note in ("no credentials", "a wrong token"):
        token = None if note == "no credentials" else "wrong"
    body = row["body"]
    kind = row["content_type"]
    data = (yaml.safe_dump(body) if "yaml" in (kind or "") else json.dumps(body)) if body else None
    headers = {"Content-Type": kind} if kind else {}
    answer = cluster.ask(row["method"], row["path"], token=token, data=data, headers=headers)
    assert answer.status_code == row["status"]
    theirs = row["response"]
    if isinstance(theirs, str):
        assert answer.text == theirs
        return
    mine = answer.json()
    if theirs.get("type") == "ERROR":
        theirs, mine = theirs["object"], mine["object"]
        theirs["message"] = theirs["message"].split("(")[0]
        mine["message"] = mine["message"].split("(")[0]
    if note == "version":
        assert mine.keys() == theirs.keys()
        assert mine["gitVersion"] == theirs["gitVersion"]
    elif theirs["kind"] in ("Deployment", "Service"):
        known(mine["spec"], theirs["spec"], without={"clusterIP", "clusterIPs"})
    else:
        for each in (mine, theirs):
            for key in ("resourceVersion", "creationTimestamp", "managedFields"):
                each["metadata"].pop(key, None)
        assert mine == theirs


def known(mine: dict[str, Any], theirs: dict[str, Any], *, without: set[str]) -> None:
    assert {k: v for k, v in mine.items() if k not in without} == {
        k: v for k, v in theirs.items() if k not in without
    }


def shape(value: Any) -> Any:
    """Return what an object is made of: its keys and, of texts, those that are not this run's."""
    if isinstance(value, dict):
        dropped = {
            "managedFields",
            "ownerReferences",
            "labels",
            "annotations",
            "selector",
            "env",
            "tolerations",
            "priority",
            "enableServiceLinks",
            "preemptionPolicy",
            "qosClass",
            "nodeName",
            "observedGeneration",
            "generateName",
        }
        return {k: shape(v) for k, v in value.items() if k not in dropped}
    if isinstance(value, list):
        return [shape(each) for each in value]
    return type(value).__name__ if isinstance(value, int) else value


def story(pod: dict[str, Any]) -> Any:
    """Return what a pod's status says."""
    status = pod["status"]
    containers = [
        {k: c[k] for k in ("ready", "restartCount", "started", "image")}
        | {
            "waiting": c["state"].get("waiting"),
            "running": "running" in c["state"],
            "last": {
                k: c["lastState"].get("terminated", {}).get(k) for k in ("exitCode", "reason")
            },
        }
        for c in status.get("containerStatuses", ())
    ]
    conditions = {c["type"]: (c["status"], c.get("reason")) for c in status["conditions"]}
    return status["phase"], containers, conditions


WORKLOADS = ("good", "pull", "crash", "oom", "cfgerr", "never", "unschedulable")


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_looks_as_recorded(cluster: Cluster, name: str) -> None:
    recorded = {row["note"]: row for row in rows("workloads")}
    both = {}
    for what in ("deployment", "replica sets", "pods"):
        row = recorded[f"{name}: {what}"]
        both[what] = cluster.ask("GET", row["path"]).json(), row["response"]
    mine, theirs = both["pods"]
    assert sorted(map(str, map(story, mine["items"]))) == sorted(
        map(str, map(story, theirs["items"]))
    )
    mine, theirs = both["deployment"]
    verdicts = [
        {c["type"]: (c["status"], c["reason"]) for c in each["status"]["conditions"]}
        for each in (mine, theirs)
    ]
    assert verdicts[0] == verdicts[1]
    counts = [
        {k: v for k, v in each["status"].items() if k.endswith("plicas")} for each in (mine, theirs)
    ]
    assert counts[0] == counts[1]
    mine, theirs = both["replica sets"]
    replicas = [sorted(i["spec"]["replicas"] for i in each["items"]) for each in (mine, theirs)]
    assert replicas[0] == replicas[1]


def test_pages_follow_each_other(cluster: Cluster) -> None:
    names: list[str] = []
    path = "/api/v1/namespaces/ns-k8s/pods?limit=2"
    page = cluster.ask("GET", path).json()
    while page["metadata"].get("continue"):
        names += [item["metadata"]["name"] for item in page["items"]]
        page = cluster.ask("GET", f"{path}&continue={page['metadata']['continue']}").json()
    names += [item["metadata"]["name"] for item in page["items"]]
    whole = cluster.ask("GET", "/api/v1/namespaces/ns-k8s/pods").json()["items"]
    assert names == [item["metadata"]["name"] for item in whole]


def test_a_watch_tells_changes_and_bookmarks(cluster: Cluster) -> None:
    path = "/apis/apps/v1/namespaces/ns-k8s/deployments"
    start = cluster.ask("GET", path).json()["metadata"]["resourceVersion"]
    cluster.apply(workload("good", "1.6.0", replicas=2))
    query = f"?watch=1&resourceVersion={start}&allowWatchBookmarks=true&timeoutSeconds=90"
    lines = [json.loads(line) for line in cluster.ask("GET", path + query).iter_lines()]
    kinds = {line["type"] for line in lines}
    assert kinds == {"MODIFIED", "BOOKMARK"}
    changed = [line["object"] for line in lines if line["type"] == "MODIFIED"]
    assert {obj["metadata"]["name"] for obj in changed} == {"good"}
    versions = [int(obj["metadata"]["resourceVersion"]) for obj in changed]
    assert versions == sorted(versions)
    assert versions[0] > int(start)


def test_the_python_client_gets_along(cluster: Cluster) -> None:
    from kubernetes import client, config

    api = config.new_client_from_config(str(cluster.sandbox.kubeconfig))
    with api:
        assert client.VersionApi(api).get_code().git_version == "v1.36.1"
        pods = client.CoreV1Api(api).list_namespaced_pod("ns-k8s", label_selector="app=pull")
        reasons = [
            c.state.waiting.reason
            for p in pods.items
            for c in p.status.container_statuses
            if c.state.waiting
        ]
    assert reasons == ["ImagePullBackOff"]


def test_a_dry_run_changes_nothing(cluster: Cluster) -> None:
    ref = Ref("apps", "Deployment", "ns-k8s", "good")
    before = cluster.sandbox.object(ref)
    body = yaml.safe_dump(workload("good", "2.0.0"))
    path = "/apis/apps/v1/namespaces/ns-k8s/deployments/good?dryRun=All&fieldManager=x&force=true"
    headers = {"Content-Type": "application/apply-patch+yaml"}
    answer = cluster.ask("PATCH", path, data=body, headers=headers)
    image = answer.json()["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.endswith(":2.0.0")
    assert cluster.sandbox.object(ref) == before
