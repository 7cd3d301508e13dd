"""The charts are what a release reviewer accepts, with both major versions of Helm."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "helm" / "applications"
NAMES = ["plate-cache", "plate-llm", "plate-server", "plate-web"]
SCALABLE = ["plate-llm", "plate-server", "plate-web"]
OPTIONS = ["ingress.enabled=true", "ingress.host=plate.example.com", "ingress.tlsSecretName=tls"]
AUTOSCALED = "autoscaling.enabled=true"


def run(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], capture_output=True, text=True, check=False)


@cache
def render(helm: Path, chart: str, *settings: str) -> list[dict[str, Any]]:
    flags = [flag for setting in settings for flag in ("--set", setting)]
    values = CHARTS / chart / "values-prod.yaml"
    done = run(helm, "template", "release", str(CHARTS / chart), "--values", str(values), *flags)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def kinds(objects: list[dict[str, Any]]) -> set[str]:
    return {item["kind"] for item in objects}


def test_the_charts_are_these() -> None:
    assert sorted(path.name for path in CHARTS.iterdir()) == NAMES


@pytest.mark.parametrize("chart", NAMES)
def test_lint_is_strictly_clean(helm: Path, chart: str) -> None:
    values = CHARTS / chart / "values-prod.yaml"
    done = run(helm, "lint", "--strict", str(CHARTS / chart), "--values", str(values))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("kubernetes", ["1.30", "1.33", "1.37"])
@pytest.mark.parametrize(
    ("chart", "settings"),
    [(name, []) for name in NAMES] + [(name, [*OPTIONS, AUTOSCALED]) for name in SCALABLE],
)
def test_every_object_fits_the_kubernetes_schema(
    helm: Path, chart: str, settings: list[str], kubernetes: str
) -> None:
    objects = render(helm, chart, *settings)
    assert "Deployment" in kinds(objects)
    for item in objects:
        kubernetes_validate.validate(item, kubernetes, strict=True)


@pytest.mark.parametrize("chart", NAMES)
def test_rendering_twice_gives_the_same(helm: Path, chart: str) -> None:
    assert render.__wrapped__(helm, chart) == render.__wrapped__(helm, chart)


@pytest.mark.parametrize("chart", NAMES)
def test_a_roll_out_takes_no_pod_away_first(helm: Path, chart: str) -> None:
    spec = of_kind(render(helm, chart), "Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    startup = spec["template"]["spec"]["containers"][0]["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] < spec["progressDeadlineSeconds"]


@pytest.mark.parametrize("chart", NAMES)
def test_a_pod_drains_before_it_is_killed(helm: Path, chart: str) -> None:
    pod = of_kind(render(helm, chart), "Deployment")["spec"]["template"]["spec"]
    drain = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < drain < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("chart", NAMES)
def test_the_container_is_probed_limited_and_confined(helm: Path, chart: str) -> None:
    pod = of_kind(render(helm, chart), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert {"cpu", "memory"} == container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(port["containerPort"] > 1023 for port in container["ports"])


@pytest.mark.parametrize("chart", NAMES)
def test_the_service_reaches_the_pods(helm: Path, chart: str) -> None:
    objects = render(helm, chart)
    service, template = of_kind(objects, "Service"), of_kind(objects, "Deployment")["spec"]
    labels = template["template"]["metadata"]["labels"]
    ports = template["template"]["spec"]["containers"][0]["ports"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["spec"]["ports"][0]["targetPort"] in {port["name"] for port in ports}


@pytest.mark.parametrize("chart", SCALABLE)
@pytest.mark.parametrize(
    ("settings", "budget"),
    [
        (["replicaCount=1"], False),
        (["replicaCount=2"], True),
        (["replicaCount=1", AUTOSCALED], True),
        (["replicaCount=3", AUTOSCALED, "autoscaling.minReplicas=1"], False),
    ],
)
def test_a_budget_stands_only_where_a_pod_can_be_spared(
    helm: Path, chart: str, settings: list[str], budget: bool
) -> None:
    assert ("PodDisruptionBudget" in kinds(render(helm, chart, *settings))) is budget


@pytest.mark.parametrize("chart", SCALABLE)
def test_the_autoscaler_owns_the_replicas(helm: Path, chart: str) -> None:
    fixed, scaled = render(helm, chart), render(helm, chart, AUTOSCALED)
    assert "HorizontalPodAutoscaler" not in kinds(fixed)
    assert "replicas" in of_kind(fixed, "Deployment")["spec"]
    target = of_kind(scaled, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == of_kind(scaled, "Deployment")["metadata"]["name"]
    assert "replicas" not in of_kind(scaled, "Deployment")["spec"]


@pytest.mark.parametrize("chart", SCALABLE)
def test_an_ingress_stands_only_where_asked(helm: Path, chart: str) -> None:
    assert "Ingress" not in kinds(render(helm, chart))
    rule = of_kind(render(helm, chart, *OPTIONS), "Ingress")["spec"]["rules"][0]
    assert rule["host"] == "plate.example.com"


@pytest.mark.parametrize(
    ("chart", "setting", "told"),
    [
        ("plate-web", "image.tag=1.20", "tag"),
        ("plate-server", "backend.image.tga=1.5.0", "tga"),
        ("plate-server", "ingress.enabled=true", "host"),
        ("plate-llm", "resources.limits=null", "limits"),
        ("plate-cache", "replicaCount=2", "replicaCount"),
    ],
)
def test_the_schema_refuses_a_mistake(
    helm: Path, tmp_path: Path, chart: str, setting: str, told: str
) -> None:
    path, _, value = setting.partition("=")
    tree: Any = yaml.safe_load(value)
    for key in reversed(path.split(".")):
        tree = {key: tree}
    mistake = tmp_path / "mistake.yaml"
    mistake.write_text(yaml.safe_dump(tree))
    done = run(helm, "template", "release", str(CHARTS / chart), "--values", str(mistake))
    assert done.returncode != 0
    assert told in done.stderr


def test_a_changed_nginx_configuration_starts_new_pods(helm: Path, tmp_path: Path) -> None:
    def checksum(chart: Path) -> str:
        done = run(helm, "template", "release", str(chart))
        objects = list(yaml.safe_load_all(done.stdout))
        metadata = of_kind(objects, "Deployment")["spec"]["template"]["metadata"]
        return str(metadata["annotations"]["checksum/config"])

    original = CHARTS / "plate-web"
    changed = tmp_path / "plate-web"
    subprocess.run(["cp", "-r", original, changed], check=True)
    config = changed / "templates" / "configmap.yaml"
    config.write_text(config.read_text().replace("gzip on", "gzip off"))
    assert checksum(original) != checksum(changed)
