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
        ("values-dev.yaml", "chart/values.yaml", True),
        ("values-dev.yaml", "chart/a.txt", True),
    ],
)
def test_an_application_that_names_the_file_reads_it(
    tmp_path: Path, file: str, edited: str, *, reads: bool
) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / EDITED).touch()
    (tmp_path / "chart" / "link.yaml").symlink_to("values-prod.yaml")
    text = APPLICATION.format(file=file, repository=REPOSITORY, revision="main")
    (tmp_path / "shop-eu.yaml").write_text(text)
    tree = DirectoryTree(tmp_path)
    manifest = find(applications(tree, ""), "shop-eu")
    assert manifest
    assert may_read(manifest, REPOSITORY, "main", tree, {edited}) is reads


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
