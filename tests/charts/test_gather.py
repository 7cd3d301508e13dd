"""What is read for an Application's charts, and from where."""

from collections.abc import Callable

from plate_release.charts import ChartInputs, applications, chart_inputs, select
from plate_release.charts.inputs import UNKNOWN, Capabilities, Dependency

from .conftest import CORPUS, DirectoryTree


def inputs_of(tree: DirectoryTree, known: Capabilities = UNKNOWN) -> ChartInputs:
    manifest = select(applications(tree), "shop", "prod")
    (inputs,) = chart_inputs(manifest, tree, capabilities=known)
    return inputs


def test_every_file_that_has_a_part_in_it_is_named(layout: Callable[..., DirectoryTree]) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    section = "valueFiles: [values-prod.yaml, /more.yaml]"
    files = {
        "environments/shop.yaml": manifest.replace(
            "valueFiles: [values-prod.yaml]",
            f"{section}\n      fileParameters: [{{name: a, path: ../texts/a.txt}}]",
        ),
        "more.yaml": "a: 1\n",
        "texts/a.txt": "b",
        "chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.3.0\n"
        "dependencies: [{name: common, repository: file://../common, version: 1.x}]\n",
    }
    inputs = inputs_of(layout("pair", files))
    assert inputs.files == {
        "chart",
        "chart/values.yaml",
        "chart/values-prod.yaml",
        "more.yaml",
        "texts/a.txt",
        "common",
    }
    assert inputs.dependencies == (Dependency("common", "file://../common", "1.x", "common"),)
    assert inputs.reads("common/templates/_helpers.tpl")
    assert not inputs.reads("common-2/values.yaml")


def test_what_the_application_says_of_its_cluster_beats_what_is_known(
    layout: Callable[..., DirectoryTree],
) -> None:
    known = Capabilities("1.33", ("apps/v1",))
    assert inputs_of(DirectoryTree(CORPUS / "pair"), known).capabilities == known
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    own = manifest.replace("helm:", "helm:\n      kubeVersion: 1.29.3")
    tree = layout("pair", {"environments/shop.yaml": own})
    found = inputs_of(tree, known).capabilities
    assert found == Capabilities("1.29.3", ("apps/v1",))
