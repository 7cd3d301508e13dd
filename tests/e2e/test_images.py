"""What the registry says of an image, from the plan to the ledger."""

import json

import pytest

from tests.e2e.conftest import SHORT, Ended, Team
from tests.images.conftest import OCI, Store, store

__all__ = ["store"]
CHECKED = [option for option in SHORT if "image-check" not in option]


@pytest.fixture
def pulling(nobody: Team, store: Store) -> Team:
    """A team whose chart takes its image from a registry that is there."""
    nobody.add()
    file = nobody.work / "seed" / nobody.values_of(nobody.service)
    file.write_text(file.read_text().replace("registry.example", store.host))
    nobody.configure({})
    nobody.found()
    return nobody


def deploy(team: Team, tag: str, *options: str, **environ: str) -> Ended:
    return team.run("deploy", f"{team.service}={tag}", *CHECKED, *options, **environ)


def test_the_image_is_recorded_and_compared(pulling: Team, store: Store) -> None:
    digest = store.image("stg-server/server", "1.5.0")
    ended = deploy(pulling, f"1.5.0@{digest}", "--image-check=require")
    assert (ended.status, ended.service["verdict"]) == (0, "live"), ended.stderr
    image = {
        "digest": digest,
        "platforms": {"linux/amd64": digest},
        "created": "2026-11-23T10:00:00Z",
    }
    images = {f"{store.host}/stg-server/server:1.5.0@{digest}": image}
    assert ended.service["images"] == images
    note = json.loads(pulling.at("notes", "--ref=plate-release", "show", ended.report["commit"]))
    assert note["services"][0]["images"] == images
    assert not [f for f in ended.report["findings"] if f["level"] == "warning"]


def test_an_image_that_is_not_there_or_not_for_these_nodes_is_refused(
    pulling: Team, store: Store
) -> None:
    store.image("stg-server/server", "1.6.0")
    store.image("stg-server/server", "1.7.0", OCI, "arm64")
    refs = pulling.refs()
    missing = deploy(pulling, "1.6.1")
    assert (missing.status, missing.report["outcome"]) == (3, "refused")
    assert "The nearest tags are 1.6.0" in missing.stderr
    other = deploy(pulling, "1.7.0")
    assert (other.status, other.report["findings"][-1]["code"]) == (3, "image-platform")
    assert "does not run on linux/amd64" in other.stderr
    assert pulling.refs() == refs


def test_every_image_of_a_key_is_asked_for_as_the_containers_name_it(
    pulling: Team, store: Store
) -> None:
    worker = (
        "        - name: worker\n"
        '          image: "{{ .Values.backend.image.repository }}-worker'
        ':{{ .Values.backend.image.tag }}-slim"\n'
    )
    deployment = f"helm/applications/{pulling.service}/templates/deployment.yaml"
    pulling.push("A worker", {deployment: ("      containers:\n", f"      containers:\n{worker}")})
    store.image("stg-server/server", "1.8.0")
    check = [*CHECKED, "--image-check=require"]
    missing = pulling.run("deploy", "--dry-run", f"{pulling.service}=1.8.0", *check)
    assert missing.status == 3
    assert "stg-server/server-worker has no 1.8.0-slim" in missing.stderr
    store.image("stg-server/server-worker", "1.8.0-slim")
    ended = pulling.run("deploy", "--dry-run", f"{pulling.service}=1.8.0", *check)
    assert ended.status == 0, ended.stderr
    names = [name.partition("/")[2] for name in ended.service["images"]]
    assert sorted(names) == ["stg-server/server-worker:1.8.0-slim", "stg-server/server:1.8.0"]


def test_a_tag_beside_the_digest_of_another_image_is_told(pulling: Team, store: Store) -> None:
    store.image("stg-server/server", "1.5.0")
    other = store.image("stg-server/server", "1.6.0", OCI, "arm64")
    ended = deploy(pulling, f"1.5.0@{other}", "--dry-run")
    (told,) = [one for one in ended.report["findings"] if one["code"] == "tag-digest"]
    assert f"and {other} will run" in told["message"]


def test_a_tag_that_stands_there_already_needs_no_registry(pulling: Team) -> None:
    ended = deploy(pulling, "1.4.2", "--image-check=require", HTTPS_PROXY="http://127.0.0.1:1")
    assert (ended.status, ended.report["outcome"]) == (0, "unchanged"), ended.stderr


def test_a_registry_out_of_reach_is_told_or_refuses(team: Team) -> None:
    refs = team.refs()
    told = team.run("plan", f"{team.service}=1.5.0")
    assert told.status == 0, told.stderr
    assert "image-unchecked" in {finding["code"] for finding in told.report["findings"]}
    refused = team.run("plan", f"{team.service}=1.5.0", "--image-check=require")
    assert (refused.status, refused.report["outcome"]) == (3, "refused")
    assert team.refs() == refs


def test_half_a_login_is_a_usage_error(pulling: Team) -> None:
    ended = deploy(pulling, "1.5.0", REGISTRY_USERNAME="me")
    assert (ended.status, "REGISTRY_PASSWORD is missing" in ended.stderr) == (2, True)
