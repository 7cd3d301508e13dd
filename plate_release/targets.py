"""The environment's services: which Application ships each, and where its values stand."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from plate_release.application import Destination, Source, same_repository
from plate_release.charts import (
    UNKNOWN,
    Capabilities,
    Manifest,
    Sought,
    applications,
    find,
    may_read,
    repositories,
    require_branch,
    unknown_service,
)
from plate_release.config import Service
from plate_release.desk import Desk
from plate_release.errors import PlanRefused, ReleaseError, UsageError
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Check, Finding
from plate_release.plan import Target

if TYPE_CHECKING:
    from plate_release.argocd.client import AppRef

_MANY = 5  # Applications: rendering them takes seconds


def known_services(desk: Desk) -> list[str]:
    """Return every service of the environment."""
    named = {name for name, service in desk.config.services.items() if service.application}
    return sorted({*desk.discovery.services(desk.config.environment), *named})


def find_targets(desk: Desk, names: Sequence[str]) -> list[Target]:
    """Find services. Raises UsageError for one that is unknown, the near miss named."""
    return [_released(desk, name) for name in names]


def value_repositories(desk: Desk) -> list[Repository]:
    """Return the desk's repository, and every other in which values of a service stand."""
    found = [desk.home]
    for service in known_services(desk):
        # A service that cannot be released holds up no other.
        with suppress(ReleaseError):
            found += (target.repository for target in find_targets(desk, [service]))
    return list(dict.fromkeys(found))


def readers(desk: Desk, repository: Repository, files: Collection[str]) -> list[Manifest]:
    """Return the Applications in git in whose rendering any of the files may have a part.

    Files go by their real paths in the repository.
    """
    branch, tree = desk.request.place.branch, desk.head(repository)
    found = [
        manifest
        for manifest in desk.discovery.manifests
        if (url := _url_in(desk, repository, manifest))
        and may_read(manifest, url, branch, tree, files)
    ]
    if len(found) > _MANY:
        desk.journal.event(f"{len(found)} Applications read {', '.join(files)}: all are rendered")
    return found


def generated(desk: Desk, repository: Repository, files: Collection[str]) -> Iterator[Finding]:
    """Tell of ApplicationSets whose children may read any of the files, by their names."""
    for one in desk.discovery.generators if repository is desk.home else ():
        if found := sorted(filter(one.may_name, files)):
            text = f"Applications of the ApplicationSet {one.name} ({one.file}, line {one.line})"
            why = f"{text} may read {', '.join(found)} too; only Argo CD knows them."
            yield Finding("info", Check.APPLICATION_SET, why)


def reader(desk: Desk, repository: Repository, manifest: Manifest) -> Target:
    """Return an Application as one that takes values from a repository."""
    url = _url_in(desk, repository, manifest) or repository.url
    return _target(desk, manifest, repository, url, manifest.name, Service())


def app_ref(desk: Desk, target: Target) -> "AppRef":
    """Return the Application's address in Argo CD."""
    from plate_release.argocd.client import AppRef

    application = target.manifest.application
    namespace = _namespace(desk, target.service, application.metadata.namespace)
    return AppRef(target.application, application.spec.project, namespace)


def _namespace(desk: Desk, service: str, declared: str = "") -> str:
    """Return the Application's namespace, empty where it is Argo CD's own."""
    named = desk.config.service(service).application_namespace or declared
    return "" if named == desk.config.argocd.namespace else named


def _released(desk: Desk, service: str) -> Target:
    manifest, branch = _manifest(desk, service), desk.request.place.branch
    repository, url = desk.home, _url_in(desk, desk.home, manifest)
    if url is None:
        url = _values_repository(manifest)
        repository = desk.world.repository(url, branch)
    require_branch(manifest.application.spec, url, branch)
    return _target(desk, manifest, repository, url, service, desk.config.service(service))


def _target(
    desk: Desk,
    manifest: Manifest,
    repository: Repository,
    url: str,
    service: str,
    configured: Service,
) -> Target:
    spec, branch = manifest.application.spec, desk.request.place.branch
    return Target(
        Sought(service, configured.tag_key, configured.values_file, desk.config_file),
        manifest,
        repository,
        url,
        _capabilities(desk, spec.destination),
        others={
            source.origin: _elsewhere(desk, source, manifest, repository, url)
            for source in spec.all_sources
            if not source.is_remote
            and not (same_repository(source.repo_url, url) and source.follows(branch))
        },
    )


