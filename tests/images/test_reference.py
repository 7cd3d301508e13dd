import pytest

from plate_release.errors import UsageError
from plate_release.images.reference import is_digest, is_repository, is_tag, locate, parse_ask
from plate_release.model import Ask

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "text",
    [
        *("nginx", "localhost:5000/app", "ghcr.io/team/app", "[::1]:5000/a", "Reg.Example.com/a"),
        *("reg.example.com/a__b/c.d-e", "10.0.0.1/a"),
    ],
)
def test_a_name_of_an_image(text: str) -> None:
    assert is_repository(text)


@pytest.mark.parametrize(
    "text",
    ["", ":1", "a:", "App", "a b", "https://ghcr.io/a", "a//b", "a:1", "a/", "[::1/x", "a" * 256],
)
def test_what_is_no_name_of_an_image(text: str) -> None:
    assert not is_repository(text)


@pytest.mark.parametrize(
    ("repository", "location"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/team/app", "docker.io/team/app"),
        ("team/app", "docker.io/team/app"),
        ("localhost/app", "localhost/app"),
        ("reg:5000/app", "reg:5000/app"),
        ("ghcr.io/a/b/c", "ghcr.io/a/b/c"),
        ("GHCR.io:443/a/b", "ghcr.io/a/b"),
    ],
)
def test_a_repository_is_where_docker_would_look(repository: str, location: str) -> None:
    assert str(locate(repository)) == location


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("plate-api=1.5.0", Ask("plate-api", "1.5.0")),
        (f"plate-api=latest@{DIGEST}", Ask("plate-api", "latest", DIGEST)),
    ],
)
def test_an_ask_is_read(text: str, ask: Ask) -> None:
    assert parse_ask(text) == ask


@pytest.mark.parametrize(
    "text",
    [
        *("plate-api", "=1", "a=", "a=-1", "a=.1", "a=1+b", "a=1 2", "a=1\n", "a=" + "x" * 129),
        *("a=1@", "a=1@sha256:abc", f"a=1@{DIGEST.upper()}", f"a=@{DIGEST}", "a=b:1", "a=$(x)"),
    ],
)
def test_what_is_no_ask_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_ask(text)


def test_the_limits_of_tags_and_digests() -> None:
    assert is_tag("x" * 128)
    assert not is_tag("x" * 129)
    assert is_digest("sha512:" + "0" * 128)
    assert not is_digest("sha512:" + "0" * 64)
