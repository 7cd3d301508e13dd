"""The parts that touch something, made when they are first asked for, handed on as one value."""

import threading
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from plate_release.model import Clock, Secret
from plate_release.signals import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from plate_release.argocd.client import AppRef, ArgoCD
    from plate_release.argocd.stream import News, Stream
    from plate_release.argocd.transport import Transport
    from plate_release.charts import Helm
    from plate_release.cluster import Cluster
    from plate_release.images.registry import Registry


T = TypeVar("T")


class World:
    """Git, helm, the registry, Argo CD, the cluster, the clock. Use it in a `with` statement."""

    def __init__(self, environ: Mapping[str, str], clock: Clock, stop: Stop) -> None:
        self.environ, self.clock, self.stop = environ, clock, stop
        self.rng = Random()  # noqa: S311  # jitter, no secret
        # One git process at a time answers for a repository; watchers ask from several threads.
        self.git_lock = threading.Lock()
        self._stack = ExitStack()
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._trusted: str | None = None
        self._transport: Transport | None = None
        self._cluster: Cluster | None = None
        self._cluster_asked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def keep(self, part: AbstractContextManager[T]) -> T:
        """Enter a part that is closed with the world."""
        return self._stack.enter_context(part)

    def repository(self, url: str, branch: str) -> Repository:
        """Return one branch of a repository; the token goes to the first one's host alone."""
        known = self._repositories.get((url, branch))
        if known is None:
            opened = Repository.open(
                url, branch, self._credentials(url), clock=self.clock, environ=self.environ
            )
            known = self._repositories[url, branch] = self._stack.enter_context(opened)
        return known

    def helm(self) -> "Helm":
        """Return helm. Raises PreflightRefused where there is none."""
        from plate_release.charts import Helm, find_helm

        return Helm(find_helm(self.environ), self.environ)

    def registry(self, check: "Callable[[], None]") -> "Registry":
        """Return the way to registries, with the user's credentials; `check` as in Registry."""
        from plate_release.images.credentials import given_logins
        from plate_release.images.registry import Registry

        return Registry(self.environ, given_logins(self.environ), check)

    def argocd(self, server: str, told: "Callable[[str], None]") -> "ArgoCD":
        """Return Argo CD; `server` is the configuration's. Raises UsageError."""
        from plate_release.argocd.client import ArgoCD
        from plate_release.argocd.connection import connection_from
        from plate_release.argocd.transport import Transport

        if self._transport is None:
            self._transport = Transport(connection_from(self.environ, server=server))
            self._stack.callback(self._transport.close)
        return ArgoCD(self._transport, told=told)

    def stream(self, apps: "Collection[AppRef]", tell: "Callable[[News], None]") -> "Stream":
        """Return the stream that tells of Applications."""
        from plate_release.argocd.stream import Stream

        assert self._transport is not None  # noqa: S101  # argocd() came first
        return Stream(self._transport, apps, tell)

    def cluster(self) -> "Cluster | None":
        """Return the cluster, or None where none is configured."""
        from plate_release.cluster import Cluster

        if not self._cluster_asked:
            self._cluster = Cluster.connect(None, self.environ)
            self._cluster_asked = True
        return self._cluster

    def _credentials(self, url: str) -> Credentials:
        parts = urlsplit(url)
        # With the scheme: a token for https never goes out in the clear.
        host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if self._trusted is None:
            self._trusted = host
        if host != self._trusted:
            return Credentials()
        token = self.environ.get("GITOPS_TOKEN") or self.environ.get("GITHUB_TOKEN")
        return Credentials(
            token=Secret(token) if token else None,
            ssh_key=self._path("GITOPS_SSH_KEY"),
            known_hosts=self._path("GITOPS_KNOWN_HOSTS"),
        )

    def _path(self, name: str) -> Path | None:
        value = self.environ.get(name)
        return Path(value).absolute() if value else None
