"""The same questions, asked of the sandbox's cluster, which answers for objects that live."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from plate_release.cluster import Cluster, ObjectRef
from plate_release.errors import ClusterUnavailable, PlanRefused
from plate_release.sandbox.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
NAMESPACE = "plate-prod"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(factor=20) as running:
        yield running


@pytest.fixture
def here(sandbox: Sandbox) -> Cluster:
    found = Cluster.connect(None, sandbox.environment())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def rendered() -> list[dict[str, Any]]:
    chart = ROOT / "helm/applications/plate-server"
    done = subprocess.run(
        [
            ROOT / ".tools/helm-4/helm",
            "template",
            "plate-api",
            chart,
            "-f",
            chart / "values-prod.yaml",
        ],
        capture_output=True,
        check=True,
    )
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def create(sandbox: Sandbox, path: str, body: dict[str, Any]) -> None:
    kubeconfig = yaml.safe_load(sandbox.kubeconfig.read_text())
    token = kubeconfig["users"][0]["user"]["token"]
    url = f"{sandbox.kubernetes_url}{path}"
    answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=5)
    assert answer.status_code in (201, 409), answer.text


def test_a_namespace_to_come_is_found_and_objects_wait_for_it(
    here: Cluster, rendered: list[dict[str, Any]]
) -> None:
    findings = here.preflight(["plate-new"], created=["plate-new"])
    assert [finding.code for finding in findings] == ["cluster", "namespace-created"]
    with pytest.raises(ClusterUnavailable, match="does not exist"):
        here.preflight(["plate-new"])
    notes = here.dry_run(rendered, "plate-new", created=["plate-new"])
    assert len(notes) == len(rendered)
    assert all("does not exist yet" in note.message for note in notes)


def test_the_charts_of_production_are_accepted_and_a_broken_one_is_not(
    sandbox: Sandbox, here: Cluster, rendered: list[dict[str, Any]]
) -> None:
    create(sandbox, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    assert here.dry_run(rendered, NAMESPACE) == ()
    broken = [document | {"spek": {}} for document in rendered if document["kind"] == "Deployment"]
    with pytest.raises(PlanRefused, match="spek: field not declared in schema"):
        here.dry_run(broken, NAMESPACE)


def test_what_runs_is_seen_and_saved(
    sandbox: Sandbox, here: Cluster, rendered: list[dict[str, Any]], tmp_path: Path
) -> None:
    create(sandbox, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    (deployment,) = [document for document in rendered if document["kind"] == "Deployment"]
    create(sandbox, f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", deployment)
    ref = ObjectRef.of(deployment, NAMESPACE)
    deadline = time.monotonic() + 30
    while (found := here.status([ref])).ready < found.replicas:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    assert found.images == ("harbor.cocdev.co.kr/stg-server/server:latest",)
    assert [pod.ready for pod in found.pods] == [True]

    (saved,) = yaml.safe_load_all(here.backup([ref], tmp_path / "b.yaml").read_text("utf-8"))
    assert saved["spec"]["selector"] == deployment["spec"]["selector"]
    assert here.dry_run([saved], NAMESPACE) == ()


def test_a_viewer_is_told_what_it_lacks(sandbox: Sandbox, tmp_path: Path) -> None:
    create(sandbox, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    admin, viewer = sandbox.kubernetes.token, sandbox.kubernetes.viewer_token
    file = tmp_path / "kubeconfig"
    file.write_text(sandbox.kubeconfig.read_text().replace(admin, viewer))
    found = Cluster.connect(str(file), {})
    assert found is not None
    with pytest.raises(ClusterUnavailable) as refusal:
        found.preflight([NAMESPACE])
    assert "viewer lacks permissions" in refusal.value.what
    assert "patch deployments.apps, get deployments.apps" in refusal.value.what
