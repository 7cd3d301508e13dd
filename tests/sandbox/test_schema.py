"""All that the sandbox's Argo CD answers is what Argo CD's own API description allows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft4Validator

from plate_release.sandbox import Sandbox
from tests.sandbox.conftest import Chart, Client, application, settled
from tests.sandbox.recordings import SHARED, applications, load

# Kubernetes' own record of who set which field is any object.
OPEN = {"v1FieldsV1"}
SWAGGER = json.loads((SHARED / "argocd/swagger.json").read_text())


def closed(schema: Any) -> Any:
    """Return a definition as JSON Schema, in which only described fields are allowed."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: closed(value) for key, value in schema.items() if key not in ("format", "allOf")}
    for base in schema.get("allOf", ()):
        inherited = SWAGGER["definitions"][base["$ref"].rpartition("/")[2]]
        out["properties"] |= closed(inherited)["properties"]
    if out.get("type") == "object" and "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def stated(value: Any) -> Any:
    """Return the answer without nulls, which are protobuf's way not to state a field."""
    if isinstance(value, dict):
        return {key: stated(each) for key, each in value.items() if each is not None}
    return [stated(each) for each in value] if isinstance(value, list) else value


DEFINITIONS = closed(SWAGGER["definitions"]) | {name: {"type": "object"} for name in OPEN}


def problems(value: Any, schema: dict[str, Any]) -> list[str]:
    validator = Draft4Validator(schema | {"definitions": DEFINITIONS})
    return [
        f"{'/'.join(map(str, e.path))}: {e.message[:300]}"
        for e in validator.iter_errors(stated(value))
    ]


def answer_of(path: str, method: str = "get") -> dict[str, Any]:
    schema = SWAGGER["paths"][path][method]["responses"]["200"]["schema"]
    found: dict[str, Any] = closed(schema)
    return found


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    chart = Chart(tmp_path_factory.mktemp("schema") / "repository", {"hook": "ok"})
    with Sandbox(factor=10) as sandbox:
        sandbox.apply(application("web", str(chart.path)))
        sandbox.project("frozen", [{"kind": "deny", "schedule": "* * * * *", "duration": "1h"}])
        sandbox.apply(application("cold", str(chart.path), project="frozen"))
        sandbox.wait("web", settled)
        sandbox.wait("cold", lambda app: app["status"]["sync"]["status"] == "OutOfSync")
        yield Client(sandbox)


def test_the_description_fits_what_was_recorded() -> None:
    schema = {"$ref": "#/definitions/v1alpha1Application"}
    for name in ("success", "sync-failed", "render-failed", "multi-source", "postsync-failed"):
        for _, app in applications(load(name).of("stream")):
            assert problems(app, schema) == []


APP = "/api/v1/applications/{name}"
OF_ONE = {
    "": APP,
    "/resource-tree": "/api/v1/applications/{applicationName}/resource-tree",
    "/managed-resources": "/api/v1/applications/{applicationName}/managed-resources",
    "/syncwindows": f"{APP}/syncwindows",
    "/manifests": f"{APP}/manifests",
    "/events": f"{APP}/events",
    "/revisions/HEAD/metadata": f"{APP}/revisions/{{revision}}/metadata",
}
OTHERS = {
    "/applications": "/api/v1/applications",
    "/session/userinfo": "/api/v1/session/userinfo",
    "/repositories": "/api/v1/repositories",
    "/clusters": "/api/v1/clusters",
}


@pytest.mark.parametrize("part", OF_ONE)
@pytest.mark.parametrize("name", ["web", "cold"])
def test_what_is_said_of_an_application_is_described(client: Client, name: str, part: str) -> None:
    revision = client.json(f"/applications/{name}")["status"]["sync"]["revision"]
    answer = client("GET", f"/applications/{name}{part}".replace("HEAD", revision))
    assert answer.status_code == 200
    assert problems(answer.json(), answer_of(OF_ONE[part])) == []


CAN_I = "/account/can-i/applications/sync/default/web"
OTHERS[CAN_I] = "/api/v1/account/can-i/{resource}/{action}/{subresource}"


def test_a_live_object_is_described(client: Client) -> None:
    tree = client.json("/applications/web/resource-tree")["nodes"]
    pod = next(node for node in tree if node["kind"] == "Pod")
    query = f"namespace={pod['namespace']}&resourceName={pod['name']}&version=v1&kind=Pod"
    answer = client.json(f"/applications/web/resource?{query}")
    assert problems(answer, answer_of("/api/v1/applications/{name}/resource")) == []
    assert json.loads(answer["manifest"])["metadata"]["name"] == pod["name"]
    assert client("GET", "/applications/web/resource?kind=Pod&resourceName=x").status_code == 400


@pytest.mark.parametrize("path", OTHERS)
def test_what_else_is_said_is_described(client: Client, path: str) -> None:
    assert problems(client.json(path), answer_of(OTHERS[path])) == []


def test_clusters_are_shown_to_whom_may_see_them(client: Client) -> None:
    assert client.json("/clusters")["items"] is None
    admin = Client(client.sandbox, client.sandbox.accounts.issue("admin"))
    (info,) = admin.json("/clusters")["items"]
    assert info["server"] == "https://kubernetes.default.svc"
    assert problems(admin.json("/clusters"), answer_of(OTHERS["/clusters"])) == []


@pytest.mark.parametrize(
    ("path", "described"),
    [
        ("/stream/applications", "/api/v1/stream/applications"),
        (
            "/stream/applications/web/resource-tree",
            "/api/v1/stream/applications/{applicationName}/resource-tree",
        ),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_streams_are_described(client: Client, path: str, described: str, accept: str) -> None:
    url = f"{client.sandbox.argocd_url}/api/v1{path}"
    headers = client.headers | {"Accept": accept}
    with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
        assert answer.headers["Content-Type"] == accept
        line = next(iter(answer.iter_lines(chunk_size=None)))
    text = line.decode().removeprefix("data: ")
    assert (text != line.decode()) is (accept == "text/event-stream")
    assert problems(json.loads(text), answer_of(described)) == []


def test_a_sync_and_its_states_are_described(client: Client, tmp_path: Path) -> None:
    chart = Chart(tmp_path / "repository", {"invalid": True})
    client.sandbox.apply(application("broken", str(chart.path)))
    client.sandbox.wait("broken", lambda app: "message" in app["status"].get("operationState", {}))
    schema = answer_of(APP)
    assert problems(client.json("/applications/broken"), schema) == []
    answer = client("POST", "/applications/web/sync", json={"prune": True})
    assert answer.status_code == 200
    assert problems(answer.json(), answer_of(f"{APP}/sync", "post")) == []


@pytest.mark.parametrize("path", ["/applications/nope", "/applications/nope?project=default"])
def test_errors_are_described(client: Client, path: str) -> None:
    answer = client("GET", path)
    assert answer.status_code in (403, 404)
    assert problems(answer.json(), {"$ref": "#/definitions/runtimeError"}) == []
