"""Other machines' clocks are not ours: commits that are older than the one they build upon."""

import pytest

from plate_release.gitops.ledger import Ledger
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from tests.gitops.conftest import AUTHOR, PATIENT, Open, Origin, RealClock
from tests.gitops.test_ledger import A, B, entry, put

HOUR = 3600


def commit_at(origin: Origin, seconds: int) -> str:
    """Commit and push as a machine whose clock says `seconds` since the epoch."""
    parent = origin.at("rev-parse", "main")
    (origin.clone / "README.md").write_text(f"upon {parent}\n")
    origin.git("add", "README.md")
    stamp = f"{seconds} +0000"
    tree = origin.git("write-tree")
    made = origin.git("commit-tree", "-p", parent, "-m", "Skewed", tree, at=stamp)
    origin.git("push", "--quiet", "origin", f"{made}:main")
    origin.git("reset", "--quiet", "--hard", made)
    return made


@pytest.mark.parametrize("skew", [-HOUR, -1, 0, HOUR])
def test_a_commit_of_a_skewed_clock_is_found_and_joined(
    repository: Repository, origin: Origin, skew: int
) -> None:
    now = int(origin.at("log", "-1", "--format=%ct", "main"))
    first = repository.head()
    second = commit_at(origin, now + skew)
    third = commit_at(origin, now + 2 * skew)
    head = repository.head()
    assert head.commit == third
    assert repository.contains(third, first.commit) is True
    assert repository.contains(third, second) is True
    assert repository.contains(second, third) is False
    change = repository.last_change("README.md", first.commit, third)
    assert change is not None
    assert change.commit == third


class Still(RealClock):
    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"asked again after {seconds} s")


def test_that_all_is_older_is_an_answer_over_any_transport(origin: Origin) -> None:
    now = int(origin.at("log", "-1", "--format=%ct", "main"))
    old = commit_at(origin, now - 24 * HOUR)
    head = commit_at(origin, now)
    with Repository.open(
        str(origin.bare), "main", Credentials(), clock=Still(), patience=PATIENT
    ) as repository:
        assert repository.head().commit == head
        assert repository.contains(head, old) is True


def test_a_ledger_older_than_the_branch_is_read_and_written(
    origin: Origin, opened: Open, repository: Repository
) -> None:
    commit_at(origin, int(origin.at("log", "-1", "--format=%ct", "main")) + HOUR)
    repository.head()
    with opened() as other:
        put(other, A, entry(id="theirs"))
    commit_at(origin, int(origin.at("log", "-1", "--format=%ct", "main")) + HOUR)
    with opened() as other:
        put(other, B, entry(id="theirs too"))
    repository.head()
    found = Ledger(repository, AUTHOR).unsettled()
    assert {recorded.commit for recorded in found} == {A, B}
