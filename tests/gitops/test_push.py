"""The push loop: planned again on each new head, never lost, never twice."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plate_release.errors import PushRefused, RepositoryUnavailable
from plate_release.gitops.push import Proposal, compare_and_swap
from plate_release.gitops.repository import Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.sandbox.git import Answer, Cut, Hang, Meanwhile, Silence
from tests.gitops.conftest import AUTHOR, CLOCK, Origin

VALUES = "charts/a/values.yaml"
WRITER = Path(__file__).with_name("writer.py")

Maker = Callable[[RepositoryTree], Proposal | None]


def edit(repository: Repository, content: bytes = b"tag: ours\n", path: str = VALUES) -> Maker:
    def make(head: RepositoryTree) -> Proposal:
        commit = repository.commit(head, {path: content}, "Ours\n", AUTHOR)
        return Proposal(commit, (repository.branch_update(head, commit),))

    return make


def push(repository: Repository, make: Maker, seconds: float = 20) -> str | None:
    return compare_and_swap(repository, make, seconds=seconds, clock=CLOCK, rng=random.Random(3))


def subjects(origin: Origin) -> list[str]:
    return origin.at("log", "--format=%s", "main").splitlines()


def test_an_uncontended_push(repository: Repository, origin: Origin) -> None:
    commit = push(repository, edit(repository))
    assert origin.at("rev-parse", "main") == commit
    assert subjects(origin) == ["Ours", "Say hello", "Seed"]


def test_nothing_to_do_pushes_nothing(repository: Repository, origin: Origin) -> None:
    assert push(repository, lambda _: None) is None
    assert origin.server.requests("git-receive-pack") == 0


def test_after_a_move_the_plan_is_made_again_on_the_new_head(
    repository: Repository, origin: Origin
) -> None:
    seen: list[str] = []
    make = edit(repository)

    def racing(head: RepositoryTree) -> Proposal | None:
        seen.append(head.commit)
        if len(seen) == 1:
            origin.write({"charts/b/values.yaml": "tag: theirs\n"}, "Theirs")
        return make(head)

    commit = push(repository, racing)
    assert len(seen) == 2
    assert origin.at("rev-parse", f"{commit}~1") == seen[1]
    assert subjects(origin)[:2] == ["Ours", "Theirs"]
    assert origin.at("show", "main:charts/b/values.yaml") == "tag: theirs"


def test_what_the_maker_refuses_on_the_new_head_ends_the_loop(
    repository: Repository, origin: Origin
) -> None:
    make = edit(repository)

    def careful(head: RepositoryTree) -> Proposal | None:
        if head.read(VALUES) != b"tag: 1.0.a\n":
            raise PushRefused("moved meanwhile")
        theirs = origin.write({VALUES: "tag: theirs\n"}, "Theirs")
        assert theirs != head.commit
        return make(head)

    with pytest.raises(PushRefused, match="moved meanwhile"):
        push(repository, careful)
    assert origin.at("show", f"main:{VALUES}") == "tag: theirs"


@pytest.mark.parametrize("fault", [Silence(), Cut(5)], ids=["no answer", "half an answer"])
def test_a_push_whose_answer_is_lost_has_landed_once(
    repository: Repository, origin: Origin, fault: Silence | Cut
) -> None:
    origin.server.inject(fault, matching="git-receive-pack", method="POST")
    commit = push(repository, edit(repository))
    assert subjects(origin) == ["Ours", "Say hello", "Seed"]
    assert origin.at("rev-parse", "main") == commit


def test_a_lost_answer_with_others_on_top_is_found_below_them(
    patient: Repository, origin: Origin
) -> None:
    def others() -> None:
        origin.git("pull", "--quiet", "--rebase", "origin", "main")
        origin.write({"README.md": "later\n"}, "Theirs")

    origin.server.inject(Silence(), matching="git-receive-pack", method="POST", times=2)
    origin.server.inject(Meanwhile(others), matching="git-upload-pack", method="GET")
    head = patient.head()
    make = edit(patient)
    commit = compare_and_swap(
        patient, make, seconds=60, clock=CLOCK, rng=random.Random(1), head=head
    )
    assert subjects(origin)[:3].count("Ours") == 1
    assert commit in origin.at("rev-list", "main").split()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_recovers_is_asked_again(
    patient: Repository, origin: Origin, status: int
) -> None:
    origin.server.inject(Answer(status), matching="git-receive-pack", times=2)
    origin.server.inject(Answer(status), matching="git-upload-pack", times=2)
    assert push(patient, edit(patient))
    assert subjects(origin).count("Ours") == 1


def test_a_push_that_never_gets_an_answer_says_what_is_not_known(
    repository: Repository, origin: Origin
) -> None:
    head = repository.head()
    origin.server.inject(Silence(), matching="git-receive-pack", method="POST", times=9)
    origin.server.inject(Answer(503), matching="git-upload-pack", times=999)
    with pytest.raises(PushRefused, match="not known whether") as refused:
        compare_and_swap(
            repository,
            edit(repository),
            seconds=2,
            clock=CLOCK,
            rng=random.Random(1),
            head=head,
        )
    assert "settle" in refused.value.todo


def test_a_token_that_ends_after_a_push_without_an_answer(
    repository: Repository, origin: Origin
) -> None:
    head = repository.head()
    head.read(VALUES)
    origin.server.inject(Silence(), matching="git-receive-pack", method="POST", times=9)
    origin.server.inject(Answer(401), matching="git-upload-pack", times=999)
    with pytest.raises(PushRefused, match="not known whether") as refused:
        compare_and_swap(
            repository,
            edit(repository),
            seconds=20,
            clock=CLOCK,
            rng=random.Random(1),
            head=head,
        )
    assert "does not let us in" in refused.value.why
    assert subjects(origin).count("Ours") == 1


def test_others_that_are_always_faster_end_it_in_time(
    repository: Repository, origin: Origin
) -> None:
    make = edit(repository)

    def racing(head: RepositoryTree) -> Proposal | None:
        proposal = make(head)
        new = origin.at("commit-tree", "-p", head.commit, "-m", "x", f"{head.commit}^{{tree}}")
        origin.at("update-ref", "refs/heads/main", new)
        return proposal

    with pytest.raises(PushRefused, match="faster"):
        push(repository, racing, seconds=1)
    assert "Ours" not in subjects(origin)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not let us in"),
        (403, "does not let us in"),
        (404, "no such repository"),
        (413, "too large"),
    ],
)
def test_a_push_that_is_refused_is_not_tried_again(
    repository: Repository, origin: Origin, status: int, words: str
) -> None:
    head = repository.head()
    origin.server.inject(Answer(status), matching="git-receive-pack", times=99)
    before = origin.server.requests("git-receive-pack")
    with pytest.raises(PushRefused, match=words):
        compare_and_swap(
            repository,
            edit(repository),
            seconds=20,
            clock=CLOCK,
            rng=random.Random(1),
            head=head,
        )
    assert origin.server.requests("git-receive-pack") - before <= 2
    assert "Ours" not in subjects(origin)


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
def test_a_hooks_refusal_is_shown_without_its_escapes(
    repository: Repository, origin: Origin, hook: str
) -> None:
    origin.hook(hook, r"printf '\033[31mfreeze\033[0m until \033]0;x\007Monday\n' >&2; exit 1")
    with pytest.raises(PushRefused, match="hook") as refused:
        push(repository, edit(repository))
    assert "freeze until Monday" in refused.value.why
    assert "\x1b" not in str(refused.value)
    assert "Ours" not in subjects(origin)


@pytest.mark.parametrize(
    "said",
    [
        "GH006: Protected branch update failed for refs/heads/main.",
        "GH013: Repository rule violations found for refs/heads/main.",
        "GitLab: You are not allowed to push code to protected branches on this project.",
    ],
)
def test_a_protected_branch_is_told_apart_from_a_hook(
    repository: Repository, origin: Origin, said: str
) -> None:
    origin.hook("pre-receive", f"echo '{said}' >&2; exit 1")
    with pytest.raises(PushRefused, match="protected") as refused:
        push(repository, edit(repository))
    assert said in refused.value.why


def test_a_branch_that_another_process_has_locked_is_tried_again(
    repository: Repository, origin: Origin
) -> None:
    lock = origin.bare / "refs/heads/main.lock"
    lock.touch()
    head = repository.head()
    # Freed when the loop comes back to look at the branch.
    origin.server.inject(
        Meanwhile(lambda: lock.unlink(missing_ok=True)), matching="upload-pack", method="GET"
    )
    commit = compare_and_swap(
        repository,
        edit(repository),
        seconds=20,
        clock=CLOCK,
        rng=random.Random(1),
        head=head,
    )
    assert origin.at("rev-parse", "main") == commit


def test_a_server_without_atomic_pushes(repository: Repository, origin: Origin) -> None:
    origin.at("config", "receive.advertiseAtomic", "false")
    head = repository.head()
    commit = repository.commit(head, {VALUES: b"x"}, "m\n", AUTHOR)
    note = repository.note({"note": b"x"}, "m\n", AUTHOR)
    with pytest.raises(PushRefused, match="cannot push a commit and its ledger entry together"):
        repository.push(repository.branch_update(head, commit), note)
    assert origin.at("rev-parse", "main") == head.commit


def test_a_branch_deleted_under_us(repository: Repository, origin: Origin) -> None:
    head = repository.head()
    origin.at("branch", "-m", "main", "trunk")
    with pytest.raises(RepositoryUnavailable, match="no branch main") as refused:
        compare_and_swap(
            repository,
            edit(repository),
            seconds=20,
            clock=CLOCK,
            rng=random.Random(1),
            head=head,
        )
    assert "trunk" in refused.value.why
    assert origin.at("branch", "--list") == "* trunk"


def test_a_branch_forced_elsewhere_under_us(repository: Repository, origin: Origin) -> None:
    head = repository.head()
    orphan = origin.at("commit-tree", "-m", "Elsewhere", f"{head.commit}^{{tree}}")
    origin.at("update-ref", "refs/heads/main", orphan)
    commit = compare_and_swap(
        repository,
        edit(repository),
        seconds=20,
        clock=CLOCK,
        rng=random.Random(1),
        head=head,
    )
    assert subjects(origin) == ["Ours", "Elsewhere"]
    assert origin.at("rev-parse", "main") == commit


def test_a_server_that_hangs_is_given_up(repository: Repository, origin: Origin) -> None:
    origin.server.inject(Hang(), times=99)
    with pytest.raises(RepositoryUnavailable, match="does not answer"):
        repository.head()


def write_at_once(origin: Origin, writers: int, each: int, own_service: bool) -> list[list[str]]:
    """Run writers as processes; return the commits that each says it pushed."""
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                str(WRITER),
                origin.url,
                f"charts/{number if own_service else 0}/values.yaml",
                str(each),
            ],
            stdout=subprocess.PIPE,
        )
        for number in range(writers)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * writers
    return [json.loads(output) for output in outputs]


@pytest.mark.timeout(900)
def test_eight_writers_of_different_services_lose_nothing(origin: Origin) -> None:
    origin.write({f"charts/{number}/values.yaml": "tag: 0\n" for number in range(8)}, "Charts")
    before = int(origin.at("rev-list", "--count", "main"))
    pushed = write_at_once(origin, writers=8, each=25, own_service=True)
    landed = origin.at("rev-list", f"--max-count={200}", "main").split()
    assert int(origin.at("rev-list", "--count", "main")) - before == 200
    assert sorted(commit for one in pushed for commit in one) == sorted(landed)
    assert origin.at("rev-list", "--min-parents=2", "--count", "main") == "0"
    for number in range(8):
        assert origin.at("show", f"main:charts/{number}/values.yaml") == "tag: 25"


def test_writers_of_one_service_each_build_upon_the_other(origin: Origin) -> None:
    origin.write({"charts/0/values.yaml": "tag: 0\n"}, "Chart")
    pushed = write_at_once(origin, writers=3, each=4, own_service=False)
    assert len({commit for one in pushed for commit in one}) == 12
    assert origin.at("show", "main:charts/0/values.yaml") == "tag: 12"
