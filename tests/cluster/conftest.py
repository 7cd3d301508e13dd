"""An API server that answers what a real one was recorded to answer, and nothing else."""

import copy
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plate_release.cluster import Cluster

SHARED = Path(__file__).parents[1] / "recordings"
NAMESPACE = "ns-k8s"

# Discovery is not in the recordings; this is the shape of meta/v1 APIResourceList.
KINDS = {
    "/api/v1": [
        ("Pod", "pods", True),
        ("Pod", "pods/status", True),
        ("Service", "services", True),
        ("Secret", "secrets", True),
        ("ConfigMap", "configmaps", True),
        ("Namespace", "namespaces", False),
    ],
    "/apis/apps/v1": [
        ("Deployment", "deployments", True),
        ("Scale", "deployments/scale", True),
        ("DaemonSet", "daemonsets", True),
    ],
    "/apis/batch/v1": [("Job", "jobs", True)],
    "/apis/apiextensions.k8s.io/v1": [
        ("CustomResourceDefinition", "customresourcedefinitions", False)
    ],
}


FILES = ("answers.jsonl", "dry-run.jsonl", "workloads.jsonl")
ROWS: dict[str, dict[str, Any]] = {
    row["note"]: row
    for file in FILES
    for row in map(json.loads, (SHARED / "kubernetes" / file).read_text("utf-8").splitlines())
}


def key(method: str, url: str, body: Any) -> str:
    parts = urlsplit(url)
    return json.dumps([method, parts.path, sorted(parse_qsl(parts.query)), body], sort_keys=True)


@dataclass
class Api:
    """What it answers, and what it was asked."""

    answers: dict[str, tuple[int, Any, dict[str, str]]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    url: str = ""

    def row(self, note: str) -> dict[str, Any]:
        """Return a copy of what was recorded under a note."""
        found: dict[str, Any] = copy.deepcopy(ROWS[note])
        return found

    def replay(self, *notes: str) -> None:
        for note in notes:
            self.answer(**self.row(note))

    def answer(
        self, *, method: str, path: str, status: int, response: Any, body: Any = None, **more: Any
    ) -> None:
        headers = {"Warning": more["warning"]} if more.get("warning") else {}
        self.answers[key(method, path, body)] = (status, response, headers)

    def allow(self, *permissions: str, namespace: str = NAMESPACE) -> None:
        """Answer access reviews as recorded: yes for `verb resource.group`, no for the rest."""
        for verb, group, resource in (
            ("patch", "apps", "deployments"),
            ("get", "apps", "deployments"),
            ("list", "", "pods"),
            ("patch", "", "pods"),
        ):
            name = f"{verb} {resource}.{group}".rstrip(".")
            who = "admin" if name in permissions else "viewer"
            row = self.row(f"may I patch deployments ({who})")
            attributes = row["body"]["spec"]["resourceAttributes"]
            attributes |= {
                "verb": verb,
                "group": group,
                "resource": resource,
                "namespace": namespace,
            }
            self.answer(**row)

    def know_kinds(self) -> None:
        for path, kinds in KINDS.items():
            resources = [{"name": n, "namespaced": ns, "kind": k} for k, n, ns in kinds]
            body = {"kind": "APIResourceList", "groupVersion": path, "resources": resources}
            self.answer(method="GET", path=path, status=200, response=body)


def handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            api.asked.append((self.command, self.path, body))
            api.tokens.add(self.headers.get("Authorization"))
            asked = key(self.command, self.path, body)
            if asked not in api.answers:
                api.unknown.append(asked)
            status, response, headers = api.answers.get(asked, (501, "not recorded", {}))
            data = (response if isinstance(response, str) else json.dumps(response)).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def api() -> Iterator[Api]:
    """Serve an API that fails the test where it is asked what it has no answer to."""
    api = Api()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(api))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_port}"
    yield api
    server.shutdown()
    thread.join()
    server.server_close()
    assert api.unknown == []


Kubeconfig = Callable[..., Path]


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Kubeconfig:
    def write(server: str, user: dict[str, Any] | None = None, **cluster: Any) -> Path:
        body = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": {"token": "t0ken"} if user is None else user}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }
        file = tmp_path / "kubeconfig"
        file.write_text(json.dumps(body))
        return file

    return write


@pytest.fixture
def cluster(api: Api, kubeconfig: Kubeconfig) -> Cluster:
    api.know_kinds()
    found = Cluster.connect(None, {"KUBECONFIG": str(kubeconfig(api.url))})
    assert found is not None
    return found


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of the loopback that is taken, and that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(pem + signed.public_bytes(serialization.Encoding.PEM))
    return file
