import base64
import json
from pathlib import Path

import pytest

from plate_release.errors import UsageError
from plate_release.images.access import may_know
from plate_release.images.credentials import Login, docker_login, given_logins
from plate_release.images.reference import Location
from plate_release.model import Secret


def written(folder: Path, config: object) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), "PATH": str(folder)}


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("host", "auths", "login"),
    [
        ("ghcr.io", {"ghcr.io": auth("me:a:b")}, Login("me", Secret("a:b"))),
        ("docker.io", {"https://index.docker.io/v1/": auth("me:x")}, Login("me", Secret("x"))),
        ("reg:5000", {"http://reg:5000/v2/": auth("me:x")}, Login("me", Secret("x"))),
        ("a.io", {"a.io": {"username": "me", "password": "x"}}, Login("me", Secret("x"))),
        ("a.io", {"a.io": {"identitytoken": "t"}}, Login(identity_token=Secret("t"))),
        ("a.io", {"b.a.io": auth("me:x"), "a.io:444": auth("me:x")}, None),
        ("a.io", {"HTTPS://A.io:443": auth("me:x")}, Login("me", Secret("x"))),
        ("a.io", {"a.io": auth("me:x"), "a.io/other": auth("you:y")}, Login("me", Secret("x"))),
        ("a.io", {"a.io": auth("me:x"), "a.io/team": auth("you:y")}, Login("you", Secret("y"))),
        ("a.io", {"https://a.io": auth("me:x"), "a.io": {}}, Login("me", Secret("x"))),
        ("a.io", {"a.io": {"auth": "bWU6\n eA"}}, Login("me", Secret("x"))),
        (
            "a.io",
            {"a.io": {"auth": "%%%", "username": "me", "password": "x"}},
            Login("me", Secret("x")),
        ),
        (
            "docker.io",
            {
                "https://index.docker.io/v1/": auth("me:x"),
                "https://index.docker.io/v1/access-token": auth("me:access"),
                "https://index.docker.io/v1/refresh-token": auth("me:refresh"),
            },
            Login("me", Secret("x")),
        ),
        ("a.io", {"a.io": {}}, None),
        ("a.io", {"a.io": {"auth": "%%%"}}, None),
        ("a.io", {"a.io": "text"}, None),
        ("a.io", [], None),
    ],
)
def test_a_login_is_found_by_its_host(
    tmp_path: Path, host: str, auths: object, login: Login | None
) -> None:
    assert docker_login(Location(host, "team/app"), written(tmp_path, {"auths": auths})) == login


def test_without_a_configuration_there_is_no_login(tmp_path: Path) -> None:
    assert docker_login(Location("a.io", "team/app"), {"HOME": str(tmp_path)}) is None
    for text in ("{broken", "[" * 100_000, "[]"):
        (tmp_path / "config.json").write_text(text)
        assert docker_login(Location("a.io", "team/app"), {"DOCKER_CONFIG": str(tmp_path)}) is None


def test_the_current_folder_is_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".docker").mkdir()
    written(tmp_path / ".docker", {"auths": {"a.io": auth("me:x")}})
    monkeypatch.chdir(tmp_path)
    for environ in ({}, {"HOME": ""}):
        assert docker_login(Location("a.io", "team/app"), environ) is None


def test_the_home_folder_is_where_docker_looks(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    written(tmp_path / ".docker", {"auths": {"a.io": auth("me:x")}})
    assert docker_login(Location("a.io", "team/app"), {"HOME": str(tmp_path)}) == Login(
        "me", Secret("x")
    )


def helper(folder: Path, name: str, answer: str, status: int = 0) -> None:
    """Install a credential helper that notes whom it was asked for."""
    program = folder / f"docker-credential-{name}"
    program.write_text(
        f"#!/bin/sh\nread -r host\necho $host >> {folder}/asked\necho '{answer}'\nexit {status}\n"
    )
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("config", "host", "asked"),
    [
        ({"credsStore": "vault"}, "a.io", "a.io"),
        ({"credsStore": "vault"}, "docker.io", "https://index.docker.io/v1/"),
        ({"credHelpers": {"a.io": "vault"}, "credsStore": "none"}, "a.io", "a.io"),
    ],
)
def test_a_configured_helper_is_asked(
    tmp_path: Path, config: dict[str, object], host: str, asked: str
) -> None:
    helper(tmp_path, "vault", '{"ServerURL": "x", "Username": "me", "Secret": "s"}')
    environ = written(tmp_path, config)
    assert docker_login(Location(host, "team/app"), environ) == Login("me", Secret("s"))
    assert (tmp_path / "asked").read_text().split() == [asked]


