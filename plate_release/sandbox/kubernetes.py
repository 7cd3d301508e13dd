"""The cluster's API: the subset of Kubernetes' that this tool uses."""

import base64
import json
import secrets
from pathlib import Path

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plate_release.sandbox.admission import KINDS
from plate_release.sandbox.answers import answer, plain
from plate_release.sandbox.defaults import defaulted
from plate_release.sandbox.discovery import discovery_routes
from plate_release.sandbox.dry_run import dry_run
from plate_release.sandbox.status import Status, already_exists, forbidden, not_found
from plate_release.sandbox.syncing import ensure_namespace
from plate_release.sandbox.watching import selected, watch
from plate_release.sandbox.world import Object, Ref, World

PLURALS = {
    (group, plural): (kind, version, namespaced)
    for (group, kind), (plural, version, namespaced) in KINDS.items()
}
READS = {"get", "list", "watch"}


class Kubernetes:
    """Answers about the same objects that Argo CD manages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.token, self.viewer_token = secrets.token_hex(16), secrets.token_hex(16)
        self._users = {self.token: "admin", self.viewer_token: "viewer"}
        self.denied: set[tuple[str, str]] = set()
        for name in ("default", "kube-system", "argocd"):
            ensure_namespace(world, name)
        world.create(_node())

    def app(self) -> Starlette:
        """Return the HTTP application."""
        core, group = "/api/v1", "/apis/{group}/{version}"
        namespaced = "/namespaces/{namespace}/{plural}"
        routes = [
            *discovery_routes(),
            Route(
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                self._review,
                methods=["POST"],
            ),
            Route("/apis/authentication.k8s.io/v1/selfsubjectreviews", self._who, methods=["POST"]),
            Route("/api/v1/namespaces/{namespace}/pods/{name}/log", self._log),
        ]
        for base in (core, group):
            for path in (namespaced, "/{plural}"):
                routes += [
                    Route(f"{base}{path}/{{name}}", self._one, methods=["GET", "PATCH", "DELETE"]),
                    Route(f"{base}{path}", self._many, methods=["GET", "POST"]),
                ]
        missing = {404: _nothing, 405: _nothing, Status: _refused}
        return Starlette(routes=routes, exception_handlers=missing)  # type: ignore[arg-type]

    def write_config(self, path: Path, url: str) -> None:
        """Write a kubeconfig that reaches this cluster as its administrator."""
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "sandbox",
                    "clusters": [{"name": "sandbox", "cluster": {"server": url}}],
                    "users": [{"name": "admin", "user": {"token": self.token}}],
                    "contexts": [
                        {
                            "name": "sandbox",
                            "context": {
                                "cluster": "sandbox",
                                "user": "admin",
                                "namespace": "default",
                            },
                        }
                    ],
                }
            )
        )
        path.chmod(0o600)

    def _user(self, request: Request) -> str:
        header = request.headers.get("authorization", "")
        if not header:
            return "system:anonymous"
        user = self._users.get(header.removeprefix("Bearer "))
        if user is None:
            raise Status(401, "Unauthorized", "Unauthorized", {})
        return user

    def _may(self, user: str, verb: str, plural: str) -> bool:
        if (verb, plural) in self.denied:
            return False
        return user == "admin" or (user == "viewer" and verb in READS and plural == "namespaces")

    def _what(self, request: Request, verb: str) -> tuple[str, str, str, str]:
        """Return group, kind, plural and namespace of a request that is permitted."""
        group = request.path_params.get("group", "")
        plural = request.path_params["plural"]
        found = PLURALS.get((group, plural))
        namespace = request.path_params.get("namespace", "")
        if found is None or request.path_params.get("version", "v1") != found[1]:
            raise Status(404, "", "404 page not found", {})
        user = self._user(request)
        if not self._may(user, verb, plural):
            name = request.path_params.get("name", "")
            raise forbidden(user, verb, group, plural, namespace, name)
        return group, found[0], plural, namespace

    async def _many(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create(request)
        watching = request.query_params.get("watch") in ("1", "true")
        group, kind, _, namespace = self._what(request, "watch" if watching else "list")
        where = namespace if "namespace" in request.path_params else None
        if watching:
            return watch(self._world, request, group, kind, where)
        found = [o for o in self._world.of_kind(group, kind, where) if selected(request, o)]
        return self._page(request, group, kind, found)

    def _page(self, request: Request, group: str, kind: str, found: list[Object]) -> Response:
        query = request.query_params
        limit, token = int(query.get("limit") or 0), query.get("continue")
        start = _continued(token) if token else 0
        meta: Object = {"resourceVersion": str(self._world.revision)}
        end = start + limit if limit else len(found)
        if end < len(found):
            meta |= {
                "continue": base64.urlsafe_b64encode(json.dumps({"start": end}).encode())
                .decode()
                .rstrip("="),
                "remainingItemCount": len(found) - end,
            }
        version = KINDS[group, kind][1]
        items = [
            {k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}
            for obj in found[start:end]
        ]
        return answer(
            {
                "kind": f"{kind}List",
                "apiVersion": f"{group}/{version}" if group else "v1",
                "metadata": meta,
                "items": items,
            }
        )

    async def _one(self, request: Request) -> Response:
        verb = {"GET": "get", "PATCH": "patch", "DELETE": "delete"}[request.method]
        group, kind, plural, namespace = self._what(request, verb)
        ref = Ref(group, kind, namespace, request.path_params["name"])
        obj = self._world.get(ref)
        if verb == "patch":
            return await self._patch(request, ref)
        if obj is None:
            raise not_found(group, plural, ref.name)
        if verb == "delete":
            self._world.delete(ref)
        return answer(obj)

    async def _patch(self, request: Request, ref: Ref) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind != "application/apply-patch+yaml" or request.query_params.get("dryRun") != "All":
            raise Status(
                501,
                "NotImplemented",
                "the sandbox only follows server-side apply with dryRun=All",
                {},
            )
        body = yaml.safe_load(await request.body())
        status, obj = dry_run(self._world, ref, body)
        return answer(obj, status)

    async def _create(self, request: Request) -> Response:
        group, kind, plural, namespace = self._what(request, "create")
        body = await request.json()
        meta = body.setdefault("metadata", {})
        if namespace:
            meta["namespace"] = namespace
        ref = Ref(group, kind, namespace, meta.get("name", ""))
        if namespace and not self._world.get(Ref("", "Namespace", "", namespace)):
            raise not_found("", "namespaces", namespace)
        if self._world.get(ref):
            raise already_exists(group, plural, ref.name)
        if request.query_params.get("dryRun") == "All":
            return answer(body, 201)
        if kind == "Namespace":
            ensure_namespace(self._world, ref.name)
            return answer(self._world.get(ref), 201)
        version = KINDS[group, kind][1]
        body |= {"apiVersion": f"{group}/{version}" if group else version, "kind": kind}
        return answer(self._world.create(defaulted(body)), 201)

    async def _review(self, request: Request) -> Response:
        user, body = self._user(request), await request.json()
        asked = body["spec"].get("resourceAttributes", {})
        allowed = self._may(user, asked.get("verb", ""), asked.get("resource", ""))
        return answer(
            {
                "kind": "SelfSubjectAccessReview",
                "apiVersion": "authorization.k8s.io/v1",
                "metadata": {},
                "spec": body["spec"],
                "status": {"allowed": allowed},
            },
            201,
        )

    async def _who(self, request: Request) -> Response:
        user = self._user(request)
        info = {"username": user, "uid": user, "groups": [f"{user}s", "system:authenticated"]}
        meta = {"creationTimestamp": self._world.clock.stamp()}
        return answer(
            {
                "kind": "SelfSubjectReview",
                "apiVersion": "authentication.k8s.io/v1",
                "metadata": meta,
                "status": {"userInfo": info},
            },
            201,
        )

    async def _log(self, request: Request) -> Response:
        request.path_params["plural"] = "pods"
        _, _, _, namespace = self._what(request, "get")
        name = request.path_params["name"]
        if not self._world.get(Ref("", "Pod", namespace, name)):
            raise not_found("", "pods", name)
        raise Status(500, "", "no preferred addresses found; known addresses: []", {})


def _continued(token: str) -> int:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return int(json.loads(text)["start"])
    except (ValueError, KeyError, TypeError):
        raise Status(
            400,
            "BadRequest",
            "invalid continue token: continue key is not valid: "
            "invalid character '\u00ae' looking for beginning of value",
            {},
        ) from None


def _node() -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "node-0", "labels": {"kubernetes.io/hostname": "node-0"}},
        "spec": {},
        "status": {
            "capacity": {"cpu": "64", "memory": "256Gi", "pods": "1000"},
            "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "1000"},
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "kubelet is posting ready status",
                }
            ],
        },
    }


async def _nothing(request: Request, error: Exception) -> Response:
    del request, error
    return plain("404 page not found", 404)


async def _refused(request: Request, error: Status) -> Response:
    del request
    if error.code == 404 and not error.reason:  # noqa: PLR2004 - HTTP's
        return plain(error.message, 404)
    return answer(error.wire(), error.code)
