"""The gates before the commit: preflight, the question, the backup. All of them read only."""

import sys
import tempfile
import uuid
from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from plate_release.argocd.client import AppRef
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.windows import opens
from plate_release.cluster import Cluster
from plate_release.commit import Before
from plate_release.desk import Desk
from plate_release.errors import NOTHING_CHANGED, Interrupted, PreflightRefused
from plate_release.model import Finding
from plate_release.plan import Plan, Target
from plate_release.provenance import must_run_on
from plate_release.signals import ending
from plate_release.targets import app_ref


def preflight(desk: Desk, plan: Plan) -> dict[str, Before]:
    """Return each service's Application as it is, if the world is ready for the plan.

    Raises PreflightRefused of the kind that says what is not ready. Without a watch nobody asks
    Argo CD.
    """
    before: dict[str, Before] = {}
    if desk.options.wait:
        for service in plan.services:
            seen = before[service.target.service] = look(desk, service.target)
            must_run_on(desk, service, seen.tree)
    _cluster(desk, plan)
    desk.journal.event("preflight passed")
    return before


def look(desk: Desk, target: Target) -> Before:
    """Return an Application as Argo CD has it, if it can be released to.

    Raises ArgoUnavailable, and PreflightRefused where a sync window forbids the sync.
    """
    argocd, ref = desk.argocd, app_ref(desk, target)
    application = argocd.find(ref)
    windows = argocd.sync_windows(ref)
    may = windows.can_auto_sync if application.spec.automated else windows.can_sync
    if not may:
        when = opens(windows, desk.world.clock.wall())
        raise PreflightRefused(
            f"A sync window forbids the sync of {ref} now.",
            why=f"It opens {when}." if when else "",
            todo="Release when it is open, or change the window in the project.",
        )
    _may_sync(desk, replace(ref, project=application.spec.project), application)
    if application.status.health.status not in ("Healthy", ""):
        text = f"{ref} is {application.status.health.status} before the release."
        desk.journal.find(Finding("warning", "unhealthy-before", text))
    return Before(application, argocd.resource_tree(ref))


def _may_sync(desk: Desk, ref: AppRef, application: LiveApplication) -> None:
    """Say what will be missing; refuse where nobody else would start the sync."""
    if desk.argocd.can_i("sync", ref):
        return
    what = f"The Argo CD account may not sync {ref}."
    todo = "Grant it `applications, sync` on that Application."
    if not application.spec.automated:
        raise PreflightRefused(what, why="Its automated sync is off.", todo=todo)
    text = f"{what} It cannot end a stuck operation before a rollback. {todo}"
    desk.journal.find(Finding("warning", "no-sync-permission", text))


def _cluster(desk: Desk, plan: Plan) -> None:
    dry_run = desk.options.cluster_dry_run == "on"
    cluster = _cluster_ready(desk, [service.target for service in plan.services], dry_run=dry_run)
    if cluster is None or not dry_run:
        return
    created = {s.target.namespace for s in plan.services if _creates_namespace(s.target)}
    for service in plan.services:
        objects = [one.body for one in service.objects]
        desk.journal.find(*cluster.dry_run(objects, service.target.namespace, created=created))


def _cluster_ready(desk: Desk, targets: Collection[Target], *, dry_run: bool) -> Cluster | None:
    """Return the cluster if it is configured and lets us do what follows."""
    cluster = desk.world.cluster()
    if cluster is None:
        text = (
            "No cluster is configured (KUBECONFIG): its preflight, dry run and backup are left out."
        )
        desk.journal.find(Finding("info", "no-cluster", text))
        return None
    found = cluster.preflight(
        {target.namespace for target in targets},
        created={target.namespace for target in targets if _creates_namespace(target)},
        dry_run=dry_run,
        backup=not desk.options.skip_backup,
    )
    desk.journal.find(*found)
    return cluster


def confirm(desk: Desk, plan: Plan) -> None:
    """Ask, where the environment wants that. Raises PreflightRefused where nobody said yes."""
    if not desk.config.confirm or desk.options.yes:
        return
    what = ", ".join(f"{s.target.service} {s.before} -> {s.after}" for s in plan.services)
    if sys.stdin is None or not sys.stdin.isatty() or desk.world.environ.get("CI"):
        raise PreflightRefused(
            f"{desk.config.environment} asks for confirmation, and there is no terminal.",
            why=what,
            todo="Pass --yes (the action's input: confirm).",
        )
    if not _yes(desk, f"Release {what} to {desk.config.environment}?"):
        raise PreflightRefused("The release was not confirmed; nothing was changed.")


def _yes(desk: Desk, question: str) -> bool:
    """Ask a person. Raises Interrupted where they leave instead (Ctrl-C, Ctrl-D)."""
    import typer

    try:
        # Standard output is the report's.
        with desk.journal.observer.asking(), ending(), redirect_stdout(sys.stderr):
            # The tag that is to go comes from the values file, and may be anything.
            return typer.confirm(question.encode("unicode_escape").decode())
    except typer.Abort as error:
        raise Interrupted(NOTHING_CHANGED) from error


def backup(desk: Desk, plan: Plan) -> None:
    """Save the live objects of each service before they change, unless that is not wanted."""
    cluster = None if desk.options.skip_backup else desk.world.cluster()
    if cluster is None:
        return
    from plate_release.cluster import ObjectRef

    folder = Path(desk.world.environ.get("RUNNER_TEMP") or tempfile.gettempdir())
    for service in plan.services:
        name = f"plate-release-{service.target.application}-{uuid.uuid4().hex[:12]}.yaml"
        refs = [ObjectRef.of(one.body, service.target.namespace) for one in service.objects]
        file = cluster.backup(refs, folder / name)
        desk.journal.event(f"saved the live objects of {service.target.application} to {file}")


def ready(desk: Desk, targets: Collection[Target]) -> list[Finding]:
    """Return what is not ready, and what is worth knowing, without changing anything (`check`)."""
    found = list(_argocd_ready(desk, targets))
    try:
        _cluster_ready(desk, targets, dry_run=desk.options.cluster_dry_run == "on")
    except PreflightRefused as error:
        found.append(_refusal(error))
    return [*desk.journal.result.findings, *found]


def _argocd_ready(desk: Desk, targets: Collection[Target]) -> Iterator[Finding]:
    try:
        yield _account(desk)
    except PreflightRefused as error:
        # Whoever does not say who we are says nothing of an Application either.
        yield _refusal(error)
        return
    for target in targets:
        try:
            status = look(desk, target).application.status
        except PreflightRefused as error:
            yield _refusal(error)
        else:
            text = f"{target.application}: {status.sync.status}, {status.health.status}"
            yield Finding("info", "application", text)


def _refusal(error: PreflightRefused) -> Finding:
    return Finding("error", error.code, str(error))


def _account(desk: Desk) -> Finding:
    user = desk.argocd.userinfo()
    if not user.logged_in:
        return Finding("error", "argocd-token", "Argo CD does not know the token of this run.")
    return Finding("info", "argocd", f"Argo CD {desk.argocd.version()}, as {user.username}")


def _creates_namespace(target: Target) -> bool:
    return "CreateNamespace=true" in target.manifest.application.spec.sync_policy.sync_options
