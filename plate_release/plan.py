"""The plan: what a release would write, and what that changes in the cluster. Reads only."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace

from plate_release.charts import (
    ChartInputs,
    ImageKeys,
    KubernetesObject,
    Manifest,
    OpenChart,
    Rendered,
    Renderer,
    changes,
    chart_inputs,
    containers,
    image_keys,
    proven,
)
from plate_release.charts.workloads import split_image
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Ask, Edit, Finding
from plate_release.values import Key, splice


@dataclass(frozen=True, slots=True)
class Target:
    """A service, the Application that deploys it, and the repository that holds its values.

    url is the repository's address as Argo CD has it. others: further repositories it renders
    from, by their addresses.
    """

    service: str
    manifest: Manifest
    repository: Repository = field(repr=False)
    url: str
    tag_key: Key | None = None
    others: Mapping[str, Repository] = field(default_factory=dict, repr=False)

    @property
    def application(self) -> str:
        """The Application's name."""
        return self.manifest.name


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What is written for one service, tags as people name them.

    images: must run afterwards. objects: what is rendered then; empty for a revert. depends: the
    files and folders that decided all this.
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


Judge = Callable[[Target, ImageKeys, Ask], tuple[Ask, tuple[Finding, ...]]]
"""Refuses a tag, or returns what to write (a digest may be added) with what is to be known."""
Review = Callable[[ChartInputs, Rendered], tuple[Finding, ...]]
"""Looks at what would be applied."""


def plan_release(
    wanted: Sequence[tuple[Target, Ask]],
    trees: Mapping[Repository, RepositoryTree],
    renderer: Renderer,
    *,
    judge: Judge,
    review: Review,
    strict: bool = False,
) -> Plan:
    """Plan what brings each target to its tag, on the trees given.

    strict: helm lint's warnings refuse. Charts render side by side. Raises PlanRefused, of the
    kind that says why.
    """
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=4) as pool:
        charts = [stack.enter_context(_open(target, trees, renderer)) for target, _ in wanted]
        jobs = [
            pool.submit(_plan_service, target, chart, ask, judge, review)
            for (target, ask), chart in zip(wanted, charts, strict=True)
        ]
        # Beside the renderings, and after them in the queue: nothing waits for it but the end.
        lints = [pool.submit(chart.lint, strict=strict) for chart in charts]
        planned = [
            _with(job.result(), lint.result()) for job, lint in zip(jobs, lints, strict=True)
        ]
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


def where(target: Target, tree: RepositoryTree, renderer: Renderer) -> ServicePlan:
    """Return where the service's tag stands on `tree` and which images run because of it."""
    with _open(target, {target.repository: tree}, renderer) as chart:
        before = chart.render()
        keys = image_keys(chart, before, Ask(target.service, ""), target.tag_key)
        return _unchanged(target, chart, keys, before)


def _with(service: ServicePlan, findings: tuple[Finding, ...]) -> ServicePlan:
    return replace(service, findings=(*service.findings, *findings))


def _open(
    target: Target, trees: Mapping[Repository, RepositoryTree], renderer: Renderer
) -> AbstractContextManager[OpenChart]:
    others = {url: repository.head() for url, repository in target.others.items()}
    inputs = chart_inputs(target.manifest, trees[target.repository], others=others)
    return renderer.open(inputs)


def _plan_service(
    target: Target, chart: OpenChart, ask: Ask, judge: Judge, review: Review
) -> ServicePlan:
    before = chart.render()
    keys = image_keys(chart, before, ask, target.tag_key)
    plan = _unchanged(target, chart, keys, before)
    ask, judged = judge(target, keys, ask)
    change = proven(chart, before, keys, ask)
    if not change.edits:
        return plan
    found = (*judged, *change.findings, *review(chart.inputs, change.after))
    places = {container.place for container in keys.containers}
    return replace(
        plan,
        after=ask.tag,
        digest=ask.digest,
        changes=changes(keys, ask),
        edits=change.edits,
        images=_images(c.image for c in containers(change.after) if c.place in places),
        difference=change.difference.text,
        objects=change.after.objects,
        findings=found,
    )


def _unchanged(
    target: Target, chart: OpenChart, keys: ImageKeys, rendered: Rendered
) -> ServicePlan:
    images = _images(container.image for container in keys.containers)
    tag = tag_of(keys.values[keys.main])
    layers = {layer.file for layer in chart.inputs.layers if layer.editable}
    folder = {chart.inputs.chart} if chart.inputs.remote is None else set()
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
        objects=rendered.objects,
        depends=tuple(sorted(layers | folder | manifest)),
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
