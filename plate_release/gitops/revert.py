"""What a revert writes and what it leaves alone. Pure: values in, a decision out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plate_release.errors import PlanRefused
from plate_release.gitops.entry import Entry, Recorded, ServiceEntry
from plate_release.gitops.ledger import last_good
from plate_release.model import Judgement, Outcome


@dataclass(frozen=True, slots=True)
class Undo:
    """A key that still holds the release's value `ours` and gets `target`."""

    service: ServiceEntry
    target: str

    @property
    def ours(self) -> str:
        """The value that the release wrote."""
        return self.service.after


@dataclass(frozen=True, slots=True)
class Left:
    """A key that somebody else has changed since: `theirs` stays."""

    service: ServiceEntry
    theirs: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A file or a key that is no longer there."""

    service: ServiceEntry
    target: str

    @property
    def by_hand(self) -> str:
        """The edit that a person has to make."""
        one = self.service
        return f"Set {one.key} to {self.target} for {one.name} (it was in {one.file}); push that."


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of each service: written, left alone, impossible, or already back."""

    undo: tuple[Undo, ...]
    left: tuple[Left, ...]
    gone: tuple[Gone, ...]
    already: tuple[ServiceEntry, ...]


def decide(entry: Entry, values: Mapping[str, str | None], history: Sequence[Recorded]) -> Decision:
    """Decide how to take `entry` back on the head.

    values: each service's tag on the head, None where the file or the key has gone.
    history: the ledger, newest first. Raises PlanRefused for a revert, which is never reverted by
    itself.
    """
    if entry.reverts is not None:
        raise PlanRefused(
            f"{entry.id} is itself a rollback; it is not rolled back by itself.",
            todo="Deploy the tag that you want instead.",
        )
    undo, left, gone, already = [], [], [], []
    for one in entry.services:
        target = target_of(one, history)
        match values.get(one.name):
            case None:
                gone.append(Gone(one, target))
            case value if value == target:
                already.append(one)
            case value if value == one.after:
                undo.append(Undo(one, target))
            case value:
                left.append(Left(one, value))
    return Decision(tuple(undo), tuple(left), tuple(gone), tuple(already))


def target_of(service: ServiceEntry, history: Sequence[Recorded]) -> str:
    """Return the tag to go back to: the one before, or the last good one if that never was good.

    A tag of which the ledger knows nothing counts as good: it ran before this tool came.
    """
    if not _never_good(service.name, service.before, history):
        return service.before
    return last_good(history, service.name) or service.before


def rollback_target(service: str, now: str, history: Sequence[Recorded]) -> str | None:
    """Return the tag to which a rollback that names none goes from `now`.

    That is `now` itself where the service has gone back already, else the tag before. Where that
    was not verified, or never was good, it is neither of the two; None where the ledger knows no
    good one.
    """
    brought = (
        (recorded.entry, one)
        for recorded in history
        for one in recorded.entry.services
        if one.name == service and one.after == now
    )
    entry, one = next(brought, (None, None))
    if entry is None or one is None:
        return last_good(history, service)
    went_back = entry.rollback or entry.reverts is not None
    is_back = one.verdict is Judgement.LIVE or entry.state in (Outcome.RELEASED, Outcome.UNWATCHED)
    if went_back and is_back:
        return now
    if not went_back and not _never_good(service, one.before, history):
        return one.before
    tried = {now, one.before}
    others = [
        recorded
        for recorded in history
        if not any(s.name == service and s.after in tried for s in recorded.entry.services)
    ]
    return last_good(others, service)


def _never_good(name: str, tag: str, history: Sequence[Recorded]) -> bool:
    bad = False
    for recorded in history:
        state = recorded.entry.state
        for one in recorded.entry.services:
            if one.name != name:
                continue
            if state is Outcome.RELEASED and one.after == tag:
                return False
            bad = bad or (one.after == tag and one.verdict is Judgement.FAILED)
    return bad
