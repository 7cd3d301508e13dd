"""Whether an Application deploys from a branch at all. Pure."""

import re

from plate_release.application import ApplicationSpec, same_repository
from plate_release.errors import PlanRefused

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_VERSION = re.compile(r"(?:[v~^*]|[<>=]{1,2})?\d+(?:\.[\dx*]+)*(?:[-+].*)?")


def repositories(spec: ApplicationSpec) -> tuple[str, ...]:
    """Return the git repositories among the sources, charts of Helm repositories left out."""
    urls: list[str] = []
    for source in spec.all_sources:
        if not source.is_remote and not any(same_repository(source.repo_url, url) for url in urls):
            urls.append(source.repo_url)
    return tuple(urls)


def require_branch(spec: ApplicationSpec, repository: str, branch: str) -> None:
    """Raise PlanRefused where no source follows `branch` of `repository`.

    A commit there could never become live.
    """
    ours = [
        source
        for source in spec.all_sources
        if not source.is_remote and same_repository(source.repo_url, repository)
    ]
    if not ours:
        raise PlanRefused(
            f"No source of the Application is {repository}.",
            why=f"It deploys from {', '.join(repositories(spec)) or 'no git repository'}.",
            todo="Release in that repository: pass it as --repo.",
        )
    if not any(source.follows(branch) for source in ours):
        raise _pinned(ours[0].target_revision, branch)


def _pinned(revision: str, branch: str) -> PlanRefused:
    if _COMMIT.fullmatch(revision):
        kind, todo = "the fixed commit", f"Set targetRevision to {branch}."
    elif revision.startswith("refs/tags/") or _VERSION.fullmatch(revision):
        kind, todo = "the tag", f"Set targetRevision to {branch}, or move the tag."
    else:
        kind, todo = "the revision", f"Pass --branch {revision}, if that is a branch."
    return PlanRefused(
        f"A commit to {branch} can never become live.",
        why=f"The Application follows {kind} {revision}.",
        todo=todo,
    )
