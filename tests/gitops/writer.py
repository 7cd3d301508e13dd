"""A process that adds one to a file's number again and again; prints the commits it pushed.

python writer.py URL PATH COUNT
"""

import json
import os
import random
import sys
import time

from plate_release.gitops.commit import Author
from plate_release.gitops.push import Proposal, compare_and_swap
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree


class RealClock:
    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def main(url: str, path: str, count: int) -> None:
    clock, author = RealClock(), Author("Writer", "writer@example.com")
    pushed = []
    with Repository.open(url, "main", Credentials(), clock=clock) as repository:

        def make(head: RepositoryTree) -> Proposal:
            number = int(head.read(path).split()[1]) + 1
            content = {path: b"tag: %d\n" % number}
            # Named after the process: else two would make the very same commit, and both own it.
            message = f"{path} to {number}, by {os.getpid()}\n"
            commit = repository.commit(head, content, message, author)
            return Proposal(commit, (repository.branch_update(head, commit),))

        for _ in range(count):
            rng = random.Random()
            pushed.append(compare_and_swap(repository, make, seconds=800, clock=clock, rng=rng))
    sys.stdout.write(json.dumps(pushed))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
