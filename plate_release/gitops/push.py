"""The safe push: plan on the head, push only if the head has not moved, else plan again.

Nothing is merged or rebased as text. Whoever makes the commit sees the new head and decides anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from plate_release.errors import PushRefused, RepositoryUnavailable
from plate_release.gitops.backoff import attempts
from plate_release.gitops.refusals import BranchMissing, Moved, Unanswered
from plate_release.gitops.repository import RefUpdate, Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Clock


@dataclass(frozen=True, slots=True)
class Proposal:
    """A commit made on a head, and the ref updates that publish it: all of them or none."""

    commit: str
    updates: tuple[RefUpdate, ...]


def compare_and_swap(
    repository: Repository,
    make: Callable[[RepositoryTree], Proposal | None],
    *,
    seconds: float,
    clock: Clock,
    rng: Random,
    head: RepositoryTree | None = None,
) -> str | None:
    """Push what `make` makes of the branch's head and return its commit; None: nothing to do.

    make: called again with each new head; what it raises ends the loop. Its commit must be its
    own (a release's id stands in the message): of two runs that make the very same one, both
    would take it for theirs. head: a head that is at hand, which saves the first fetch. The loop
    is bounded by `seconds`, not by a count.

    Raises PushRefused where the server declines, where others were faster for all of `seconds`,
    or where it cannot be found out what became of the push.
    """
    head = head or repository.head()
    ours: list[str] = []
    obstacle: Exception | None = None
    for _ in attempts(clock, seconds, rng):
        try:
            if obstacle is not None:
                head, pushed = _look(repository, ours)
                if pushed:
                    return pushed
            proposal = make(head)
            if proposal is None:
                return None
            ours.append(proposal.commit)
            repository.push(*proposal.updates)
        except (Moved, Unanswered) as error:
            obstacle = error
        else:
            return proposal.commit
    raise _given_up(repository, seconds, ours, obstacle)


def _look(repository: Repository, ours: list[str]) -> tuple[RepositoryTree, str | None]:
    """Return the head, and the commit of ours that it holds.

    Asked after a refusal too: a connection that breaks makes curl send the push again, and the
    second one is told that the ref is not where it expected.
    """
    try:
        head = repository.head()
        landed = (commit for commit in reversed(ours) if repository.contains(head.commit, commit))
        return head, next(landed, None)
    except (Unanswered, BranchMissing):
        raise
    except RepositoryUnavailable as error:
        # A token that ended meanwhile, say: then nobody can look any more.
        raise (_unknown(repository, ours, error) if ours else error) from error


def _unknown(repository: Repository, ours: list[str], why: RepositoryUnavailable) -> PushRefused:
    return PushRefused(
        f"It is not known whether {ours[-1][:12]} reached {repository.branch} of {repository.url}.",
        why=str(why),
        todo="When the server is back, run `plate-release settle`.",
    )


def _given_up(
    repository: Repository, seconds: float, ours: list[str], obstacle: Exception | None
) -> PushRefused | RepositoryUnavailable:
    if isinstance(obstacle, Unanswered):
        return _unknown(repository, ours, obstacle) if ours else obstacle
    return PushRefused(
        f"Others pushed to {repository.branch} of {repository.url} faster for {seconds:g} s.",
        why="The plan was made again on each new head.",
        todo="Run the release again.",
    )
