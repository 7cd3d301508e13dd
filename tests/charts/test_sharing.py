"""Which Applications may be reached by an edit besides the one that is released."""

from pathlib import Path

import pytest

from plate_release.charts import applications, find, may_read

from .conftest import REPOSITORY, DirectoryTree

APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: shop-eu}}
spec:
  sources:
    - repoURL: {repository}
      path: chart
      targetRevision: {revision}
      helm: {{valueFiles: ["{file}"], fileParameters: [{{name: a, path: a.txt}}]}}
    - {{repoURL: "{repository}", ref: values, targetRevision: {revision}}}
"""
CHART = """\
apiVersion: v2
name: shop
version: 0.1.0
dependencies: [{name: common, version: 0.1.0, repository: "file://../common"}]
"""
EDITED = "chart/values-prod.yaml"


@pytest.mark.parametrize(
    ("file", "edited", "reads"),
    [
        ("values-prod.yaml", EDITED, True),
        ("/chart/values-prod.yaml", EDITED, True),
        ("../chart/values-prod.yaml", EDITED, True),
        ("$values/chart/values-prod.yaml", EDITED, True),
        ("values-*.yaml", EDITED, True),
        ("$values/**/values-prod.yaml", EDITED, True),
        ("link.yaml", EDITED, True),
        ("values-dev.yaml", EDITED, False),
        ("../other/*.yaml", EDITED, False),
        ("../../values-prod.yaml", EDITED, False),
        ("linked/values-*.yaml", EDITED, True),
        ("*/values-prod.yaml", EDITED, True),
        ("values-dev.yaml", "chart/values.yaml", True),
        ("values-dev.yaml", "common/values.yaml", True),
        ("values-dev.yaml", "elsewhere/values.yaml", True),
        ("values-dev.yaml", "other/values.yaml", False),
        ("values-dev.yaml", "common/other.yaml", False),
        ("values-dev.yaml", "chart/a.txt", True),
    ],
)
def test_an_application_that_names_the_file_reads_it(
    tmp_path: Path, file: str, edited: str, *, reads: bool
) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / EDITED).touch()
    (tmp_path / "chart" / "link.yaml").symlink_to("values-prod.yaml")
    (tmp_path / "chart" / "linked").symlink_to(".")
    (tmp_path / "chart" / "Chart.yaml").write_text(CHART)
    for name in ("common", "elsewhere", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "values.yaml").touch()
    (tmp_path / "chart" / "charts").mkdir()
    (tmp_path / "chart" / "charts" / "elsewhere").symlink_to("../../elsewhere")
    text = APPLICATION.format(file=file, repository=REPOSITORY, revision="main")
    (tmp_path / "shop-eu.yaml").write_text(text)
    tree = DirectoryTree(tmp_path)
    manifest = find(applications(tree, ""), "shop-eu")
    assert manifest
    assert may_read(manifest, REPOSITORY, "main", tree, {edited}) is reads


@pytest.mark.parametrize(
    ("template", "reads"),
    [
        ("{{ .Files.Get `conf/prod.yaml` }}", True),
        ("{{ tpl .Values.text $ }}", True),
        ("{{ .Values.files }}", False),
    ],
)
def test_a_chart_may_read_its_own_files(tmp_path: Path, template: str, *, reads: bool) -> None:
    (tmp_path / "chart" / "templates").mkdir(parents=True)
    (tmp_path / "chart" / "templates" / "a.yaml").write_text(template)
    (tmp_path / "chart" / "conf").mkdir()
    (tmp_path / "chart" / "conf" / "prod.yaml").touch()
    text = "{{ .Files.Get `conf/prod.yaml` }}" if "tpl" in template else "none"
    (tmp_path / "chart" / "values.yaml").write_text(f"text: '{text}'")
    text = APPLICATION.format(file="values.yaml", repository=REPOSITORY, revision="main")
    (tmp_path / "shop-eu.yaml").write_text(text)
    tree = DirectoryTree(tmp_path)
    manifest = find(applications(tree, ""), "shop-eu")
    assert manifest
    assert may_read(manifest, REPOSITORY, "main", tree, {"chart/conf/prod.yaml"}) is reads


@pytest.mark.parametrize(
    ("repository", "revision", "reads"),
    [
        ("git@git.example.com:plate/platform.git", "main", True),
        (REPOSITORY, "HEAD", True),
        (REPOSITORY, "v1.2.3", False),
        ("https://git.example.com/other.git", "main", False),
    ],
)
def test_only_what_follows_the_branch_of_the_repository_counts(
    tmp_path: Path, repository: str, revision: str, *, reads: bool
) -> None:
    text = APPLICATION.format(file="values-prod.yaml", repository=repository, revision=revision)
    (tmp_path / "shop-eu.yaml").write_text(text)
    tree = DirectoryTree(tmp_path)
    manifest = find(applications(tree, ""), "shop-eu")
    assert manifest
    assert may_read(manifest, REPOSITORY, "main", tree, {EDITED}) is reads
