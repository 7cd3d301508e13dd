"""How Argo CD's gateway answers: JSON, its error bodies, and lines that keep coming."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HTTP = {
    2: 500,
    3: 400,
    4: 504,
    5: 404,
    6: 409,
    7: 403,
    8: 429,
    9: 400,
    10: 409,
    12: 501,
    13: 500,
    14: 503,
    16: 401,
}
WORDS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class ApiError(Exception):
    """A refusal with a gRPC code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def compact(value: Any) -> bytes:
    """Return JSON as Argo CD writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def answer(value: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(compact(value), status, media_type="application/json")


def refused(error: ApiError) -> Response:
    """Return the body of an error, as the gateway writes it for a single answer."""
    body = {"error": error.message, "code": error.code, "message": error.message}
    return answer(body, HTTP[error.code])


def stream_refused(error: ApiError) -> Response:
    """Return the body of an error at the start of a stream."""
    status = HTTP[error.code]
    body = {
        "grpc_code": error.code,
        "http_code": status,
        "message": error.message,
        "http_status": WORDS.get(status, ""),
    }
    return answer({"error": body}, status)


def plain(text: str, status: int) -> Response:
    """Return a plain-text answer, as Go's own server writes its errors."""
    return Response(f"{text}\n", status, media_type="text/plain; charset=utf-8")


class Lines(Response):
    """A stream of JSON lines, or of server-sent events; nothing is sent before the first line."""

    def __init__(
        self,
        lines: AsyncIterator[Any],
        *,
        events: bool = False,
        wrap: bool = True,
        keep_alive: Callable[[float], Any] | None = None,
    ) -> None:
        self._lines, self._events, self._wrap = lines, events, wrap
        self._keep_alive = keep_alive
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until there is nothing more or nobody listens."""
        del scope
        gone = asyncio.create_task(_gone(receive))
        sending = asyncio.create_task(self._send(send))
        try:
            await asyncio.wait({gone, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            sending.cancel()
        if sending.done() and not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        started = False
        following = asyncio.ensure_future(anext(self._lines, None))
        try:
            while True:
                line = await self._next(following)
                if line is None:
                    break
                if not started:
                    await send(self._start())
                    started = True
                await send({"type": "http.response.body", "body": line, "more_body": True})
                if following.done():
                    following = asyncio.ensure_future(anext(self._lines, None))
        finally:
            following.cancel()
        if not started:
            await send(self._start())
        await send({"type": "http.response.body", "body": b""})

    async def _next(self, following: "asyncio.Future[Any]") -> bytes | None:
        """Return the next line, a keep-alive where it takes long, or None at the end."""
        if self._events and self._keep_alive:
            pause = asyncio.ensure_future(self._keep_alive(15.0))
            await asyncio.wait({pause, following}, return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()
            if not following.done():
                return b":\n\n"
        value = await following
        if value is None:
            return None
        body = compact({"result": value} if self._wrap else value)
        return b"data: " + body + b"\n\n" if self._events else body + b"\n"

    def _start(self) -> dict[str, Any]:
        kind = b"text/event-stream" if self._events else b"application/json"
        return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
