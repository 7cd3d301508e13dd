"""The recordings of a real Argo CD, and an HTTP server that answers what a test tells it to."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "tests/recordings/argocd/recordings"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of the recordings."""
    return RECORDINGS


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One request, and the ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        self._handler, self.closing = handler, closing
        size = int(handler.headers.get("Content-Length") or 0)
        parts = urlsplit(handler.path)
        self.asked = Asked(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(size),
        )

    def head(self, status: int, content_type: str = "application/json", **headers: str) -> None:
        """Send the status and the headers; the body ends with the connection."""
        self._handler.send_response(status)
        self._handler.send_header("Content-Type", content_type)
        self._handler.send_header("Connection", "close")
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()
        self._handler.close_connection = True

    def write(self, text: bytes) -> None:
        """Send a piece of the body now."""
        self._handler.wfile.write(text)
        self._handler.wfile.flush()

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        """Answer with JSON."""
        self.head(status, **headers)
        self.write(json.dumps(value).encode())

    def text(self, text: str, status: int = 200, content_type: str = "text/html") -> None:
        """Answer with a text."""
        self.head(status, content_type)
        self.write(text.encode())

    def line(self, kind: str, application: Any) -> None:
        """Send one line of a stream."""
        event = {"result": {"type": kind, "application": application}}
        self.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def reset(self) -> None:
        """Reset the connection, as a crashed proxy does."""
        linger = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._handler.close_connection = True
        self._handler.connection.close()

    def hang(self) -> None:
        """Say nothing (more) until the test ends."""
        self.closing.wait(60)
        self._handler.close_connection = True


Answering = Callable[[Exchange], None]


@dataclass
class Server:
    """The scripted server: `answer` decides what each request gets."""

    url: str
    answer: Answering = lambda exchange: exchange.text("Not Found\n", 404, "text/plain")
    asked: list[Asked] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on an ephemeral port of the loopback, gone with the test."""
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            exchange = Exchange(self, closing)
            scripted.asked.append(exchange.asked)
            try:
                scripted.answer(exchange)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    for method in ("GET", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._serve)
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    scripted = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield scripted
    closing.set()
    http.shutdown()
    http.server_close()
    thread.join()
