"""What Kubernetes does not let change while an object is there."""

import json
from typing import Any

import pytest

from plate_release.charts import immutable
from plate_release.charts.difference import compare

from .conftest import objects_in

CONTAINER = {"name": "a", "image": "a:1"}
NEW = CONTAINER | {"image": "a:2"}


def found(api: str, kind: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    before, after = (
        objects_in(json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": "a"}} | body))
        for body in (old, new)
    )
    return [one.message.partition(",")[0] for one in immutable(compare(before, after))]


@pytest.mark.parametrize(
    ("api", "kind", "old", "new", "field"),
    [
        ("v1", "Pod", {"spec": {"nodeName": "a"}}, {"spec": {"nodeName": "b"}}, "spec"),
        (
            "v1",
            "PersistentVolumeClaim",
            {"spec": {"storageClassName": "a"}},
            {"spec": {"storageClassName": "b"}},
            "spec",
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            {"roleRef": {"name": "a"}},
            {"roleRef": {"name": "b"}},
            "roleRef",
        ),
        (
            "storage.k8s.io/v1",
            "StorageClass",
            {"provisioner": "a"},
            {"provisioner": "b"},
            "provisioner",
        ),
        ("scheduling.k8s.io/v1", "PriorityClass", {"value": 1}, {"value": 2}, "value"),
        (
            "v1",
            "ConfigMap",
            {"immutable": True, "data": {"a": "1"}},
            {"immutable": True, "data": {"a": "2"}},
            "data",
        ),
        (
            "v1",
            "Secret",
            {"immutable": True, "stringData": {"a": "1"}},
            {"immutable": True, "stringData": {"a": "2"}},
            "stringData",
        ),
        (
            "batch/v1",
            "Job",
            {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}},
            {"spec": {"template": {"spec": {"containers": [NEW]}}}},
            "spec.template",
        ),
    ],
)
def test_a_fixed_field_is_told(
    api: str, kind: str, old: dict[str, Any], new: dict[str, Any], field: str
) -> None:
    assert found(api, kind, old, new) == [f"{kind} a: {field} changes"]
    # Argo CD makes these anew.
    replaced = {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false, Force=true"}}
    assert found(api, kind, old, new | {"metadata": {"name": "a"} | replaced}) == []
    renamed = {"metadata": {"name": "b"}}
    assert found(api, kind, old, new | renamed) == []


@pytest.mark.parametrize(
    ("api", "kind", "old", "new"),
    [
        (
            "v1",
            "Pod",
            {"spec": {"initContainers": [CONTAINER], "containers": [CONTAINER]}},
            {"spec": {"initContainers": [NEW], "containers": [NEW]}},
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            {"spec": {"resources": {"requests": {"storage": "1Gi"}}}},
            {"spec": {"resources": {"requests": {"storage": "2Gi"}}}},
        ),
        ("v1", "ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}),
        ("example.com/v1", "Deployment", {"spec": {"selector": 1}}, {"spec": {"selector": 2}}),
        ("apps/v1", "Deployment", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}),
    ],
)
def test_what_may_change_is_not_told(
    api: str, kind: str, old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert found(api, kind, old, new) == []
