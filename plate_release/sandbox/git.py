"""A git server over smart HTTP for trials and tests, with faults that can be asked for.

It puts `git http-backend` behind the standard library's threading HTTP server, because a fault
(half a pack, a connection that closes before the answer) needs the bare socket.
"""

import base64
import os
import ssl
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

BLOCK = 65536


@dataclass(frozen=True, slots=True)
class Answer:
    """Fault: answer this instead of asking git."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """Fault: close the connection after `after` bytes of git's answer."""

    after: int


@dataclass(frozen=True, slots=True)
class Silence:
    """Fault: let git do its work, then close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Fault: say nothing until the server is closed."""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """No fault of the server: something else happens just before it answers."""

    action: Callable[[], object]


Fault = Answer | Cut | Silence | Hang | Meanwhile


@dataclass(slots=True)
class Exchange:
    """One request as it was answered; `sent` counts the bytes of the answer's body."""

    method: str
    target: str
    status: int = 0
    sent: int = 0


@dataclass(slots=True)
class _Armed:
    fault: Fault
    matching: str
    method: str
    times: int


class GitServer:
    """Serves every bare repository below `root` at `url(name)`, on a free loopback port.

    token: when set, requests need it, as a bearer or as basic authentication's password.
    partial: whether clients may leave objects out of a fetch (`uploadpack.allowFilter`).
    protocol_2: whether it speaks protocol 2; else objects cannot be fetched by their name.
    tls: when set, it speaks HTTPS.
    """

    def __init__(
        self,
        root: Path,
        *,
        token: str | None = None,
        partial: bool = True,
        protocol_2: bool = True,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.root, self.token, self.partial = root, token, partial
        self.protocol_2 = protocol_2
        self.exchanges: list[Exchange] = []
        self.stopping = threading.Event()
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.git = self
        self._scheme = "https" if tls else "http"
        if tls:
            # The handshake belongs to each connection's own thread.
            self._http.socket = tls.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def base_url(self) -> str:
        """The address below which the repositories stand."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def url(self, name: str) -> str:
        """Return the address of the repository `root/name`."""
        return f"{self.base_url}/{name}"

    def create(self, name: str, *, branch: str = "main") -> Path:
        """Make the empty bare repository `root/name` and return its path."""
        path = self.root / name
        command = ["git", "init", "--quiet", "--bare", f"--initial-branch={branch}", str(path)]
        subprocess.run(command, check=True, env=self.environment())
        return path

    def inject(self, fault: Fault, *, matching: str = "", method: str = "", times: int = 1) -> None:
        """Let the next `times` requests whose target contains `matching` meet `fault`."""
        with self._lock:
            self._armed.append(_Armed(fault, matching, method, times))

    def heal(self) -> None:
        """Forget every fault that is still armed."""
        with self._lock:
            self._armed.clear()

    def requests(self, matching: str = "") -> int:
        """Count the requests so far whose target contains `matching`."""
        return sum(matching in exchange.target for exchange in self.exchanges)

    def take_fault(self, method: str, target: str) -> Fault | None:
        """Return the fault that this request meets, and count it as used."""
        with self._lock:
            for armed in self._armed:
                if armed.matching in target and armed.method in ("", method) and armed.times > 0:
                    armed.times -= 1
                    return armed.fault
        return None

    def admits(self, authorization: str) -> bool:
        """Say whether a request with this Authorization header may pass."""
        if self.token is None:
            return True
        kind, _, value = authorization.partition(" ")
        if kind.lower() == "bearer":
            return value == self.token
        with suppress(ValueError):
            return base64.b64decode(value).decode().partition(":")[2] == self.token
        return False

    def environment(self) -> dict[str, str]:
        """Return what git sees: nothing of the user's configuration."""
        partial = "true" if self.partial else "false"
        settings = {
            "http.receivepack": "true",
            "receive.autogc": "false",
            "safe.directory": "*",
            "uploadpack.allowFilter": partial,
        }
        config = {"GIT_CONFIG_COUNT": str(len(settings))}
        for index, (key, value) in enumerate(settings.items()):
            config |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
        return config | {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
        }


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    # Many writers knock at once in the contention tests.
    request_queue_size = 128
    git: GitServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that went away; the client's own error is the one to read."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http
    # An idle connection must not keep a thread alive for ever.
    timeout = 120
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay off standard error."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        git = self.server.git
        exchange = Exchange(self.command, self.path)
        git.exchanges.append(exchange)
        fault = git.take_fault(self.command, self.path)
        if isinstance(fault, Meanwhile):
            fault.action()
        if isinstance(fault, Hang):
            git.stopping.wait()
            self.close_connection = True
        elif isinstance(fault, Answer):
            self._answer(exchange, fault)
        elif not git.admits(self.headers.get("Authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="git"'}
            self._answer(exchange, Answer(401, b"authentication required\n", challenge))
        else:
            self._backend(exchange, fault)

    def _answer(self, exchange: Exchange, answer: Answer) -> None:
        for _ in self._body():
            pass
        exchange.status = answer.status
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _body(self) -> Iterator[bytes]:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and (block := self.rfile.read(min(left, BLOCK))):
            left -= len(block)
            yield block

    def _plain_body(self) -> Iterator[bytes]:
        if self.headers.get("Content-Encoding", "") not in ("gzip", "x-gzip"):
            yield from self._body()
            return
        unpack = zlib.decompressobj(wbits=31)
        yield from (unpack.decompress(block) for block in self._body())
        yield unpack.flush()

    def _backend(self, exchange: Exchange, fault: Fault | None) -> None:
        process = subprocess.Popen(
            ["git", "http-backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._cgi(),
        )
        with process:
            stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
            feeder = threading.Thread(target=self._feed, args=(stdin,), daemon=True)
            feeder.start()
            try:
                self._relay(stdout, exchange, fault)
            finally:
                # Unread output must not keep the backend, and so the ref update, waiting.
                for _ in iter(lambda: stdout.read(BLOCK), b""):
                    pass
                feeder.join()

    def _cgi(self) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        git = self.server.git
        return git.environment() | {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if git.protocol_2 else "",
            "REMOTE_ADDR": self.client_address[0],
        }

    def _feed(self, stdin: IO[bytes]) -> None:
        with suppress(OSError, ValueError), stdin:
            for block in self._plain_body():
                stdin.write(block)

    def _relay(self, stdout: IO[bytes], exchange: Exchange, fault: Fault | None) -> None:
        exchange.status, headers = _cgi_headers(stdout)
        if isinstance(fault, Silence):
            self.close_connection = True
            return
        self.send_response(exchange.status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        limit = fault.after if isinstance(fault, Cut) else None
        for block in iter(lambda: cast("bytes", stdout.read1(BLOCK)), b""):  # type: ignore[attr-defined]
            part = block if limit is None else block[: limit - exchange.sent]
            exchange.sent += len(part)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if part else b"")
            if limit is not None and exchange.sent >= limit:
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")


def _cgi_headers(stdout: IO[bytes]) -> tuple[int, list[tuple[str, str]]]:
    status, headers = 200, []
    while line := stdout.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers.append((name, value.strip()))
    return status, headers
