"""A request laid out: its repository, configuration, options and Applications, read once."""

import difflib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from plate_release import config as configuration
from plate_release.application import Destination, Origin, Source, same_repository
from plate_release.charts import (
    UNKNOWN,
    Capabilities,
    Discovery,
    Helm,
    Manifest,
    applications,
    find,
    may_read,
    repositories,
    require_branch,
    unknown_service,
)
from plate_release.config import Config, Service
from plate_release.errors import Interrupted, PlanRefused, ReleaseError, UsageError
from plate_release.gitops.commit import Author
from plate_release.gitops.entry import Entry
from plate_release.gitops.ledger import Ledger
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.intent import INTENT, Intent
from plate_release.model import Finding, Policy
from plate_release.plan import Target
from plate_release.request import Options, Request, settle_options
from plate_release.result import Journal
from plate_release.values import Key
from plate_release.world import World

if TYPE_CHECKING:
    from plate_release.argocd.client import AppRef, ArgoCD
    from plate_release.argocd.record import Recorder
    from plate_release.images.registry import Registry


@dataclass(eq=False)
class Desk:
    """Everything that one run works with."""

    request: Request
    world: World
    journal: Journal
    home: Repository
    tree: RepositoryTree
    config: Config
    options: Options
    recorders: dict[str, "Recorder"] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    _capabilities: dict[Destination, Capabilities] = field(default_factory=dict)
    _views: dict[Origin, RepositoryTree] = field(default_factory=dict)
    _trees: dict[Repository, RepositoryTree] = field(default_factory=dict)

    @cached_property
    def discovery(self) -> Discovery:
        """The Applications that stand in git."""
        found = applications(self.tree, self.config.applications)
        self.journal.find(*found.findings, *self.config.levelled(self._strangers(found)))
        return found

    def _strangers(self, found: Discovery) -> Iterator[Finding]:
        """Tell of services in the configuration that nothing in git deploys."""
        known = found.services(self.config.environment)
        for name, service in self.config.services.items():
            if service.application or name in known:
                continue
            near = difflib.get_close_matches(name, known, n=1)
            # An ApplicationSet may well generate what is not near to anything.
            if near or not found.generators:
                text = f"The configuration names a service {name} that no Application in git is of"
                mean = f": did you mean {near[0]}?" if near else "."
                yield Finding("warning", "unknown-service", text + mean)

    @cached_property
    def argocd(self) -> "ArgoCD":
        """Argo CD. Raises UsageError where it is not configured."""
        return self.world.argocd(self.config.argocd.server, self.journal.event)

    @cached_property
    def helm(self) -> Helm:
        """Helm. Raises PreflightRefused where there is none."""
        return self.world.helm()

    @cached_property
    def registry(self) -> "Registry":
        """The way to registries. Raises UsageError for a login that is only half given."""
        return self.world.registry(self.check_stop)

    @property
    def author(self) -> Author:
        """Who commits: the run's actor, or whom the environment names."""
        environ = self.world.environ
        actor = environ.get("GITHUB_ACTOR", "")
        name = environ.get("GIT_AUTHOR_NAME") or actor or "plate-release"
        mail = f"{actor}@users.noreply.github.com" if actor else "plate-release@localhost"
        return Author(name, environ.get("GIT_AUTHOR_EMAIL") or mail)

    def ledger(self, repository: Repository) -> Ledger:
        """Return the ledger of a repository."""
        return Ledger(repository, self.author, self.config.environment)

    def head(self, repository: Repository) -> RepositoryTree:
        """Return the head that this run plans on."""
        if repository is self.home:
            return self.tree
        if repository not in self._trees:
            self._trees[repository] = repository.head()
        return self._trees[repository]

    def fresh(self) -> None:
        """Look at the heads anew."""
        self.move(self.home.head())
        self._trees.clear()

    def move(self, tree: RepositoryTree) -> None:
        """Go on with another head of this repository: its configuration and its Applications."""
        self.tree = tree
        self.config = _config(self.request, tree)
        self.__dict__.pop("discovery", None)

    def reviewed(self, findings: Iterable[Finding]) -> None:
        """Note what a review found, at the levels of the configuration.

        Raises PlanRefused for what is an error then.
        """
        found = self.config.levelled(findings)
        self.journal.find(*found)
        if refused := [one.message for one in found if one.level == "error"]:
            raise PlanRefused(
                "The review found what must not be released.",
                why="\n".join(refused),
                todo="Mend it, or lower the check's level under `checks:` in the configuration.",
            )

    def services(self) -> list[str]:
        """Return every service of the environment."""
        named = {name for name, service in self.config.services.items() if service.application}
        return sorted({*self.discovery.services(self.config.environment), *named})

    def repositories(self) -> list[Repository]:
        """Return this repository, and every other in which values of a service stand."""
        found = [self.home]
        for service in self.services():
            # A service that cannot be released holds up no other.
            with suppress(ReleaseError):
                found += (target.repository for target in self.targets([service]))
        return list(dict.fromkeys(found))

    def targets(self, services: Sequence[str]) -> list[Target]:
        """Find the services. Raises UsageError for one that is unknown, the near miss named."""
        return [self._released(service) for service in services]

    def readers(self, repository: Repository, files: Collection[str]) -> Iterator[Manifest]:
        """Give the Applications in git that may take values from any of the files.

        Files go by their real paths in the repository.
        """
        branch, tree = self.request.place.branch, self.head(repository)
        for manifest in self.discovery.manifests:
            url = self._url_in(repository, manifest)
            if url and may_read(manifest, url, branch, tree, files):
                yield manifest

    def reader(self, repository: Repository, manifest: Manifest) -> Target:
        """Return an Application as one that takes values from a repository."""
        url = self._url_in(repository, manifest) or repository.url
        return self._target(manifest.name, manifest, Service(), repository, url)

    def _url_in(self, repository: Repository, manifest: Manifest) -> str | None:
        """Return what an Application calls a repository, None where it has nothing of it."""
        urls = repositories(manifest.application.spec)
        if repository is self.home:
            return next((url for url in urls if self._is_home(url, manifest)), None)
        return next((url for url in urls if same_repository(url, repository.url)), None)

    def ref(self, target: Target) -> "AppRef":
        """Return the Application's address in Argo CD."""
        from plate_release.argocd.client import AppRef

        application = target.manifest.application
        namespace = self._namespace(target.service, application.metadata.namespace)
        return AppRef(target.application, application.spec.project, namespace)

    def _namespace(self, service: str, declared: str = "") -> str:
        """Return the Application's namespace, empty where it is Argo CD's own."""
        named = self.config.service(service).application_namespace or declared
        return "" if named == self.config.argocd.namespace else named

    def is_left(self, entry: Entry) -> bool:
        """Whether nobody watches an unsettled release any more: its time is over, or it is ours."""
        if entry.deadline is None or entry.deadline.timestamp() < self.world.clock.wall():
            return True
        return self.is_ours(entry)

    def is_ours(self, entry: Entry) -> bool:
        """Whether this very job pushed it, in an earlier step that has ended since."""
        return self.intent is not None and entry.id in self.intent.ids

    def intend(self, identity: str) -> None:
        """Note, before a push, what this job is about to do: a later step of it can settle that."""
        if self._intent_file:
            known = self.intent.ids if self.intent else ()
            Intent.of(self.options, *known, identity).write(self._intent_file)

    def forget_intent(self) -> None:
        """Note that what this job did is settled."""
        if self._intent_file:
            self._intent_file.unlink(missing_ok=True)

    @property
    def intent(self) -> Intent | None:
        """What an earlier step of this job pushed that is not settled."""
        return Intent.read(self._intent_file) if self._intent_file else None

    @property
    def _intent_file(self) -> Path | None:
        folder = self.world.environ.get("RUNNER_TEMP")
        return Path(folder) / INTENT if folder else None

    def capabilities(self, where: Destination) -> Capabilities:
        """Return what charts are told of a cluster, as far as it can be known.

        The configuration says it, else Argo CD, which renders with what it knows, else the cluster.
        """
        if where not in self._capabilities:
            self._capabilities[where] = next(self._known(where), UNKNOWN)
        return self._capabilities[where]

    def _known(self, where: Destination) -> Iterator[Capabilities]:
        said = self.config.kubernetes
        if said.version:
            yield Capabilities.of(said.version, said.api_versions)
        with suppress(ReleaseError):
            info = self.argocd.cluster(where) if self._may_ask_argocd else None
            if info and info.server_version:
                yield Capabilities.of(info.server_version, info.api_versions)
        with suppress(ReleaseError):
            if cluster := self.world.cluster():
                yield Capabilities.of(*cluster.capabilities())

    @property
    def _argocd_server(self) -> str:
        return self.world.environ.get("ARGOCD_SERVER") or self.config.argocd.server

    @property
    def _may_ask_argocd(self) -> bool:
        return bool(self._argocd_server and self.world.environ.get("ARGOCD_AUTH_TOKEN"))

    def check_stop(self) -> None:
        """Raise Interrupted where the run was asked to stop."""
        if self.world.stop.asked:
            raise Interrupted("The run was interrupted; nothing was changed.")

    def _released(self, service: str) -> Target:
        manifest, branch = self._manifest(service), self.request.place.branch
        repository, url = self.home, self._url_in(self.home, manifest)
        if url is None:
            url = _values_repository(manifest)
            repository = self.world.repository(url, branch)
        require_branch(manifest.application.spec, url, branch)
        return self._target(service, manifest, self.config.service(service), repository, url)

    def _target(
        self,
        service: str,
        manifest: Manifest,
        configured: Service,
        repository: Repository,
        url: str,
    ) -> Target:
        spec, branch = manifest.application.spec, self.request.place.branch
        return Target(
            service,
            manifest,
            repository,
            url,
            Key.parse(configured.tag_key) if configured.tag_key else None,
            configured.values_file,
            self.capabilities(spec.destination),
            others={
                source.origin: self._elsewhere(source, manifest, repository, url)
                for source in spec.all_sources
                if not source.is_remote
                and not (same_repository(source.repo_url, url) and source.follows(branch))
            },
            configured=os.path.normpath(self.request.place.config_path),
        )

    def _elsewhere(
        self, source: Source, manifest: Manifest, ours: Repository, url: str
    ) -> RepositoryTree:
        """Return the view of a source that does not follow our branch, the same all the run."""
        branch = self.request.place.branch
        if same_repository(source.repo_url, url):
            repository = ours
        elif self._is_home(source.repo_url, manifest):
            repository = self.home
        else:
            repository = self.world.repository(source.repo_url, branch)
        if repository is self.home and source.follows(branch):
            return self.tree
        if source.origin not in self._views:
            self._views[source.origin] = repository.at(source.target_revision)
        return self._views[source.origin]

    def _is_home(self, url: str, manifest: Manifest) -> bool:
        if same_repository(url, self.home.url):
            return True
        # A local path cannot be what Argo CD calls it: the chart being there tells.
        return self.home.url.startswith("/") and any(
            source.repo_url == url and source.path and self.tree.locate(source.path) is not None
            for source in manifest.application.spec.all_sources
        )

    def _manifest(self, service: str) -> Manifest:
        environment, override = self.config.environment, self.config.service(service).application
        name = override or f"{service}-{environment}"
        manifest = find(self.discovery, name)
        if manifest is not None:
            return manifest
        unknown = unknown_service(self.discovery, service, environment, override)
        if not self._argocd_server or service in self.discovery.services(environment):
            raise unknown
        return self._live_manifest(name, self._namespace(service), unknown)

    def _live_manifest(self, name: str, namespace: str, unknown: UsageError) -> Manifest:
        """Take the live Application where git has none (app of apps, ApplicationSet)."""
        from plate_release.argocd.client import AppRef
        from plate_release.argocd.failures import Forbidden, NotFound

        try:
            return Manifest(self.argocd.get(AppRef(name, namespace=namespace)))
        except (NotFound, Forbidden) as error:
            # Argo CD answers 403 for what does not exist.
            raise unknown from error


