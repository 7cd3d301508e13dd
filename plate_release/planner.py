"""Plan a release: what it writes, what that changes when charts are rendered. Reads only."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

from plate_release.charts import (
    ChartChange,
    Helm,
    ImageKeys,
    OpenChart,
    Rendered,
    Wanted,
    changed,
    chart_inputs,
    containers,
    files_of,
    image_keys,
    immutable,
    objects_of,
    open_charts,
    proven,
    review,
    split_image,
    tag_of,
    validate,
    written,
)
from plate_release.errors import ReleaseError, some_of
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Ask, Check, Edit, Finding, FoundImage
from plate_release.plan import (
    Checks,
    Judge,
    Plan,
    RepositoryPlan,
    ServicePlan,
    Target,
    spliced,
)

Charts = tuple[OpenChart, ...]
Identity = tuple[str, str]

_SHOWN = 5  # changes of an Application that is not released


def plan_release(
    asked: Sequence[tuple[Target, Ask]],
    trees: Mapping[Repository, RepositoryTree],
    helm: Helm,
    checks: Checks,
) -> Plan:
    """Plan what brings each target to its tag, on the trees given.

    Each Application is rendered with all edits of the release, and so is every other one that reads
    an edited file. They are planned side by side. Raises PlanRefused, of the kind that says why,
    and PreflightRefused for a helm that is too old.
    """
    targets = {target.manifest.identity: target for target, _ in asked}
    _bring(targets.values(), trees)
    # A plan of a service waits for its lint, which therefore has a pool of its own.
    with ExitStack() as stack, _side_by_side() as pool, _side_by_side() as lints:
        charts = [stack.enter_context(_open(target, trees, helm)) for target in targets.values()]
        applications = dict(zip(targets, pool.map(_Application.of, charts), strict=True))

        def draft(pair: tuple[Target, Ask]) -> _Draft:
            return applications[pair[0].manifest.identity].draft(*pair, checks.judge)

        drafts, files = _with_edits(list(pool.map(draft, asked)), trees)

        def effect(name: Identity) -> _Effect:
            wanted = [
                one.wanted
                for one in drafts
                if one.target.manifest.identity == name and one.plan.edits
            ]
            changed_files = files[targets[name].repository]
            return applications[name].effect(wanted, changed_files, checks, lints)

        effects = dict(zip(targets, pool.map(effect, targets), strict=True))
    others = _shared(checks, targets, trees, helm, files)
    return _plan(drafts, effects, trees, others)


@contextmanager
def _side_by_side() -> Iterator[ThreadPoolExecutor]:
    """Run jobs beside each other; where one fails, or we are interrupted, no other is begun."""
    pool = ThreadPoolExecutor(max_workers=4)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def current_plan(target: Target, tree: RepositoryTree, helm: Helm) -> ServicePlan:
    """Return where the service's tag stands on `tree` and which images run because of it."""
    trees = {target.repository: tree}
    _bring([target], trees)
    with _open(target, trees, helm) as charts:
        application = _Application.of(charts)
        return application.now(target, application.keys(target))


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
        url=target.url,
        capabilities=target.capabilities,
        others=target.others,
    )
    return open_charts(helm, inputs)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is to be written for a service; `plan` has the edits once they are known."""

    plan: ServicePlan
    wanted: Wanted
    findings: tuple[Finding, ...]

    @property
    def target(self) -> Target:
        return self.plan.target


@dataclass(frozen=True, slots=True)
class _Effect:
    """What edits do to an Application.

    `others` is what the registry has of images that follow a tag without being asked for, such as
    `worker:1.5.0-slim`.
    """

    change: ChartChange
    findings: tuple[Finding, ...]
    others: Mapping[str, FoundImage]


@dataclass(frozen=True, slots=True)
class _Application:
    """An Application's charts, and what they render now."""

    charts: Charts
    before: tuple[Rendered, ...]

    @classmethod
    def of(cls, charts: Charts) -> "_Application":
        return cls(charts, tuple(chart.render() for chart in charts))

    def keys(self, target: Target, *, digest: bool = False) -> ImageKeys:
        return image_keys(self.charts, self.before, target.sought, digest_wanted=digest)

    def now(self, target: Target, keys: ImageKeys) -> ServicePlan:
        images = _images(container.image for container in keys.containers)
        tag = keys.tag
        read = {file for chart in self.charts for file in chart.inputs.files}
        said = {target.manifest.file, target.sought.config_file} - {""}
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
            objects=objects_of(self.before),
            depends=tuple(sorted(read | said)),
        )

    def draft(self, target: Target, ask: Ask, judge: Judge) -> _Draft:
        keys = self.keys(target, digest=ask.digest is not None)
        now = self.now(target, keys)
        judged = judge(target, keys, replace(ask, tag=keys.value(ask.tag)))
        ask = judged.ask
        plan = replace(
            now,
            after=ask.tag or now.before,
            digest=ask.digest,
            found=judged.found,
            changes=written(keys, ask),
        )
        return _Draft(plan, Wanted(keys, ask), judged.findings)

    def effect(
        self,
        wanted: Sequence[Wanted],
        files: Mapping[str, bytes],
        checks: Checks,
        lints: ThreadPoolExecutor,
    ) -> _Effect:
        edited = [chart.edited(files) for chart in self.charts]
        new = [one for one, now in zip(edited, self.charts, strict=True) if one is not now]
        jobs = [lints.submit(chart.lint, strict=checks.strict) for chart in new]
        change = proven(self.charts, self.before, edited, wanted)
        findings = (
            *change.findings,
            *immutable(change.difference),
            *_reviewed(new, change),
            *(finding for job in jobs for finding in job.result()),
        )
        asked = {str(image) for one in wanted for image in one.images()}
        runs = {container.image for container in containers(objects_of(self.before))}
        others = {container.image for container in containers(change.after)} - runs - asked
        answer = checks.ask(map(split_image, sorted(others)))
        return _Effect(change, (*findings, *answer.findings), answer.found)


