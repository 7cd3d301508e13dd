"""The ledger over real git: written with the branch, merged, survived, read fast."""

import json
import random

import pytest

from plate_release.gitops.entry import Entry, Recorded, ServiceEntry, moment, settle
from plate_release.gitops.ledger import Ledger, last_good
from plate_release.gitops.repository import Repository
from plate_release.model import Judgement, Outcome
from tests.gitops.conftest import AUTHOR, CLOCK, Open, Origin, run

A, B, C = "a" * 40, "b" * 40, "c" * 40


def entry(state: str = "watching", *, id: str = "r1", service: str = "a", **more: object) -> Entry:  # noqa: A002
    values: dict[str, object] = {
        "id": id,
        "state": state,
        "environment": "prod",
        "services": [{"name": service, "before": "1", "after": "2"}],
        "started": moment(1_000_000),
    }
    return Entry.model_validate(values | more)


def ledger(repository: Repository) -> Ledger:
    repository.head()
    return Ledger(repository, AUTHOR)


def put(repository: Repository, commit: str, made: Entry) -> None:
    repository.push(ledger(repository).record(commit, made))
    repository.head()


def test_written_notes_are_plain_git_notes(repository: Repository, origin: Origin) -> None:
    tip = repository.head().commit
    put(repository, tip, entry(run="https://ci.example/1"))
    shown = origin.at("log", "-1", "--format=%N", "--notes=plate-release", "main")
    parsed = json.loads(shown)
    assert parsed["schema"] == "plate-release/ledger/v1"
    assert parsed["state"] == "watching"
    assert parsed["services"][0]["after"] == "2"
    assert origin.at("notes", "--ref=plate-release", "list").endswith(tip)


def test_branch_and_note_are_pushed_together_or_not_at_all(
    repository: Repository, origin: Origin, opened: Open
) -> None:
    head = repository.head()
    commit = repository.commit(head, {"charts/a/values.yaml": b"tag: 2\n"}, "m\n", AUTHOR)
    note = Ledger(repository, AUTHOR).record(commit, entry())
    with opened() as other:
        put(other, B, entry(id="other"))
    with pytest.raises(Exception, match="moved"):
        repository.push(repository.branch_update(head, commit), note)
    assert origin.at("rev-parse", "main") == head.commit


def test_unsettled_releases_are_found_by_service(repository: Repository) -> None:
    put(repository, A, entry("released", id="old"))
    put(repository, B, entry(service="b"))
    fresh = ledger(repository)
    assert [r.commit for r in fresh.unsettled()] == [B]
    assert fresh.unsettled({"a"}) == ()
    assert [r.commit for r in fresh.unsettled({"a", "b"})] == [B]


def test_a_ledger_of_one_environment_knows_nothing_of_another(repository: Repository) -> None:
    put(repository, A, entry())
    put(repository, B, entry("released", id="revert", reverts=A, environment="staging"))
    put(repository, C, entry(id="staged", environment="staging"))
    prod, staging, dev = (
        Ledger(repository, AUTHOR, environment) for environment in ("prod", "staging", "dev")
    )
    every = Ledger(repository, AUTHOR)
    found = [{r.commit for r in one.entries()} for one in (prod, staging, dev, every)]
    assert found == [{A}, {B, C}, set(), {A, B, C}]
    watched = [{r.commit for r in one.unsettled({"a"})} for one in (prod, staging, dev, every)]
    assert watched == [{A}, {C}, set(), {A, C}]
    reverts = [one.revert_of(A) is not None for one in (prod, staging, dev, every)]
    assert reverts == [False, True, False, True]
    assert last_good(prod.entries(), "a") is None
    assert last_good(staging.entries(), "a") == "2"


def test_no_unsettled_release_costs_no_request(opened: Open, origin: Origin) -> None:
    with opened() as writer:
        put(writer, A, entry("released"))
    with opened() as reader:
        made = ledger(reader)
        before = origin.server.requests()
        assert made.unsettled() == ()
        assert origin.server.requests() == before


def test_settling_takes_a_release_off_the_list(repository: Repository) -> None:
    put(repository, A, entry())
    made = ledger(repository)
    done = entry("released", finished=moment(1_000_100))
    assert made.update(A, lambda _: done, seconds=5, clock=CLOCK, rng=random.Random(1)) == done
    repository.head()
    assert made.unsettled() == ()
    assert made.get(A) == done


def test_of_two_settlers_the_first_has_the_last_word(opened: Open) -> None:
    with opened() as one, opened() as two:
        put(one, A, entry())
        first, second = ledger(one), ledger(two)

        def change(current: Entry | None) -> Entry:
            if current and not current.settled:
                first.update(
                    A, lambda _: entry("released"), seconds=5, clock=CLOCK, rng=random.Random(1)
                )
            return entry("rolled-back")

        stands = second.update(A, change, seconds=10, clock=CLOCK, rng=random.Random(2))
        assert stands.state is Outcome.RELEASED


