"""Argo CD's REST API: Applications."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plate_release.sandbox.answers import ApiError, answer, plain, refused
from plate_release.sandbox.applications import (
    NAMESPACE,
    REFRESH,
    Applications,
    sources_of,
)
from plate_release.sandbox.auth import Account, Accounts
from plate_release.sandbox.controller import Controller
from plate_release.sandbox.hub import Hub
from plate_release.sandbox.shapes import listed, only, selects, shown
from plate_release.sandbox.world import Object, Ref

Handler = Callable[[Request, Account], Awaitable[Any]]


class Api:
    """Answers about Applications."""

    def __init__(self, controller: Controller, accounts: Accounts, hub: Hub) -> None:
        self.controller, self.accounts, self.hub = controller, accounts, hub
        self.apps: Applications = controller.apps
        self.clock = controller.parts.clock
        self.namespaces = {NAMESPACE}

    def routes(self) -> list[Route]:
        """Return the routes below /api/v1."""
        return [
            Route("/applications", self.handled(self.list), methods=["GET"]),
            Route("/applications/{name}", self.handled(self.get), methods=["GET"]),
        ]

    def handled(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a handler: content type, token, errors."""

        async def handle(request: Request) -> Response:
            if (
                request.method != "GET"
                and request.headers.get("content-type") != "application/json"
            ):
                return plain("Invalid content type", 415)
            try:
                account = self.accounts.of(request.headers)
                result = await handler(request, account)
            except ApiError as error:
                return refused(error)
            return result if isinstance(result, Response) else answer(result)

        return handle

    def find(self, request: Request, account: Account, action: str = "get") -> tuple[Ref, Object]:
        """Return the Application that a request is about; raise what Argo CD answers else."""
        name, query = request.path_params["name"], request.query_params
        projects = query.getlist("project")
        namespace = query.get("appNamespace") or NAMESPACE
        if len(projects) > 1 and action == "get":
            raise ApiError(
                3,
                "multiple projects specified - the get endpoint accepts either zero or one project",
            )
        project = projects[0] if projects else ""
        if namespace not in self.namespaces or not account.may("applications", "get"):
            raise ApiError(7, "permission denied")
        ref = self.apps.ref(name, namespace)
        obj = self.apps.get(ref)
        if obj is None and not project:
            raise ApiError(7, "permission denied")
        if obj is None or (project and obj["spec"]["project"] != project):
            raise ApiError(5, f'applications.argoproj.io "{name}" not found')
        return ref, obj

    async def body(self, request: Request) -> Any:
        """Return the request's JSON."""
        try:
            return json.loads(await request.body() or b"{}")
        except ValueError as error:
            raise ApiError(3, f"{error}") from None

    def subject(self, obj: Object) -> str:
        """Return how RBAC names an Application."""
        return f"{obj['spec']['project']}/{obj['metadata']['name']}"

    async def list(self, request: Request, account: Account) -> Object:
        """GET /applications."""
        query = request.query_params
        wanted = self.wanted(request, account)
        fields = [f for f in query.get("fields", "").split(",") if f]
        found = [obj for _, obj in sorted(self.hub.cached.items()) if wanted(obj)]
        if fields:
            items = [only(listed(obj), fields, "items.") for obj in found]
        else:
            items = [listed(obj) for obj in found]
        revision = str(self.apps.world.revision)
        return {"metadata": {"resourceVersion": revision}, "items": items or None}

    def wanted(self, request: Request, account: Account) -> Callable[[Object], bool]:
        """Return which Applications a list or a stream is about."""
        query = request.query_params
        name, namespace = query.get("name", ""), query.get("appNamespace", "")
        projects = query.getlist("projects") + query.getlist("project")
        selector, repo = query.get("selector", ""), query.get("repo", "")
        visible = account.may("applications", "get")

        def test(obj: Object) -> bool:
            meta, spec = obj["metadata"], obj["spec"]
            return (
                visible
                and meta["namespace"] in self.namespaces
                and (not name or meta["name"] == name)
                and (not namespace or meta["namespace"] == namespace)
                and (not projects or spec["project"] in projects)
                and (not repo or any(s["repoURL"] == repo for s in sources_of(spec)))
                and selects(selector, obj)
            )

        return test

    async def get(self, request: Request, account: Account) -> Object:
        """GET /applications/NAME, with or without a refresh."""
        ref, obj = self.find(request, account)
        refresh = request.query_params.get("refresh")
        if not refresh:
            return shown(obj)
        when = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
        kind = "hard" if refresh == "hard" else "normal"

        def ask(app: Object) -> None:
            notes = app["metadata"].setdefault("annotations", {})
            notes |= {
                "argocd.argoproj.io/hydrate": kind,
                "argocd.argoproj.io/hydrate-timestamp": when,
                REFRESH: kind,
                f"{REFRESH}-timestamp": when,
            }

        self.apps.edit(ref, ask)
        revision = self.apps.world.revision
        waiting = asyncio.ensure_future(self.hub.refreshed(ref, revision, REFRESH))
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            waiting.cancel() if not waiting.done() else None
        return shown(waiting.result()) if waiting.done() and not waiting.cancelled() else {}


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
