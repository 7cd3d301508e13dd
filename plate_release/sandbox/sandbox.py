"""The whole sandbox: an Argo CD and a cluster, on ports of this machine, in a thread."""

import asyncio
import copy
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from plate_release.sandbox.admin import admin_app
from plate_release.sandbox.answers import plain
from plate_release.sandbox.api import Api
from plate_release.sandbox.api_changes import Changes
from plate_release.sandbox.api_details import Details, version
from plate_release.sandbox.api_streams import Streams
from plate_release.sandbox.api_sync import Syncs
from plate_release.sandbox.applications import NAMESPACE
from plate_release.sandbox.auth import Accounts
from plate_release.sandbox.cache import Pace
from plate_release.sandbox.clock import Clock
from plate_release.sandbox.controller import Controller
from plate_release.sandbox.faults import Connections, Fault, Switchboard
from plate_release.sandbox.hub import Hub
from plate_release.sandbox.kubernetes import Kubernetes
from plate_release.sandbox.manifests import applications_in
from plate_release.sandbox.projects import Projects
from plate_release.sandbox.render import Renderer
from plate_release.sandbox.server import Server
from plate_release.sandbox.shapes import NEW_STATUS
from plate_release.sandbox.source import Repositories
from plate_release.sandbox.workloads import Workloads
from plate_release.sandbox.world import Change, Object, Ref, World

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")


