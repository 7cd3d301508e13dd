"""Whom an edit reaches besides the service that is released."""

from pathlib import Path

import pytest

from plate_release.charts import applications, find, shared_with

from .conftest import REPOSITORY, DirectoryTree

APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: {name}}}
spec:
  sources:
    - repoURL: {repository}
      path: chart
      helm: {{valueFiles: [{files}]}}
    - {{repoURL: "{repository}", ref: values}}
"""


@pytest.mark.parametrize(
    ("files", "repository", "shared"),
    [
        ("values-prod.yaml", REPOSITORY, True),
        ("/chart/values-prod.yaml", REPOSITORY, True),
        ("../chart/values-prod.yaml", REPOSITORY, True),
        ("$values/chart/values-prod.yaml", "git@git.example.com:plate/platform.git", True),
        ("values-dev.yaml", REPOSITORY, False),
        ("../../values-prod.yaml", REPOSITORY, False),
        ("values-prod.yaml", "https://git.example.com/other.git", False),
    ],
)
def test_another_application_reads_the_file(
    tmp_path: Path, files: str, repository: str, *, shared: bool
) -> None:
    for name, read, url in [
        ("shop-prod", "values-prod.yaml", REPOSITORY),
        ("shop-eu", files, repository),
    ]:
        text = APPLICATION.format(name=name, files=read, repository=url)
        (tmp_path / f"{name}.yaml").write_text(text)
    found = applications(DirectoryTree(tmp_path), "")
    manifest = find(found, "shop-prod")
    assert manifest is not None
    findings = shared_with(found, manifest, "chart/values-prod.yaml")
    assert [finding.code for finding in findings] == (["shared-values"] if shared else [])
    assert all("shop-eu" in finding.message for finding in findings)


def test_the_charts_own_values_are_read_by_all_that_use_it(tmp_path: Path) -> None:
    for name in ("shop-prod", "shop-dev"):
        text = APPLICATION.format(name=name, files=f"{name}.yaml", repository=REPOSITORY)
        (tmp_path / f"{name}.yaml").write_text(text)
    found = applications(DirectoryTree(tmp_path), "")
    manifest = find(found, "shop-prod")
    assert manifest is not None
    (finding,) = shared_with(found, manifest, "chart/values.yaml")
    assert "read by shop-dev too" in finding.message
