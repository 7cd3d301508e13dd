"""The directory that charts are tested on reads as the repository that they are released from."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from plate_release.errors import PlanRefused
from plate_release.gitops.remote import Credentials
from plate_release.gitops.repository import Repository
from plate_release.model import EntryKind, Tree
from tests.gitops.conftest import CLOCK

from .conftest import DirectoryTree

FILES = {
    "charts/api/Chart.yaml": "name: api\n",
    "charts/api/templates/a b.yaml": "a\n",
    "shared/conf/prod.yaml": "tag: 1\n",
}
LINKS = {
    "charts/api/values.yaml": "../../shared/conf/prod.yaml",
    "charts/api/conf": "../../shared/conf",
    "charts/api/inner": "templates/a b.yaml",
    "charts/api/dangling": "nowhere",
}
OUTWARD = {"out/file": "../../../etc/passwd", "out/absolute": "/etc"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trees") / "work"
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    for path, target in (LINKS | OUTWARD).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
    return root


@pytest.fixture(params=["directory", "repository"])
def tree(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[Tree]:
    if request.param == "directory":
        yield DirectoryTree(folder)
        return
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    settings = ["core.bare=false", "user.name=a", "user.email=a@b"]
    options = [word for one in settings for word in ("-c", one)]
    git = ["git", *options, "--git-dir", str(bare), "--work-tree", str(folder)]
    subprocess.run([*git, "add", "."], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "All"], cwd=folder, check=True)
    with Repository.open(str(bare), "main", Credentials(), clock=CLOCK) as repository:
        yield repository.head()


def test_what_is_in_a_folder(tree: Tree) -> None:
    inside = {path for path in {**FILES, **LINKS} if path.startswith("charts/api/")}
    assert {path for path, _ in tree.entries("charts/api")} == inside
    assert {path for path, kind in tree.entries() if kind is EntryKind.SYMLINK} == {
        *LINKS,
        *OUTWARD,
    }
    followed = {path for path, _ in tree.entries("charts/api", follow=True)}
    assert followed == inside | {"charts/api/conf/prod.yaml"}
    assert list(tree.entries("nowhere")) == []


def test_what_is_read_and_where_it_leads(tree: Tree) -> None:
    assert tree.read("charts/api/values.yaml") == b"tag: 1\n"
    assert tree.real("charts/api/conf/prod.yaml") == "shared/conf/prod.yaml"
    assert tree.real("charts/api/none") == "charts/api/none"
    paths = ["charts/api/conf/prod.yaml", "charts/api/dangling", "charts/api", *OUTWARD]
    assert tree.read_many(paths) == {"charts/api/conf/prod.yaml": b"tag: 1\n"}
    with pytest.raises(FileNotFoundError):
        tree.read("charts/api/dangling")


@pytest.mark.parametrize("path", [*OUTWARD, "../x"])
def test_what_leads_out_is_refused(tree: Tree, path: str) -> None:
    with pytest.raises(PlanRefused, match="leaves the repository"):
        tree.real(path)
    with pytest.raises(PlanRefused, match="leaves the repository"):
        tree.read(path)


def test_what_is_laid_out(tree: Tree, tmp_path: Path) -> None:
    tree.export("charts/api", tmp_path / "copy")
    copy = tmp_path / "copy"
    found = {
        os.path.relpath(Path(place) / name, copy): (Path(place) / name).read_text()
        for place, _, names in os.walk(copy, followlinks=True)
        for name in names
    }
    assert found == {
        "charts/api/Chart.yaml": "name: api\n",
        "charts/api/templates/a b.yaml": "a\n",
        "charts/api/inner": "a\n",
        "charts/api/values.yaml": "tag: 1\n",
        "charts/api/conf/prod.yaml": "tag: 1\n",
    }
    with pytest.raises(FileNotFoundError):
        tree.export("nowhere", tmp_path / "none")
