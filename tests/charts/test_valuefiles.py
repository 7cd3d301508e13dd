"""Where the files that an Application names stand."""

from pathlib import Path

import pytest

from plate_release.charts.valuefiles import Place, Roots, inside, value_files
from plate_release.errors import ChartRefused, PlanRefused

from .conftest import DirectoryTree


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        ("a/b", "v.yaml", "a/b/v.yaml"),
        ("a/b", "./v.yaml", "a/b/v.yaml"),
        ("a/b", "../../v.yaml", "v.yaml"),
        ("a/b", "/c/v.yaml", "c/v.yaml"),
        ("", "v.yaml", "v.yaml"),
        ("./a/", "v.yaml", "a/v.yaml"),
        (".hidden", "v.yaml", ".hidden/v.yaml"),
    ],
)
def test_a_path_inside_the_repository(folder: str, name: str, path: str) -> None:
    assert inside(folder, name) == path


@pytest.mark.parametrize(
    ("folder", "name"),
    [("a", "../../v.yaml"), ("a", "/../v.yaml"), ("", "../v"), ("a", "b/../../../a/v")],
)
def test_a_path_to_outside_is_refused(folder: str, name: str) -> None:
    with pytest.raises(PlanRefused, match="leaves the repository"):
        inside(folder, name)


@pytest.fixture
def tree(tmp_path: Path) -> DirectoryTree:
    for name in ("c/1.yaml", "c/2.yaml", "c/x/3.yaml", "c/note.txt", "d/1.yaml", "d/w/x/y/4.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("a: 1\n")
    return DirectoryTree(tmp_path)


def names(tree: DirectoryTree, *wanted: str, ignore_missing: bool = False) -> list[str]:
    roots = Roots(Place(tree, "c"), {"ref": tree}, {})
    return [p.path for p in value_files(roots, wanted, ignore_missing=ignore_missing)]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["*.yaml"], ["c/1.yaml", "c/2.yaml"]),
        (["**/*.yaml"], ["c/1.yaml", "c/2.yaml", "c/x/3.yaml"]),
        (["*.yaml", "1.yaml"], ["c/2.yaml", "c/1.yaml"]),
        (["[12].yaml", "?.yaml"], ["c/1.yaml", "c/2.yaml"]),
        (["$ref/d/*.yaml", "2.yaml", "2.yaml"], ["d/1.yaml", "c/2.yaml"]),
        (["/d/1.yaml"], ["d/1.yaml"]),
        (["**"], ["c/1.yaml", "c/2.yaml", "c/note.txt", "c/x/3.yaml"]),
        (["/**/x/*.yaml"], ["c/x/3.yaml"]),
        (["/**/x/**/*.yaml"], ["c/x/3.yaml", "d/w/x/y/4.yaml"]),
        (["/*/1.yaml"], ["c/1.yaml", "d/1.yaml"]),
        (["[!1].yaml", "[^2].yaml"], ["c/2.yaml", "c/1.yaml"]),
        (["/{d,c}/*.yaml"], ["c/1.yaml", "c/2.yaml", "d/1.yaml"]),
        (["{2,1}.*"], ["c/1.yaml", "c/2.yaml"]),
    ],
)
def test_globs_expand_in_order_each_file_once(
    tree: DirectoryTree, wanted: list[str], found: list[str]
) -> None:
    assert names(tree, *wanted) == found


def test_a_glob_without_files(tree: DirectoryTree) -> None:
    assert names(tree, "no-*.yaml", ignore_missing=True) == []
    with pytest.raises(ChartRefused, match=r"No file matches no-\*\.yaml"):
        names(tree, "no-*.yaml")


def test_a_folder_s_own_files_come_before_those_of_its_folders(tmp_path: Path) -> None:
    for name in ("c/z.yaml", "c/nested/c.yaml", "c/nested/deep/a.yaml", "c/a.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("a: 1\n")
    found = names(DirectoryTree(tmp_path), "**/*.yaml")
    assert found == ["c/a.yaml", "c/z.yaml", "c/nested/c.yaml", "c/nested/deep/a.yaml"]


def test_a_glob_of_many_stars_is_matched_at_once(tree: DirectoryTree) -> None:
    (tree.root / "c" / ("a" * 200)).write_text("a: 1\n")
    assert names(tree, f"{'*a' * 30}*.yaml", "**/" * 20 + "no", ignore_missing=True) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("https://example.com/v.yaml", "is a URL"),
        ("secrets://v.yaml", "encrypted for helm-secrets"),
        ("secrets+age-import:///k.txt?v.yaml", "encrypted for helm-secrets"),
        ("$other/v.yaml", "no source has the ref 'other'"),
        ("$ref/../v.yaml", "leaves the repository"),
    ],
)
def test_what_cannot_be_read_is_refused(tree: DirectoryTree, name: str, says: str) -> None:
    with pytest.raises(PlanRefused, match=says):
        names(tree, name)


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("$my-values/$NAME.yaml", "shop.yaml"),
        ("$NAME.yaml", "c/shop.yaml"),
        ("$NAME/values.yaml", "c/shop/values.yaml"),
        ("${NAME}-values.yaml", "c/shop-values.yaml"),
    ],
)
def test_a_path_may_start_with_a_source_or_a_variable(
    tree: DirectoryTree, name: str, becomes: str
) -> None:
    roots = Roots(Place(tree, "c"), {"my-values": tree}, {"NAME": "shop"})
    assert roots.resolve(name).path == becomes


def test_a_ref_that_is_not_looked_at_is_refused(tree: DirectoryTree) -> None:
    with pytest.raises(PlanRefused, match="no source has the ref 'other'"):
        Roots(Place(tree, "c"), {"other": None}, {}).resolve("$other/v.yaml")


def test_a_chart_from_elsewhere_has_no_folder_in_git(tree: DirectoryTree) -> None:
    with pytest.raises(PlanRefused, match="inside a chart"):
        value_files(Roots(None, {"ref": tree}, {}), ("v.yaml",), ignore_missing=True)
