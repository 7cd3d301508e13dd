"""Argo CD's REST API, as far as a release needs it: typed answers, typed failures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from plate_release.application import Destination, Many, Wire
from plate_release.argocd.failures import (
    Answer,
    CallFailed,
    Forbidden,
    NotFound,
    failure,
    foreign,
)
from plate_release.argocd.status import LiveApplication, Node, ResourceTree, SyncWindows
from plate_release.argocd.transport import Query, Request

M = TypeVar("M", bound=BaseModel)

# A refresh is answered after the comparison, and never while the controller is down.
_REFRESH_SECONDS = 10.0
# Names the leaves of what `Glance` reads; `conditions` and `sync.revisions` are not to be had.
_GLANCE = (
    "metadata.resourceVersion,items.metadata.name,items.metadata.namespace,"
    "items.status.sync.status,items.status.sync.revision,items.status.health,"
    "items.status.operationState.phase,items.status.operationState.finishedAt"
)


@dataclass(frozen=True, slots=True, order=True)
class AppRef:
    """An Application's address; without a namespace it is in the API server's own."""

    name: str
    project: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def query(self) -> Query:
        """What tells it apart from its namesakes."""
        pairs = (("project", self.project), ("appNamespace", self.namespace))
        return tuple((key, value) for key, value in pairs if value)


class User(Wire):
    """Whom the token stands for; a wrong token is nobody."""

    logged_in: bool = False
    username: str = ""


class Version(Wire):
    """Argo CD's version, such as `v3.6.0+unknown`."""

    version: str = Field(default="", alias="Version")


class ClusterInfo(Wire):
    """What Argo CD knows of a cluster, and gives to the charts that it renders for it."""

    server_version: str = ""
    api_versions: Many[str] = ()


class _Cluster(Wire):
    info: ClusterInfo = ClusterInfo()


class _Clusters(Wire):
    items: Many[_Cluster] = ()


class _Value(Wire):
    value: str = ""


class _Manifest(Wire):
    manifest: str = ""


class _List(Wire):
    items: Many[LiveApplication] = ()


class Channel(Protocol):
    """What sends a request and returns the whole answer: `Transport`, or a test's."""

    def call(self, request: Request) -> Answer:
        """Return the answer. Raises CallFailed where none came."""
        ...


