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
        (
            "requests: {cpu: 100m, memory: 64Mi}",
            "",
            "no-resources",
            "shop: no resources.requests.cpu.",
        ),
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


def test_limits_are_requests_too() -> None:
    sizes = ("requests: {cpu: 100m, memory: 64Mi}", "")
    assert review(deployment(sizes, ("limits: {", "limits: {cpu: 1, ")), "1.31") == ()


def test_a_probe_without_a_handler_is_none() -> None:
    probes = "readinessProbe: {}, livenessProbe: {exec: {command: [a]}}"
    pod = f"{{containers: [{{name: a, image: 'x/a:1', {probes}}}]}}"
    finding, _ = review(in_pod("Deployment", pod))
    assert finding.message.endswith("no readinessProbe.")


def test_a_pod_s_resources_are_its_containers_too() -> None:
    sizes = "resources: {requests: {cpu: 1}, limits: {memory: 64Mi}}"
    pod = f"{{{sizes}, containers: [{{name: a, image: 'x/a:1'}}]}}"
    assert review(in_pod("Job", pod)) == ()


def in_pod(kind: str, pod: str) -> Objects:
    """Put a pod's specification where objects of a kind have it."""
    text = f"template: {{metadata: {{labels: {{app: shop}}}}, spec: {pod}}}"
    if kind == "CronJob":
        text = f"jobTemplate: {{spec: {{{text}}}}}"
    if kind == "Pod":
        text = pod.strip("{}")
    return objects_in(f"apiVersion: x/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{{text}}}\n")


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("Deployment", ["no-probes", "no-resources"]),
        ("ReplicaSet", ["no-probes", "no-resources"]),
        ("Job", ["no-resources"]),
        ("CronJob", ["no-resources"]),
        ("Pod", ["no-resources"]),
        ("ConfigMap", []),
    ],
)
def test_which_kinds_need_what(kind: str, codes: list[str]) -> None:
    objects = in_pod(kind, "{containers: [{name: a, image: 'x/a:1'}]}")
    assert [finding.code for finding in review(objects)] == codes


def test_only_what_changes_needs_probes_and_resources() -> None:
    objects = in_pod("Deployment", "{containers: [{name: a, image: 'x/a'}]}")
    assert len(review(objects)) == 3
    assert review(objects, changed=[]) == ()


def test_containers_that_start_first_need_resources_and_sidecars_probes() -> None:
    pod = (
        "{initContainers: [{name: once, image: 'x/a:1'},"
        " {name: beside, image: 'x/a:1', restartPolicy: Always}]}"
    )
    found = [(f.code, f.message.split()[3]) for f in review(in_pod("Deployment", pod))]
    assert found == [
        ("no-probes", "beside:"),
        ("no-resources", "once:"),
        ("no-resources", "beside:"),
    ]


@pytest.mark.parametrize(
    "pod",
    [
        "5",
        "[5]",
        "{containers: {a: b}}",
        "{containers: null, initContainers: [a, null, 5]}",
        "{containers: [{name: 5, resources: 5, restartPolicy: [Always]}]}",
    ],
)
def test_odd_shapes_are_left_to_the_schema(pod: str) -> None:
    objects = in_pod("Deployment", pod)
    assert all(f.code in {"no-probes", "no-resources"} for f in review(objects, "1.31"))
    selector = "selector: {matchLabels: {app: a}}"
    shaped = objects_in(
        f"apiVersion: apps/v1\nkind: Deployment\nspec: {{{selector}, template: {{spec: {pod}}}}}"
    )
    (finding,) = validate(shaped, "1.31")
    assert "spec.template.spec" in finding.message


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ("labels: [a]", "labels are a map, not ['a']"),
        ("labels: {a: true}", "the label a cannot be True"),
        ("annotations: {a: 1}", "the annotation a cannot be 1"),
        ("annotations: {vault-token: 918273645}", "vault-token cannot be what it is"),
        ("annotations: {a: 'any text, however: odd'}", None),
        ("annotations: {a: null}", None),
        ("annotations: null", None),
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        "metadata: {%}",
        "spec: {template: {metadata: {%}}}",
        "spec: {jobTemplate: {metadata: {%}}}",
        "spec: {jobTemplate: {spec: {template: {metadata: {%}}}}}",
        "spec: {volumeClaimTemplates: [{metadata: {%}}]}",
    ],
)
def test_labels_and_annotations_are_texts(metadata: str, says: str | None, where: str) -> None:
    text = f"apiVersion: x/v1\nkind: Shop\n{where.replace('%', metadata)}\n"
    found = [finding.message for finding in review(objects_in(text))]
    assert len(found) == (says is not None)
    assert all(str(says) in message for message in found)


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
        ("apiregistration.k8s.io/v1beta1", "APIService", "1.22", "removed-api"),
        ("coordination.k8s.io/v1beta1", "Lease", "1.21", "deprecated-api"),
        ("batch/v2alpha1", "CronJob", "1.31", "removed-api"),
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


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [("gateway.networking.k8s.io/v1", "Gateway"), ("apps.kruise.io/v1", "Deployment")],
)
def test_groups_of_others_have_no_schema(api_version: str, kind: str) -> None:
    assert validate(simple(api_version, kind), "1.31") == ()


@pytest.mark.parametrize(
    ("api_version", "kind", "codes"),
    [
        ("apps/v1", "Deploymnet", ["kubernetes-schema"]),
        ("networking.k8s.io/v2", "Ingress", ["kubernetes-schema"]),
        ("policy/v1beta1", "PodDisruptionBudget", []),  # told as removed
    ],
)
def test_a_kind_that_kubernetes_does_not_have(
    api_version: str, kind: str, codes: list[str]
) -> None:
    assert [finding.code for finding in validate(simple(api_version, kind), "1.31")] == codes


def test_the_schema_s_word_about_a_secret_shows_none_of_it() -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: [hunter2]}\n"
    (finding,) = validate(objects_in(text), "1.31")
    assert "Secret a: data.password is not as it must be" in finding.message
    assert "hunter2" not in finding.message


def test_what_helm_test_would_run_is_not_validated() -> None:
    objects = deployment(
        ("metadata:\n  name", "metadata:\n  annotations: {helm.sh/hook: test}\n  name"),
        ("spec:\n  selector", "spec:\n  replicas: three\n  selector"),
    )
    assert validate(objects, "1.31") == ()


@pytest.mark.parametrize("version", ["", "1.12"])
def test_unknown_versions_are_told(version: str) -> None:
    assert [f.code for f in validate(deployment(), version)] == ["kubernetes-schema-unknown"]


def test_a_version_newer_than_all_is_checked_against_the_newest() -> None:
    objects = deployment(("spec:\n  selector", "spec:\n  replicas: three\n  selector"))
    refused, told = validate(objects, "1.99")
    assert refused.code == "kubernetes-schema"
    assert told.code == "kubernetes-schema-unknown"
    assert "are the newest, and it is 1.99" in told.message


def test_without_the_extra_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes_validate", None)
    (finding,) = validate(deployment(), "1.31")
    assert (finding.level, finding.code) == ("info", "kubernetes-schema-unknown")
    assert "plate-release[schemas]" in finding.message
