"""The plan of a release: what it writes, and what that changes in the cluster."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from plate_release.application import Origin
from plate_release.charts import (
    UNKNOWN,
    Capabilities,
    ImageKeys,
    KubernetesObject,
    Manifest,
    Sought,
)
from plate_release.errors import PlanRefused
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Ask, Edit, Finding, FoundImage, Image
from plate_release.values import Key, Spliced, splice


@dataclass(frozen=True, slots=True)
class Target:
    """A service, the Application that deploys it, and the repository that holds its values.

    url is the repository's address as Argo CD has it. others: views of the sources that do not
    follow our branch.
    """

    sought: Sought
    manifest: Manifest
    repository: Repository = field(repr=False)
    url: str
    capabilities: Capabilities = UNKNOWN
    others: Mapping[Origin, RepositoryTree] = field(default_factory=dict, repr=False)

    @property
    def service(self) -> str:
        """The service's name."""
        return self.sought.service

    @property
    def application(self) -> str:
        """The Application's name."""
        return self.manifest.name

    @property
    def namespace(self) -> str:
        """Where its objects go that name no namespace."""
        return self.manifest.application.spec.destination.namespace


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What is written for one service, tags as people name them.

    images: must run afterwards. found: what the registry has of them, as far as it was asked.
    objects: what is rendered then; empty for a revert. depends: the files and folders that decided
    all this.
    """

    target: Target
    file: str
    key: str
    before: str
    after: str
    changes: Mapping[Key, str]
    edits: tuple[Edit, ...]
    images: tuple[str, ...]
    images_before: tuple[str, ...]
    digest: str | None = None
    found: Mapping[str, FoundImage] = field(default_factory=dict)
    objects: tuple[KubernetesObject, ...] = field(default=(), repr=False)
    depends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """One commit upon `tree`."""

    repository: Repository = field(repr=False)
    tree: RepositoryTree = field(repr=False)
    services: tuple[ServicePlan, ...]

    def files(self, tree: RepositoryTree) -> dict[str, bytes]:
        """Return the files' new contents, made from those of `tree`, by their real paths.

        Raises EditRefused, and PlanRefused where two services want different things of one value.
        """
        return {file: one.data for file, one in spliced(self.services, tree).items()}

    def holds_on(self, tree: RepositoryTree) -> bool:
        """Whether everything that decided the plan is the same on another commit."""
        paths = {path for service in self.services for path in service.depends}
        return tree.commit == self.tree.commit or all(
            tree.locate(path) == self.tree.locate(path) for path in paths
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a release would do, and what a reviewer should know of it.

    unchanged: services that need nothing. difference: what is rendered otherwise, a unified diff.
    """

    parts: tuple[RepositoryPlan, ...]
    unchanged: tuple[ServicePlan, ...] = ()
    difference: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def services(self) -> tuple[ServicePlan, ...]:
        """The services that change, of every repository."""
        return tuple(service for part in self.parts for service in part.services)


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """What the registry says of images, by their references; what was not heard is not there."""

    found: Mapping[str, FoundImage] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What to write for a tag (a digest may be added), and what is to be known of it."""

    ask: Ask
    findings: tuple[Finding, ...] = ()
    found: Mapping[str, FoundImage] = field(default_factory=dict)


Judge: TypeAlias = Callable[[Target, ImageKeys, Ask], Judged]


@dataclass(frozen=True, slots=True)
class Checks:
    """What is asked about a release.

    judge: looks at a tag; raises TagRefused where it may not be released. ask: asks the registry
    for what else would run; raises TagRefused where it has none. readers: gives the Applications in
    whose rendering any of a repository's files may have a part. reader: makes one of them a target
    in that repository; raises ReleaseError. generated: tells of those that nobody knows but Argo
    CD. strict: what helm lint warns of refuses.
    """

    judge: Judge
    ask: Callable[[Iterable[Image]], RegistryAnswer]
    readers: Callable[[Repository, Collection[str]], Iterable[Manifest]]
    reader: Callable[[Repository, Manifest], Target]
    generated: Callable[[Repository, Collection[str]], Iterable[Finding]]
    strict: bool


def spliced(services: Iterable[ServicePlan], tree: RepositoryTree) -> dict[str, Spliced]:
    """Splice what services write, by the files' real paths.

    Raises EditRefused, and PlanRefused where two want different things of one value.
    """
    wanted: dict[str, dict[Key, str]] = {}
    for service in services:
        file = wanted.setdefault(tree.real(service.file), {})
        for key, value in service.changes.items():
            if file.setdefault(key, value) != value:
                raise PlanRefused(
                    f"{service.file} cannot hold both {file[key]} and {value} at {key}.",
                    why=f"{service.target.service} and another service take their tag from there.",
                    todo="Ask for one tag, or give each service a key of its own.",
                )
    return {file: splice(tree.read(file), keys, file=file) for file, keys in wanted.items()}
