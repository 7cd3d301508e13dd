"""Reading the repository at a commit: odd names, links, what is fetched."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plate_release.errors import PlanRefused, RepositoryUnavailable
from plate_release.gitops.refusals import neutral
from plate_release.gitops.repository import Repository
from plate_release.model import EntryKind
from tests.gitops.conftest import AUTHOR, Open, Origin, run

ODD = ['with space/a "quoted" name.yaml', "new\nline.yaml", "été/ünï.yaml", "back\\slash.yaml"]


def link(origin: Origin, path: str, target: str) -> None:
    place = origin.clone / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def test_odd_names_are_read_as_they_are(repository: Repository, origin: Origin) -> None:
    origin.write({name: f"in {name}" for name in ODD})
    tree = repository.head()
    assert {path for path, _ in tree.entries()} > set(ODD)
    assert tree.read_many(ODD) == {name: f"in {name}".encode() for name in ODD}


def test_a_name_that_is_no_utf_8(repository: Repository, origin: Origin) -> None:
    raw = os.fsdecode(b"latin-\xe9.yaml")
    origin.write({raw: "x"})
    assert repository.head().read(raw) == b"x"


def test_kinds_of_entries(repository: Repository, origin: Origin) -> None:
    origin.write({"bin/run.sh": "#!/bin/sh\n"})
    (origin.clone / "bin/run.sh").chmod(0o755)
    link(origin, "bin/link", "run.sh")
    submodule = f"160000,{'a' * 40},vendor/sub"
    origin.git("update-index", "--add", "--cacheinfo", submodule)
    origin.git("add", "bin")
    origin.git("commit", "--quiet", "-m", "Kinds")
    origin.git("push", "--quiet", "origin", "HEAD:main")
    tree = repository.head()
    assert dict(tree.entries("bin")) == {
        "bin/run.sh": EntryKind.EXECUTABLE,
        "bin/link": EntryKind.SYMLINK,
    }
    assert dict(tree.entries("vendor")) == {"vendor/sub": EntryKind.SUBMODULE}
    assert not dict(tree.entries("nowhere"))
    with pytest.raises(IsADirectoryError):
        tree.read("vendor/sub")
    with pytest.raises(IsADirectoryError):
        tree.read("bin")
    with pytest.raises(FileNotFoundError):
        tree.read("bin/run.sh/x")
    assert tree.read_many(["bin", "vendor/sub", "bin/link"]) == {"bin/link": b"#!/bin/sh\n"}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("../charts/a/values.yaml", "links/one"),
        ("two", "links/one"),
        ("../links/./../charts/a/values.yaml", "links/one"),
        ("../charts/a", "links/one/values.yaml"),
        ("../charts/a/../b/../a/values.yaml", "links/one"),
    ],
)
def test_links_inside_the_repository_are_followed(
    repository: Repository, origin: Origin, target: str, path: str
) -> None:
    link(origin, "links/one", target)
    link(origin, "links/two", "../charts/a/values.yaml")
    origin.write({})
    assert repository.head().read(path) == b"tag: 1.0.a\n"


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../outside", "../charts/../../outside", "loop", "up/links/up/.."],
)
def test_links_that_leave_or_circle_are_refused(
    repository: Repository, origin: Origin, target: str, tmp_path: Path
) -> None:
    link(origin, "links/loop", "loop" if target == "loop" else target)
    link(origin, "links/up", "..")
    origin.write({})
    tree = repository.head()
    with pytest.raises(PlanRefused, match=r"leaves the repository|circle"):
        tree.read("links/loop")
    with pytest.raises(PlanRefused, match=r"leaves the repository|circle"):
        tree.export("links", tmp_path / "out")
    with pytest.raises(PlanRefused, match="leaves the repository"):
        tree.read("../x")


def test_a_folder_is_exported_as_git_would_check_it_out(
    repository: Repository, origin: Origin, tmp_path: Path
) -> None:
    origin.write({"chart/templates/a.yaml": b"a\r\nb\r\n", "chart/run.sh": "x", "shared/s": "s"})
    (origin.clone / "chart/run.sh").chmod(0o755)
    link(origin, "chart/inner", "templates/a.yaml")
    link(origin, "chart/outer", "../shared/s")
    link(origin, "chart/dangling", "nowhere")
    origin.write({})
    out = tmp_path / "out"
    repository.head().export("chart", out)
    assert (out / "chart/templates/a.yaml").read_bytes() == b"a\r\nb\r\n"
    assert os.access(out / "chart/run.sh", os.X_OK)
    assert (out / "chart/inner").readlink() == Path("templates/a.yaml")
    assert (out / "chart/outer").read_bytes() == b"s"
    assert not (out / "chart/outer").is_symlink()
    assert not (out / "chart/dangling").is_symlink()
    assert [p.name for p in out.iterdir()] == ["chart"]
    with pytest.raises(FileNotFoundError):
        repository.head().export("nowhere", out)


def test_a_link_to_a_folder_elsewhere_becomes_its_copy(
    repository: Repository, origin: Origin, tmp_path: Path
) -> None:
    link(origin, "deep/er/chart/charts/common", "../../../../common")
    link(origin, "current", "deep/er/chart")
    link(origin, "common/more", "../charts/a")
    link(origin, "common/again", "more/values.yaml")
    origin.write({"common/Chart.yaml": "name: common\n", "deep/er/chart/Chart.yaml": "name: c\n"})
    tree = repository.head()
    tree.export("current", tmp_path)
    vendored = tmp_path / "current/charts/common"
    assert (vendored / "Chart.yaml").read_text() == "name: common\n"
    assert (vendored / "more/values.yaml").read_text() == "tag: 1.0.a\n"
    assert (vendored / "again").read_text() == "tag: 1.0.a\n"
    assert tree.real("current/charts/common/again") == "charts/a/values.yaml"
    assert tree.real("nowhere/at/all") == "nowhere/at/all"


@pytest.mark.parametrize("target", ["..", "../../..", "../../../other"])
def test_links_to_folders_that_lead_in_a_circle_are_refused(
    repository: Repository, origin: Origin, tmp_path: Path, target: str
) -> None:
    link(origin, "deep/chart/templates/link", target)
    link(origin, "other/back", "../deep/chart")
    origin.write({})
    if target == "..":
        repository.head().export("deep/chart", tmp_path)  # stays inside: helm will see to it
        assert (tmp_path / "deep/chart/templates/link").readlink() == Path("..")
        return
    with pytest.raises(PlanRefused, match="leads in a circle"):
        repository.head().export("deep/chart", tmp_path)


def test_a_link_is_exported_straight_to_its_end(
    repository: Repository, origin: Origin, tmp_path: Path
) -> None:
    """What it passes on the way need not be a part of the copy."""
    link(origin, "chart/inner", "../elsewhere/back/values.yaml")
    link(origin, "elsewhere/back", "../chart/deep")
    link(origin, "chart/vendored", "../sub")
    origin.write({"chart/deep/values.yaml": "v", "elsewhere/x": "x"})
    submodule = f"160000,{'a' * 40},sub"
    origin.git("update-index", "--add", "--cacheinfo", submodule)
    origin.git("commit", "--quiet", "-m", "Submodule")
    origin.git("push", "--quiet", "origin", "HEAD:main")
    repository.head().export("chart", tmp_path)
    assert (tmp_path / "chart/inner").readlink() == Path("deep/values.yaml")
    assert not any((tmp_path / "chart/vendored").iterdir())


def test_links_to_folders_are_entered_once_where_asked(
    repository: Repository, origin: Origin
) -> None:
    link(origin, "a/other", "../b")
    link(origin, "b/other", "../a")
    link(origin, "a/self", ".")
    link(origin, "a/out", "../..")
    origin.write({"b/x.yaml": "x"})
    tree = repository.head()
    inside = {"a/other", "a/self", "a/out"}
    assert {path for path, _ in tree.entries("a")} == inside
    followed = {path for path, _ in tree.entries("a", follow=True)}
    assert followed == inside | {"a/other/x.yaml", "a/other/other"}
    assert tree.has("a/other/x.yaml")
    assert not tree.has("a/out/x")
    assert tree.read_many(["a/other/x.yaml", "a/out/x"]) == {"a/other/x.yaml": b"x"}


def test_threads_may_read_side_by_side(repository: Repository, origin: Origin) -> None:
    files: dict[str, str | bytes] = {
        f"many/{number}": f"in {number}".encode() for number in range(40)
    }
    origin.write(files)
    tree = repository.head()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(tree.read, files)) == list(files.values())


def test_a_forged_tree_cannot_lead_out_of_the_folder(
    repository: Repository, origin: Origin
) -> None:
    blob = origin.at("rev-parse", "main:README.md")
    forged = b"100644 ..\0" + bytes.fromhex(blob)
    path = origin.clone / "forged"
    path.write_bytes(forged)
    tree = run(origin.bare, "hash-object", "-t", "tree", "-w", "--literally", str(path))
    commit = origin.at("commit-tree", "-m", "Forged", tree)
    origin.at("update-ref", "refs/heads/main", commit)
    with pytest.raises(PlanRefused, match="forbidden name"):
        list(repository.head().entries())


def test_only_what_is_read_is_fetched_and_once(repository: Repository, origin: Origin) -> None:
    count = origin.server.requests
    tree = repository.head()
    assert count() == 3
    assert len(list(tree.entries())) == 4
    assert count() == 3
    paths = [f"charts/{name}/values.yaml" for name in "abc"]
    assert len(tree.read_many(paths)) == 3
    assert count() == 5
    tree.read(paths[0])
    assert count() == 5


def test_a_server_without_partial_clone_is_told_and_works(origin: Origin, opened: Open) -> None:
    origin.server.partial = False
    with opened() as repository:
        tree = repository.head()
        assert tree.read("charts/a/values.yaml") == b"tag: 1.0.a\n"
        assert [f.code for f in repository.findings] == ["no-partial-clone"]
        assert origin.server.requests() == 3


def test_a_server_that_sends_no_object_by_name_is_told_and_works(
    origin: Origin, opened: Open
) -> None:
    origin.server.protocol_2 = False
    with opened() as repository:
        tree = repository.head()
        assert tree.read("charts/a/values.yaml") == b"tag: 1.0.a\n"
        assert [f.code for f in repository.findings] == ["no-partial-clone"]
        origin.write({"charts/b/values.yaml": "tag: 2\n"})
        head = repository.head()
        assert head.read("charts/b/values.yaml") == b"tag: 2\n"
        commit = repository.commit(head, {"charts/a/values.yaml": b"tag: 3\n"}, "m\n", AUTHOR)
        repository.push(repository.branch_update(head, commit))
    assert origin.at("show", "main:charts/a/values.yaml") == "tag: 3"


def test_any_commit_can_be_read(repository: Repository, origin: Origin) -> None:
    old = origin.at("rev-parse", "main")
    origin.write({"charts/a/values.yaml": "tag: 2\n"})
    repository.head()
    assert repository.read_at(old, "charts/a/values.yaml") == b"tag: 1.0.a\n"
    assert repository.read_at(old, "nowhere") is None
    with pytest.raises(RepositoryUnavailable, match="no commit"):
        repository.tree("f" * 40)


def test_a_path_of_this_machine_is_a_repository_too(origin: Origin, opened: Open) -> None:
    with opened(str(origin.bare)) as repository:
        assert repository.head().read("README.md") == b"hello\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m\x07", "red"),
        ("\x1b]0;title\x07x\x1b]8;;http://evil\x1b\\y", "xy"),
        ("a\u202eb\u200bc\x9bd\rE", "abcdE"),
        ("two\nlines\tkept", "two\nlines\tkept"),
        ("\x1bcx", "x"),
    ],
)
def test_what_a_server_says_is_shown_without_controls(text: str, shown: str) -> None:
    assert neutral(text) == shown