def test_two_releases_that_settle_at_once_both_stand(opened: Open) -> None:
    with opened() as one, opened() as two:
        put(one, A, entry(id="a"))
        put(one, B, entry(id="b", service="b"))
        first, second = ledger(one), ledger(two)

        meanwhile: list[Entry] = []

        def change(current: Entry | None) -> Entry:
            assert current is not None
            if not meanwhile:
                good = entry("released", id="a")
                meanwhile.append(
                    first.update(A, lambda _: good, seconds=5, clock=CLOCK, rng=random.Random(1))
                )
                one.head()
            return current.model_copy(update={"state": Outcome.HELD})

        second.update(B, change, seconds=10, clock=CLOCK, rng=random.Random(2))
        assert {r.commit: r.entry.state for r in ledger(one).entries()} == {
            A: Outcome.RELEASED,
            B: Outcome.HELD,
        }


def test_foreign_notes_are_kept_and_passed_over(repository: Repository, origin: Origin) -> None:
    tip = repository.head().commit
    older = origin.at("rev-parse", "main~1")
    origin.git("notes", "--ref=plate-release", "add", "-m", "LGTM, says Bob", tip)
    origin.git("notes", "--ref=plate-release", "add", "-m", '{"schema": "other"', older)
    origin.git("push", "--quiet", "origin", "refs/notes/plate-release")
    made = ledger(repository)
    assert made.entries() == ()
    assert made.unsettled() == ()
    put(repository, tip, entry("released"))
    shown = origin.at("notes", "--ref=plate-release", "show", tip)
    assert shown.endswith("LGTM, says Bob")
    assert [r.commit for r in ledger(repository).entries()] == [tip]
    assert origin.at("notes", "--ref=plate-release", "show", older) == '{"schema": "other"'


def test_the_list_of_unsettled_survives_git_notes_and_its_loss(
    repository: Repository, origin: Origin
) -> None:
    put(repository, A, entry())
    origin.git("fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*")
    for number in range(3):
        target = origin.write({"n": str(number)})
        origin.git("notes", "--ref=plate-release", "add", "-m", "by hand", target)
    origin.git("push", "--quiet", "origin", "refs/notes/plate-release")
    assert [r.commit for r in ledger(repository).unsettled()] == [A]
    listing = origin.git("ls-tree", "-r", "refs/notes/plate-release")
    assert f"unsettled/{A}" in listing


def test_without_its_list_the_notes_themselves_are_asked(
    repository: Repository, origin: Origin
) -> None:
    put(repository, A, entry())
    put(repository, B, entry("released", id="r2"))
    tree = origin.at("rev-parse", f"refs/notes/plate-release:{A[:2]}")
    other = origin.at("rev-parse", f"refs/notes/plate-release:{B[:2]}")
    listing = f"040000 tree {tree}\t{A[:2]}\n040000 tree {other}\t{B[:2]}\n"
    root = run(origin.bare, "mktree", stdin=listing)
    commit = origin.at("commit-tree", "-m", "Rewritten by hand", root)
    origin.at("update-ref", "refs/notes/plate-release", commit)
    assert [r.commit for r in ledger(repository).unsettled()] == [A]


def test_a_lost_ledger_is_an_empty_one(repository: Repository, origin: Origin) -> None:
    put(repository, A, entry())
    origin.at("update-ref", "-d", "refs/notes/plate-release")
    made = ledger(repository)
    assert made.entries() == ()
    put(repository, B, entry("released"))
    assert [r.commit for r in ledger(repository).entries()] == [B]


@pytest.mark.parametrize(
    ("current", "proposed", "written"),
    [
        (None, "watching", True),
        ("watching", "watching", True),
        ("watching", "released", True),
        ("watching", "unwatched", True),
        ("released", "rolled-back", False),
        ("unwatched", "released", False),
        ("held", "watching", False),
    ],
)
def test_a_settled_state_is_final(current: str | None, proposed: str, *, written: bool) -> None:
    made = entry(proposed)
    before = entry(current) if current else None
    assert settle(before, made) == (made if written else None)


def test_the_note_of_another_release_is_not_taken_over() -> None:
    assert settle(entry(id="theirs"), entry("released", id="ours")) is None


def test_fields_of_a_newer_version_are_kept(repository: Repository) -> None:
    put(repository, A, entry(approved_by="Eve"))
    current = ledger(repository).get(A)
    assert current is not None
    assert (
        current.model_copy(update={"state": Outcome.RELEASED}).model_dump()["approved_by"] == "Eve"
    )


def recorded(at: float, state: str, before: str, after: str) -> Recorded:
    service = ServiceEntry(name="a", before=before, after=after, verdict=Judgement.LIVE)
    return Recorded(A, entry(state, services=[service], started=moment(at)))


@pytest.mark.parametrize(
    ("history", "tag"),
    [
        ([], None),
        ([("released", "1", "2")], "2"),
        ([("held", "2", "3"), ("released", "1", "2")], "2"),
        ([("rolled-back", "2", "3"), ("released", "0", "1")], "1"),
        ([("released", "3", "1"), ("rolled-back", "2", "3"), ("held", "1", "2")], "1"),
        ([("unwatched", "2", "3"), ("unknown", "1", "2")], None),
    ],
)
def test_the_last_good_tag(history: list[tuple[str, str, str]], tag: str | None) -> None:
    entries = [recorded(9 - i, *one) for i, one in enumerate(history)]
    assert last_good(entries, "a") == tag
    assert last_good(entries, "b") is None