class Sandbox:
    """An Argo CD, a cluster and their switchboard; a context manager.

    factor: how many times faster than the machine's its time runs. Ports default to free ones.
    All methods may be called from any thread.
    """

    def __init__(
        self,
        *,
        factor: float = 1.0,
        argocd_port: int = 0,
        kubernetes_port: int = 0,
        admin_port: int = 0,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="plate-sandbox-"))
        self.clock = Clock(factor)
        self.world = World(self.clock)
        self._loop = asyncio.SelectorEventLoop(self.clock.selector)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ports = argocd_port, kubernetes_port, admin_port
        self._servers: list[Server] = []

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it and remove its files."""
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _start(self) -> None:
        self.workloads = Workloads(self.world)
        renderer = Renderer(Repositories(self._folder, self.clock), self.clock)
        self.projects = Projects()
        self.renderer = renderer
        self.controller = Controller(self.world, self.clock, renderer, self.projects)
        self.accounts = Accounts(self.clock)
        self.token = self.accounts.issue("ci")
        self.kubernetes = Kubernetes(self.world)
        connections = Connections()
        self._switchboard = Switchboard(self._argocd(), connections)
        argocd, kubernetes, admin = self._ports
        self.argocd_server = Server(self._switchboard, connections, argocd)
        self._kubernetes_server = Server(self.kubernetes.app(), Connections(), kubernetes)
        self._admin_server = Server(admin_app(self), Connections(), admin)
        self._servers = [self.argocd_server, self._kubernetes_server, self._admin_server]
        for server in self._servers:
            await server.start()
        self.kubernetes.write_config(self.kubeconfig, self.kubernetes_url)

    async def _stop(self) -> None:
        self.controller.stop()
        for server in self._servers:
            await server.stop()
        rest = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _argocd(self) -> Starlette:
        self.hub = Hub(self.world)
        api = Api(self.controller, self.accounts, self.hub)
        self._api = api
        parts = api, Changes(api), Syncs(api), Streams(api), Details(api)
        routes = [route for part in parts for route in part.routes()]

        async def nothing(request: Request, error: Exception) -> Response:
            del request, error
            return plain("Not Found", 404)

        return Starlette(
            routes=[Route("/api/version", version), Mount("/api/v1", routes=routes)],
            exception_handlers={404: nothing, 405: nothing},
        )

    @property
    def argocd_url(self) -> str:
        """Where Argo CD is to be found."""
        return self.argocd_server.url

    @property
    def kubernetes_url(self) -> str:
        """Where the cluster is to be found."""
        return self._kubernetes_server.url

    @property
    def admin_url(self) -> str:
        """Where the switchboard is to be found."""
        return self._admin_server.url

    @property
    def kubeconfig(self) -> Path:
        """The file to reach the cluster with."""
        return self._folder / "kubeconfig"

    @property
    def argocd(self) -> ASGIApp:
        """Argo CD's API as an ASGI application, without a server before it."""
        return self._switchboard

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong at present; to be changed on the sandbox's own thread only."""
        return self._switchboard.faults

    @property
    def requests(self) -> list[str]:
        """What Argo CD was asked so far, as `METHOD path?query`."""
        return self._switchboard.requests

    def environment(self) -> dict[str, str]:
        """Return the environment with which this tool uses the sandbox."""
        return {
            "ARGOCD_SERVER": self.argocd_url.removeprefix("http://"),
            "ARGOCD_AUTH_TOKEN": self.token,
            "ARGOCD_PLAINTEXT": "true",
            "KUBECONFIG": str(self.kubeconfig),
            "PLATE_SANDBOX_ADMIN": self.admin_url,
        }

    def apply(self, manifest: Object) -> None:
        """Create or change an Application or a project, as kubectl would."""
        self.call(lambda: self.apply_here(manifest))

    def load(self, folder: Path) -> None:
        """Apply the Applications and projects of all manifests below a folder."""
        for manifest in applications_in(folder):
            self.apply(manifest)

    def apply_here(self, manifest: Object) -> None:
        """Do what `apply` does, on the sandbox's own thread."""
        manifest = copy.deepcopy(manifest)
        meta, spec = manifest["metadata"], manifest["spec"]
        if manifest["kind"] == "AppProject":
            self.projects.put(meta["name"], spec.get("syncWindows") or [])
            return
        meta.setdefault("namespace", NAMESPACE)
        ref = self.controller.apps.ref(meta["name"], meta["namespace"])
        if self.world.get(ref):
            self.world.change(ref, lambda obj: obj.update(spec=spec))
        else:
            self.world.create(manifest | {"status": copy.deepcopy(NEW_STATUS)})

    def project(self, name: str, windows: list[Object] | None = None) -> None:
        """Create or replace a project with these sync windows."""
        self.call(lambda: self.projects.put(name, windows or []))

    def inject(self, fault: Fault) -> None:
        """Let requests to Argo CD go wrong."""
        self.call(lambda: self._switchboard.faults.append(fault))

    def heal(self) -> None:
        """Let no request go wrong any more."""
        self.call(self._switchboard.faults.clear)

    def stop_controller(self) -> None:
        """Stop the application controller: nothing is reconciled, refreshes hang."""
        self.call(self.controller.parts.running.clear)

    def start_controller(self) -> None:
        """Let the application controller go on."""
        self.call(self.controller.parts.running.set)

    def stop_repo_server(self) -> None:
        """Stop the repository server: nothing renders."""
        self.call(lambda: setattr(self.renderer, "down", True))

    def start_repo_server(self) -> None:
        """Start the repository server again."""
        self.call(lambda: setattr(self.renderer, "down", False))

    def stop_argocd(self) -> None:
        """Stop the API server: connections break, new ones are refused."""
        self.run(self.argocd_server.stop())

    def start_argocd(self) -> None:
        """Start the API server again, on the same port."""
        self.run(self.argocd_server.start())

    def pace(self, namespace: str, pace: Pace) -> None:
        """Let the controller be as slow as that with a namespace."""
        self.call(lambda: self.controller.cache.paces.update({namespace: pace}))

    def allow_namespace(self, namespace: str) -> None:
        """Let Applications live in one more namespace."""
        self.call(lambda: self._api.namespaces.add(namespace))

    def application(self, name: str, namespace: str = NAMESPACE) -> Object | None:
        """Return an Application as stored."""
        return self.call(lambda: self.world.get(self.controller.apps.ref(name, namespace)))

    def wait(self, name: str, test: Callable[[Object], bool], namespace: str = NAMESPACE) -> Object:
        """Wait until the Application, as stored, passes the test; return it."""
        return self.run(self.passing(name, test, namespace))

    async def passing(
        self, name: str, test: Callable[[Object], bool], namespace: str = NAMESPACE
    ) -> Object:
        """Do what `wait` does, on the sandbox's own thread."""
        ref = self.controller.apps.ref(name, namespace)
        moved = asyncio.Event()

        def noticed(change: Change) -> None:
            if change.ref == ref:
                moved.set()

        stop = self.world.subscribe(noticed)
        try:
            while True:
                obj = self.world.get(ref)
                if obj and test(obj):
                    return obj
                moved.clear()
                await moved.wait()
        finally:
            stop()

    def object(self, ref: Ref) -> Object | None:
        """Return an object of the cluster."""
        return self.call(lambda: self.world.get(ref))

    def sleep(self, seconds: float) -> None:
        """Wait for that many seconds of the sandbox's time."""
        self.run(self.clock.sleep(seconds))

    def call(self, work: Callable[[], T]) -> T:
        """Do something on the sandbox's own thread and return what it gives."""

        async def there() -> T:
            return work()

        return self.run(there())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Await something on the sandbox's own event loop and return what it gives."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()
