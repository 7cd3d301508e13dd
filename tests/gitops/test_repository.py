"""Commits that change exactly what was planned, and questions about history."""

import random
from pathlib import Path

import pytest

from plate_release.errors import PushRefused, RepositoryUnavailable
from plate_release.gitops import commit as plumbing
from plate_release.gitops.commit import Author
from plate_release.gitops.git import Git
from plate_release.gitops.lineage import Change, Story
from plate_release.gitops.refusals import Moved
from plate_release.gitops.repository import RefUpdate, Repository
from tests.gitops.conftest import AUTHOR, Open, Origin, run

VALUES = "charts/a/values.yaml"


def release(repository: Repository, files: dict[str, bytes], message: str = "Release\n") -> str:
    head = repository.head()
    commit = repository.commit(head, files, message, AUTHOR)
    repository.push(repository.branch_update(head, commit))
    return commit


def test_a_commit_differs_from_its_parent_in_the_planned_blobs_alone(
    repository: Repository, origin: Origin
) -> None:
    odd = 'été "x"\n\\.yaml'
    origin.write(
        {
            ".gitattributes": "* text=auto eol=crlf\n*.bin filter=lfs diff=lfs merge=lfs\n",
            "crlf.yaml": b"a: 1\r\nb: 2\r\n",
            "latin.yaml": b"a: \xe9\n",
            "big.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
            odd: "tag: 1\n",
            "run.sh": "tag=1\n",
        }
    )
    (origin.clone / "run.sh").chmod(0o755)
    (origin.clone / "link.yaml").symlink_to("charts/a/values.yaml")
    origin.write({})
    origin.git("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},vendor/sub")
    origin.git("commit", "--quiet", "-m", "Submodule")
    origin.git("push", "--quiet", "origin", "HEAD:main")
    before = set(origin.at("ls-tree", "-r", "-z", "main").split("\0"))
    contents = {
        "crlf.yaml": b"a: 2\r\nb: 2\r\n",
        odd: b"tag: 2\n",
        "run.sh": b"tag=2\n",
        "link.yaml": b"tag: 3\n",
    }
    release(repository, contents)
    after = set(origin.at("ls-tree", "-r", "-z", "main").split("\0"))
    touched = {line.partition("\t")[2]: line.split()[0] for line in after - before}
    assert touched == {"crlf.yaml": "100644", odd: "100644", "run.sh": "100755", VALUES: "100644"}
    assert repository.head().read_many(list(contents)) == contents
    assert origin.at("fsck", "--strict") == ""


