"""Argo CD's streams: Applications as they change, and one's resource tree."""

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plate_release.sandbox.answers import ApiError, Lines, stream_refused
from plate_release.sandbox.api import Api
from plate_release.sandbox.shapes import only, shown


class Streams:
    """Answers that go on."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def routes(self) -> list[Route]:
        """Return the routes below /api/v1."""
        return [
            Route("/stream/applications", self.stream),
            Route("/stream/applications/{name}/resource-tree", self.stream_tree),
        ]

    async def stream(self, request: Request) -> Response:
        """GET /stream/applications."""
        try:
            account = self._api.accounts.of(request.headers)
        except ApiError as error:
            return stream_refused(error)
        wanted, query = self._api.wanted(request, account), request.query_params
        fields = [f for f in query.get("fields", "").split(",") if f]
        first = bool(query.get("name")) or not query.get("resourceVersion")

        async def lines() -> AsyncIterator[Any]:
            async for kind, obj in self._api.hub.follow(wanted, first=first):
                whole = only(obj, fields, "result.application.") if fields else shown(obj)
                yield {"type": kind, "application": whole}

        return self._lines(request, lines())

    async def stream_tree(self, request: Request) -> Response:
        """GET /stream/applications/NAME/resource-tree."""
        try:
            account = self._api.accounts.of(request.headers)
            ref, _ = self._api.find(request, account)
        except ApiError as error:
            return stream_refused(error)
        worker = self._api.controller.worker(ref)

        async def lines() -> AsyncIterator[Any]:
            last = None
            async for _ in worker.moves():
                tree = worker.reconciliation.tree()
                if tree != last:
                    yield tree
                last = tree

        return self._lines(request, lines())

    def _lines(self, request: Request, lines: Any) -> Response:
        events = "text/event-stream" in request.headers.get("accept", "")
        keep_alive = self._api.clock.sleep
        return Lines(lines, events=events, keep_alive=keep_alive)
