"""Which of an Application's sources follows a file."""

from typing import Any

import pytest

from plate_release.application import ApplicationSpec, same_repository
from plate_release.argocd.sources import our_source

REPOSITORY, FILE = "https://git.example.com/gitops.git", "charts/server/values-prod.yaml"


def source(path: str = "charts/server", branch: str = "main", **more: Any) -> dict[str, Any]:
    return {"repoURL": REPOSITORY, "path": path, "targetRevision": branch, **more}


VALUES = source(path="", ref="values")
CHART = {
    "repoURL": "https://charts.example.com",
    "chart": "server",
    "helm": {"valueFiles": [f"$values/{FILE}"]},
}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([source()], 0),
        ([source(branch="HEAD")], 0),
        ([source(branch="")], 0),
        ([source(branch="refs/heads/main")], 0),
        ([source(branch="v1.2.3")], None),
        ([source(path=".")], 0),
        ([source(path="./charts/server/")], 0),
        ([source(path="charts/other")], 0),
        ([source(path="charts/other"), source()], 1),
        ([source(path="charts/serv"), source(path="charts/other")], None),
        ([CHART, VALUES], 1),
        ([VALUES, CHART], 0),
        ([source(helm={"valueFiles": [f"$values/{FILE}"]}), VALUES], 1),
        ([CHART], None),
        ([{**source(), "repoURL": "https://elsewhere.example.com/gitops.git"}], None),
        ([], None),
    ],
)
def test_the_source_that_follows_our_file(
    sources: list[dict[str, Any]], expected: int | None
) -> None:
    spec = ApplicationSpec.model_validate({"sources": sources})
    assert our_source(spec, REPOSITORY, "main", FILE) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/acme/gitops.git",
        "https://git.example.com/acme/gitops/",
        "https://user:secret@git.example.com/acme/gitops",
        "https://GIT.example.com/Acme/gitops.git",
        "ssh://git@git.example.com:22/acme/gitops.git",
        "git@git.example.com:acme/gitops.git",
    ],
)
def test_one_repository_has_many_spellings(url: str) -> None:
    assert same_repository(url, "https://git.example.com/acme/gitops")


def test_two_repositories_differ() -> None:
    assert not same_repository("https://a.example.com/x.git", "https://b.example.com/x.git")
    assert not same_repository("https://a.example.com/x.git", "https://a.example.com/y.git")
