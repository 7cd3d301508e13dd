"""Planning at a desk: tag policy, the registry's word, the chart's review, and what is told."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from plate_release.charts import ImageKeys, Wanted, tag_of
from plate_release.desk import Desk
from plate_release.errors import UsageError
from plate_release.gitops.revert import rollback_target
from plate_release.gitops.tree import RepositoryTree
from plate_release.images.policy import judge as judge_tag
from plate_release.model import Ask, Image
from plate_release.plan import (
    Checks,
    Judge,
    Judged,
    Plan,
    RegistryAnswer,
    RepositoryPlan,
    ServicePlan,
    Target,
)
from plate_release.planner import current_plan, plan_release
from plate_release.provenance import ask_registry, offered_digest
from plate_release.result import ServiceResult
from plate_release.targets import find_targets, generated, reader, readers


def make_plan(desk: Desk, asks: Sequence[Ask], *, rollback: bool = False) -> Plan:
    """Plan what brings the services to their tags; a rollback skips tag policy and image check.

    Raises UsageError for an unknown service, PlanRefused of the kind that says why.
    """
    targets = find_targets(desk, [ask.service for ask in asks])
    trees = {target.repository: desk.head(target.repository) for target in targets}
    judge, ask = (
        (_accept, _ask_nobody) if rollback else (partial(_judge, desk), partial(ask_registry, desk))
    )
    checks = _checks(desk, judge, ask)
    plan = plan_release(list(zip(targets, asks, strict=True)), trees, desk.helm, checks)
    _tell(desk, plan)
    return plan


def plan_again(desk: Desk, part: RepositoryPlan, tree: RepositoryTree) -> RepositoryPlan | None:
    """Plan the same on another head; None where nothing is left to do."""
    if part.repository is desk.home:
        desk.move(tree)
    asks = [Ask(s.target.service, s.after, s.digest) for s in part.services]
    targets = find_targets(desk, [ask.service for ask in asks])
    found = {s.target.service: s.found for s in part.services}
    plan = plan_release(
        list(zip(targets, asks, strict=True)),
        {part.repository: tree},
        desk.helm,
        _checks(desk, lambda target, _, ask: Judged(ask, found=found[target.service]), _ask_nobody),
    )
    desk.reviewed(plan.findings)
    return plan.parts[0] if plan.parts else None


def rollback_asks(desk: Desk, services: Sequence[str], to: Sequence[Ask]) -> Sequence[Ask]:
    """Return what a rollback asks for: the tags given, else the last that the ledger knows as good.

    Raises UsageError where the ledger knows none.
    """
    return to or [_last_good(desk, target) for target in find_targets(desk, services)]


def _last_good(desk: Desk, target: Target) -> Ask:
    now = current_plan(target, desk.head(target.repository), desk.helm).before
    history = desk.ledger(target.repository).entries()
    good = rollback_target(target.service, now, history)
    if good is None:
        raise UsageError(
            f"The ledger knows no earlier good tag of {target.service}.",
            todo="Name the tag with --to TAG; `plate-release history` shows what there was.",
        )
    if good == now:
        desk.journal.event(f"{target.service} went back to {now} already; --to TAG names another")
    return Ask(target.service, good)


def _checks(desk: Desk, judge: Judge, ask: Callable[[Iterable[Image]], RegistryAnswer]) -> Checks:
    return Checks(
        judge=judge,
        ask=ask,
        readers=partial(readers, desk),
        reader=partial(reader, desk),
        generated=partial(generated, desk),
        strict=desk.config.release.strict_lint,
    )


def _accept(_target: Target, keys: ImageKeys, ask: Ask) -> Judged:
    return Judged(_as_it_stands(keys, ask) or ask)


def _as_it_stands(keys: ImageKeys, ask: Ask) -> Ask | None:
    """Return what is written now where it is what is asked for; None where it is not.

    What stands in for an empty tag is left to do so.
    """
    if ask.tag != keys.tag or ask.digest not in (None, keys.pinned):
        return None
    return replace(ask, tag=tag_of(keys.values[keys.main]), digest=keys.pinned)


def _ask_nobody(_images: Iterable[Image]) -> RegistryAnswer:
    return RegistryAnswer()


def _judge(desk: Desk, target: Target, keys: ImageKeys, ask: Ask) -> Judged:
    if stands := _as_it_stands(keys, ask):
        return Judged(stands)
    before, pinned = keys.tag, keys.pinned
    policy = desk.config.service(target.service).tags
    if desk.options.allow_downgrade:
        policy = policy.model_copy(update={"allow_downgrade": True})
    findings = judge_tag(
        before,
        ask,
        policy,
        production=desk.config.is_production,
        offer=partial(offered_digest, desk, keys, ask),
    )
    wanted = Wanted(keys, ask)
    answer = ask_registry(desk, wanted.images())
    digests = {answer.found[str(i)].digest for i in wanted.pinned() if str(i) in answer.found}
    if pinned and not ask.digest and len(digests) == 1:
        # A chart that pins digests goes on doing so.
        ask = replace(ask, digest=digests.pop())
    return Judged(ask, (*findings, *answer.findings), answer.found)


def tell_services(desk: Desk, services: Iterable[ServicePlan]) -> None:
    """Note in the journal which services this run is about."""
    results = tuple(
        ServiceResult(
            name=service.target.service,
            application=service.target.application,
            repository=service.target.repository.url,
            file=service.file,
            key=service.key,
            before=service.before,
            after=service.after,
            images=service.found,
        )
        for service in services
    )
    desk.journal.result = replace(desk.journal.result, base=desk.tree.commit, services=results)


def _tell(desk: Desk, plan: Plan) -> None:
    everyone = (*plan.services, *plan.unchanged)
    tell_services(desk, everyone)
    desk.journal.result = replace(
        desk.journal.result,
        # Services that share a value have one edit.
        edits=tuple(dict.fromkeys(edit for one in plan.services for edit in one.edits)),
        diff=plan.difference,
    )
    desk.journal.observer.difference(plan.difference)
    for service in everyone:
        shift = f"{service.before} -> {service.after}" if service.edits else "nothing to change"
        desk.journal.event(f"planned {service.target.service}: {shift} ({service.file})")
    desk.reviewed(plan.findings)
