"""What the sandbox's Argo CD answers is what a real one was recorded to answer."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from plate_release.sandbox import Sandbox
from plate_release.sandbox.git import GitServer
from tests.sandbox.conftest import Chart, settled
from tests.sandbox.recordings import load

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
# Questions whose answers are about another machine: its version, its log server, its events.
APART = {"version", "logs", "managed resources", "events", "settings, no token"}
TOKENS = {
    "no token": None,
    "not a jwt": "nonsense",
    "bad token": "a.b.c",
    "user info, bad token": "a.b.c",
    "settings, no token": None,
}
UNTYPED = {"no content type", "delete without content type"}


def questions(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    note = ""
    for row in load(name).rows:
        if row["kind"] == "note":
            note = row["data"]
        elif row["kind"] == "call":
            yield note, row


def shape(value: Any, swaps: dict[str, str]) -> Any:
    """Return the answer with names, times and commits swapped for what they mean."""
    text = json.dumps(value)
    for old, new in swaps.items():
        text = text.replace(old, new)
    return json.loads(TIME.sub("TIME", text))


class Asker:
    def __init__(self, sandbox: Sandbox, swaps: dict[str, str]) -> None:
        self.sandbox, self.swaps = sandbox, swaps
        self.readonly = sandbox.call(lambda: sandbox.accounts.issue("readonly"))

    def __call__(self, note: str, row: dict[str, Any]) -> requests.Response:
        token = TOKENS.get(
            note, self.readonly if note.startswith("read-only") else self.sandbox.token
        )
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if row["method"] != "GET" and note not in UNTYPED:
            headers["Content-Type"] = "application/json"
        body = json.dumps(row.get("body"))
        for old, new in self.swaps.items():
            body = body.replace(old, new)
        path = row["path"].replace("/../version", "/../version")
        for old, new in self.swaps.items():
            path = path.replace(old, new)
        url = f"{self.sandbox.argocd_url}/api/v1{path}"
        data = body if row.get("body") is not None else None
        return requests.request(row["method"], url, headers=headers, data=data, timeout=60)


def compare(recorded: dict[str, Any], answer: requests.Response, swaps: dict[str, str]) -> None:
    assert answer.status_code == recorded["status"]
    assert answer.headers["Content-Type"] == recorded["content_type"]
    mine: Any = answer.json() if "json" in recorded["content_type"] else answer.text
    theirs = recorded["data"]
    if isinstance(theirs, str) and "json" in recorded["content_type"]:
        theirs = json.loads(theirs)
    if isinstance(theirs, dict) and ("metadata" in theirs and "items" not in theirs):
        mine, theirs = ({k: v[k] for k in ("metadata", "spec")} for v in (mine, theirs))
        assert mine["metadata"]["name"] == theirs["metadata"]["name"]
        assert shape(mine["spec"], {}) == shape(theirs["spec"], swaps)
        return
    if isinstance(theirs, dict) and "items" in theirs and "metadata" in theirs:
        theirs["metadata"].pop("resourceVersion", None)
        mine["metadata"].pop("resourceVersion", None)
    assert shape(mine, {}) == shape(theirs, swaps)


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    folder = tmp_path_factory.mktemp("errors")
    chart = Chart(folder / "repository")
    chart.git("clone", "--quiet", "--bare", str(chart.path), str(folder / "served/errors.git"))
    recording = load("errors")
    manifest = recording.scenario["application"]
    with GitServer(folder / "served") as git, Sandbox(factor=10) as sandbox:
        swaps = {
            manifest["spec"]["source"]["repoURL"]: git.url("errors.git"),
            recording.scenario["commit_before"]: chart.first,
        }
        manifest["spec"]["source"]["repoURL"] = git.url("errors.git")
        sandbox.apply(manifest)
        sandbox.wait("errors", settled)
        yield Asker(sandbox, swaps)


ERRORS = {note: row for note, row in questions("errors") if note not in APART}


@pytest.mark.parametrize("note", [n for n in ERRORS if not n.startswith("a stream")])
def test_wrong_questions_get_the_recorded_answers(errors: Asker, note: str) -> None:
    row = ERRORS[note]
    answer = errors(note, row)
    swaps = dict(errors.swaps)
    if note == "revision metadata":
        assert answer.json() | {"date": ""} == row["data"] | {"date": ""}
        return
    compare(row, answer, swaps)


def test_a_stream_with_a_bad_token_is_refused(errors: Asker) -> None:
    row = ERRORS["a stream with a bad token"]
    compare(row, errors("bad token", row), errors.swaps)


@pytest.mark.parametrize("name", ["nope", "errors"])
def test_a_stream_of_what_is_not_to_be_seen_is_silent(errors: Asker, name: str) -> None:
    namespace = "" if name == "nope" else "&appNamespace=kube-system"
    url = f"{errors.sandbox.argocd_url}/api/v1/stream/applications?name={name}{namespace}"
    headers = {"Authorization": f"Bearer {errors.sandbox.token}"}
    with pytest.raises(requests.ReadTimeout):
        requests.get(url, headers=headers, stream=True, timeout=0.5)


def test_the_version_is_named_without_a_token(errors: Asker) -> None:
    answer = requests.get(f"{errors.sandbox.argocd_url}/api/version", timeout=60)
    recorded = next(row for note, row in questions("errors") if note == "version")
    assert answer.json().keys() == recorded["data"].keys()
    assert answer.json()["Version"].startswith("v3.6.0+")


def test_applications_live_as_recorded(tmp_path: Path) -> None:
    chart = Chart(tmp_path / "repository")
    web = chart.path / "helm/applications/plate-web"
    web.mkdir()
    for file in ("Chart.yaml", "values.yaml", "values-prod.yaml"):
        (web / file).write_bytes(
            (chart.path / "helm/applications/plate-server" / file).read_bytes()
        )
    (web / "templates").symlink_to("../plate-server/templates")
    commit = chart.commit("web")
    recording = load("lifecycle")
    manifest = recording.scenario["application"]
    swaps = {
        manifest["spec"]["source"]["repoURL"]: str(chart.path),
        recording.scenario["commit_before"]: commit,
    }
    manifest["spec"]["source"]["repoURL"] = str(chart.path)
    with Sandbox(factor=10) as sandbox:
        sandbox.apply(manifest)
        sandbox.wait("lifecycle", settled)
        ask = Asker(sandbox, swaps)
        for note, row in questions("lifecycle"):
            if note == "get":
                sandbox.wait("lifecycle-2", settled)
            if note == "get, after it went":
                sandbox.sleep(6)
            answer = ask(note, row)
            if note in APART:
                assert answer.json().keys() == row["data"].keys()
                continue
            try:
                compare(row, answer, swaps)
            except AssertionError as error:
                raise AssertionError(f"{note}: {error}") from None
