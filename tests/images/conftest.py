"""A real registry (Debian's docker-registry) with images in it, and servers that misbehave."""

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parents[2]
BINARY = ROOT / ".tools/debian/usr/bin/docker-registry"
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CREATED = "2026-11-23T10:00:00Z"
USER, PASSWORD = "plate", "s3cret-of-the-registry"


@contextmanager
def registry(folder: Path, storage: Path, **settings: Any) -> Iterator[str]:
    """Run docker-registry on a free port; gives its host:port."""
    http = {"addr": "127.0.0.1:0", "secret": "x", **settings.pop("http", {})}
    config = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": http,
        **settings,
    }
    file = folder / "registry.yaml"
    file.write_text(yaml.safe_dump(config))
    command = [str(BINARY), "serve", str(file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            if match := re.search(r"listening on ([\d.]+:\d+)", line):
                break
        else:
            raise AssertionError(said)
        # Its log is read on, or it would stop once the pipe is full.
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield match[1]
        finally:
            process.terminate()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Store:
    """A registry without any login, to push to; others serve the same storage."""

    host: str
    storage: Path
    session: requests.Session

    def image(self, repository: str, tag: str, media_type: str = OCI, arch: str = "amd64") -> str:
        said = {
            "os": "linux",
            "architecture": arch,
            "created": CREATED,
            "rootfs": {"type": "layers"},
        }
        config = self._blob(repository, json.dumps(said).encode())
        kind = "oci.image" if media_type == OCI else "docker.container.image"
        config["mediaType"] = (
            f"application/vnd.{kind}.{'config.v1' if kind[0] == 'o' else 'v1'}+json"
        )
        return self.manifest(repository, tag, media_type, config=config, layers=[])

    def index(self, repository: str, tag: str, media_type: str, entries: list[Any]) -> str:
        return self.manifest(repository, tag, media_type, manifests=entries)

    def manifest(self, repository: str, tag: str, media_type: str, **parts: Any) -> str:
        body = json.dumps({"schemaVersion": 2, "mediaType": media_type, **parts}).encode()
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        headers = {"Content-Type": media_type}
        self.session.put(url, data=body, headers=headers).raise_for_status()
        return digest_of(body)

    def size(self, repository: str, digest: str, media_type: str) -> int:
        url = f"http://{self.host}/v2/{repository}/manifests/{digest}"
        return len(self.session.get(url, headers={"Accept": media_type}).content)

    def _blob(self, repository: str, data: bytes) -> dict[str, Any]:
        url = f"http://{self.host}/v2/{repository}/blobs/uploads/"
        place = self.session.post(url).headers["Location"]
        digest = digest_of(data)
        self.session.put(place, params={"digest": digest}, data=data).raise_for_status()
        return {"digest": digest, "size": len(data)}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder, folder / "data") as host, requests.Session() as session:
        store = Store(host, folder / "data", session)
        store.image("plate/app", "1.5.0")
        yield store


@pytest.fixture(scope="session")
def password_registry(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("htpasswd")
    secret = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (folder / "htpasswd").write_text(f"{USER}:{secret}\n")
    auth = {"htpasswd": {"realm": "plate", "path": str(folder / "htpasswd")}}
    with registry(folder, store.storage, auth=auth) as host:
        yield host


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate, which is its own authority."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate
    key_file: Path
    file: Path


def certificate(folder: Path, address: str) -> Certificate:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "plate test")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "cert.pem", folder / "key.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return Certificate(key, made, key_file, file)


@dataclass(frozen=True)
class Seen:
    """One request that a server saw."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Scripted:
    """An HTTP server that answers as its `answer` says, and remembers who asked."""

    answer: Callable[[Seen], Reply] = lambda _: (404, {}, b"")
    seen: list[Seen] = field(default_factory=list)
    host: str = ""

    @contextmanager
    def running(self) -> Iterator["Scripted"]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(
                    self.command, self.path, dict(self.headers), self.rfile.read(length).decode()
                )
                script.seen.append(seen)
                status, headers, body = script.answer(seen)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = reply  # noqa: N815  # http.server's names

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.host = f"127.0.0.1:{server.server_address[1]}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with Scripted().running() as server:
        yield server


@pytest.fixture
def elsewhere() -> Iterator[Scripted]:
    with Scripted().running() as server:
        yield server


@dataclass(frozen=True)
class TokenRegistry:
    """A registry that trusts the tokens of a token server."""

    host: str
    tokens: Scripted


@pytest.fixture(scope="session")
def token_registry(
    store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TokenRegistry]:
    folder = tmp_path_factory.mktemp("tokens")
    signer = certificate(folder, "127.0.0.1")
    with Scripted(lambda seen: _token(signer, seen)).running() as tokens:
        auth = {
            "token": {
                "realm": f"http://{tokens.host}/token",
                "service": "plate registry",
                "issuer": "plate",
                "rootcertbundle": str(signer.file),
            }
        }
        with registry(folder, store.storage, auth=auth) as host:
            yield TokenRegistry(host, tokens)


def _token(signer: Certificate, seen: Seen) -> Reply:
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    refresh = "refresh_token=the-identity-token" in seen.body
    if not refresh and seen.headers.get("Authorization", basic) != basic:
        return 401, {}, b"{}"
    now = int(time.time())
    access = [{"type": "repository", "name": "plate/app", "actions": ["pull"]}]
    claims: dict[str, Any] = {
        "iss": "plate",
        "sub": USER,
        "aud": "plate registry",
        "access": access,
    }
    claims |= {"exp": now + 60, "nbf": now - 60, "iat": now, "jti": "1"}
    der = signer.certificate.public_bytes(serialization.Encoding.DER)
    header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = signer.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    name = "access_token" if refresh else "token"
    return 200, {}, json.dumps({name: f"{signed}.{_base64url(signature)}"}).encode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
