"""What a release reviewer looks for, and Kubernetes' own schemas."""

import sys

import pytest

from plate_release.charts import Objects
from plate_release.charts.checks import review, validate

from .conftest import objects_in

CONTAINER = """
        - name: shop
          image: registry.example.com/plate/shop:1.4.2
          readinessProbe: &probe {httpGet: {path: /, port: 80}}
          livenessProbe: *probe
          resources:
            requests: {cpu: 100m, memory: 64Mi}
            limits: {memory: 64Mi}
"""
DEPLOYMENT = """\
# Source: shop/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  labels: {app.kubernetes.io/version: 1.4.2}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:"""


def deployment(*changes: tuple[str, str]) -> Objects:
    text = DEPLOYMENT + CONTAINER
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return objects_in(text)


def simple(api_version: str, kind: str) -> Objects:
    text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: shop}}\n"
    return objects_in(text)


def test_a_sound_workload_has_no_findings() -> None:
    assert review(deployment(), "1.31") == ()


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        (":1.4.2\n", ":latest\n", "mutable-image", "shop:latest may be another image"),
        ("shop:1.4.2\n", "shop\n", "mutable-image", "plate/shop may be"),
        ("livenessProbe: *probe", "", "no-probes", "no livenessProbe."),
        ("memory: 64Mi}\n            limits: {memory: 64Mi}", "}", "no-resources", "limits.memory"),
        ("1.4.2}", "'1.4.2@sha256'}", "invalid-label", "cannot be '1.4.2@sha256'"),
        (
            "{app: shop}}\n    spec",
            "{app: shop, n: 1}}\n    spec",
            "invalid-label",
            "n cannot be 1",
        ),
    ],
)
def test_finding(old: str, new: str, code: str, says: str) -> None:
    (finding,) = review(deployment((old, new)), "1.31")
    assert finding.code == code
    assert says in finding.message


def test_a_digest_makes_any_tag_certain() -> None:
    assert review(deployment((":1.4.2\n", f":latest@sha256:{'1' * 64}\n"))) == ()


@pytest.mark.parametrize(
    ("api_version", "kind", "kube_version", "code"),
    [
        ("policy/v1beta1", "PodDisruptionBudget", "v1.31.2", "removed-api"),
        ("policy/v1beta1", "PodDisruptionBudget", "1.24", "deprecated-api"),
        ("policy/v1beta1", "PodDisruptionBudget", "", "deprecated-api"),
        ("extensions/v1beta1", "Ingress", "1.21", "deprecated-api"),
        ("extensions/v1beta1", "Deployment", "1.21", "removed-api"),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler", "1.26", "removed-api"),
    ],
)
def test_removed_api(api_version: str, kind: str, kube_version: str, code: str) -> None:
    assert [f.code for f in review(simple(api_version, kind), kube_version)] == [code]


def test_a_current_api_is_no_finding() -> None:
    assert review(simple("policy/v1", "PodDisruptionBudget"), "1.31") == ()


def test_the_schema_of_the_destinations_version() -> None:
    objects = deployment(("spec:\n  selector", "spec:\n  replicas: three\n  selector"))
    (finding,) = validate(objects, "v1.31.2")
    assert (finding.level, finding.code) == ("error", "kubernetes-schema")
    assert "Deployment shop: spec.replicas: 'three' is not of type" in finding.message
    assert "shop/templates/deployment.yaml" in finding.message
    assert validate(deployment(), "v1.31.2") == ()


def test_custom_resources_have_no_schema() -> None:
    assert validate(simple("example.com/v1", "Shop"), "1.31") == ()


@pytest.mark.parametrize("version", ["", "1.12", "1.99"])
def test_unknown_versions_are_told(version: str) -> None:
    assert [f.code for f in validate(deployment(), version)] == ["kubernetes-schema-unknown"]


def test_without_the_extra_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes_validate", None)
    (finding,) = validate(deployment(), "1.31")
    assert (finding.level, finding.code) == ("info", "kubernetes-schema-unknown")
    assert "plate-release[schemas]" in finding.message
