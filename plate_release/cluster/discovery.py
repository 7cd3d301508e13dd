"""What an API server serves: its version, its groups, versions and kinds.

Source: Kubernetes' aggregated discovery (apidiscovery.k8s.io/v2), of every version since 1.30.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from plate_release.cluster.server import Server

_LISTS = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def version(server: Server) -> str:
    """Return its version, such as `v1.33.2`. Raises ClusterUnavailable."""
    answer = server.must(server.get("/version"), "reading its version")
    return str(answer.body.get("gitVersion", "unknown"))


def api_versions(server: Server) -> tuple[str, ...]:
    """Return every group and version, and every kind of it: `apps/v1`, `apps/v1/Deployment`.

    Empty where the API server does not tell all of them at once. Raises ClusterUnavailable.
    """
    found: set[str] = set()
    for path in ("/api", "/apis"):
        answer = server.must(server.get(path, accept=_LISTS), "reading what it serves")
        if answer.body.get("kind") != "APIGroupDiscoveryList":
            return ()
        for group in answer.body.get("items") or ():
            found.update(_of(group))
    return tuple(sorted(found))


def _of(group: Mapping[str, Any]) -> Iterator[str]:
    name = (group.get("metadata") or {}).get("name") or ""
    for one in group.get("versions") or ():
        version = f"{name}/{one['version']}" if name else str(one["version"])
        yield version
        for resource in one.get("resources") or ():
            if kind := (resource.get("responseKind") or {}).get("kind"):
                yield f"{version}/{kind}"
