"""Which Applications stand in a repository, and which of them ships a service."""

import itertools
from pathlib import Path

import pytest

from plate_release.charts import Sought, applications, find, unknown_service
from plate_release.charts.discover import Generator
from plate_release.errors import PlanRefused

from .conftest import ROOT, DirectoryTree


def manifest(name: str, more: str = "") -> str:
    return f"""\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: {name}, namespace: argocd}}
spec:
  source: {{repoURL: https://git.example.com/p.git, path: charts/{name}}}
{more}"""


@pytest.fixture
def write(tmp_path: Path) -> DirectoryTree:
    (tmp_path / "environments").mkdir()
    return DirectoryTree(tmp_path)


def put(tree: DirectoryTree, name: str, text: str) -> None:
    path = tree.root / "environments" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_repositorys_own_applications() -> None:
    found = applications(DirectoryTree(ROOT))
    assert sorted(found.services("prod")) == ["plate-api", "plate-cache", "plate-llm", "plate-web"]
    assert found.findings == ()


def test_every_yaml_file_and_document_below_the_folder(write: DirectoryTree) -> None:
    put(write, "deep/er/two.yml", f"# apps\n---\n{manifest('a-prod')}---\n{manifest('b-prod')}")
    put(write, "list.yaml", "kind: List\nitems:\n- " + manifest("c-prod").replace("\n", "\n  "))
    put(write, "note.txt", manifest("d-prod"))
    found = applications(write)
    assert [(m.name, m.file, m.line) for m in found.manifests] == [
        ("a-prod", "environments/deep/er/two.yml", 3),
        ("b-prod", "environments/deep/er/two.yml", 9),
        ("c-prod", "environments/list.yaml", 3),
    ]
    assert found.manifests[2].lines[("spec", "source", "path")] == 7


def test_links_are_followed_and_one_file_is_read_once(write: DirectoryTree) -> None:
    put(write, "app.yaml", manifest("a-prod"))
    (write.root / "environments" / "again.yaml").symlink_to("app.yaml")
    (write.root / "more").mkdir()
    (write.root / "more" / "b.yaml").write_text(manifest("b-prod"))
    (write.root / "environments" / "linked").symlink_to("../more")
    assert sorted(m.name for m in applications(write).manifests) == ["a-prod", "b-prod"]


def test_what_leads_out_of_the_repository_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b.yaml").write_text(manifest("b-prod"))
    (tmp_path / "in" / "environments").mkdir(parents=True)
    tree = DirectoryTree(tmp_path / "in")
    put(tree, "app.yaml", manifest("a-prod"))
    (tree.root / "environments" / "b.yaml").symlink_to("../../outside/b.yaml")
    assert [m.name for m in applications(tree).manifests] == ["a-prod"]


def test_unreadable_manifests_are_left_out_with_a_finding(write: DirectoryTree) -> None:
    put(write, "app.yaml", manifest("a-prod"))
    put(write, "broken.yaml", manifest("b-prod", "  - nonsense: [\n"))
    put(write, "chart.yaml", manifest("{{ .Values.name }}", "{{- end }}\n"))
    put(
        write,
        "shape.yaml",
        manifest("c-prod").replace("{repoURL", "[repoURL").replace("}\n", "]\n"),
    )
    put(write, "other.yaml", "a: [\n")
    found = applications(write)
    assert [m.name for m in found.manifests] == ["a-prod"]
    assert [(f.level, f.message.split()[0]) for f in found.findings] == [
        ("warning", "environments/broken.yaml"),
        ("info", "environments/chart.yaml"),
        ("warning", "environments/shape.yaml"),
    ]


def test_a_near_miss_is_named(write: DirectoryTree) -> None:
    put(write, "app.yaml", manifest("plate-api-prod"))
    said = str(unknown_service(applications(write), Sought("plate-ap"), "prod"))
    assert "Unknown service plate-ap" in said
    assert "Did you mean plate-api?" in said


def test_where_only_argo_cd_knows_it_is_to_be_asked(write: DirectoryTree) -> None:
    put(
        write,
        "set.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: shops}\n",
    )
    unknown = unknown_service(applications(write), Sought("shop"), "prod")
    assert "Set ARGOCD_SERVER" in unknown.todo


def test_a_template_among_applications_hides_none(write: DirectoryTree) -> None:
    template = manifest("t").replace("{name: t,", "{name: '{{ .Values.name }}',")
    put(write, "all.yaml", f"{manifest('a-prod')}---\n{template}---\n{manifest('b-prod')}")
    found = applications(write)
    assert [m.name for m in found.manifests] == ["a-prod", "b-prod"]
    assert [f.level for f in found.findings] == ["info"]


def test_a_folder_without_applications_is_told(write: DirectoryTree) -> None:
    unknown = unknown_service(applications(write, "apps"), Sought("shop"), "prod")
    assert "in no file below apps/. Known: none." in unknown.why
    assert "`applications: FOLDER` in environments/prod.yaml" in unknown.todo


def test_what_was_left_out_is_named_where_it_may_hold_the_service(write: DirectoryTree) -> None:
    put(write, "broken.yaml", manifest("shop-prod", "  - nonsense: [\n"))
    said = str(unknown_service(applications(write), Sought("shop"), "prod"))
    assert "environments/broken.yaml was left out" in said


