"""A proxy before Argo CD that can kill its client at one of its requests, before or after."""

import os
import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from types import TracebackType
from typing import Self

import requests

from tests.e2e.backend import Backend
from tests.gitops.killing import When

_OWN = {"connection", "transfer-encoding", "content-encoding", "keep-alive"}


class Door:
    """Forwards to the backend's Argo CD; a context manager.

    `before`: Argo CD never hears of the request. `after`: it has answered, and the client never
    hears of it.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.victim: Queue[int] = Queue()
        self._armed: tuple[int, When, str] | None = None
        self._met = 0
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.door = self

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let nothing through any more."""
        self._http.shutdown()
        self._http.server_close()

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment of a run that is to go through the door."""
        port = self._http.server_address[1]
        return {"ARGOCD_SERVER": f"127.0.0.1:{port}", "ARGOCD_PLAINTEXT": "true"}

    def arm(self, at: int, when: When, pattern: str) -> None:
        """Kill at the request with this number, from 1, of those that match `METHOD path?query`."""
        self._armed = at, when, pattern

    def passes(self, line: str) -> When | None:
        """Count a request that matches, and say where its client has to die."""
        with self._lock:
            if self._armed is None or not re.search(self._armed[2], line):
                return None
            self._met += 1
            at, when, _ = self._armed
            return when if self._met == at else None

    def kill(self) -> None:
        """Kill the client."""
        os.kill(self.victim.get(timeout=30), signal.SIGKILL)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    door: Door

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet about clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay off standard error."""

    def _forward(self) -> None:
        door = self.server.door
        when = door.passes(f"{self.command} {self.path}")
        if when == "before":
            door.kill()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", *_OWN)}
        with requests.request(
            self.command,
            f"{door.backend.url}{self.path}",
            headers=headers | {"Accept-Encoding": "identity"},
            data=body,
            verify=door.backend.environ.get("ARGOCD_INSECURE") != "true",
            timeout=120,
            stream=True,
        ) as answer:
            if when == "after":
                door.kill()
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in _OWN:
                    self.send_header(name, value)
            self.end_headers()
            for part in answer.iter_content(None):
                self.wfile.write(part)

    do_GET = do_POST = do_DELETE = _forward  # noqa: N815
