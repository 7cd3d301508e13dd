"""What the GitOps repository promises: its Applications, its configuration, production's values."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from plate_release import config

ROOT = Path(__file__).parents[2]
APPS = ROOT / "environments" / "argocd" / "apps"
CHART_OF = {
    "plate-api": "plate-server",
    "plate-cache": "plate-cache",
    "plate-llm": "plate-llm",
    "plate-web": "plate-web",
}
SERVER_VALUES = """
replicaCount: 1
backend:
  image:
    repository: harbor.cocdev.co.kr/stg-server/server
    tag: "latest"
    pullPolicy: IfNotPresent
  port: 3006
  resources:
    limits:
      cpu: 500m
      memory: 1Gi
    requests:
      cpu: 250m
      memory: 512Mi
"""
WEB_VALUES = """
replicaCount: 1
image:
  repository: nginx
  pullPolicy: IfNotPresent
  tag: "1.25"
resources:
  limits:
    cpu: 500m
    memory: 512Mi
  requests:
    cpu: 250m
    memory: 256Mi
"""


def load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize(
    ("chart", "values"), [("plate-server", SERVER_VALUES), ("plate-web", WEB_VALUES)]
)
def test_production_values_are_exactly_these(chart: str, values: str) -> None:
    file = ROOT / "helm" / "applications" / chart / "values-prod.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.strip().startswith("#")]
    assert lines == values.strip().splitlines()


def test_each_service_has_its_application() -> None:
    assert sorted(path.name for path in APPS.iterdir()) == [f"{s}-prod.yaml" for s in CHART_OF]


@pytest.mark.parametrize(("service", "chart"), CHART_OF.items())
def test_application_deploys_its_chart_to_production(service: str, chart: str) -> None:
    manifest = load(APPS / f"{service}-prod.yaml")
    assert manifest["apiVersion"] == "argoproj.io/v1alpha1"
    assert manifest["kind"] == "Application"
    assert manifest["metadata"]["name"] == f"{service}-prod"
    source = manifest["spec"]["source"]
    assert source["targetRevision"] == "main"
    assert source["path"] == f"helm/applications/{chart}"
    assert source["helm"] == {"releaseName": service, "valueFiles": ["values-prod.yaml"]}
    assert (ROOT / source["path"] / "values-prod.yaml").is_file()
    assert manifest["spec"]["destination"]["namespace"] == "plate-prod"


@pytest.mark.parametrize("service", CHART_OF)
def test_application_heals_itself_and_gives_up_after_three_tries(service: str) -> None:
    policy = load(APPS / f"{service}-prod.yaml")["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True, "allowEmpty": False}
    assert "CreateNamespace=true" in policy["syncOptions"]
    assert policy["retry"] == {
        "limit": 3,
        "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"},
    }


def test_configuration_is_valid_and_names_the_services() -> None:
    file = ROOT / "environments" / "prod.yaml"
    parsed = config.parse(file.read_bytes(), file=file.name, environment="prod")
    assert parsed.confirm
    assert (ROOT / parsed.applications) == APPS
    assert parsed.services.keys() == CHART_OF.keys()
    assert all(service.tags.policy == "semver" for service in parsed.services.values())
