"""What can be made to go wrong, over real sockets and real git over HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from plate_release.sandbox import Fault, Sandbox
from plate_release.sandbox.git import Answer, GitServer
from tests.sandbox.conftest import Chart, Client, application, settled


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    chart = Chart(tmp_path / "repository")
    with Sandbox(factor=10) as sandbox:
        sandbox.apply(application("web", str(chart.path)))
        sandbox.wait("web", settled)
        yield Client(sandbox)


def lines(client: Client, path: str = "/stream/applications?name=web") -> Iterator[Any]:
    url = f"{client.sandbox.argocd_url}/api/v1{path}"
    with requests.get(url, headers=client.headers, stream=True, timeout=5) as answer:
        yield from answer.iter_lines(chunk_size=None)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_an_error_is_answered_as_often_as_asked(client: Client, status: int) -> None:
    fault = Fault(
        "answer", "GET .*/applications/web", 1, status, "sorry", "text/plain", {"Retry-After": "2"}
    )
    client.sandbox.inject(fault)
    first, second = client("GET", "/applications/web"), client("GET", "/applications/web")
    assert (first.status_code, first.text, first.headers["Retry-After"]) == (status, "sorry", "2")
    assert second.status_code == 200


def test_a_proxys_page_may_stand_in_the_way(client: Client) -> None:
    client.sandbox.inject(Fault("answer", "stream", 1, 200, "<html>Sign in</html>", "text/html"))
    assert list(lines(client)) == [b"<html>Sign in</html>"]


def test_a_connection_may_be_reset(client: Client) -> None:
    client.sandbox.inject(Fault("reset", "applications/web", 1))
    with pytest.raises(requests.ConnectionError):
        client("GET", "/applications/web")
    assert client("GET", "/applications/web").status_code == 200


def test_a_server_may_accept_and_never_answer(client: Client) -> None:
    client.sandbox.inject(Fault("hang", "applications/web"))
    url = f"{client.sandbox.argocd_url}/api/v1/applications/web"
    with pytest.raises(requests.ReadTimeout):
        requests.get(url, headers=client.headers, timeout=0.3)
    client.sandbox.heal()
    assert client("GET", "/applications/web").status_code == 200


def test_a_stream_may_be_cut_in_the_middle_of_a_line(client: Client) -> None:
    client.sandbox.inject(Fault("cut", "stream", 1, after=100))
    received: list[bytes] = []
    with pytest.raises(requests.RequestException):
        received.extend(lines(client))
    assert len(b"".join(received)) <= 100
    assert json.loads(next(lines(client)))["result"]["type"] == "ADDED"


def test_a_stream_may_fall_silent(client: Client) -> None:
    client.sandbox.inject(Fault("silent", "stream", 1, after=0))
    url = f"{client.sandbox.argocd_url}/api/v1/stream/applications?name=web"
    with requests.get(url, headers=client.headers, stream=True, timeout=3) as answer:
        assert answer.status_code == 200
        with pytest.raises(requests.ConnectionError):
            next(answer.iter_lines())


def test_the_server_may_be_restarted(client: Client) -> None:
    cut = threading.Event()

    def follow() -> None:
        try:
            for _ in lines(client):
                pass
        except requests.RequestException:
            cut.set()

    follower = threading.Thread(target=follow)
    follower.start()
    while not any("stream" in line for line in client.sandbox.requests):
        time.sleep(0.01)
    client.sandbox.stop_argocd()
    assert cut.wait(5)
    follower.join()
    with pytest.raises(requests.ConnectionError):
        client("GET", "/applications/web")
    client.sandbox.start_argocd()
    assert client("GET", "/applications/web").status_code == 200


def test_another_process_reaches_the_switchboard(client: Client) -> None:
    admin = client.sandbox.admin_url
    body = {"kind": "answer", "matching": "applications/web", "times": 1, "status": 502}
    requests.post(f"{admin}/faults", json=body, timeout=5).raise_for_status()
    assert client("GET", "/applications/web").status_code == 502
    requests.post(f"{admin}/argocd", json={"up": False}, timeout=5).raise_for_status()
    with pytest.raises(requests.ConnectionError):
        client("GET", "/applications/web")
    requests.post(f"{admin}/argocd", json={"up": True}, timeout=5).raise_for_status()
    asked = requests.get(f"{admin}/requests", timeout=5).json()
    assert asked.count("GET /api/v1/applications/web") == 1


def test_a_git_server_out_of_reach_is_told_as_argo_cd_tells_it(tmp_path: Path) -> None:
    chart = Chart(tmp_path / "repository")
    chart.git("clone", "--quiet", "--bare", str(chart.path), str(tmp_path / "served/r.git"))
    with GitServer(tmp_path / "served") as git, Sandbox(factor=10) as sandbox:
        sandbox.apply(application("web", git.url("r.git")))
        sandbox.wait("web", settled)
        git.inject(Answer(503), times=100)
        client = Client(sandbox)
        app = client.json("/applications/web?refresh=normal")
        [condition] = app["status"]["conditions"]
        assert condition["type"] == "ComparisonError"
        assert "code = Unknown desc = failed to list refs" in condition["message"]
        git.heal()
        healed = client.json("/applications/web?refresh=normal")
        assert "conditions" not in healed["status"]


def test_what_cannot_be_followed_is_said(client: Client, tmp_path: Path) -> None:
    source = {"repoURL": "https://charts.example.test", "chart": "redis", "targetRevision": "1.0.0"}
    answer = client("POST", "/applications", json=application("cache", "", source=source))
    assert answer.status_code == 400
    assert "the sandbox cannot follow the chart redis" in answer.json()["message"]
    hydrated = application("hydrated", "", sourceHydrator={"drySource": {}})
    del hydrated["spec"]["source"]
    client.sandbox.apply(hydrated)
    app = client.sandbox.wait("hydrated", lambda app: "conditions" in app["status"])
    assert "the sandbox cannot follow the source hydrator" in str(app["status"]["conditions"])
    chart = Chart(tmp_path / "other")
    (chart.path / "helm/applications/plate-server/kustomization.yaml").write_text("{}")
    chart.commit("kustomize")
    answer = client("POST", "/applications", json=application("kust", str(chart.path)))
    assert "the sandbox cannot follow kustomize" in answer.json()["message"]


def test_what_somebody_changes_by_hand_is_healed(client: Client) -> None:
    from plate_release.sandbox.world import Ref

    ref = Ref("apps", "Deployment", "ns-web", "plate-api")
    sandbox = client.sandbox
    sandbox.call(lambda: sandbox.world.change(ref, lambda obj: obj["spec"].update(replicas=3)))
    healed = sandbox.wait(
        "web",
        lambda app: (
            settled(app) and app["status"]["operationState"]["operation"]["sync"].get("resources")
        ),
    )
    live = sandbox.object(ref)
    assert live is not None
    assert live["spec"]["replicas"] == 1
    assert len(healed["status"]["history"]) == 1


def test_a_webhook_finds_a_push_at_once(client: Client, tmp_path: Path) -> None:
    chart = Chart.__new__(Chart)
    chart.path, chart._values = tmp_path / "repository", {"backend": {"image": {"tag": "1.4.2"}}}
    commit = chart.push(tag="1.5.0")
    push = {"ref": "refs/heads/main", "repository": {"clone_url": str(chart.path)}}
    assert client("POST", "/webhook", json=push).status_code == 200
    app = client.sandbox.wait("web", lambda app: app["status"]["sync"].get("revision") == commit)
    assert app["metadata"]["annotations"] is not None
