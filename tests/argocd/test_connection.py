"""The environment of the argocd CLI, understood or refused."""

from pathlib import Path

import pytest

from plate_release.argocd.connection import connection_from
from plate_release.errors import UsageError

TOKEN = {"ARGOCD_AUTH_TOKEN": "a.b.c"}


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"ARGOCD_SERVER": "argocd.example.com"}, "https://argocd.example.com"),
        ({"ARGOCD_SERVER": "argocd.example.com:8443"}, "https://argocd.example.com:8443"),
        ({"ARGOCD_SERVER": "https://a.example.com/argocd/"}, "https://a.example.com/argocd"),
        ({"ARGOCD_SERVER": "a.example.com/argocd"}, "https://a.example.com/argocd"),
        ({"ARGOCD_SERVER": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"ARGOCD_SERVER": "[::1]:8080", "ARGOCD_PLAINTEXT": "true"}, "http://[::1]:8080"),
        ({"ARGOCD_SERVER": " a.example.com\n", "ARGOCD_PLAINTEXT": "1"}, "http://a.example.com"),
    ],
)
def test_the_server_in_all_its_forms(environment: dict[str, str], url: str) -> None:
    assert connection_from({**TOKEN, **environment}).url == url


def test_the_environment_beats_the_configured_server() -> None:
    configured = "https://configured.example.com"
    assert connection_from(TOKEN, server=configured).url == configured
    environment = {**TOKEN, "ARGOCD_SERVER": "other.example.com"}
    assert connection_from(environment, server=configured).url == "https://other.example.com"


@pytest.mark.parametrize(
    "server",
    [
        "",
        "ftp://a.example.com",
        "https://",
        "https://user:pass-word@a.example.com",
        "https://a.example.com/?token=pass-word",
        "a.example.com:port",
        "a.example.com\r\nHost: b",
        "https://[::1",
    ],
)
def test_what_is_no_server_is_refused_without_repeating_it(server: str) -> None:
    with pytest.raises(UsageError) as refusal:
        connection_from({**TOKEN, "ARGOCD_SERVER": server})
    assert "ARGOCD_SERVER" in str(refusal.value)
    assert "pass-word" not in str(refusal.value)


def test_https_and_plaintext_contradict_each_other() -> None:
    environment = {**TOKEN, "ARGOCD_SERVER": "https://a.example.com", "ARGOCD_PLAINTEXT": "true"}
    with pytest.raises(UsageError, match="opposite"):
        connection_from(environment)


@pytest.mark.parametrize("token", ["", "  ", "a.b c", "a.b\nc", "a.b\x00c"])
def test_a_missing_or_broken_token_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="ARGOCD_AUTH_TOKEN") as refusal:
        connection_from({"ARGOCD_SERVER": "a", "ARGOCD_AUTH_TOKEN": token})
    assert not token.strip() or token not in str(refusal.value)


def test_headers_one_a_line_and_nothing_secret_in_the_repr() -> None:
    connection = connection_from(
        {
            "ARGOCD_SERVER": "a",
            "ARGOCD_AUTH_TOKEN": "se.cr.et",
            "ARGOCD_HEADERS": "CF-Access-Client-Id: 12:34\n\nX-Pass:hidden\n",
            "ARGOCD_CA_FILE": "/etc/ca.pem",
            "ARGOCD_INSECURE": "true",
        }
    )
    headers = [(name, value.value) for name, value in connection.headers]
    assert headers == [("CF-Access-Client-Id", "12:34"), ("X-Pass", "hidden")]
    assert connection.ca_file == Path("/etc/ca.pem")
    assert connection.insecure
    assert not {"se.cr.et", "hidden", "12:34"} & set(repr(connection).replace("'", " ").split())


@pytest.mark.parametrize("line", ["no colon", "Bad Name: x", ": x", "X: a\x00b"])
def test_a_line_that_is_no_header_is_refused_without_its_value(line: str) -> None:
    with pytest.raises(UsageError, match="line 2 of ARGOCD_HEADERS") as refusal:
        connection_from({**TOKEN, "ARGOCD_SERVER": "a", "ARGOCD_HEADERS": f"A: b\n{line}"})
    assert line not in str(refusal.value)


def test_a_flag_that_is_neither_is_refused() -> None:
    with pytest.raises(UsageError, match="ARGOCD_INSECURE"):
        connection_from({**TOKEN, "ARGOCD_SERVER": "a", "ARGOCD_INSECURE": "maybe"})
