"""A request laid out: its repository, configuration, options and Applications, read once."""

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from plate_release import config as configuration
from plate_release.application import Destination, Origin
from plate_release.charts import (
    Capabilities,
    Discovery,
    Helm,
    applications,
)
from plate_release.config import Config
from plate_release.errors import NOTHING_CHANGED, Interrupted, PlanRefused, UsageError, some_of
from plate_release.gitops.commit import Author
from plate_release.gitops.entry import Entry
from plate_release.gitops.ledger import Ledger
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.intent import INTENT, Intent
from plate_release.model import Check, Finding, Policy
from plate_release.request import Options, Request, settle_options
from plate_release.result import Journal
from plate_release.world import World

_SHOWN = 20

if TYPE_CHECKING:
    from plate_release.argocd.client import ArgoCD
    from plate_release.argocd.record import Recorder
    from plate_release.images.registry import Registry


@dataclass(eq=False)
class Desk:
    """Everything that one run works with.

    capabilities: what is known of each cluster. views: the sources that do not follow our branch.
    """

    request: Request
    world: World
    journal: Journal
    home: Repository
    tree: RepositoryTree
    config: Config
    options: Options
    recorders: dict[str, "Recorder"] = field(default_factory=dict)
    recorded: set[str] = field(default_factory=set)
    capabilities: dict[Destination, Capabilities] = field(default_factory=dict)
    views: dict[Origin, RepositoryTree] = field(default_factory=dict)
    _trees: dict[Repository, RepositoryTree] = field(default_factory=dict)
    _discovery: Discovery | None = None

    @property
    def discovery(self) -> Discovery:
        """The Applications that stand in git, read when they are first asked for."""
        if self._discovery is None:
            found = applications(self.tree, self.config.applications)
            self.journal.find(*found.findings, *self.config.levelled(self._strangers(found)))
            self._discovery = found
        return self._discovery

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
                yield Finding("warning", Check.UNKNOWN_SERVICE, text + mean)

    @property
    def config_file(self) -> str:
        """The configuration file in the repository, as messages name it."""
        return os.path.normpath(self.request.place.config_path)

    @property
    def argocd_server(self) -> str:
        """Argo CD's address, empty where none is given."""
        return self.world.environ.get("ARGOCD_SERVER") or self.config.argocd.server

    @property
    def may_ask_argocd(self) -> bool:
        """Whether there is an address and a token, for what can be had without Argo CD too."""
        return bool(self.argocd_server and self.world.environ.get("ARGOCD_AUTH_TOKEN"))

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
        self._discovery = None

    def reviewed(self, findings: Iterable[Finding]) -> None:
        """Note what a review found, at the levels of the configuration.

        Raises PlanRefused for what is an error then.
        """
        found = self.config.levelled(findings)
        self.journal.find(*found)
        if refused := [one for one in found if one.level == "error"]:
            told = [f"{one.message} [{one.code}]" for one in refused]
            levels = ", ".join(dict.fromkeys(f"{one.code}: warning" for one in refused))
            raise PlanRefused(
                "The review found what must not be released.",
                why="\n".join(some_of(told, _SHOWN)),
                todo=f"Mend it, or set `checks: {{{levels}}}` in {self.config_file}.",
            )

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

    def check_stop(self) -> None:
        """Raise Interrupted where the run was asked to stop."""
        if self.world.stop.asked:
            raise Interrupted(NOTHING_CHANGED)


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
