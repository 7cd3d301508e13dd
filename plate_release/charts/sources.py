"""Which source of an Application is this repository, and which one renders the chart. Pure."""

import re
from posixpath import normpath
from typing import TypeAlias

from plate_release.application import ApplicationSpec, Source, same_repository
from plate_release.errors import PlanRefused

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_VERSION = re.compile(r"(?:[v~^*]|[<>=]{1,2})?\d+(?:\.[\dx*]+)*(?:[-+].*)?")


Origin: TypeAlias = tuple[str, str]
"""A source's repoURL and targetRevision."""


def sources(spec: ApplicationSpec) -> tuple[Source, ...]:
    """Return the sources that people write to: the dry source where a hydrator is between."""
    if spec.source_hydrator is not None and not spec.all_sources:
        return (Source.model_validate(spec.source_hydrator.get("drySource") or {}),)
    return spec.all_sources


def repositories(spec: ApplicationSpec) -> tuple[str, ...]:
    """Return the git repositories among the sources, charts of Helm repositories left out."""
    urls: list[str] = []
    for source in sources(spec):
        if not source.is_remote and not any(same_repository(source.repo_url, url) for url in urls):
            urls.append(source.repo_url)
    return tuple(urls)


def follows(source: Source, branch: str) -> bool:
    """Whether a source follows a branch; `HEAD` counts as the branch."""
    return _branch(source.target_revision) in {branch, "HEAD"}


def our_source(spec: ApplicationSpec, repository: str, branch: str, file: str = "") -> int:
    """Return the index of the source that follows `branch` of `repository`.

    Where several do, the one that `file` belongs to by its path, else the one that others refer
    to as `$ref`. Raises PlanRefused where none is, or where it is fixed to something else than
    the branch: a commit there could never become live. `HEAD` counts as the branch.
    """
    ours = [
        (index, source)
        for index, source in enumerate(sources(spec))
        if not source.is_remote and same_repository(source.repo_url, repository)
    ]
    if not ours:
        raise PlanRefused(
            f"No source of the Application is {repository}.",
            why=f"It deploys from {', '.join(repositories(spec)) or 'no git repository'}.",
            todo="Release in that repository: pass it as --repo.",
        )
    following = [pair for pair in ours if follows(pair[1], branch)]
    if not following:
        raise _pinned(ours[0][1].target_revision, branch)
    return min(following, key=lambda pair: _rank(pair[1], file))[0]


def _rank(source: Source, file: str) -> int:
    if file and source.path and file.startswith(normpath(source.path).strip("/") + "/"):
        return 0
    return 1 if source.ref else 2


def _branch(revision: str) -> str:
    return (revision or "HEAD").removeprefix("refs/heads/")


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
