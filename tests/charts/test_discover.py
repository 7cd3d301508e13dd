"""Which Applications stand in a repository, and which of them ships a service."""

from pathlib import Path

import pytest

from plate_release.charts import applications, find, select, unknown_service
from plate_release.errors import PlanRefused, UsageError

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
    with pytest.raises(UsageError) as caught:
        select(applications(write), "plate-ap", "prod")
    assert "Unknown service plate-ap" in str(caught.value)
    assert "Did you mean plate-api?" in str(caught.value)


def test_an_application_set_is_named_where_it_may_hold_the_service(write: DirectoryTree) -> None:
    put(
        write,
        "set.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: shops}\n"
        "spec: {generators: [{list: {elements: []}}, {git: {}}]}\n",
    )
    found = applications(write)
    assert found.generators[0].kinds == ("list", "git")
    said = str(unknown_service(found, "shop", "prod"))
    assert "shops (environments/set.yaml, line 1)" in said


def test_the_configured_name_is_taken(write: DirectoryTree) -> None:
    put(write, "app.yaml", manifest("storefront"))
    assert select(applications(write), "shop", "prod", "storefront").name == "storefront"


def test_two_manifests_of_one_name_are_refused(write: DirectoryTree) -> None:
    put(write, "a.yaml", manifest("a-prod"))
    put(write, "b.yaml", manifest("a-prod"))
    with pytest.raises(PlanRefused, match=r"(?s)2 times.*environments/a.yaml.*environments/b.yaml"):
        find(applications(write), "a-prod")


def test_the_parent_of_an_app_of_apps(write: DirectoryTree) -> None:
    root = manifest("root").replace("charts/root", "./environments/apps")
    put(write, "root.yaml", root)
    put(write, "apps/a.yaml", manifest("a-prod"))
    found = applications(write)
    assert [(m.name, m.parent) for m in found.manifests] == [("a-prod", "root"), ("root", "")]