@pytest.mark.parametrize("name", ["'{{ .Values.name }}'", "a-prod"])
def test_a_template_that_is_yaml_is_no_application(write: DirectoryTree, name: str) -> None:
    path = "{{ .Values.path }}" if name == "a-prod" else "charts/a"
    text = manifest(name).replace(f"charts/{name}", f"'{path}'")
    put(write, "app.yaml", text)
    found = applications(write)
    assert found.manifests == ()
    assert [(f.level, f.code) for f in found.findings] == [("info", "unreadable-manifest")]


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: argoproj.io/v1alpha1\nkind: List\nitems: 5\n",
        "apiVersion: argoproj.io/v1alpha1\nkind: List\nitems: [5, [], {kind: Application}]\n",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nspec: {generators: 5}\n",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: 5\n",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: 5\n",
        "apiVersion: argoproj.io/v1\nkind: Application\nspec: {sourceHydrator: {drySource: 5}}\n",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec: [a]\n",
        "? [argoproj.io/]\n: 1\n",
        "argoproj.io/: !odd {a: =}\n",
        "argoproj.io/\n",
        manifest("b-prod", "  info: {1: a, true: b, ? [c] : d}\n"),
        manifest("b-prod").replace("{name:", "{annotations: !!binary aGk=, name:"),
        "argoproj.io/: &a [b]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
            for old, new in itertools.pairwise("abcdefghij")
        ),
    ],
)
def test_whatever_stands_in_a_file_the_others_are_read(write: DirectoryTree, text: str) -> None:
    put(write, "app.yaml", manifest("a-prod"))
    put(write, "odd.yaml", text)
    assert "a" in applications(write).services("prod")


def test_an_application_set_is_named_where_it_may_hold_the_service(write: DirectoryTree) -> None:
    put(
        write,
        "set.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: shops}\n"
        "spec: {generators: [{list: {elements: []}}, {git: {}}]}\n",
    )
    said = str(unknown_service(applications(write), Sought("shop"), "prod"))
    assert "shops (environments/set.yaml, line 1)" in said


def test_an_application_is_found_by_its_name(write: DirectoryTree) -> None:
    put(write, "app.yaml", manifest("storefront"))
    found = find(applications(write), "storefront")
    assert found
    assert found.name == "storefront"


def test_two_manifests_of_one_name_are_refused(write: DirectoryTree) -> None:
    put(write, "a.yaml", manifest("a-prod"))
    put(write, "b.yaml", manifest("a-prod"))
    with pytest.raises(PlanRefused, match=r"(?s)2 times.*environments/a.yaml.*environments/b.yaml"):
        find(applications(write), "a-prod")
    other = manifest("a-prod").replace("namespace: argocd", "namespace: team-a")
    put(write, "b.yaml", other)
    found = find(applications(write), "a-prod", "team-a")
    assert found
    assert found.file == "environments/b.yaml"
    assert find(applications(write), "a-prod", "team-b") is None
    with pytest.raises(PlanRefused, match="application-namespace"):
        find(applications(write), "a-prod")


def test_keys_of_a_manifest_are_texts_as_for_json(write: DirectoryTree) -> None:
    labels = "{name: a-prod, labels: {1: one, true: yes}"
    text = manifest("a-prod").replace("{name: a-prod", labels).replace("yes", "'y'")
    put(write, "app.yaml", text)
    (found,) = applications(write).manifests
    assert found.name == "a-prod"


@pytest.mark.parametrize(
    ("name", "file", "todo"),
    [
        ("shop-prod", "argocd/shop.yaml", "Set `applications: argocd` in environments/prod.yaml."),
        ("shop-prod", "shop.yaml", "Set `applications: .` in environments/prod.yaml."),
        (
            "shop-live",
            "environments/shop.yaml",
            (
                "Set `services: {shop: {application: shop-live}}` in environments/prod.yaml,"
                " or pass --environment live."
            ),
        ),
        (
            "eu-shop",
            "apps/shop.yaml",
            (
                "Set `applications: apps` and `services: {shop: {application: eu-shop}}` in"
                " environments/prod.yaml."
            ),
        ),
        (
            "other-prod",
            "environments/other.yaml",
            (
                "Name a known service, or set `services: {shop: {application: NAME}}` in"
                " environments/prod.yaml."
            ),
        ),
        (
            "other-prod",
            "apps/other.yaml",
            (
                "Name the folder of your Applications as `applications: FOLDER` in"
                " environments/prod.yaml."
            ),
        ),
    ],
)
def test_what_may_be_the_service_is_told_with_what_to_configure(
    write: DirectoryTree, name: str, file: str, todo: str
) -> None:
    (write.root / file).parent.mkdir(parents=True, exist_ok=True)
    (write.root / file).write_text(manifest(name))
    found, everywhere = applications(write), applications(write, "")
    elsewhere = [
        one for one in everywhere.manifests if one.file not in {m.file for m in found.manifests}
    ]
    unknown = unknown_service(found, Sought("shop"), "prod", None, elsewhere)
    assert unknown.todo == todo
    assert (f"There is {name} ({file}, line 1)." in unknown.why) is ("shop" in name)


@pytest.mark.parametrize(
    ("text", "file", "may"),
    [
        ("values-prod.yaml", "charts/shop/values-prod.yaml", True),
        ("values-{{env}}.yaml", "charts/shop/values-prod.yaml", True),
        ("../../staging/values.yaml", "staging/values.yaml", True),
        ("../../staging/values.yaml", "production/values.yaml", False),
        ("$values/envs/{{ .path.basename }}/values.yaml", "envs/prod/values.yaml", True),
        ("$values/envs/{{ .path.basename }}/values.yaml", "apps/prod/values.yaml", False),
        ("{{.path.path}}/values.yaml", "envs/eu/prod/values.yaml", True),
        ("/envs/**/values.yaml", "envs/eu/prod/values.yaml", True),
        ("../common/../prod/values.yaml", "prod/values.yaml", True),
        ("values.yaml", "my-values.yaml", False),
        ("values", "values", False),
    ],
)
def test_which_files_an_application_set_may_name(text: str, file: str, *, may: bool) -> None:
    assert Generator("shops", "set.yaml", 1, frozenset({text})).may_name(file) is may
