"""The switchboard: what a scenario lets go wrong between a client and Argo CD's API."""

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from collections.abc import MutableMapping

Kind = Literal["answer", "reset", "hang", "cut", "silent"]
LINGER = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong with requests whose `METHOD path?query` matches a pattern.

    kind: `answer` gives status, headers and body instead; `reset` ends the connection; `hang`
    accepts and never answers; `cut` ends it after `after` bytes of the true answer; `silent` lets
    that many bytes through and then says nothing more. times: how often; None for ever.
    """

    kind: Kind
    matching: str = ""
    times: int | None = None
    status: int = 503
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0


class Connections:
    """The open connections of a server, so that one can be broken as the world breaks them."""

    def __init__(self) -> None:
        self._transports: MutableMapping[tuple[str, int], asyncio.Transport] = {}

    def opened(self, transport: asyncio.Transport) -> None:
        """Remember a connection."""
        self._transports[transport.get_extra_info("peername")[:2]] = transport

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget it."""
        for peer, known in tuple(self._transports.items()):
            if known is transport:
                del self._transports[peer]

    def reset(self, peer: tuple[str, int]) -> None:
        """Break the connection to that peer at once."""
        transport = self._transports.get(peer)
        if transport:
            raw: socket.socket = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            transport.abort()

    def reset_all(self) -> None:
        """Break all connections."""
        for peer in tuple(self._transports):
            self.reset(peer)


class Switchboard:
    """An ASGI layer that plays the faults that are armed."""

    def __init__(self, app: ASGIApp, connections: Connections) -> None:
        self._app, self._connections = app, connections
        self.faults: list[Fault] = []
        self.requests: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it go wrong."""
        query = scope["query_string"].decode()
        line = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
        self.requests.append(line)
        fault = self._armed(line)
        if fault is None:
            await self._app(scope, receive, send)
            return
        peer = tuple(scope["client"])
        match fault.kind:
            case "answer":
                await _answer(fault, send)
            case "reset":
                self._connections.reset(peer)
            case "hang":
                await _gone(receive)
            case "cut" | "silent":
                await self._partly(fault, scope, receive, send)

    def _armed(self, line: str) -> Fault | None:
        for fault in self.faults:
            if fault.times != 0 and re.search(fault.matching, line):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    async def _partly(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        left = fault.after

        async def cut(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                headers = [h for h in message["headers"] if h[0] != b"content-length"]
                await send({**message, "headers": headers})
                return
            body = message.get("body", b"")
            if len(body) < left:
                left -= len(body)
                await send(message)
                return
            await send({"type": "http.response.body", "body": body[:left], "more_body": True})
            if fault.kind == "cut":
                await asyncio.sleep(0.05)
                self._connections.reset(tuple(scope["client"]))
            await _gone(receive)

        await self._app(scope, receive, cut)


async def _answer(fault: Fault, send: Send) -> None:
    headers = {"content-type": fault.content_type} | fault.headers
    wire = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": wire})
    await send({"type": "http.response.body", "body": fault.body.encode()})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
