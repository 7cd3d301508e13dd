"""Who we are in a cluster, what we may do there, and whether a namespace is there to do it in."""

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from plate_release.cluster.objects import segment
from plate_release.cluster.server import Server
from plate_release.errors import ClusterUnavailable
from plate_release.model import Finding

_AUTHORIZATION = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_AUTHENTICATION = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that we may have to be permitted; the core group is ""."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


READ_DEPLOYMENTS = Permission("get", "apps", "deployments")
APPLY_DEPLOYMENTS = Permission("patch", "apps", "deployments")
_READ_PODS = Permission("list", "", "pods")


def whoami(server: Server) -> str:
    """Return our name, or `unknown` of an API server before 1.28."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = server.post(_AUTHENTICATION, review)
    if answer.status == HTTPStatus.NOT_FOUND:
        return "unknown"
    server.must(answer, "asking who we are")
    info = (answer.body.get("status") or {}).get("userInfo") or {}
    return str(info.get("username") or "unknown")


def may(server: Server, permission: Permission, namespace: str) -> bool:
    """Return whether the API server would let us."""
    attributes = {
        "namespace": namespace,
        "verb": permission.verb,
        "group": permission.group,
        "resource": permission.resource,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = server.must(server.post(_AUTHORIZATION, review), "asking what we may do")
    return bool((answer.body.get("status") or {}).get("allowed"))


def permissions(
    server: Server, namespace: str, needed: Iterable[Permission], who: str
) -> Iterator[Finding]:
    """Raise ClusterUnavailable naming what is missing; a finding says what only helps."""
    missing = [str(need) for need in needed if not may(server, need, namespace)]
    if missing:
        raise ClusterUnavailable(
            f"{who} lacks permissions in namespace {namespace}: {', '.join(missing)}.",
            why=f"the cluster {server.url} says so",
            todo="Grant them by a Role and a RoleBinding; "
            "--cluster-dry-run off and --skip-backup do without.",
        )
    if not may(server, _READ_PODS, namespace):
        note = f"{who} may not {_READ_PODS} in namespace {namespace}: only Argo CD shows them"
        yield Finding("warning", "permission-missing", note)


def namespace(server: Server, name: str, created: Collection[str]) -> Iterator[Finding]:
    """Say what is unusual about a namespace.

    Raises ClusterUnavailable where it is going, or is missing and is not among `created`.
    """
    answer = server.get(f"/api/v1/namespaces/{segment(name)}")
    if answer.namespace_missing:
        if name not in created:
            raise _no_namespace(server, name)
        note = f"namespace {name} does not exist; Argo CD will create it"
        yield Finding("info", "namespace-created", note)
    elif answer.status == HTTPStatus.FORBIDDEN and not answer.anonymous:
        note = f"whether namespace {name} exists is not known: {answer.message}"
        yield Finding("warning", "permission-missing", note)
    else:
        found = server.must(answer, f"reading namespace {name}").body
        if (found.get("status") or {}).get("phase") == "Terminating":
            raise ClusterUnavailable(
                f"The namespace {name} is being deleted.",
                why="nothing can be created in it any more",
                todo="Wait until it has gone.",
            )


def _no_namespace(server: Server, name: str) -> ClusterUnavailable:
    items = server.get("/api/v1/namespaces").body.get("items") or ()
    near = difflib.get_close_matches(name, [item["metadata"]["name"] for item in items], 1)
    return ClusterUnavailable(
        f"The namespace {name} does not exist in the cluster {server.url}.",
        why=f"did you mean {near[0]}?" if near else "",
        todo="Create it, or give the Application the sync option CreateNamespace=true.",
    )
