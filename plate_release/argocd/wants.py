"""What would help the judge: a refresh, a sync, a look at the pods, a question to git."""

from collections.abc import Iterator

from plate_release.argocd.events import Want, WhatIs
from plate_release.argocd.holding import may_sync
from plate_release.argocd.memory import Memory
from plate_release.argocd.rules import HELD_BACK, operation_could_not_see
from plate_release.argocd.view import View


def wants(view: View, memory: Memory, t: float) -> frozenset[Want | WhatIs]:
    """Return all that would help at `t`; whoever watches does it as sparingly as it likes."""
    asked: set[Want | WhatIs] = {WhatIs(sha) for sha in view.unknown}
    return frozenset(asked.union(_refresh(view, memory), _sync(view, memory, t), _look(view)))


def _refresh(view: View, memory: Memory) -> Iterator[Want]:
    """Ask where Argo CD is not at our commit, or where a doubt needs a second comparison."""
    if memory.unrendered:
        yield Want.HARD_REFRESH  # the repository server keeps a renderer's error
    elif memory.no_effect or not view.descends(view.commit) or _not_compared_since(view):
        yield Want.REFRESH


def _not_compared_since(view: View) -> bool:
    return view.synced_by_operation and not view.reconciled


def _sync(view: View, memory: Memory, t: float) -> Iterator[Want]:
    """Ask where automated sync is off or passed our commit over, and never against a window."""
    if view.busy:
        if _holds_revert_back(view):
            yield Want.TERMINATE
    elif view.idle_out_of_sync:
        yield Want.WINDOWS
        passed_over = memory.idle_since is not None and t >= memory.idle_since + HELD_BACK
        by_hand = not view.application.spec.automated
        due = by_hand or passed_over or _stuck(view)
        # What drifted after our commit was synced is somebody's doing, and not ours to undo.
        due = due and not view.synced_by_operation
        if due and memory.windows and may_sync(view, memory.windows):
            yield Want.SYNC


def _stuck(view: View) -> bool:
    """Whether automated sync stands still: an operation that ended without a result stops it."""
    operation = view.operation
    if operation is None or operation.phase not in ("Failed", "Error"):
        return False
    return operation.sync_result is None or operation_could_not_see(operation)


def _holds_revert_back(view: View) -> bool:
    """Whether an operation of the commit that ours undoes, or of one before, still runs."""
    operation = view.relation(view.operation_commit)
    return (
        view.subject.reverts is not None
        and view.at_ours
        and operation is not None
        and operation.contains is False
    )


def _look(view: View) -> Iterator[Want]:
    """Ask for the pods from when our commit is being applied."""
    if view.applied:
        yield Want.TREE