def test_a_helper_may_answer_with_an_identity_token(tmp_path: Path) -> None:
    helper(tmp_path, "vault", '{"Username": "<token>", "Secret": "s"}')
    login = docker_login(Location("a.io", "team/app"), written(tmp_path, {"credsStore": "vault"}))
    assert login == Login(identity_token=Secret("s"))


@pytest.mark.parametrize(
    "config",
    [
        {"auths": {"a.io": {}}},
        {"credHelpers": {"b.io": "vault"}},
        {"credsStore": "../vault"},
        {"credsStore": "missing"},
        {"credsStore": ["vault"]},
    ],
)
def test_no_other_program_is_run(tmp_path: Path, config: dict[str, object]) -> None:
    helper(tmp_path, "vault", '{"Username": "me", "Secret": "s"}')
    assert docker_login(Location("a.io", "team/app"), written(tmp_path, config)) is None
    assert not (tmp_path / "asked").exists()


def test_a_helper_that_fails_leaves_the_login_of_the_file(tmp_path: Path) -> None:
    helper(tmp_path, "vault", "credentials not found", 1)
    config = {"credsStore": "vault", "auths": {"a.io": auth("me:x")}}
    assert docker_login(Location("a.io", "team/app"), written(tmp_path, config)) == Login(
        "me", Secret("x")
    )
    assert (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    "answer",
    ["null", "[]", "[" * 5_000, '{"Username": null, "Secret": null}', '{"Username": "me"}'],
)
def test_a_helper_that_says_nothing_useful_gives_no_login(tmp_path: Path, answer: str) -> None:
    helper(tmp_path, "vault", answer)
    environ = written(tmp_path, {"credsStore": "vault"})
    assert docker_login(Location("a.io", "team/app"), environ) is None


def test_a_helper_sees_no_token_of_ours(tmp_path: Path) -> None:
    program = tmp_path / "docker-credential-vault"
    program.write_text(
        '#!/bin/sh\necho "{\\"Username\\": \\"$AWS$GITOPS_TOKEN\\", \\"Secret\\": \\"s\\"}"\n'
    )
    program.chmod(0o755)
    environ = written(tmp_path, {"credsStore": "vault"}) | {"GITOPS_TOKEN": "t", "AWS": "me"}
    assert docker_login(Location("a.io", "x"), environ) == Login("me", Secret("s"))


@pytest.mark.parametrize(
    ("environ", "logins"),
    [
        ({}, {}),
        (
            {"REGISTRY_USERNAME": "me", "REGISTRY_PASSWORD": "x"},
            {"docker.io": Login("me", Secret("x"))},
        ),
        (
            {"REGISTRY": "https://GHCR.io/", "REGISTRY_USERNAME": "me", "REGISTRY_PASSWORD": "x"},
            {"ghcr.io": Login("me", Secret("x"))},
        ),
    ],
)
def test_a_login_may_be_given(environ: dict[str, str], logins: dict[str, Login]) -> None:
    assert given_logins(environ) == logins


@pytest.mark.parametrize(("given", "missing"), [("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")])
def test_half_a_login_is_refused(given: str, missing: str) -> None:
    with pytest.raises(UsageError, match=f"REGISTRY_{missing} is missing"):
        given_logins({f"REGISTRY_{given}": "x"})


def test_a_login_does_not_show_itself() -> None:
    login = Login("me", Secret("s3cret"), Secret("t0ken"))
    assert "s3cret" not in f"{login} {login!r}"
    assert "t0ken" not in f"{login} {login!r}"


@pytest.mark.parametrize(
    ("registry", "realm", "may"),
    [
        ("docker.io", "https://auth.docker.io/token", True),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("ghcr.io", "https://ghcr.io/token", True),
        ("harbor.example.com:8443", "https://harbor.example.com/service/token", True),
        ("127.0.0.1:5000", "http://127.0.0.1:5001/token", True),
        ("a.example.com", "https://b.example.com/token", False),
        ("example.com", "https://evilexample.com/token", False),
        ("registry.example.com", "https://com/token", False),
        ("example.com", "https://com/token", False),
        ("registry.example.co.uk", "https://co.uk/token", False),
        ("10.0.0.5:5000", "https://0.0.5/token", False),
        ("docker.io", "https://docker.io.evil.net/token", False),
    ],
)
def test_which_token_server_may_know_the_login(registry: str, realm: str, may: bool) -> None:
    assert may_know(registry, realm) is may