def _elsewhere(
    desk: Desk, source: Source, manifest: Manifest, ours: Repository, url: str
) -> RepositoryTree:
    """Return the view of a source that does not follow our branch, the same all the run."""
    branch = desk.request.place.branch
    if same_repository(source.repo_url, url):
        repository = ours
    elif _is_home(desk, source.repo_url, manifest):
        repository = desk.home
    else:
        repository = desk.world.repository(source.repo_url, branch)
    if repository is desk.home and source.follows(branch):
        return desk.tree
    if source.origin not in desk.views:
        desk.views[source.origin] = repository.at(source.target_revision)
    return desk.views[source.origin]


def _url_in(desk: Desk, repository: Repository, manifest: Manifest) -> str | None:
    """Return what an Application calls a repository, None where it has nothing of it."""
    urls = repositories(manifest.application.spec)
    if repository is desk.home:
        return next((url for url in urls if _is_home(desk, url, manifest)), None)
    return next((url for url in urls if same_repository(url, repository.url)), None)


def _is_home(desk: Desk, url: str, manifest: Manifest) -> bool:
    if same_repository(url, desk.home.url):
        return True
    # A local path cannot be what Argo CD calls it: what is taken from there being here tells.
    sources = manifest.application.spec.all_sources
    paths = [one.path for one in sources if one.repo_url == url and one.path]
    refs = {f"${one.ref}" for one in sources if one.repo_url == url and one.ref}
    files = (file for one in sources if one.helm for file in one.helm.value_files)
    paths += [rest for ref, _, rest in (file.partition("/") for file in files) if ref in refs]
    return desk.home.url.startswith("/") and any(map(desk.tree.has, paths))


def _manifest(desk: Desk, service: str) -> Manifest:
    configured = desk.config.service(service)
    environment, override = desk.config.environment, configured.application
    name = override or f"{service}-{environment}"
    manifest = find(desk.discovery, name, configured.application_namespace or "")
    if manifest is not None:
        return manifest
    if desk.may_ask_argocd and service not in desk.discovery.services(environment):
        return _live(desk, name, _namespace(desk, service), service)
    raise _unknown(desk, service)


def _unknown(desk: Desk, service: str) -> UsageError:
    """Say what Applications there are, in all of the repository."""
    discovery, override = desk.discovery, desk.config.service(service).application
    everywhere = applications(desk.tree, "") if discovery.folder else discovery
    files = {one.file for one in discovery.manifests}
    elsewhere = [one for one in everywhere.manifests if one.file not in files]
    sought = Sought(service, config_file=desk.config_file)
    configured = {name for name, one in desk.config.services.items() if one.application} - {service}
    return unknown_service(
        discovery, sought, desk.config.environment, override, elsewhere, configured
    )


def _live(desk: Desk, name: str, namespace: str, service: str) -> Manifest:
    """Take the live Application where git has none (app of apps, ApplicationSet)."""
    from plate_release.argocd.client import AppRef
    from plate_release.argocd.failures import Forbidden, NotFound

    try:
        return Manifest(desk.argocd.get(AppRef(name, namespace=namespace)))
    except (NotFound, Forbidden) as error:
        # Argo CD answers 403 for what does not exist.
        raise _unknown(desk, service) from error


def _values_repository(manifest: Manifest) -> str:
    """Return the repository whose files are values: one lent as $ref, else the first."""
    urls = repositories(manifest.application.spec)
    if not urls:
        raise PlanRefused(
            f"The Application {manifest.name} has no source in git.",
            todo="plate-release edits values files that stand in a git repository.",
        )
    sources = manifest.application.spec.all_sources
    return next((one.repo_url for one in sources if one.ref and not one.is_remote), urls[0])


def _capabilities(desk: Desk, where: Destination) -> Capabilities:
    """Return what charts are told of a cluster, as far as it can be known.

    The configuration says it, else Argo CD, which renders with what it knows, else the cluster.
    """
    if where not in desk.capabilities:
        desk.capabilities[where] = _known(desk, where)
    return desk.capabilities[where]


def _known(desk: Desk, where: Destination) -> Capabilities:
    said = desk.config.kubernetes
    if said.version:
        return Capabilities.of(said.version, said.api_versions)
    with suppress(ReleaseError):
        info = desk.argocd.cluster(where) if desk.may_ask_argocd else None
        if info and info.server_version:
            return Capabilities.of(info.server_version, info.api_versions)
    with suppress(ReleaseError):
        if cluster := desk.world.cluster():
            return Capabilities.of(*cluster.capabilities())
    return UNKNOWN
