"""What bad input gets: one clear message, its kind's exit code, and nothing changed anywhere."""

import socket

import pytest
import yaml

from tests.e2e.conftest import SHORT, Ended, Team, git


def refused(team: Team, *arguments: str, **environ: str) -> Ended:
    """Run, and check that the report says refused and that the remote is as it was."""
    refs = team.refs()
    ended = team.run(*arguments, **environ)
    assert ended.report["outcome"] == "refused", ended.stdout
    assert ended.report["exit_code"] == ended.status
    assert ended.report["findings"][-1]["level"] == "error"
    assert ended.stderr.count("error: ") == 1
    assert team.refs() == refs
    return ended


def test_an_unknown_service_is_told_with_the_near_miss(alone: Team) -> None:
    wrong = alone.service[:-1] + "x"
    ended = refused(alone, "plan", f"{wrong}=1.5.0", ARGOCD_SERVER="")
    assert ended.status == 2
    assert f"Did you mean {alone.service}?" in ended.stderr


@pytest.mark.parametrize(
    "ask", ["{}=a b", "{}=", "{}=-x", "{}", "{}=1.0@sha256:12", "{}=" + "a" * 129]
)
def test_a_tag_that_is_none_is_refused(alone: Team, ask: str) -> None:
    assert refused(alone, "plan", ask.format(alone.service)).status == 2


def test_a_service_that_is_asked_for_twice_is_refused(alone: Team) -> None:
    ended = refused(alone, "plan", f"{alone.service}=1.5.0", f"{alone.service}=1.6.0")
    assert ended.status == 2
    assert "twice" in ended.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "values"),
        ("backend: {image: {tag: '1'}}\nbackend: {image: {tag: '2'}}\n", "stands twice"),
        ("a: [", "YAML"),
    ],
)
def test_a_values_file_that_cannot_be_edited_is_refused(
    alone: Team, text: str, reason: str
) -> None:
    path = alone.values_of(alone.service)
    alone.push("break it", {path: (alone.at("show", f"main:{path}"), text)})
    ended = refused(alone, "plan", f"{alone.service}=1.5.0")
    assert ended.status == 3
    assert reason.lower() in ended.stderr.lower()


def test_a_missing_values_file_is_refused(alone: Team) -> None:
    manifest = f"environments/argocd/apps/{alone.service}-prod.yaml"
    alone.push("name another", {manifest: ("values-prod.yaml", "values-none.yaml")})
    ended = refused(alone, "plan", f"{alone.service}=1.5.0")
    assert ended.status == 3
    assert "values-none.yaml" in ended.stderr


@pytest.mark.parametrize("path", ["../../etc", "helm/../../x"])
def test_an_application_outside_the_repository_is_refused(alone: Team, path: str) -> None:
    manifest = f"environments/argocd/apps/{alone.service}-prod.yaml"
    old = f"path: helm/applications/{alone.service}"
    alone.push("leave", {manifest: (old, f"path: {path}")})
    assert refused(alone, "plan", f"{alone.service}=1.5.0").status == 3


def test_a_parameter_that_overrides_the_tag_is_named_with_its_line(alone: Team) -> None:
    manifest = f"environments/argocd/apps/{alone.service}-prod.yaml"
    old = f"releaseName: {alone.service}"
    new = f"{old}\n      parameters: [{{name: backend.image.tag, value: 1.4.2}}]"
    alone.push("override", {manifest: (old, new)})
    ended = refused(alone, "plan", f"{alone.service}=1.5.0")
    assert ended.status == 3
    assert "the edit has no effect" in ended.stderr
    assert manifest in ended.stderr


def test_a_downgrade_is_refused_and_may_be_allowed(alone: Team) -> None:
    assert refused(alone, "plan", f"{alone.service}=1.4.1", "--image-check=off").status == 3
    options = ("--image-check=off", "--allow-downgrade")
    assert alone.run("plan", f"{alone.service}=1.4.1", *options).status == 0


def test_a_repository_out_of_reach_is_told(alone: Team) -> None:
    closed = closed_port()
    ended = refused(alone, "--repo", f"http://127.0.0.1:{closed}/x.git", "plan", "a=1.0.0")
    assert ended.status == 4
    assert "127.0.0.1" in ended.stderr


@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        ("ARGOCD_SERVER", "127.0.0.1:1", 4),
        ("ARGOCD_AUTH_TOKEN", "", 2),
        ("ARGOCD_AUTH_TOKEN", "a.wrong.token", 4),
    ],
)
def test_an_argo_cd_that_does_not_let_us_in_is_told(
    alone: Team, variable: str, value: str, status: int
) -> None:
    ended = refused(alone, "deploy", f"{alone.service}=1.5.0", *SHORT, **{variable: value})
    assert ended.status == status
    assert "Argo CD" in ended.stderr or "ARGOCD" in ended.stderr


def test_an_application_that_argo_cd_does_not_have_is_told(alone: Team) -> None:
    ended = refused(alone, "deploy", f"{alone.service}=1.5.0", *SHORT)
    assert ended.status == 4
    assert f"{alone.service}-prod" in ended.stderr


def test_an_environment_that_asks_for_confirmation_gets_one_or_is_refused(team: Team) -> None:
    config = {"apiVersion": "plate-release/v1", "environment": "prod", "confirm": True}
    team.push("confirm", {"environments/prod.yaml": ("", yaml.safe_dump(config))})
    options = [option for option in SHORT if option != "--yes"]
    ended = refused(team, "deploy", f"{team.service}=1.5.0", *options)
    assert ended.status == 4
    assert "--yes" in ended.stderr


def test_a_mistake_in_the_configuration_is_named(alone: Team) -> None:
    alone.push("config", {"environments/prod.yaml": ("", "confrim: true\n")})
    ended = refused(alone, "plan", f"{alone.service}=1.5.0")
    assert ended.status == 2
    assert "did you mean confirm" in ended.stderr


def test_a_work_tree_s_path_means_its_origin(alone: Team) -> None:
    clone = alone.work / "mine"
    git("clone", "--quiet", alone.url, str(clone), at=alone.work)
    options = ("--image-check=off", f"{alone.service}=1.5.0")
    for repo in (str(clone), "mine"):
        ended = alone.run("plan", "--repo", repo, *options)
        assert (ended.status, ended.report["outcome"]) == (0, "planned"), ended.stderr


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