def test_an_edit_that_would_touch_more_is_not_pushed(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(git: Git, draft: plumbing.Draft) -> str:
        more = {**draft.files, "README.md": (0o100755, b"hello\n")}
        return plumbing.write(git, plumbing.Draft(draft.parent, more, "x\n", AUTHOR, 1))

    monkeypatch.setattr("plate_release.gitops.repository.write", careless)
    with pytest.raises(PushRefused, match="more than was planned"):
        repository.commit(repository.head(), {VALUES: b"tag: 2\n"}, "m\n", AUTHOR)


@pytest.mark.parametrize("path", ["nowhere.yaml", "charts", "charts/a/values.yaml/x"])
def test_only_files_that_are_there_can_be_changed(repository: Repository, path: str) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        repository.commit(repository.head(), {path: b"x"}, "m\n", AUTHOR)


@pytest.mark.parametrize(
    ("author", "shown"),
    [
        (Author("Ada Ops", "ada@example.com"), "Ada Ops <ada@example.com>"),
        (Author("Zoë <x>\nevil", "a b>\n@c"), "Zoë x evil <a b @c>"),
        (Author("", ""), "plate-release <plate-release@localhost>"),
    ],
)
def test_the_author_is_who_was_named(
    repository: Repository, origin: Origin, author: Author, shown: str
) -> None:
    head = repository.head()
    commit = repository.commit(head, {VALUES: b"x"}, "Ünï\n\nbody\n", author)
    repository.push(repository.branch_update(head, commit))
    assert origin.at("log", "-1", "--format=%an <%ae>|%cn <%ce>|%s") == f"{shown}|{shown}|Ünï"


def test_a_release_costs_seven_requests(repository: Repository, origin: Origin) -> None:
    head = repository.head()
    head.read(VALUES)
    commit = repository.commit(head, {VALUES: b"tag: 2\n"}, "m\n", AUTHOR)
    repository.push(repository.branch_update(head, commit))
    assert origin.server.requests() == 7


def test_a_stale_push_changes_nothing(repository: Repository, origin: Origin) -> None:
    head = repository.head()
    commit = repository.commit(head, {VALUES: b"tag: 2\n"}, "m\n", AUTHOR)
    theirs = origin.write({VALUES: "tag: 9\n"})
    with pytest.raises(Moved):
        repository.push(repository.branch_update(head, commit))
    assert origin.at("rev-parse", "main") == theirs


def test_a_branch_set_back_under_us_is_not_set_forward_again(
    repository: Repository, origin: Origin
) -> None:
    head = repository.head()
    commit = repository.commit(head, {VALUES: b"tag: 2\n"}, "m\n", AUTHOR)
    older = origin.at("rev-parse", "main~1")
    origin.at("update-ref", "refs/heads/main", older)
    with pytest.raises(Moved):
        repository.push(repository.branch_update(head, commit))
    assert origin.at("rev-parse", "main") == older
    assert repository.head().commit == older


def test_what_a_source_may_be_fixed_to_is_found(repository: Repository, origin: Origin) -> None:
    old = origin.at("rev-parse", "main~1")
    origin.at("branch", "release/1.x", old)
    origin.at("tag", "plain", old)
    origin.git("tag", "-a", "v1.0", "-m", "annotated", old)
    origin.git("push", "--quiet", "origin", "v1.0")
    head = repository.head()
    for name in ("release/1.x", "refs/heads/release/1.x", "plain", "refs/tags/v1.0", "v1.0", old):
        assert repository.at(name).commit == old
    for name in ("main", "HEAD", ""):
        assert repository.at(name).commit == head.commit
    assert repository.at("v1.0").read(VALUES) == head.read(VALUES)
    assert repository.head().commit == head.commit


@pytest.mark.parametrize("name", ["no-such", "-x", "main:evil", "a..b", "{{ .rev }}", "f" * 40])
def test_what_is_not_there_is_told(repository: Repository, name: str) -> None:
    with pytest.raises(RepositoryUnavailable, match="no"):
        repository.at(name)


def test_create_only_updates(repository: Repository, origin: Origin) -> None:
    head = repository.head().commit
    repository.push(RefUpdate("refs/heads/new", None, head))
    assert origin.at("rev-parse", "new") == head
    other = origin.write({VALUES: "x"})
    repository.head()
    with pytest.raises(Moved):
        repository.push(RefUpdate("refs/heads/new", None, other))


def test_ancestry_across_commits_that_came_since(repository: Repository, origin: Origin) -> None:
    base = repository.head().commit
    ours = release(repository, {VALUES: b"tag: 2\n"})
    origin.git("pull", "--quiet", "--rebase", "origin", "main")
    theirs = origin.write({"README.md": "later\n"})
    assert repository.contains(ours, base) is True
    assert repository.contains(base, ours) is False
    assert repository.contains(theirs, ours) is True
    assert repository.contains(ours, theirs) is False
    assert repository.contains(ours, ours) is True
    assert repository.landed(ours) is True


def test_an_old_ancestor_is_found_by_deepening(origin: Origin, opened: Open) -> None:
    first = origin.at("rev-list", "--max-parents=0", "main")
    for number in range(3):
        origin.write({"n": str(number)})
    second = origin.at("rev-parse", "main~2")
    side = origin.at("commit-tree", "-p", first, "-m", "Side", f"{first}^{{tree}}")
    origin.at("update-ref", "refs/heads/side", side)
    with opened() as repository:
        head = repository.head().commit
        assert repository.contains(head, first) is True
    with opened() as repository:
        head = repository.head().commit
        assert repository.contains(second, head) is False
        assert repository.contains(head, second) is True
        assert repository.contains(head, side) is False
        assert repository.contains(side, head) is False
        assert repository.contains(side, first) is True


def test_a_commit_that_nobody_knows_is_neither_in_nor_out(repository: Repository) -> None:
    head = repository.head().commit
    assert repository.contains(head, "f" * 40) is None
    assert repository.contains("f" * 40, head) is None


def test_a_commit_that_was_made_but_never_pushed_is_not_on_the_branch(
    repository: Repository, origin: Origin
) -> None:
    commit = repository.commit(repository.head(), {VALUES: b"tag: 2\n"}, "m\n", AUTHOR)
    assert repository.landed(commit) is False
    origin.write({VALUES: "tag: 9\n"})
    assert repository.landed(commit) is False


@pytest.mark.parametrize("seed", [0, 1, 2, 6, 8])
def test_ancestry_agrees_with_git_on_random_histories(
    origin: Origin, opened: Open, seed: int
) -> None:
    rng = random.Random(seed)
    tree = origin.at("rev-parse", "main^{tree}")
    commits = [origin.at("rev-parse", "main")]
    now = int(origin.at("log", "-1", "--format=%ct", "main"))
    for number in range(12):
        parents = rng.sample(commits[-4:], k=min(len(commits), rng.choice([1, 1, 2])))
        flags = [flag for parent in parents for flag in ("-p", parent)]
        # Somewhere the second turns: what is older is cut off, and not all of it is sent.
        at = f"{now + (number >= seed % 12)} +0000"
        commits.append(run(origin.bare, "commit-tree", *flags, "-m", str(number), tree, at=at))
    # Commits outside the branch cannot be deepened from it, so every one is a branch.
    for index, commit in enumerate(commits):
        origin.at("update-ref", f"refs/heads/b{index}", commit)
    origin.at("update-ref", "refs/heads/main", commits[-1])
    for one in rng.sample(commits, 3):
        for other in rng.sample(commits, 3):
            truth = one in origin.at("rev-list", other).split()
            with opened() as repository:
                repository.head()
                assert repository.contains(other, one) is truth


def test_who_wrote_a_value_since(repository: Repository, origin: Origin) -> None:
    base = repository.head().commit
    theirs = origin.write({VALUES: "tag: 9\n"}, "Hotfix \x1b[31mnow")
    origin.write({"README.md": "later\n"})
    head = repository.head().commit
    assert repository.last_change(VALUES, base, head) == Change(theirs, "Some Body", "Hotfix now")
    assert repository.last_change("charts/b/values.yaml", base, head) is None


def test_nothing_is_left_behind(opened: Open, tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    workspace.mkdir()
    with opened(workspace=workspace) as repository:
        repository.head()
        assert list(workspace.iterdir())
    assert not list(workspace.iterdir())


def test_what_a_commit_says(repository: Repository, origin: Origin) -> None:
    first = origin.at("rev-list", "--max-parents=0", "main")
    tip = repository.head().commit
    assert repository.story(tip) == Story(first, "Say hello\n")
    assert repository.story(first) == Story(None, "Seed\n")
    assert repository.read_at(first, "README.md") is None
    with pytest.raises(RepositoryUnavailable, match="no commit"):
        repository.story("f" * 40)


@pytest.mark.parametrize("name", ["--upload-pack=touch sprung", "main", "HEAD\nmain", "", "ab"])
def test_what_is_no_commit_id_never_reaches_git(
    repository: Repository, origin: Origin, name: str
) -> None:
    head = repository.head().commit
    before = origin.server.requests()
    assert repository.contains(name, head) is None
    assert repository.contains(head, name) is None
    assert repository.last_change(VALUES, name, head) is None
    with pytest.raises(RepositoryUnavailable, match="no commit"):
        repository.tree(name)
    assert origin.server.requests() == before
