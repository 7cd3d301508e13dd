"""Which repository a person means: a URL, a bare repository's path, or a work tree's origin."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from plate_release.errors import UsageError
from plate_release.gitops.git import Git, GitFailed, environment
from plate_release.gitops.remote import Credentials, Remote

_URL = re.compile(r"[\w+.-]+://|[^/]+@[^/:]+:")


def locate(said: str | None, here: Path, environ: Mapping[str, str]) -> str:
    """Return the repository to open. Raises UsageError where there is none.

    said: what --repo was given; None means the origin of the work tree around `here`.
    """
    if said and _URL.match(said):
        return said
    place = here / (said or ".")
    # Only its configuration is read: nothing of the checkout runs.
    git = Git(place, environment(environ, [("safe.directory", "*")]), 10)
    if not place.is_dir():
        raise UsageError(
            f"There is no repository {said}.", todo="Give a URL or a path with --repo."
        )
    try:
        bare, folder = (
            git.run("rev-parse", "--is-bare-repository", "--absolute-git-dir")
            .decode(errors="surrogateescape")
            .splitlines()
        )
    except GitFailed as error:
        raise UsageError(
            f"{os.fspath(place)} is no git repository.", todo="Give a URL or a path with --repo."
        ) from error
    if bare == "true":
        return folder
    try:
        url = git.run("config", "--get", "remote.origin.url").decode().strip()
    except GitFailed as error:
        raise UsageError(
            f"The work tree {os.fspath(place)} has no remote named origin.",
            todo="Give the GitOps repository with --repo.",
        ) from error
    # A relative path in a configuration is relative to its work tree.
    return url if _URL.match(url) else os.path.normpath(place / url)


def branch_named(said: str, here: Path, environ: Mapping[str, str]) -> str:
    """Return the branch that was said; UsageError for what git takes for no branch's name."""
    try:
        Git(here, environment(environ, []), 10).run("check-ref-format", f"refs/heads/{said}")
    except GitFailed as error:
        raise UsageError(f"{said!r} is no branch's name.", todo="Correct --branch.") from error
    return said


def shown(url: str) -> str:
    """Return the address without the credentials that it may hold."""
    return Remote.parse(url, Credentials()).url
