"""An earlier release commit, read back from git: what it wrote, and what runs because of it."""

import re
from collections.abc import Iterator
from dataclasses import replace

from plate_release.charts import retagged, tag_of
from plate_release.commit import Commit, Release
from plate_release.desk import Desk
from plate_release.errors import PlanRefused, UsageError
from plate_release.gitops.message import parse
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Edit
from plate_release.plan import ServicePlan, Target
from plate_release.planner import current_plan
from plate_release.targets import find_targets, known_services
from plate_release.values import Key, scalars

_SHA = re.compile(r"[0-9a-f]{40}")
_START = re.compile(r"[0-9a-f]{7,40}")


def newest(desk: Desk, said: str | None) -> str:
    """Return the commit that is meant: `said`, in full or its start, or the newest release.

    Raises UsageError where there is none.
    """
    if said and _SHA.fullmatch(said):
        return said
    known = [recorded.commit for recorded in desk.ledger(desk.home).entries()]
    if said is None and not known:
        message = parse(desk.home.story(desk.tree.commit).message)
        if message and message.environment == desk.config.environment:
            known = [desk.tree.commit]
    wanted = said if said is not None else ""
    fits = [sha for sha in known if sha.startswith(wanted)]
    if not fits or (said is not None and not _START.fullmatch(said)):
        raise UsageError(
            f"{said} is no release commit that the ledger knows."
            if said
            else "There is no release commit yet.",
            todo="Give the whole commit id; `plate-release history` lists the releases.",
        )
    return fits[0]


def read_release(desk: Desk, repository: Repository, sha: str) -> Release:
    """Return the release that a commit made, as if it had just been pushed.

    Raises UsageError where the commit changed no service's tag.
    """
    story = repository.story(sha)
    if story.parent is None:
        raise UsageError(f"{sha[:12]} is the first commit of the repository, no release.")
    message = parse(story.message)
    names = [shift.service for shift in message.services] if message else known_services(desk)
    tree, parent = repository.tree(sha), repository.tree(story.parent)
    found = (
        _read_service(desk, target, tree, parent)
        for target in find_targets(desk, names)
        if target.repository is repository
    )
    services = tuple(service for service in found if service is not None)
    if not services:
        raise UsageError(
            f"{sha[:12]} changed no service's tag.",
            todo="Give a release commit; `plate-release history` lists them.",
        )
    reverts = message.reverts if message else None
    rollback = bool(message and message.rollback)
    made = Commit(repository, sha, services, reverts)
    identity = message.id if message else sha
    return Release(identity, (made,), desk.world.clock.now(), {}, rollback)


def _read_service(
    desk: Desk, target: Target, tree: RepositoryTree, parent: RepositoryTree
) -> ServicePlan | None:
    """Return what the commit changed for one service, None where that is nothing."""
    try:
        before = current_plan(target, parent, desk.helm)
    except PlanRefused:
        # The chart did not render before: the commit itself may have mended it.
        before = current_plan(target, tree, desk.helm)
    edits = tuple(_edits(before.file, tree, parent))
    main = next((e for e in edits if e.key == before.key), None)
    if main is None:
        return None
    # A key that held nothing: what stood in for it then is its tag.
    is_old = before.changes.get(Key.parse(main.key)) == main.before
    old, new = before.before if is_old else tag_of(main.before), tag_of(main.after)
    return replace(
        before,
        before=old,
        after=new,
        changes={Key.parse(e.key): e.after for e in edits if _belongs(e, main)},
        edits=tuple(e for e in edits if _belongs(e, main)),
        images=_images(desk, target, tree, before, new),
        images_before=before.images
        if is_old
        else tuple(retagged(image, old, before.before) for image in before.images),
    )


def _images(
    desk: Desk, target: Target, tree: RepositoryTree, before: ServicePlan, tag: str
) -> tuple[str, ...]:
    try:
        return current_plan(target, tree, desk.helm).images
    except PlanRefused:
        # It does not render: Argo CD will say so, and the image only names what was meant.
        return tuple(retagged(image, tag, before.before) for image in before.images)


def _edits(file: str, tree: RepositoryTree, parent: RepositoryTree) -> Iterator[Edit]:
    new, old = (view.read_many([file]).get(file, b"") for view in (tree, parent))
    known = {key: scalar.value for key, scalar in scalars(old, file=file)} if old else {}
    for key, scalar in scalars(new, file=file) if new else ():
        if key in known and known[key] != scalar.value:
            yield Edit(file, str(key), scalar.line, known[key], scalar.value)


def _belongs(edit: Edit, main: Edit) -> bool:
    """Whether an edit is the tag's, or that of the digest beside it."""
    return edit is main or (
        Key.parse(edit.key).steps[:-1] == Key.parse(main.key).steps[:-1]
        and ("sha256" in edit.before or "sha256" in edit.after)
    )
