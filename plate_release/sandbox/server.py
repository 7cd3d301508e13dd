"""One HTTP server that can be stopped and started again on its port."""

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from plate_release.sandbox.faults import Connections


class Server:
    """Serves an ASGI application on a port of the loopback interface."""

    def __init__(self, app: ASGIApp, connections: Connections, port: int = 0) -> None:
        self._app, self._connections = app, connections
        self._socket: socket.socket | None = self._bind(port)
        self.port: int = self._socket.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is to be found."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Serve; returns when it does."""
        bound = self._socket or self._bind(self.port)
        self._socket = None
        config = uvicorn.Config(
            self._app,
            log_level="error",
            access_log=False,
            lifespan="off",
            http=_protocol(self._connections),
            timeout_graceful_shutdown=1,
        )
        self._server = _Announcing(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[bound]))
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Break every connection and refuse new ones."""
        if self._server is None or self._task is None:
            return
        for server in self._server.servers:
            server.close()
        self._connections.reset_all()
        self._server.should_exit = self._server.force_exit = True
        await self._task
        self._server = self._task = None

    def _bind(self, port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        bound.listen(1024)
        return bound


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _protocol(connections: Connections) -> type[asyncio.Protocol]:
    class Protocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            connections.opened(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self.transport)
            super().connection_lost(exc)

    return Protocol
