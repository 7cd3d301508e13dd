"""Argo CD's REST API: what there is to know of an Application, and of the server."""

import json
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plate_release.application import Application
from plate_release.sandbox.answers import ApiError, Lines, answer, compact, refused
from plate_release.sandbox.api import Api
from plate_release.sandbox.applications import REFRESH, revisions_in, sources_of
from plate_release.sandbox.auth import Account
from plate_release.sandbox.compare import differs, match, merged
from plate_release.sandbox.discovery import VERSION as KUBERNETES
from plate_release.sandbox.discovery import api_versions
from plate_release.sandbox.render import instance_name
from plate_release.sandbox.source import SourceError
from plate_release.sandbox.world import Object, Ref

CLUSTER = "https://kubernetes.default.svc"
VERSION = {
    "Version": "v3.6.0+sandbox",
    "BuildDate": "1970-01-01T00:00:00Z",
    "GoVersion": "go1.26.8",
    "Compiler": "gc",
    "Platform": "linux/amd64",
    "KustomizeVersion": "",
    "HelmVersion": "",
    "JsonnetVersion": "",
}


class Details:
    """Answers about one Application's parts, about the server, and the streams."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._parts = api.controller.parts

    def routes(self) -> list[Route]:
        """Return the routes below /api/v1."""
        one, handled = "/applications/{name}", self._api.handled
        table = [
            (f"{one}/resource-tree", self.tree),
            (f"{one}/syncwindows", self.windows),
            (f"{one}/manifests", self.manifests),
            (f"{one}/managed-resources", self.managed),
            (f"{one}/resource", self.resource),
            (f"{one}/events", self.events),
            (f"{one}/revisions/{{revision}}/metadata", self.revision),
            (f"{one}/logs", self.logs),
            (f"{one}/pods/{{pod}}/logs", self.logs),
            ("/account/can-i/{resource}/{action}/{subject:path}", self.can_i),
            ("/projects/{project}", self.project),
            ("/repositories", self.none),
            ("/clusters", self.clusters),
        ]
        return [
            Route("/session/userinfo", self.user),
            Route("/session", self.session, methods=["POST"]),
            Route("/settings", self.settings),
            Route("/webhook", self.webhook, methods=["POST"]),
            *(Route(path, handled(handler)) for path, handler in table),
        ]

    async def tree(self, request: Request, account: Account) -> Object:
        """GET .../resource-tree."""
        ref, _ = self._api.find(request, account)
        return self._api.controller.worker(ref).reconciliation.tree()

    async def windows(self, request: Request, account: Account) -> Object:
        """GET .../syncwindows."""
        _, obj = self._api.find(request, account)
        projects, now = self._parts.projects, self._parts.clock.now()
        assigned = projects.assigned(obj)
        shapes = {
            "activeWindows": [_window(w.wire) for w in assigned if w.active(now)],
            "assignedWindows": [_window(w.wire) for w in assigned],
        }
        can = projects.can_sync(obj, now, manual=True)
        return {key: value for key, value in shapes.items() if value} | {"canSync": can}

    async def manifests(self, request: Request, account: Account) -> Object:
        """GET .../manifests."""
        _, obj = self._api.find(request, account)
        app = Application.model_validate(obj)
        asked = request.query_params.get("revision")
        current = revisions_in(obj["status"]["sync"])
        revisions = (asked, *current[1:]) if asked else current
        try:
            target = await self._parts.renderer.render(app, revisions)
        except SourceError as error:
            text = str(error).partition(": ")[2]
            raise ApiError(2, f"failed to initialize repository resources: {text}") from None
        shown = [_bare(each, app.spec.destination.namespace) for each in target.objects]
        return {"manifests": [compact(_sorted(each)).decode() for each in shown]}

    async def managed(self, request: Request, account: Account) -> Object:
        """GET .../managed-resources."""
        _, obj = self._api.find(request, account)
        app = Application.model_validate(obj)
        try:
            target = await self._parts.renderer.render(app, revisions_in(obj["status"]["sync"]))
        except SourceError as error:
            raise ApiError(2, str(error)) from None
        items = []
        for each in match(target.objects, self._parts.cache.managed(instance_name(app))):
            item: Object = {"group": each.ref.group} if each.ref.group else {}
            item |= {"kind": each.ref.kind, "namespace": each.ref.namespace, "name": each.ref.name}
            after = merged(each.target, each.live) if each.target else None
            for key, value in (
                ("targetState", each.target),
                ("liveState", each.live),
                ("normalizedLiveState", each.live),
                ("predictedLiveState", after),
            ):
                item[key] = json.dumps(value, separators=(",", ":"), sort_keys=True)
            if each.live:
                item["resourceVersion"] = each.live["metadata"]["resourceVersion"]
            if each.target is None or each.live is None or differs(each.target, each.live):
                item["modified"] = True
            items.append(item)
        return {"items": items}

    async def resource(self, request: Request, account: Account) -> Object:
        """GET .../resource: one live object of the tree."""
        self._api.find(request, account)
        query = request.query_params
        names = ("group", "kind", "namespace", "resourceName")
        found = self._api.apps.world.get(Ref(*(query.get(name, "") for name in names)))
        if found is None:
            what = f"{query.get('kind')} {query.get('group', '')} {query.get('resourceName')}"
            raise ApiError(3, f"{what} not found as part of application")
        return {"manifest": compact(_sorted(found)).decode()}

    async def events(self, request: Request, account: Account) -> Object:
        """GET .../events: of the Application, or of one of its resources."""
        _, obj = self._api.find(request, account)
        world, query = self._api.apps.world, request.query_params
        uid = query.get("resourceUID") or obj["metadata"]["uid"]
        namespace = query.get("resourceNamespace") or obj["metadata"]["namespace"]
        found = [
            e for e in world.of_kind("", "Event", namespace) if e["involvedObject"]["uid"] == uid
        ]
        items = [{k: v for k, v in e.items() if k not in ("apiVersion", "kind")} for e in found]
        return {"metadata": {"resourceVersion": str(world.revision)}, "items": items}

    async def revision(self, request: Request, account: Account) -> Object:
        """GET .../revisions/REVISION/metadata."""
        _, obj = self._api.find(request, account)
        url = sources_of(obj["spec"])[0]["repoURL"]
        try:
            info = await self._parts.renderer.repositories.info(
                url, request.path_params["revision"]
            )
        except SourceError as error:
            raise ApiError(2, str(error)) from None
        out: Object = {"author": info.author, "date": info.date, "message": info.message}
        return out | ({"tags": list(info.tags)} if info.tags else {})

    async def logs(self, request: Request, account: Account) -> Response:
        """GET .../logs: there is no kubelet behind this cluster, and it says so."""
        _, obj = self._api.find(request, account)
        account.demand("logs", "get", self._api.subject(obj))
        now = self._parts.clock.stamp()
        missing = "no preferred addresses found; known addresses: []"

        async def lines() -> Any:
            yield {
                "content": missing,
                "timeStamp": None,
                "last": False,
                "timeStampStr": "0001-01-01T00:00:00Z",
                "podName": "",
            }
            yield {
                "content": "",
                "timeStamp": now,
                "last": True,
                "timeStampStr": now,
                "podName": "",
            }

        return Lines(lines())

    async def can_i(self, request: Request, account: Account) -> Object:
        """GET /account/can-i/RESOURCE/ACTION/SUBJECT."""
        asked = request.path_params
        return {"value": "yes" if account.may(asked["resource"], asked["action"]) else "no"}

    async def project(self, request: Request, account: Account) -> Object:
        """GET /projects/NAME."""
        name = request.path_params["project"]
        account.demand("projects", "get", name)
        windows = self._parts.projects.windows.get(name)
        if windows is None:
            raise ApiError(5, f'appprojects.argoproj.io "{name}" not found')
        spec: Object = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
        if windows:
            spec["syncWindows"] = [w.wire for w in windows]
        return {"metadata": {"name": name, "namespace": "argocd"}, "spec": spec, "status": {}}

    async def clusters(self, request: Request, account: Account) -> Object:
        """GET /clusters: the only one, to who may see it."""
        if not account.may("clusters", "get"):
            return {"metadata": {}, "items": None}
        asked = request.query_params
        shown = {"server": CLUSTER, "name": "in-cluster"}
        fits = all(asked.get(key) in (None, "", value) for key, value in shown.items())
        state = {"status": "Successful", "message": "", "attemptedAt": self._parts.clock.stamp()}
        info = {
            "connectionState": state,
            "serverVersion": f"{KUBERNETES['major']}.{KUBERNETES['minor']}",
            "cacheInfo": {},
            "applicationsCount": len(self._api.apps.all()),
            "apiVersions": api_versions(),
        }
        cluster = {**shown, "config": {"tlsClientConfig": {"insecure": False}}, "info": info}
        return {"metadata": {}, "items": [cluster] if fits else []}

    async def none(self, request: Request, account: Account) -> Object:
        """GET a list that is empty here."""
        del request, account
        return {"metadata": {}, "items": None}

    async def user(self, request: Request) -> Response:
        """GET /session/userinfo: never refuses."""
        try:
            account = self._api.accounts.of(request.headers)
        except ApiError:
            return answer({})
        return answer({"loggedIn": True, "username": account.name, "iss": "argocd"})

    async def session(self, request: Request) -> Response:
        """POST /session."""
        body = await self._api.body(request)
        accounts = self._api.accounts
        if body.get("username") != "admin" or body.get("password") != accounts.password:
            return refused(ApiError(16, "Invalid username or password"))
        return answer({"token": accounts.issue("admin", lifetime=86400)})

    async def settings(self, request: Request) -> Response:
        """GET /settings, for which no token is needed."""
        return answer(
            {
                "url": str(request.base_url).rstrip("/").removesuffix("/api/v1"),
                "appLabelKey": "app.kubernetes.io/instance",
                "googleAnalytics": {"anonymizeUsers": True},
                "kustomizeOptions": {"BuildOptions": "", "BinaryPath": "", "Versions": None},
                "help": {},
                "trackingMethod": "annotation",
                "syncWithReplaceAllowed": True,
                "resourceViewEnabled": True,
            }
        )

    async def webhook(self, request: Request) -> Response:
        """POST /webhook: a push, as GitHub tells it; asks those it concerns to refresh."""
        body = await self._api.body(request)
        urls = {body["repository"].get(key, "") for key in ("html_url", "clone_url", "ssh_url")}
        branch = body["ref"].removeprefix("refs/heads/")
        now = self._parts.clock.stamp()
        for obj in self._api.apps.all():
            sources = sources_of(obj["spec"])
            if any(
                _same(s["repoURL"], urls) and s.get("targetRevision", "HEAD") in (branch, "HEAD")
                for s in sources
            ):
                ref = self._api.apps.ref(obj["metadata"]["name"], obj["metadata"]["namespace"])
                self._api.apps.edit(ref, partial(_ask, now))
        return answer({})


async def version(request: Request) -> Response:
    """GET /api/version."""
    del request
    return answer(VERSION)


def _ask(now: str, app: Object) -> None:
    notes = app["metadata"].setdefault("annotations", {})
    notes |= {REFRESH: "normal", f"{REFRESH}-timestamp": now}


def _window(wire: Object) -> Object:
    kept = {key: wire.get(key) for key in ("kind", "schedule", "duration")}
    return kept | {"manualSync": bool(wire.get("manualSync"))}


def _same(url: str, urls: set[str]) -> bool:
    return url.removesuffix(".git") in {each.removesuffix(".git") for each in urls}


def _bare(obj: Object, namespace: str) -> Object:
    """Return a manifest as helm wrote it: without the namespace that Argo CD fills in."""
    meta = {k: v for k, v in obj["metadata"].items() if k != "namespace" or v != namespace}
    return obj | {"metadata": meta}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value
