"""The plan: what a release would write, and what that changes in the cluster. Reads only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace

from plate_release.application import Origin
from plate_release.charts import (
    Capabilities,
    Helm,
    ImageKeys,
    KubernetesObject,
    Manifest,
    Objects,
    OpenChart,
    Rendered,
    changes,
    chart_inputs,
    containers,
    edited,
    files_of,
    image_keys,
    objects_of,
    open_charts,
    proven,
)
from plate_release.charts.inputs import UNKNOWN
from plate_release.charts.workloads import split_image
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Ask, Edit, Finding, FoundImage
from plate_release.values import Key, splice

Charts = tuple[OpenChart, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A service, the Application that deploys it, and the repository that holds its values.

    url is the repository's address as Argo CD has it. tag_key, values_file: where the tag stands,
    if that is configured. others: views of the sources that do not follow our branch.
    """

    service: str
    manifest: Manifest
    repository: Repository = field(repr=False)
    url: str
    tag_key: Key | None = None
    values_file: str | None = None
    capabilities: Capabilities = UNKNOWN
    others: Mapping[Origin, RepositoryTree] = field(default_factory=dict, repr=False)

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

    images: must run afterwards. found: the image as the registry has it, if it was asked. objects:
    what is rendered then; empty for a revert. depends: the files and folders that decided all this.
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
    found: FoundImage | None = None
    difference: str = ""
    objects: tuple[KubernetesObject, ...] = field(default=(), repr=False)
    findings: tuple[Finding, ...] = ()
    depends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """One commit upon `tree`."""

    repository: Repository = field(repr=False)
    tree: RepositoryTree = field(repr=False)
    services: tuple[ServicePlan, ...]

    def files(self, tree: RepositoryTree) -> dict[str, bytes]:
        """Return the files' new contents, made from those of `tree`. Raises EditRefused."""
        wanted: dict[str, dict[Key, str]] = {}
        for service in self.services:
            wanted.setdefault(service.file, {}).update(service.changes)
        return {
            file: splice(tree.read(file), keys, file=file).data for file, keys in wanted.items()
        }

    def holds_on(self, tree: RepositoryTree) -> bool:
        """Whether everything that decided the plan is the same on another commit."""
        paths = {path for service in self.services for path in service.depends}
        return tree.commit == self.tree.commit or all(
            tree.locate(path) == self.tree.locate(path) for path in paths
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a release would do; `unchanged` are services that need nothing."""

    parts: tuple[RepositoryPlan, ...]
    unchanged: tuple[ServicePlan, ...] = ()

    @property
    def services(self) -> tuple[ServicePlan, ...]:
        """The services that change, of every repository."""
        return tuple(service for part in self.parts for service in part.services)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a reviewer should know."""
        return tuple(f for service in self.services for f in service.findings)


@dataclass(frozen=True, slots=True)
class Judged:
    """What to write for a tag (a digest may be added), and what is to be known of it."""

    ask: Ask
    findings: tuple[Finding, ...] = ()
    found: FoundImage | None = None


Judge = Callable[[Target, ImageKeys, Ask], Judged]
"""Looks at a tag; raises TagRefused where it may not be released."""
Review = Callable[[Objects, str], tuple[Finding, ...]]
"""Looks at what would be applied to a Kubernetes of some version, empty where it is not known."""


def plan_release(
    wanted: Sequence[tuple[Target, Ask]],
    trees: Mapping[Repository, RepositoryTree],
    helm: Helm,
    *,
    judge: Judge,
    review: Review,
    strict: bool = False,
) -> Plan:
    """Plan what brings each target to its tag, on the trees given.

    strict: helm lint's warnings refuse. Services are planned side by side. Raises PlanRefused, of
    the kind that says why.
    """
    with (
        ExitStack() as stack,
        ThreadPoolExecutor(max_workers=4) as services,
        ThreadPoolExecutor(max_workers=4) as lints,
    ):
        planner = _Planner(judge, review, lints, strict)
        _bring([target for target, _ in wanted], trees)
        opened = [stack.enter_context(_open(target, trees, helm)) for target, _ in wanted]
        jobs = [
            services.submit(planner.plan, target, charts, ask)
            for (target, ask), charts in zip(wanted, opened, strict=True)
        ]
        planned = [job.result() for job in jobs]
    return _by_repository(planned, trees)


def tag_of(text: str) -> str:
    """Return the tag of a value that is a tag, or a whole image reference; a digest is left out."""
    name = text.partition("@")[0]
    return split_image(name).tag or "" if _is_reference(name) else name


def retagged(text: str, tag: str) -> str:
    """Return the value with another tag, and without its digest."""
    name = text.partition("@")[0]
    return f"{split_image(name).repository}:{tag}" if _is_reference(name) else tag


def _is_reference(name: str) -> bool:
    # Neither character can stand in a tag.
    return ":" in name or "/" in name


def where(target: Target, tree: RepositoryTree, helm: Helm) -> ServicePlan:
    """Return where the service's tag stands on `tree` and which images run because of it."""
    trees = {target.repository: tree}
    _bring([target], trees)
    with _open(target, trees, helm) as charts:
        before = _render(charts)
        keys = _keys(target, charts, before, Ask(target.service, ""))
        return _unchanged(target, charts, keys, before)


def _bring(targets: Iterable[Target], trees: Mapping[Repository, RepositoryTree]) -> None:
    """Fetch what will be read of each repository, in one round trip."""
    wanted: dict[Repository, set[str]] = {}
    for target in targets:
        tree = trees[target.repository]
        wanted.setdefault(target.repository, set()).update(files_of(target.manifest, tree))
    for repository, paths in wanted.items():
        trees[repository].read_many(sorted(paths))


def _open(
    target: Target, trees: Mapping[Repository, RepositoryTree], helm: Helm
) -> AbstractContextManager[Charts]:
    inputs = chart_inputs(
        target.manifest,
        trees[target.repository],
        capabilities=target.capabilities,
        others=target.others,
    )
    return open_charts(helm, inputs)


def _render(charts: Charts) -> tuple[Rendered, ...]:
    return tuple(chart.render() for chart in charts)


def _keys(target: Target, charts: Charts, before: Sequence[Rendered], ask: Ask) -> ImageKeys:
    return image_keys(charts, before, ask, target.tag_key, target.values_file)


@dataclass(frozen=True, slots=True)
class _Planner:
    """Plans one service after the other; `lints` run beside the renderings."""

    judge: Judge
    review: Review
    lints: ThreadPoolExecutor
    strict: bool

    def plan(self, target: Target, charts: Charts, ask: Ask) -> ServicePlan:
        before = _render(charts)
        keys = _keys(target, charts, before, ask)
        plan = _unchanged(target, charts, keys, before)
        judged = self.judge(target, keys, keys.meant(ask))
        ask = judged.ask
        edit = edited(charts, keys, ask)
        if not edit.edits:
            return plan
        files = {keys.file: edit.data}
        lints = [self.lints.submit(chart.lint, files, strict=self.strict) for chart in charts]
        change = proven(charts, before, files, keys, ask)
        places = {container.place for container in keys.containers}
        return replace(
            plan,
            after=ask.tag,
            digest=ask.digest,
            found=judged.found,
            changes=changes(keys, ask),
            edits=edit.edits,
            images=_images(c.image for c in containers(change.after) if c.place in places),
            difference=change.difference.text,
            objects=change.after,
            findings=(
                *judged.findings,
                *change.findings,
                *self._reviewed(charts, change.after),
                *(finding for lint in lints for finding in lint.result()),
            ),
        )

    def _reviewed(self, charts: Charts, after: Objects) -> tuple[Finding, ...]:
        return tuple(
            finding
            for chart in charts
            for finding in self.review(
                tuple(one for one in after if one.source == chart.inputs.source),
                chart.inputs.capabilities.kube_version,
            )
        )


def _unchanged(
    target: Target, charts: Charts, keys: ImageKeys, rendered: Sequence[Rendered]
) -> ServicePlan:
    images = _images(container.image for container in keys.containers)
    tag = tag_of(keys.values[keys.main])
    read = {file for chart in charts for file in chart.inputs.files}
    manifest = {target.manifest.file} if target.manifest.file else set()
    return ServicePlan(
        target=target,
        file=keys.file,
        key=str(keys.main),
        before=tag,
        after=tag,
        changes=keys.values,
        edits=(),
        images=images,
        images_before=images,
        objects=objects_of(rendered),
        depends=tuple(sorted(read | manifest)),
    )


def _images(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found)))


def _by_repository(
    planned: Sequence[ServicePlan], trees: Mapping[Repository, RepositoryTree]
) -> Plan:
    changed = [service for service in planned if service.edits]
    parts = tuple(
        RepositoryPlan(repository, tree, services)
        for repository, tree in trees.items()
        if (services := tuple(s for s in changed if s.target.repository is repository))
    )
    return Plan(parts, tuple(service for service in planned if not service.edits))
