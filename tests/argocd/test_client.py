"""Argo CD's answers, right and wrong, over real HTTP; the wrong ones as they were recorded."""

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer, SimpleHTTPRequestHandler
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plate_release.application import Destination
from plate_release.argocd import transport
from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.connection import Connection
from plate_release.argocd.failures import (
    CallFailed,
    Forbidden,
    NoOperation,
    NotArgo,
    NotFound,
    OperationInProgress,
    Rejected,
    TimedOut,
    Unauthorized,
    Unreachable,
    Unwell,
    WindowClosed,
)
from plate_release.argocd.transport import Transport
from plate_release.errors import ExitCode, UsageError
from plate_release.model import Secret
from plate_release.sandbox.sandbox import Sandbox

APP = AppRef("errors", "default")


def argo(url: str, **options: Any) -> ArgoCD:
    return ArgoCD(Transport(Connection(url, Secret("a.b.c"), **options)))


def recorded(recordings: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return the answers of a recording by the question that the note before each asks."""
    found, question = {}, ""
    for row in rows_of(recordings, name):
        if row["kind"] == "note":
            question = row["data"]
        elif row["kind"] == "call":
            found[question] = row
    return found


def rows_of(recordings: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (recordings / name).read_text("utf-8").splitlines()]


def replayed(row: dict[str, Any]) -> Any:
    data = row["data"]
    text = data if isinstance(data, str) else json.dumps(data)
    return lambda exchange: exchange.text(text, row["status"], row["content_type"])


@pytest.mark.parametrize(
    ("question", "kind", "says"),
    [
        ("no token", Unauthorized, "two dots"),
        ("bad token", Unauthorized, "wrong or revoked"),
        ("missing app, no project", Forbidden, "does not say which"),
        ("missing app, project given", NotFound, '"nope" not found'),
        ("namespace not enabled", Forbidden, "namespace"),
        ("two projects", Rejected, "multiple projects"),
        ("read-only token syncs", Forbidden, "applications, sync, default/errors"),
        ("no content type", Rejected, "Invalid content type"),
        ("terminate with no operation", NoOperation, "No operation"),
        ("manifests of an unknown revision", Unwell, "not our ref"),
        ("no such route", NotFound, "root path"),
        ("sync, unknown revision", Rejected, "auto-sync currently set to main"),
        ("a stream with a bad token", Unauthorized, "malformed"),
    ],
)
def test_each_recorded_refusal_is_told_apart(
    server: Any, recordings: Path, question: str, kind: type[CallFailed], says: str
) -> None:
    row = recorded(recordings, "errors.jsonl")[question]
    server.answer = replayed(row)
    with pytest.raises(CallFailed) as refusal:
        argo(server.url).sync(APP)
    assert type(refusal.value) is kind
    assert refusal.value.status == row["status"]
    assert refusal.value.exit_code is ExitCode.PREFLIGHT_REFUSED
    assert says in str(refusal.value)
    assert "a.b.c" not in str(refusal.value)


def test_an_expired_token_is_told_from_a_wrong_one(server: Any) -> None:
    said = "invalid session: token has invalid claims: token is expired"
    server.answer = lambda exchange: exchange.json({"code": 16, "message": said}, 401)
    with pytest.raises(Unauthorized, match="The token has expired"):
        argo(server.url).get(APP)


@pytest.mark.parametrize(
    ("recording", "status", "kind"),
    [("busy.jsonl", 400, OperationInProgress), ("sync-window.jsonl", 403, WindowClosed)],
)
def test_a_sync_that_must_wait(
    server: Any, recordings: Path, recording: str, status: int, kind: type[CallFailed]
) -> None:
    rows = rows_of(recordings, recording)
    row = next(row for row in rows if row["kind"] == "call" and row["status"] == status)
    server.answer = replayed(row)
    with pytest.raises(kind):
        argo(server.url).sync(APP)


def test_what_a_sync_and_a_termination_send(server: Any) -> None:
    heard: list[str] = []
    server.answer = lambda exchange: exchange.json({})
    client = ArgoCD(Transport(Connection(server.url + "/root", Secret("a.b.c"))), told=heard.append)
    client.sync(AppRef("plate api", "default", "team"))
    client.terminate_operation(AppRef("plate-api", "default"))
    sync, terminate = server.asked
    assert (sync.method, sync.path) == ("POST", "/root/api/v1/applications/plate%20api/sync")
    assert json.loads(sync.body) == {"project": "default", "appNamespace": "team"}
    assert terminate.method == "DELETE"
    assert terminate.query == {"project": "default"}
    for asked in server.asked:
        assert asked.headers["content-type"] == "application/json"
        assert asked.headers["authorization"] == "Bearer a.b.c"
        assert asked.headers["grpc-metadata-token"] == "a.b.c"
    assert heard == [
        "POST /api/v1/applications/plate%20api/sync",
        "DELETE /api/v1/applications/plate-api/operation",
    ]
    server.answer = lambda exchange: exchange.json({"code": 3, "message": "No operation"}, 400)
    with pytest.raises(CallFailed):
        client.terminate_operation(AppRef("plate-api"))
    assert heard[2:] == [heard[1], f"{heard[1]}: It answered 400: No operation"]


def test_a_header_of_the_user_replaces_authorization_and_netrc_never_does(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.answer = lambda exchange: exchange.json({"Version": "v3.6.0"})
    assert argo(server.url).version() == "v3.6.0"
    argo(server.url, headers=(("Authorization", Secret("Basic eA==")),)).version()
    assert [a.headers["authorization"] for a in server.asked] == ["Bearer a.b.c", "Basic eA=="]
    assert server.asked[1].headers["grpc-metadata-token"] == "a.b.c"


def test_the_recorded_answers_are_typed(server: Any, recordings: Path) -> None:
    rows = recorded(recordings, "errors.jsonl")
    client = argo(server.url)
    server.answer = replayed(rows["can I sync"])
    assert client.can_i("sync", APP)
    assert server.asked[-1].path == "/api/v1/account/can-i/applications/sync/default/errors"
    server.answer = replayed(rows["user info"])
    assert client.userinfo().username == "ci"
    server.answer = replayed(rows["user info, bad token"])
    assert not client.userinfo().logged_in
    server.answer = replayed(rows["list, some fields"])
    assert [app.name for app in client.glance(["default"])] == ["errors"]
    lists = recorded(recordings, "lifecycle.jsonl")
    server.answer = replayed(lists["list by selector that nothing has"])
    assert client.list() == ()
    server.answer = replayed(lists["get"])
    assert client.get(AppRef("lifecycle-2", "default")).spec.project == "default"
    window = rows_of(recordings, "sync-window.jsonl")
    server.answer = replayed(next(r for r in window if "syncwindows" in r.get("path", "")))
    assert not client.sync_windows(APP).can_sync


def test_a_cluster_is_known_to_who_may_see_it(server: Any, recordings: Path) -> None:
    lists = recorded(recordings, "lifecycle.jsonl")
    client, local = argo(server.url), Destination(server="https://kubernetes.default.svc")
    server.answer = replayed(next(row for row in lists.values() if row["path"] == "/clusters"))
    assert client.cluster(local) is None
    with Sandbox(factor=20) as sandbox:
        known = ArgoCD(
            Transport(Connection(sandbox.argocd_url, Secret(sandbox.accounts.issue("admin"))))
        )
        for where in (local, Destination(name="in-cluster")):
            info = known.cluster(where)
            assert info is not None
            assert info.server_version == "1.36"
            assert "apps/v1/Deployment" in info.api_versions
        assert known.cluster(Destination(name="elsewhere")) is None


def test_the_nodes_of_a_tree_say_their_platform(server: Any, recordings: Path) -> None:
    row = next(r for r in rows_of(recordings, "success.jsonl") if r["kind"] == "tree")
    server.answer = lambda exchange: exchange.json(row["data"])
    tree = argo(server.url).resource_tree(APP)
    assert [host.system_info.platform for host in tree.hosts] == ["linux/amd64"]
    pod = next(node for node in tree.nodes if node.kind == "Pod")
    server.answer = lambda exchange: exchange.json({"manifest": "{}"})
    assert argo(server.url).manifest(APP, pod) == "{}"
    assert server.asked[-1].path == "/api/v1/applications/errors/resource"
    assert server.asked[-1].query == {
        "project": "default",
        "namespace": pod.namespace,
        "resourceName": pod.name,
        "version": "v1",
        "kind": "Pod",
    }


def test_a_refresh_that_is_not_answered_is_a_timeout(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plate_release.argocd.client._REFRESH_SECONDS", 0.2)
    server.answer = lambda exchange: exchange.hang()
    with pytest.raises(TimedOut):
        argo(server.url).refresh(APP)
    assert server.asked[0].query == {"project": "default", "refresh": "normal"}


@pytest.mark.parametrize(
    ("name", "says"),
    [("plate-ap", "Did you mean plate-api?"), ("plate-web", "is in the project other")],
)
def test_the_near_miss_is_named(server: Any, name: str, says: str) -> None:
    def answer(exchange: Any) -> None:
        if exchange.asked.path == "/api/v1/applications":
            items = [
                {"metadata": {"name": "plate-api"}, "spec": {"project": "default"}},
                {"metadata": {"name": "plate-web"}, "spec": {"project": "other"}},
            ]
            exchange.json({"items": items})
        else:
            exchange.json({"error": "x", "code": 5, "message": f'"{name}" not found'}, 404)

    server.answer = answer
    with pytest.raises(NotFound, match=f'"{name}" not found') as refusal:
        argo(server.url).find(AppRef(name, "default"))
    assert says in refusal.value.todo


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (503, {"Retry_After": "7"}, 7),
        (429, {"Retry_After": "Mon, 23 Nov 2026 12:00:09 GMT"}, 9),
        (502, {}, 0),
        (500, {"Retry_After": "soon"}, 0),
    ],
)
def test_unwell_says_how_long_to_wait_by_the_servers_own_clock(
    server: Any, status: int, headers: dict[str, str], wait: float
) -> None:
    def answer(exchange: Any) -> None:
        exchange._handler.date_time_string = lambda: "Mon, 23 Nov 2026 12:00:00 GMT"
        exchange.head(status, "text/html", **headers)

    server.answer = answer
    with pytest.raises(Unwell) as refusal:
        argo(server.url).get(APP)
    assert (refusal.value.status, refusal.value.retry_after) == (status, wait)


@pytest.mark.parametrize(
    "body", ["<html>Sign in</html>", "{", "[]", '{"ok":true}', '{"metadata":{"name":"x"}}', ""]
)
def test_what_is_not_argo_cds_answer_is_named_so(server: Any, body: str) -> None:
    server.answer = lambda exchange: exchange.text(body)
    with pytest.raises(NotArgo, match="not Argo CD"):
        argo(server.url).get(APP)


def test_text_that_is_not_utf_8_does_no_harm(server: Any) -> None:
    def answer(exchange: Any) -> None:
        exchange.head(200)
        exchange.write(b'{"metadata":{"name":"errors"},"status":{"health":{"message":"\xff\xfe"}}}')

    server.answer = answer
    assert argo(server.url).get(APP).status.health.message == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("https://127.0.0.1/api?state=hidden", "leave ARGOCD_PLAINTEXT out"),
        ("http://other.invalid/login?state=hidden", "to http://other.invalid"),
        ("/login", "another path"),
    ],
)
def test_no_redirect_is_followed(server: Any, location: str, says: str) -> None:
    server.answer = lambda exchange: exchange.head(307, Location=location)
    with pytest.raises(NotArgo) as refusal:
        argo(server.url).get(APP)
    assert says in str(refusal.value)
    assert "hidden" not in str(refusal.value)
    assert len(server.asked) == 1


def test_a_reset_connection_and_a_closed_port_are_unreachable(server: Any) -> None:
    server.answer = lambda exchange: exchange.reset()
    with pytest.raises(Unreachable):
        argo(server.url).get(APP)
    with pytest.raises(Unreachable, match="refused"):
        argo("http://127.0.0.1:1").get(APP)
    with pytest.raises(Unreachable, match="cannot be reached"):
        argo("http://does-not-exist.invalid").get(APP)


def test_an_answer_cut_short_is_unreachable(server: Any) -> None:
    def answer(exchange: Any) -> None:
        exchange.head(200, Content_Length="1000")
        exchange.write(b'{"metadata":')

    server.answer = answer
    with pytest.raises(Unreachable):
        argo(server.url).get(APP)


def test_an_endless_answer_is_given_up(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_LARGEST_ANSWER", 1 << 20)

    def answer(exchange: Any) -> None:
        exchange.head(200)
        while True:
            exchange.write(b" " * 65536)

    server.answer = answer
    with pytest.raises(NotArgo, match="larger than 1 MiB"):
        argo(server.url).get(APP)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A TLS server on the loopback, and the file of the authority that signed for it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    ca, private = folder / "ca.pem", folder / "key.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"Version":"v3.6.0"}')

        def log_message(self, *_: object) -> None:
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a refused handshake
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, private)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{http.server_port}", ca
    http.shutdown()
    http.server_close()


def test_an_unknown_authority_is_refused_and_a_given_one_is_trusted(
    tls: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = tls
    with pytest.raises(Unreachable, match="ARGOCD_CA_FILE"):
        argo(url).version()
    # A bundle for other tools must not replace the one that was given.
    other = tmp_path / "other.pem"
    other.write_text("")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    assert argo(url, ca_file=ca).version() == "v3.6.0"
    assert argo(url, insecure=True).version() == "v3.6.0"


def test_a_certificate_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="ARGOCD_CA_FILE"):
        argo("https://a.example.com", ca_file=Path("/does/not/exist"))