def _reviewed(charts: Iterable[OpenChart], change: ChartChange) -> Iterator[Finding]:
    changed = {one.after.identity for one in change.difference.objects if one.after}
    for chart in charts:
        objects = tuple(one for one in change.after if one.source == chart.inputs.source)
        version = chart.inputs.capabilities.kube_version
        yield from review(objects, version, [one for one in objects if one.identity in changed])
        yield from validate(objects, version)


def _shared(
    checks: Checks,
    released: Collection[Identity],
    trees: Mapping[Repository, RepositoryTree],
    helm: Helm,
    files: Mapping[Repository, Mapping[str, bytes]],
) -> list[Finding]:
    """Say how Applications that nobody releases change with the files."""
    found: list[Finding] = []
    jobs = []
    with _side_by_side() as pool:
        for repository, edited in files.items():
            found += checks.generated(repository, edited)
            for manifest in checks.readers(repository, edited) if edited else ():
                if manifest.identity in released:
                    continue
                try:
                    target = checks.reader(repository, manifest)
                except ReleaseError as error:
                    found.append(_unseen(manifest.name, edited, error))
                else:
                    jobs.append(pool.submit(_touched, target, trees, helm, edited))
        return [*found, *(finding for job in jobs for finding in job.result())]


def _touched(
    target: Target,
    trees: Mapping[Repository, RepositoryTree],
    helm: Helm,
    files: Mapping[str, bytes],
) -> list[Finding]:
    try:
        with _open(target, trees, helm) as charts:
            difference = changed(charts, [chart.edited(files) for chart in charts])
    except ReleaseError as error:
        return [_unseen(target.application, files, error)]
    shifts = [line for one in difference.objects for line in one.told()]
    if not shifts:
        return []
    text = (
        f"{target.application} reads {', '.join(files)} too, and would change unwatched:"
        f" {'; '.join(some_of(shifts, _SHOWN))}. Release its service in the same run."
    )
    return [Finding("error", Check.SHARED_VALUES, text)]


def _unseen(application: str, files: Iterable[str], error: ReleaseError) -> Finding:
    text = f"{application} may read {', '.join(files)} too, and cannot be rendered: {error.what}"
    return Finding("warning", Check.SHARED_VALUES, text)


def _images(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found)))


def _with_edits(
    drafts: Sequence[_Draft], trees: Mapping[Repository, RepositoryTree]
) -> tuple[list[_Draft], dict[Repository, dict[str, bytes]]]:
    """Splice what all services write; returns the files that change, by their real paths."""
    files: dict[Repository, dict[str, bytes]] = {}
    edits: dict[tuple[Repository, str], tuple[Edit, ...]] = {}
    for repository, tree in trees.items():
        plans = [one.plan for one in drafts if one.target.repository is repository]
        new = spliced(plans, tree)
        files[repository] = {file: one.data for file, one in new.items() if one.edits}
        edits |= {(repository, file): one.edits for file, one in new.items()}

    def own(draft: _Draft) -> tuple[Edit, ...]:
        plan, repository = draft.plan, draft.target.repository
        keys = {str(key) for key in plan.changes}
        found = edits[repository, trees[repository].real(plan.file)]
        return tuple(replace(one, file=plan.file) for one in found if one.key in keys)

    return [replace(one, plan=replace(one.plan, edits=own(one))) for one in drafts], files


def _plan(
    drafts: Sequence[_Draft],
    effects: Mapping[Identity, _Effect],
    trees: Mapping[Repository, RepositoryTree],
    others: Iterable[Finding],
) -> Plan:
    edited = [one for one in drafts if one.plan.edits]
    changing = [_planned(one, effects[one.target.manifest.identity]) for one in edited]
    found = [
        *((one.target.service, one.findings) for one in edited),
        *((name, one.findings) for (_, name), one in effects.items()),
    ]
    named = [_named(whose, f) if len(drafts) > 1 else f for whose, fs in found for f in fs]
    texts = [(name, one.change.difference.text) for (_, name), one in effects.items()]
    texts = [(name, text) for name, text in texts if text]
    return Plan(
        parts=tuple(
            RepositoryPlan(repository, tree, services)
            for repository, tree in trees.items()
            if (services := tuple(s for s in changing if s.target.repository is repository))
        ),
        unchanged=tuple(one.plan for one in drafts if not one.plan.edits),
        difference="".join(
            f"diff {name}\n{text}" if len(texts) > 1 else text for name, text in texts
        ),
        findings=(*named, *others),
    )


def _planned(draft: _Draft, effect: _Effect) -> ServicePlan:
    plan, after = draft.plan, effect.change.after
    places = {container.place for container in draft.wanted.keys.containers}
    images = _images(c.image for c in containers(after) if c.place in places)
    # Of several services of an Application, those whose tag it is.
    found = {name: image for name, image in effect.others.items() if plan.after in tag_of(name)}
    return replace(plan, images=images, objects=after, found={**plan.found, **found})


def _named(whose: str, finding: Finding) -> Finding:
    return replace(finding, message=f"{whose}: {finding.message.removeprefix(f'{whose}: ')}")
