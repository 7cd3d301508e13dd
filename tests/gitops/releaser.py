"""A process that releases a tag as the whole road would: settle, commit and note, settle.

python releaser.py URL PATH TAG
"""

import os
import random
import sys
import time

from plate_release.gitops.commit import Author
from plate_release.gitops.entry import WATCHING, Entry, ServiceEntry, moment
from plate_release.gitops.ledger import Ledger
from plate_release.gitops.push import Proposal, compare_and_swap
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Outcome


class RealClock:
    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


CLOCK, AUTHOR = RealClock(), Author("Releaser", "releaser@example.com")


def settle(ledger: Ledger, commit: str) -> None:
    def change(current: Entry | None) -> Entry:
        assert current is not None
        return current.model_copy(update={"state": Outcome.RELEASED, "finished": moment(2)})

    ledger.update(commit, change, seconds=60, clock=CLOCK, rng=random.Random())


def main(url: str, path: str, tag: str) -> None:
    with Repository.open(url, "main", Credentials(), clock=CLOCK) as repository:
        ledger = Ledger(repository, AUTHOR)
        head = repository.head()
        for recorded in ledger.unsettled({"a"}):
            settle(ledger, recorded.commit)

        def make(head: RepositoryTree) -> Proposal | None:
            before, after = head.read(path).split()[1].decode(), f"tag: {tag}\n".encode()
            if before == tag:
                return None
            commit = repository.commit(head, {path: after}, f"{tag} by {os.getpid()}\n", AUTHOR)
            service = ServiceEntry(name="a", before=before, after=tag)
            entry = Entry(
                id=str(os.getpid()),
                state=WATCHING,
                environment="prod",
                services=(service,),
                started=moment(1),
            )
            return Proposal(
                commit, (repository.branch_update(head, commit), ledger.record(commit, entry))
            )

        rng = random.Random()
        commit = compare_and_swap(repository, make, seconds=60, clock=CLOCK, rng=rng, head=head)
        if commit is not None:
            settle(ledger, commit)


if __name__ == "__main__":
    main(*sys.argv[1:])