def _values_repository(manifest: Manifest) -> str:
    """Return the repository whose files are values: one lent as $ref, else the first."""
    urls = repositories(manifest.application.spec)
    sources = manifest.application.spec.all_sources
    lent = [s.repo_url for s in sources if s.ref and not s.is_remote]
    if not urls:
        raise PlanRefused(
            f"The Application {manifest.name} has no source in git.",
            todo="plate-release edits values files that stand in a git repository.",
        )
    return (lent or urls)[0]


def open_desk(request: Request, world: World, journal: Journal, **fallback: Policy) -> Desk:
    """Open the repository and read its configuration; `fallback` as in `settle_options`."""
    place = request.place
    home = world.repository(place.repo, place.branch)
    tree = home.head()
    journal.find(*home.findings)
    config = _config(request, tree)
    options = settle_options(request.given, world.environ, config.release, **fallback)
    journal.result = replace(journal.result, dry_run=options.dry_run)
    return Desk(request, world, journal, home, tree, config, options)


def _config(request: Request, tree: RepositoryTree) -> Config:
    place = request.place
    path, environment = place.config_path, place.environment
    local = Path(path)
    if place.config and local.is_file():
        return configuration.parse(local.read_bytes(), file=path, environment=environment)
    inside = os.path.normpath(path)
    # The Applications are read next: one round trip brings both.
    manifests = [p for p, _ in tree.entries("environments") if p.endswith((".yaml", ".yml"))]
    content = tree.read_many([inside, *manifests]).get(inside)
    if content is not None:
        return configuration.parse(content, file=path, environment=environment)
    if place.config:
        raise UsageError(
            f"There is no configuration {path}, neither here nor in {tree.repository}.",
            todo="Correct --config, or leave it out.",
        )
    return Config(environment=environment)
