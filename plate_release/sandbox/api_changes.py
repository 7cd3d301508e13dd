"""Argo CD's REST API: creating, changing and deleting Applications."""

import copy
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from plate_release.application import Application
from plate_release.sandbox.answers import ApiError
from plate_release.sandbox.api import Api
from plate_release.sandbox.applications import KIND, NAMESPACE, sources_of
from plate_release.sandbox.auth import Account
from plate_release.sandbox.shapes import NEW_STATUS, listed, shown
from plate_release.sandbox.source import SourceError
from plate_release.sandbox.world import Object

NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"


class Changes:
    """Answers to what changes an Application."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._parts = api.controller.parts

    def routes(self) -> list[Route]:
        """Return the routes below /api/v1."""
        one, handled = "/applications/{name}", self._api.handled
        return [
            Route("/applications", handled(self.create), methods=["POST"]),
            Route(one, handled(self.put), methods=["PUT"]),
            Route(one, handled(self.patch), methods=["PATCH"]),
            Route(one, handled(self.delete), methods=["DELETE"]),
            Route(f"{one}/spec", handled(self.put_spec), methods=["PUT"]),
        ]

    async def create(self, request: Request, account: Account) -> Object:
        """POST /applications."""
        query = request.query_params
        body = await self._api.body(request)
        name, spec = body["metadata"]["name"], body["spec"]
        namespace = body["metadata"].get("namespace") or NAMESPACE
        account.demand("applications", "create", f"{spec.get('project', '')}/{name}")
        await self._valid(name, spec, validate=query.get("validate") != "false")
        ref = self._api.apps.ref(name, namespace)
        existing = self._api.apps.get(ref)
        if existing is not None:
            if existing["spec"] == spec:
                return shown(existing)
            if query.get("upsert") != "true":
                raise ApiError(
                    3, "existing application spec is different, use upsert flag to force update"
                )
            account.demand("applications", "update", self._api.subject(existing))
            return shown(self._api.apps.edit(ref, lambda obj: obj.update(spec=spec)) or existing)
        return shown(
            self._api.apps.world.create(
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": KIND,
                    "metadata": body["metadata"] | {"namespace": namespace},
                    "spec": spec,
                    "status": copy.deepcopy(NEW_STATUS),
                }
            )
        )

    async def _valid(self, name: str, spec: Object, *, validate: bool) -> None:
        project = spec.get("project", "")
        if project not in self._parts.projects.windows:
            raise ApiError(
                3, f'app is not allowed in project "{project}", or the project does not exist'
            )
        if validate:
            await self._renders(name, spec)
        if not re.fullmatch(NAME, name):
            raise ApiError(
                3,
                f'error creating application: Application.argoproj.io "{name}" is invalid: '
                f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain must '
                "consist of lower case alphanumeric characters, '-' or '.', and must start and end "
                f"with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                f"'{NAME}')",
            )

    async def _renders(self, name: str, spec: Object) -> None:
        app = Application.model_validate({"metadata": {"name": name}, "spec": spec})
        renderer = self._parts.renderer
        try:
            await renderer.render(app, await renderer.resolve(app))
        except SourceError as error:
            path = next((s.get("path", "") for s in sources_of(spec) if s.get("path")), "")
            text = re.sub(r"^failed to generate manifest for source \d+ of \d+: ", "", str(error))
            raise ApiError(
                3,
                f"application spec for {name} is invalid: InvalidSpecError: Unable to generate "
                f"manifests in {path}: {text}",
            ) from None

    async def put(self, request: Request, account: Account) -> Object:
        """PUT /applications/NAME."""
        body = await self._api.body(request)
        ref, obj = self._api.find(request, account, "update")
        account.demand("applications", "update", self._api.subject(obj))
        await self._valid(
            ref.name, body["spec"], validate=request.query_params.get("validate") != "false"
        )

        def update(app: Object) -> None:
            app["spec"] = body["spec"]
            for key in ("labels", "annotations", "finalizers"):
                if key in body["metadata"]:
                    app["metadata"][key] = body["metadata"][key]

        return shown(self._api.apps.edit(ref, update) or obj)

    async def patch(self, request: Request, account: Account) -> Object:
        """PATCH /applications/NAME: a merge patch, inside JSON."""
        body = await self._api.body(request)
        ref, obj = self._api.find(request, account, "update")
        account.demand("applications", "update", self._api.subject(obj))
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

        return listed(self._api.apps.edit(ref, update) or obj)

    async def put_spec(self, request: Request, account: Account) -> Object:
        """PUT /applications/NAME/spec."""
        body = await self._api.body(request)
        ref, obj = self._api.find(request, account, "update")
        account.demand("applications", "update", self._api.subject(obj))
        await self._valid(ref.name, body, validate=request.query_params.get("validate") != "false")
        self._api.apps.edit(ref, lambda app: app.update(spec=body))
        spec: Object = body
        return spec

    async def delete(self, request: Request, account: Account) -> Object:
        """DELETE /applications/NAME: marks it; the controller removes it."""
        ref, obj = self._api.find(request, account, "delete")
        account.demand("applications", "delete", self._api.subject(obj))
        cascade = request.query_params.get("cascade") != "false"
        now = self._parts.clock.stamp()

        def mark(app: Object) -> None:
            meta = app["metadata"]
            meta["finalizers"] = ["resources-finalizer.argocd.argoproj.io"] if cascade else []
            meta |= {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0}

        if cascade:
            self._api.apps.edit(ref, mark)
        else:
            self._api.apps.world.delete(ref)
        return {}


def _merged(target: Any, change: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386)."""
    if not isinstance(change, dict) or not isinstance(target, dict):
        return change
    out = {key: value for key, value in target.items() if change.get(key, ...) is not None}
    for key, value in change.items():
        if value is not None:
            out[key] = _merged(target.get(key), value)
    return out
