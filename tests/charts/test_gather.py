"""What is read for an Application's charts, and from where."""

from collections.abc import Callable

import pytest

from plate_release.charts import chart_inputs
from plate_release.charts.dependencies import Dependency
from plate_release.charts.environment import substitute
from plate_release.charts.inputs import UNKNOWN, Capabilities, ChartInputs, RemoteChart
from plate_release.errors import ChartRefused

from .conftest import CORPUS, DirectoryTree, shop


def inputs_of(tree: DirectoryTree, known: Capabilities = UNKNOWN) -> ChartInputs:
    manifest = shop(tree)
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
    files |= dict.fromkeys(("common/values.yaml", "common/a.txt", "common-2/values.yaml"), "")
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
    assert inputs.takes({"more.yaml"})
    assert inputs.takes({"texts/a.txt"})
    assert not inputs.takes({"chart/Chart.yaml"})
    assert inputs.shows({"common/values.yaml"})
    assert not inputs.shows({"common-2/values.yaml"})
    assert not inputs.shows({"common/a.txt"})


def test_a_parameter_may_read_files_and_so_may_a_chart_that_is_not_there(
    layout: Callable[..., DirectoryTree],
) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    section = "helm:\n      parameters: [{name: a, value: '{{ .Files.Get `x` }}'}]"
    reads = layout("pair", {"environments/shop.yaml": manifest.replace("helm:", section)})
    assert inputs_of(reads).shows({"chart/values-prod.yaml"})
    (reads.root / "environments" / "shop.yaml").write_text(manifest)
    assert not inputs_of(reads).shows({"chart/values-prod.yaml"})
    chart = (reads.root / "chart" / "Chart.yaml").read_text()
    depends = (
        "dependencies: [{name: lib, version: 1.0.0, repository: 'https://charts.example.com'}]\n"
    )
    (reads.root / "chart" / "Chart.yaml").write_text(chart + depends)
    assert inputs_of(reads).shows({"chart/values-prod.yaml"})
    (reads.root / "chart" / "charts" / "lib").mkdir(parents=True)
    (reads.root / "chart" / "charts" / "lib" / "Chart.yaml").write_text("name: lib\n")
    assert not inputs_of(reads).shows({"chart/values-prod.yaml"})


def test_what_links_lead_to_has_a_part_in_it_too(layout: Callable[..., DirectoryTree]) -> None:
    read = "{{ .Files.Get `shared/a.txt` }}"
    tree = layout("pair", {"shared/a.txt": "a", "deep/b.txt": "b", "chart/templates/a.yaml": read})
    (tree.root / "chart" / "shared").symlink_to("../shared")
    (tree.root / "shared" / "deep").symlink_to("../deep")
    (tree.root / "chart" / "values.yaml").unlink()
    (tree.root / "chart" / "values.yaml").symlink_to("../all.yaml")
    (tree.root / "all.yaml").write_text("a: 1\n")
    inputs = inputs_of(tree)
    assert inputs.shows({"all.yaml"})
    assert {"chart/shared", "chart/shared/deep"} < inputs.files
    assert inputs.shows({"shared/a.txt"})
    assert inputs.shows({"deep/b.txt"})
    assert not inputs.shows({"b.txt"})


def test_what_the_application_says_of_its_cluster_beats_what_is_known(
    layout: Callable[..., DirectoryTree],
) -> None:
    known = Capabilities("1.33.0", ("apps/v1",))
    assert inputs_of(DirectoryTree(CORPUS / "pair"), known).capabilities == known
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    own = manifest.replace("helm:", "helm:\n      kubeVersion: v1.29.3-gke.1200")
    tree = layout("pair", {"environments/shop.yaml": own})
    found = inputs_of(tree, known).capabilities
    assert found == Capabilities("1.29.3", ("apps/v1",))


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("a-$NAME-b", "a-shop-b"),
        ("${NAME}.yaml", "shop.yaml"),
        ("$NAME.yaml", "shop.yaml"),
        ("x${foo:-y}", "x"),
        ("Z$5abc", "Zabc"),
        ("$$NAME", "$NAME"),
        ("${", ""),
        ("${}x", "x"),
        ("$ 1", "$ 1"),
        ("$é", "$é"),
        ("end$", "end$"),
    ],
)
def test_variables_are_put_in_as_go_does(text: str, becomes: str) -> None:
    assert substitute(text, {"NAME": "shop"}) == becomes


def test_what_was_looked_for_has_a_part_in_it_too(layout: Callable[..., DirectoryTree]) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    more = "valueFiles: [values-prod.yaml, eu.yaml, '/regions/*/values.yaml']"
    own = manifest.replace(
        "valueFiles: [values-prod.yaml]", f"ignoreMissingValueFiles: true\n      {more}"
    )
    inputs = inputs_of(layout("pair", {"environments/shop.yaml": own}))
    assert {"chart/eu.yaml", "regions"} <= inputs.files


def test_the_dependencies_of_an_old_chart(layout: Callable[..., DirectoryTree]) -> None:
    asked = "dependencies: [{name: redis, repository: https://charts.invalid/, version: 20.x}]\n"
    locked = asked.replace("20.x", "20.1.2")
    files = {"chart/requirements.yaml": asked, "chart/requirements.lock": locked}
    assert inputs_of(layout("pair", files)).dependencies == (
        Dependency("redis", "https://charts.invalid", "20.1.2"),
    )


def test_a_chart_of_a_registry_may_be_a_source_of_its_own(
    layout: Callable[..., DirectoryTree],
) -> None:
    manifest = (CORPUS / "helm-repository" / "environments" / "shop.yaml").read_text()
    oci = manifest.replace(
        "http://charts.invalid\n      chart: shop", "oci://reg.invalid/team/shop"
    )
    inputs = inputs_of(layout("helm-repository", {"environments/shop.yaml": oci}))
    assert inputs.remote == RemoteChart("oci://reg.invalid/team", "shop", "0.3.x")


def test_an_override_file_that_is_none_is_told_by_its_line(
    layout: Callable[..., DirectoryTree],
) -> None:
    text = "helm:\n  parameters:\n  - {name: a, value: [hunter2]}\n"
    tree = layout("pair", {"chart/.argocd-source.yaml": text})
    with pytest.raises(ChartRefused, match=r"\.argocd-source\.yaml, line 3, cannot be") as caught:
        chart_inputs(shop(tree), tree)
    assert caught.value.why == "parameters.0.value: Input should be a valid string"
