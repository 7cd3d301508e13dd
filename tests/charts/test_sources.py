"""Which source of an Application is the repository that is released to."""

import pytest

from plate_release.application import ApplicationSpec, same_repository
from plate_release.charts import repositories, require_branch
from plate_release.errors import PlanRefused

OURS = "https://github.com/Plate/platform.git"


@pytest.mark.parametrize(
    "other",
    [
        "https://github.com/plate/platform",
        "https://user:word@GitHub.com/plate/platform.git/",
        "git@github.com:plate/platform.git",
        "ssh://git@github.com:22/plate/platform.git",
        "http://github.com:80/plate/platform",
    ],
)
def test_one_repository_by_many_urls(other: str) -> None:
    assert same_repository(OURS, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (OURS, "https://gitlab.com/plate/platform.git"),
        (OURS, "https://github.com/plate/platform2.git"),
        ("http://127.0.0.1:4001/r.git", "http://127.0.0.1:4002/r.git"),
        ("/srv/a.git", "/srv/A.git"),
    ],
)
def test_two_repositories(one: str, other: str) -> None:
    assert not same_repository(one, other)


def test_a_path_and_its_file_url() -> None:
    assert same_repository("/srv/platform.git", "file:///srv/platform")


def spec(*sources: dict[str, str]) -> ApplicationSpec:
    return ApplicationSpec.model_validate({"sources": [{"repoURL": OURS} | s for s in sources]})


@pytest.mark.parametrize("revision", ["main", "refs/heads/main", "HEAD", ""])
def test_the_branch_is_followed(revision: str) -> None:
    pinned = {"path": "a", "targetRevision": "v1"}
    require_branch(spec(pinned, {"path": "b", "targetRevision": revision}), OURS, "main")
    with pytest.raises(PlanRefused, match="can never become live"):
        require_branch(spec(pinned), OURS, "main")


@pytest.mark.parametrize(
    ("revision", "why"),
    [
        ("v1.2.3", "the tag v1.2.3"),
        ("refs/tags/x", "the tag refs/tags/x"),
        (">=1.2", "the tag >=1.2"),
        ("0123456789abcdef0123456789abcdef01234567", "the fixed commit"),
        ("release", "the revision release"),
    ],
)
def test_what_does_not_follow_the_branch_is_refused(revision: str, why: str) -> None:
    with pytest.raises(PlanRefused, match="A commit to main can never become live") as caught:
        require_branch(spec({"path": "a", "targetRevision": revision}), OURS, "main")
    assert why in caught.value.why


def test_another_repository_is_named() -> None:
    other = spec({"repoURL": "https://git.example.com/b.git", "path": "a"})
    assert repositories(other) == ("https://git.example.com/b.git",)
    with pytest.raises(PlanRefused, match=r"git\.example\.com/b\.git"):
        require_branch(other, OURS, "main")


def test_the_dry_source_of_a_hydrator() -> None:
    dry = {"repoURL": OURS, "path": "chart", "targetRevision": "main"}
    hydrated = ApplicationSpec.model_validate({"sourceHydrator": {"drySource": dry}})
    require_branch(hydrated, OURS, "main")
    with pytest.raises(PlanRefused, match="can never become live"):
        require_branch(hydrated, OURS, "next")
    assert repositories(hydrated) == (OURS,)