class ArgoCD:
    """One Argo CD. Every method raises CallFailed, of the kind that `failures` describes.

    told: hears of each call that changes something, and again where it is not answered well.
    """

    def __init__(self, channel: Channel, *, told: Callable[[str], None] = lambda _: None) -> None:
        self._channel, self._told = channel, told

    def get(self, app: AppRef) -> LiveApplication:
        """Return the Application, read from Kubernetes and not from a cache."""
        return self._application(app, self._answer(Request("GET", _path(app), app.query)))

    def refresh(self, app: AppRef, *, hard: bool = False) -> LiveApplication:
        """Have it compared with git anew and return it as it is then.

        Raises TimedOut where the comparison takes long; it stays asked for.
        """
        query = (*app.query, ("refresh", "hard" if hard else "normal"))
        request = Request("GET", _path(app), query, read_seconds=_REFRESH_SECONDS)
        return self._application(
            app, self._change(request, f"{request}?{query[-1][0]}={query[-1][1]}")
        )

    def list(self) -> tuple[LiveApplication, ...]:
        """Return the Applications that the account may see, from the server's cache."""
        return self._list(())

    def glance(self, projects: Iterable[str] = ()) -> tuple[LiveApplication, ...]:
        """Return little of many Applications: sync, health, operation; from the server's cache."""
        scope = [("projects", project) for project in projects]
        return self._list([*scope, ("fields", _GLANCE)])

    def resource_tree(self, app: AppRef) -> ResourceTree:
        """Return the objects that belong to it, pods among them."""
        return self._read(ResourceTree, _path(app, "resource-tree"), app.query)

    def manifest(self, app: AppRef, node: Node) -> str:
        """Return a live object of its tree, as JSON."""
        query = (
            *app.query,
            ("namespace", node.namespace),
            ("resourceName", node.name),
            ("group", node.group),
            ("version", node.version),
            ("kind", node.kind),
        )
        return self._read(_Manifest, _path(app, "resource"), query).manifest

    def sync_windows(self, app: AppRef) -> SyncWindows:
        """Return the windows that apply to it."""
        return self._read(SyncWindows, _path(app, "syncwindows"), app.query)

    def can_i(self, action: str, app: AppRef) -> bool:
        """Whether the account may do `action` (get, sync, ...); the project must be known."""
        scope = [quote(part) for part in (app.project, app.namespace, app.name) if part]
        path = f"/api/v1/account/can-i/applications/{quote(action)}/{'/'.join(scope)}"
        return self._read(_Value, path).value == "yes"

    def userinfo(self) -> User:
        """Return whom the token stands for. A wrong token is not refused here, it is nobody."""
        return self._read(User, "/api/v1/session/userinfo")

    def cluster(self, where: Destination) -> ClusterInfo | None:
        """Return what is known of an Application's cluster, None where we may not see it."""
        query = ("server", where.server) if where.server else ("name", where.name)
        found = self._read(_Clusters, "/api/v1/clusters", (query,)).items
        return found[0].info if found else None

    def version(self) -> str:
        """Return Argo CD's version."""
        return self._read(Version, "/api/version").version

    def sync(self, app: AppRef) -> None:
        """Sync to the head of what it tracks, as automated sync would.

        Raises WindowClosed, OperationInProgress, Forbidden.
        """
        request = Request("POST", _path(app, "sync"), json=dict(app.query))
        self._change(request, str(request))

    def terminate_operation(self, app: AppRef) -> None:
        """Have the running operation ended. Raises NoOperation where none is known to run."""
        request = Request("DELETE", _path(app, "operation"), app.query)
        self._change(request, str(request))

    def find(self, app: AppRef) -> LiveApplication:
        """Return the Application, or raise with the nearest name that there is."""
        try:
            return self.get(app)
        except (NotFound, Forbidden) as error:
            error.todo = self._near_miss(app) or error.todo
            raise

    def _near_miss(self, app: AppRef) -> str:
        try:
            projects = {item.name: item.spec.project for item in self.list()}
        except CallFailed:
            return ""
        if app.name in projects:
            return f"The Application {app.name} is in the project {projects[app.name]}."
        close = get_close_matches(app.name, projects, n=1)
        return f"Did you mean {close[0]}?" if close else ""

    def _list(self, query: Query) -> tuple[LiveApplication, ...]:
        return self._read(_List, "/api/v1/applications", query).items

    def _read(self, model: type[M], path: str, query: Query = ()) -> M:
        request = Request("GET", path, query)
        return _parsed(model, request, self._answer(request))

    def _application(self, app: AppRef, answer: Answer) -> LiveApplication:
        request = Request("GET", _path(app))
        found = _parsed(LiveApplication, request, answer)
        if found.name != app.name:
            raise foreign(str(request), answer)
        return found

    def _change(self, request: Request, asked: str) -> Answer:
        # Told before it is sent: what follows from it may be seen before it is answered.
        self._told(asked)
        try:
            return self._answer(request)
        except CallFailed as error:
            self._told(f"{asked}: {error.why or error.what}")
            raise

    def _answer(self, request: Request) -> Answer:
        answer = self._channel.call(request)
        if answer.status not in range(200, 300):
            raise failure(str(request), answer)
        return answer


def _path(app: AppRef, *more: str) -> str:
    return "/".join(("/api/v1/applications", *(quote(part, safe="") for part in (app.name, *more))))


def _parsed(model: type[M], request: Request, answer: Answer) -> M:
    try:
        return model.model_validate_json(answer.text)
    except ValidationError:
        raise foreign(str(request), answer) from None
