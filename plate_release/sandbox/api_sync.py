"""Argo CD's REST API: starting, ending and undoing a sync."""

from starlette.requests import Request
from starlette.routing import Route

from plate_release.application import Application
from plate_release.sandbox.answers import ApiError
from plate_release.sandbox.api import Api
from plate_release.sandbox.applications import revision_fields, source_fields, sources_of
from plate_release.sandbox.auth import Account
from plate_release.sandbox.shapes import shown
from plate_release.sandbox.source import SourceError
from plate_release.sandbox.world import Object, Ref


class Syncs:
    """Answers to what is asked of an Application's operation."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._parts = api.controller.parts

    def routes(self) -> list[Route]:
        """Return the routes below /api/v1."""
        one, handled = "/applications/{name}", self._api.handled
        return [
            Route(f"{one}/sync", handled(self.sync), methods=["POST"]),
            Route(f"{one}/rollback", handled(self.rollback), methods=["POST"]),
            Route(f"{one}/operation", handled(self.terminate), methods=["DELETE"]),
        ]

    async def sync(self, request: Request, account: Account) -> Object:
        """POST /applications/NAME/sync."""
        body = await self._api.body(request)
        ref, obj = self._find_in_body(request, account, body)
        account.demand("applications", "sync", self._api.subject(obj))
        if obj["metadata"].get("deletionTimestamp"):
            raise ApiError(9, "application is deleting")
        if not self._parts.projects.can_sync(obj, self._parts.clock.now(), manual=True):
            raise ApiError(7, "cannot sync: blocked by sync window")
        revisions = await self._revisions(obj, body)
        policy = obj["spec"].get("syncPolicy") or {}
        sync: Object = revision_fields(obj["spec"], revisions) | source_fields(obj["spec"])
        options = (body.get("syncOptions") or {}).get("items") or policy.get("syncOptions")
        asked = {
            "prune": body.get("prune"),
            "dryRun": body.get("dryRun"),
            "resources": body.get("resources"),
            "syncOptions": options,
        }
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
        return self._api.find(fresh, account, "sync")

    async def _revisions(self, obj: Object, body: Object) -> tuple[str, ...]:
        """Return the commits to sync to: those asked for, or what git has now."""
        app = Application.model_validate(obj)
        asked = body.get("revision") or ""
        current = sources_of(obj["spec"])[0].get("targetRevision") or "HEAD"
        if app.spec.automated and asked and asked != current and not body.get("dryRun"):
            raise ApiError(9, f"Cannot sync to {asked}: auto-sync currently set to {current}")
        renderer = self._parts.renderer
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
        obj = self._api.apps.get(ref)
        if obj is None or "operation" in obj:
            raise ApiError(9, "another operation is already in progress")

        def begin(app: Object) -> None:
            app["operation"] = operation
            app["status"].pop("operationState", None)

        return shown(self._api.apps.edit(ref, begin) or obj)

    async def rollback(self, request: Request, account: Account) -> Object:
        """POST /applications/NAME/rollback."""
        body = await self._api.body(request)
        ref, obj = self._find_in_body(request, account, body)
        account.demand("applications", "sync", self._api.subject(obj))
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
        ref, obj = self._api.find(request, account, "sync")
        if not account.may("applications", "sync"):
            raise ApiError(7, "permission denied")
        state = obj["status"].get("operationState")
        if "operation" not in obj or state is None:
            raise ApiError(3, "Unable to terminate operation. No operation is in progress")
        self._api.apps.status(ref, operationState=state | {"phase": "Terminating"})
        return {}
