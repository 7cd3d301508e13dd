"""The cluster's API about itself: its version, and which kinds it knows."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from plate_release.sandbox.admission import KINDS
from plate_release.sandbox.answers import answer, plain
from plate_release.sandbox.world import Object

_AGGREGATED = "as=APIGroupDiscoveryList"
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.1",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26.8",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def discovery_routes() -> list[Route]:
    """Return the routes."""
    return [
        Route("/version", _version),
        Route("/api", _api),
        Route("/apis", _groups),
        Route("/api/v1", _resources),
        Route("/apis/{group}/{version}", _resources),
    ]


def api_versions() -> list[str]:
    """Return what charts ask for as `.Capabilities.APIVersions`."""
    known = {
        (f"{group}/{version}" if group else version, kind)
        for (group, kind), (_, version, _) in KINDS.items()
    }
    return sorted({gv for gv, _ in known} | {f"{gv}/{kind}" for gv, kind in known})


async def _version(request: Request) -> Response:
    del request
    return answer(VERSION)


async def _api(request: Request) -> Response:
    if _AGGREGATED in request.headers.get("accept", ""):
        return answer(_discovery(""))
    return answer({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})


async def _groups(request: Request) -> Response:
    if _AGGREGATED in request.headers.get("accept", ""):
        return answer(_discovery(*sorted({group for group, _ in KINDS} - {""})))
    groups = sorted({(g, v) for (g, _), (_, v, _) in KINDS.items() if g})
    items = [
        {
            "name": g,
            "versions": [{"groupVersion": f"{g}/{v}", "version": v}],
            "preferredVersion": {"groupVersion": f"{g}/{v}", "version": v},
        }
        for g, v in groups
    ]
    return answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": items})


def _discovery(*groups: str) -> Object:
    """Return groups as aggregated discovery has them."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [_group(group) for group in groups],
    }


def _group(group: str) -> Object:
    versions = sorted({version for (g, _), (_, version, _) in KINDS.items() if g == group})
    shown = [
        {
            "version": version,
            "resources": [
                {
                    "resource": one["name"],
                    "responseKind": {"group": group, "version": version, "kind": one["kind"]},
                    "scope": "Namespaced" if one["namespaced"] else "Cluster",
                    "singularResource": one["singularName"],
                    "verbs": one["verbs"],
                }
                for one in _resources_of(group, version)
            ],
            "freshness": "Current",
        }
        for version in versions
    ]
    return {"metadata": {"name": group, "creationTimestamp": None}, "versions": shown}


async def _resources(request: Request) -> Response:
    group = request.path_params.get("group", "")
    version = request.path_params.get("version", "v1")
    found = list(_resources_of(group, version))
    if not found:
        return plain("404 page not found", 404)
    name = f"{group}/{version}" if group else "v1"
    return answer(
        {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": found}
    )


def _resources_of(group: str, version: str) -> Iterator[Object]:
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    for (each, kind), (plural, its, namespaced) in KINDS.items():
        if (each, its) == (group, version):
            yield {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": namespaced,
                "kind": kind,
                "verbs": verbs,
            }
