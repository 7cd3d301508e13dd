"""Argo CD's REST API: Applications."""

import asyncio
import copy
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plate_release.application import Application
from plate_release.sandbox.answers import ApiError, answer, plain, refused
from plate_release.sandbox.applications import (
    KIND,
    NAMESPACE,
    REFRESH,
    Applications,
    revision_fields,
    source_fields,
    sources_of,
)
from plate_release.sandbox.auth import Account, Accounts
from plate_release.sandbox.controller import Controller
from plate_release.sandbox.hub import Hub
from plate_release.sandbox.shapes import NEW_STATUS, listed, only, selects, shown
from plate_release.sandbox.source import SourceError
from plate_release.sandbox.world import Object, Ref

Handler = Callable[[Request, Account], Awaitable[Any]]
NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"


class Api:
    """Answers about Applications."""

    def __init__(self, controller: Controller, accounts: Accounts, hub: Hub) -> None:
        self.controller, self.accounts, self.hub = controller, accounts, hub
        self.apps: Applications = controller.apps
        self.clock = controller.parts.clock
        self.namespaces = {NAMESPACE}

    def routes(self) -> list[Route]:
        """Return the routes below /api/v1."""
        one = "/applications/{name}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/applications", self.list),
            ("POST", "/applications", self.create),
            ("GET", one, self.get),
            ("PUT", one, self.put),
            ("PATCH", one, self.patch),
            ("DELETE", one, self.delete),
            ("PUT", f"{one}/spec", self.put_spec),
            ("POST", f"{one}/sync", self.sync),
            ("POST", f"{one}/rollback", self.rollback),
            ("DELETE", f"{one}/operation", self.terminate),
        ]
        return [Route(path, self.handled(handler), methods=[method])
                for method, path, handler in table]  # fmt: skip

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
                3, "multiple projects specified - the get endpoint accepts either zero or one project"
            )  # fmt: skip
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

    async def create(self, request: Request, account: Account) -> Object:
        """POST /applications."""
        query = request.query_params
        body = await self.body(request)
        name, spec = body["metadata"]["name"], body["spec"]
        namespace = body["metadata"].get("namespace") or NAMESPACE
        account.demand("applications", "create", f"{spec.get('project', '')}/{name}")
        await self._valid(name, spec, validate=query.get("validate") != "false")
        ref = self.apps.ref(name, namespace)
        existing = self.apps.get(ref)
        if existing is not None:
            if existing["spec"] == spec:
                return shown(existing)
            if query.get("upsert") != "true":
                raise ApiError(
                    3, "existing application spec is different, use upsert flag to force update"
                )  # fmt: skip
            account.demand("applications", "update", self.subject(existing))
            return shown(self.apps.edit(ref, lambda obj: obj.update(spec=spec)) or existing)
        return shown(self.apps.world.create({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": KIND,
            "metadata": body["metadata"] | {"namespace": namespace},
            "spec": spec,
            "status": copy.deepcopy(NEW_STATUS),
        }))  # fmt: skip

    async def _valid(self, name: str, spec: Object, *, validate: bool) -> None:
        project = spec.get("project", "")
        if project not in self.controller.parts.projects.windows:
            raise ApiError(
                3, f'app is not allowed in project "{project}", or the project does not exist'
            )  # fmt: skip
        if validate:
            await self._renders(name, spec)
        if not re.fullmatch(NAME, name):
            raise ApiError(
                3, f'error creating application: Application.argoproj.io "{name}" is invalid: '
                f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain must '
                "consist of lower case alphanumeric characters, '-' or '.', and must start and end "
                f"with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                f"'{NAME}')"
            )  # fmt: skip

    async def _renders(self, name: str, spec: Object) -> None:
        app = Application.model_validate({"metadata": {"name": name}, "spec": spec})
        renderer = self.controller.parts.renderer
        try:
            await renderer.render(app, await renderer.resolve(app))
        except SourceError as error:
            path = next((s.get("path", "") for s in sources_of(spec) if s.get("path")), "")
            text = re.sub(r"^failed to generate manifest for source \d+ of \d+: ", "", str(error))
            raise ApiError(
                3, f"application spec for {name} is invalid: InvalidSpecError: Unable to generate "
                f"manifests in {path}: {text}"
            ) from None  # fmt: skip

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
            notes |= {"argocd.argoproj.io/hydrate": kind,
                      "argocd.argoproj.io/hydrate-timestamp": when,
                      REFRESH: kind, f"{REFRESH}-timestamp": when}  # fmt: skip

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

    async def put(self, request: Request, account: Account) -> Object:
        """PUT /applications/NAME."""
        body = await self.body(request)
        ref, obj = self.find(request, account, "update")
        account.demand("applications", "update", self.subject(obj))
        await self._valid(ref.name, body["spec"],
                          validate=request.query_params.get("validate") != "false")  # fmt: skip

        def update(app: Object) -> None:
            app["spec"] = body["spec"]
            for key in ("labels", "annotations", "finalizers"):
                if key in body["metadata"]:
                    app["metadata"][key] = body["metadata"][key]

        return shown(self.apps.edit(ref, update) or obj)

    async def patch(self, request: Request, account: Account) -> Object:
        """PATCH /applications/NAME: a merge patch, inside JSON."""
        body = await self.body(request)
        ref, obj = self.find(request, account, "update")
        account.demand("applications", "update", self.subject(obj))
        if body.get("patchType", "merge") not in ("merge", ""):
            raise ApiError(12, "the sandbox only follows merge patches")
        change = json.loads(body["patch"])
        new = _merged(obj, change)
        await self._valid(ref.name, new["spec"], validate=True)

        def update(app: Object) -> None:
            app["spec"] = new["spec"]
            for key in ("labels", "annotations", "finalizers"):
                if key in new["metadata"]:
                    app["metadata"][key] = new["metadata"][key]

        return listed(self.apps.edit(ref, update) or obj)

    async def put_spec(self, request: Request, account: Account) -> Object:
        """PUT /applications/NAME/spec."""
        body = await self.body(request)
        ref, obj = self.find(request, account, "update")
        account.demand("applications", "update", self.subject(obj))
        await self._valid(ref.name, body,
                          validate=request.query_params.get("validate") != "false")  # fmt: skip
        self.apps.edit(ref, lambda app: app.update(spec=body))
        spec: Object = body
        return spec

    async def delete(self, request: Request, account: Account) -> Object:
        """DELETE /applications/NAME: marks it; the controller removes it."""
        ref, obj = self.find(request, account, "delete")
        account.demand("applications", "delete", self.subject(obj))
        cascade = request.query_params.get("cascade") != "false"
        now = self.clock.stamp()

        def mark(app: Object) -> None:
            meta = app["metadata"]
            meta["finalizers"] = ["resources-finalizer.argocd.argoproj.io"] if cascade else []
            meta |= {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0}

        if cascade:
            self.apps.edit(ref, mark)
        else:
            self.apps.world.delete(ref)
        return {}

    async def sync(self, request: Request, account: Account) -> Object:
        """POST /applications/NAME/sync."""
        body = await self.body(request)
        ref, obj = self._find_in_body(request, account, body)
        account.demand("applications", "sync", self.subject(obj))
        if obj["metadata"].get("deletionTimestamp"):
            raise ApiError(9, "application is deleting")
        if not self.controller.parts.projects.can_sync(obj, self.clock.now(), manual=True):
            raise ApiError(7, "cannot sync: blocked by sync window")
        revisions = await self._revisions(ref, obj, body)
        policy = obj["spec"].get("syncPolicy") or {}
        sync: Object = revision_fields(obj["spec"], revisions) | source_fields(obj["spec"])
        options = (body.get("syncOptions") or {}).get("items") or policy.get("syncOptions")
        asked = {"prune": body.get("prune"), "dryRun": body.get("dryRun"),
                 "resources": body.get("resources"), "syncOptions": options}  # fmt: skip
        sync |= {key: value for key, value in asked.items() if value}
        operation = {"sync": sync, "initiatedBy": {"username": account.name}}
        if body.get("infos"):
            operation["info"] = body["infos"]
        retry = body.get("retryStrategy") or policy.get("retry")
        return self._begin(ref, operation | ({"retry": retry} if retry else {"retry": {}}))

    def _find_in_body(self, request: Request, account: Account, body: Object) -> tuple[Ref, Object]:
        query = dict(request.query_params) | {
            key: body[key] for key in ("project", "appNamespace") if body.get(key)
        }
        request.scope["query_string"] = "&".join(f"{k}={v}" for k, v in query.items()).encode()
        fresh = Request(request.scope)
        return self.find(fresh, account, "sync")

    async def _revisions(self, ref: Ref, obj: Object, body: Object) -> tuple[str, ...]:
        """Return the commits to sync to: those asked for, or what git has now."""
        app = Application.model_validate(obj)
        asked = body.get("revision") or ""
        current = sources_of(obj["spec"])[0].get("targetRevision") or "HEAD"
        if app.spec.automated and asked and asked != current and not body.get("dryRun"):
            raise ApiError(9, f"Cannot sync to {asked}: auto-sync currently set to {current}")
        renderer = self.controller.parts.renderer
        try:
            revisions = list(await renderer.resolve(app))
            if asked:
                revisions[0] = await renderer.repositories.resolve(
                    app.spec.all_sources[0].repo_url, asked
                )
        except SourceError as error:
            raise ApiError(9, str(error)) from None
        for position, revision in zip(
            body.get("sourcePositions") or (), body.get("revisions") or (), strict=False
        ):
            revisions[int(position) - 1] = revision
        return tuple(revisions)

    def _begin(self, ref: Ref, operation: Object) -> Object:
        obj = self.apps.get(ref)
        if obj is None or "operation" in obj:
            raise ApiError(9, "another operation is already in progress")

        def begin(app: Object) -> None:
            app["operation"] = operation
            app["status"].pop("operationState", None)

        return shown(self.apps.edit(ref, begin) or obj)

    async def rollback(self, request: Request, account: Account) -> Object:
        """POST /applications/NAME/rollback."""
        body = await self.body(request)
        ref, obj = self._find_in_body(request, account, body)
        account.demand("applications", "sync", self.subject(obj))
        if Application.model_validate(obj).spec.automated:
            raise ApiError(9, "rollback cannot be initiated when auto-sync is enabled")
        history = obj["status"].get("history", [])
        entry = next((h for h in history if h["id"] == body.get("id", 0)), None)
        if entry is None:
            name = ref.name
            raise ApiError(
                3, f"application {name} does not have deployment with id {body.get('id')}"
            )
        kept = ("revision", "revisions", "source", "sources")
        sync = {key: entry[key] for key in kept if key in entry} | {
            "prune": bool(body.get("prune"))
        }
        return self._begin(
            ref, {"sync": sync, "initiatedBy": {"username": account.name}, "retry": {}}
        )

    async def terminate(self, request: Request, account: Account) -> Object:
        """DELETE /applications/NAME/operation."""
        ref, obj = self.find(request, account, "sync")
        if not account.may("applications", "sync"):
            raise ApiError(7, "permission denied")
        state = obj["status"].get("operationState")
        if "operation" not in obj or state is None:
            raise ApiError(3, "Unable to terminate operation. No operation is in progress")
        self.apps.status(ref, operationState=state | {"phase": "Terminating"})
        return {}


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _merged(target: Any, change: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(change, dict) or not isinstance(target, dict):
        return change
    out = {key: value for key, value in target.items() if change.get(key, ...) is not None}
    for key, value in change.items():
        if value is not None:
            out[key] = _merged(target.get(key), value)
    return out
