"""git's failures, told apart: what a person is told, and what the push loop may try again. Pure."""

import re
from dataclasses import dataclass

from plate_release.errors import PushRefused, ReleaseError, RepositoryUnavailable
from plate_release.gitops.git import GitFailed
from plate_release.gitops.remote import Remote


class Moved(Exception):
    """The branch, or the ledger, is no longer where it was read: plan again."""


class Unanswered(RepositoryUnavailable):
    """The server gave no usable answer this time; the same question may be asked again."""


class BranchMissing(RepositoryUnavailable):
    """The repository answers, but has no such branch."""


@dataclass(frozen=True, slots=True)
class _Kind:
    pattern: re.Pattern[str]
    error: type[ReleaseError | Moved]
    what: str
    todo: str = ""


def _kind(pattern: str, error: type[ReleaseError | Moved], what: str, todo: str = "") -> _Kind:
    return _Kind(re.compile(pattern, re.IGNORECASE), error, what, todo)


_PLACE = "Check --repo, and that the token may see the repository (GITOPS_TOKEN)."
_TOKEN = "Give a token that may read and write the repository's contents (GITOPS_TOKEN)."  # noqa: S105

# The first that fits wins. The words are git's own under LC_ALL=C (transport.c, send-pack.c,
# remote-curl.c, receive-pack.c), and GitHub's and GitLab's for protected branches.
_KINDS = (
    _kind(
        r"no space left on device|disk quota exceeded|file too large|unable to write (file|loose)",
        RepositoryUnavailable,
        "The disk is full.",
        "Free space in TMPDIR, or point TMPDIR at a larger disk.",
    ),
    _kind(
        r"protected branch|GH006|GH013|repository rule violations|not allowed to push code to prot",
        PushRefused,
        "The branch is protected.",
        "Let the release's identity bypass the protection, or release through another branch.",
    ),
    _kind(
        r"hook declined|\(GL-HOOK-ERR",
        PushRefused,
        "A hook of the server declined the commit.",
        "Do what the hook asks for, then run the release again.",
    ),
    _kind(
        r"\((fetch first|non-fast-forward|stale info|failed to update ref|failed to lock"
        r"|incorrect old value provided|reference already exists|atomic (push failed|transaction"
        r" failed)|cannot lock references?)\)|cannot lock ref"
        r"|atomic push failed|unable to create '[^']*\.lock'",
        Moved,
        "The branch moved.",
    ),
    _kind(
        r"gpg failed to sign|failed to write commit object|load public key|signing failed",
        RepositoryUnavailable,
        "The release commit cannot be signed.",
        "Check git's user.signingKey and gpg.format, or turn commit.gpgSign off.",
    ),
    _kind(
        r"does not support --atomic",
        PushRefused,
        "The server cannot push a commit and its ledger entry together.",
        "Use a git server that knows atomic pushes (GitHub, GitLab, Gitea, git itself do).",
    ),
    _kind(
        r"dubious ownership",
        RepositoryUnavailable,
        "git does not trust the repository: it belongs to another user.",
        "Run `git config --global --add safe.directory PATH` if you trust it.",
    ),
    _kind(
        r"(error:|HTTP) 40[13]\b|authentication failed|could not read (username|password)"
        r"|terminal prompts disabled|access denied|permission denied"
        r"|host key verification failed",
        RepositoryUnavailable,
        "The repository does not let us in.",
        _TOKEN,
    ),
    _kind(
        r"(error:|HTTP) 404\b|repository '.*' not found|repository not found"
        r"|does not appear to be a git repository",
        RepositoryUnavailable,
        "There is no such repository, or it may not be seen.",
        _PLACE,
    ),
    _kind(
        # Where the server is no HTTP one, it hangs up behind that.
        r"no commits selected",
        RepositoryUnavailable,
        "The server has no commit so new.",
        "Run the same command again.",
    ),
    _kind(
        r"not our ref",
        Unanswered,
        "The branch was rewritten while it was read.",
        "Run the same command again.",
    ),
    _kind(
        r"couldn't find remote ref|remote ref does not exist",
        BranchMissing,
        "The repository has no such branch.",
        "Check --branch.",
    ),
    _kind(
        r"(error:|HTTP) 30[1278]\b|redirect",
        RepositoryUnavailable,
        "The repository has moved to another address.",
        "Give its new address with --repo; a token is not sent after a redirect.",
    ),
    _kind(
        r"(error:|HTTP) 413\b",
        RepositoryUnavailable,
        "The server found the request too large (413).",
        "Raise the request limit of the proxy before the git server.",
    ),
    _kind(
        r"certificate",
        RepositoryUnavailable,
        "The server's certificate is not trusted.",
        "Point GIT_SSL_CAINFO at the certificate authority's file.",
    ),
    _kind(
        r"not valid: could not determine hash algorithm|not valid: is this a git repository"
        r"|invalid server response|unexpected content-type",
        RepositoryUnavailable,
        "The server answers, but not as a git server does (a login page?).",
        _PLACE,
    ),
    _kind(
        r"(error:|HTTP) (429|5\d\d)\b|could not resolve host|failed to connect"
        r"|couldn't connect|connection (refused|reset|timed out|was closed)|timed out|timeout"
        r"|early EOF|hung up unexpectedly|unexpected disconnect|too slow|empty reply"
        r"|transfer closed|RPC failed|recv failure|expected flush|bad line length"
        r"|network is unreachable|no route to host|bytes of body are still expected"
        r"|index-pack|unexpected end of|SSL_ERROR|GnuTLS",
        Unanswered,
        "The git server does not answer as it should.",
        "Nothing is known to have changed; run the same command again when it is back.",
    ),
    _kind(
        r"could not read from remote repository",
        RepositoryUnavailable,
        "The repository does not let us in, or does not exist.",
        _PLACE,
    ),
)

_UNKNOWN = _kind("", RepositoryUnavailable, "git failed.", "Read what git said above.")

# Escape sequences whole (CSI, OSC, two characters), then any other control or direction mark.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_LONGEST = 2000


def neutral(text: str) -> str:
    """Return `text` without escape sequences, control characters and direction marks."""
    return _ESCAPES.sub("", text.replace("\r\n", "\n"))


def no_room(error: OSError) -> RepositoryUnavailable:
    """Return the error for a file of ours that could not be written."""
    return RepositoryUnavailable(
        "There is no room for a private copy of the repository.",
        why=str(error),
        todo="Free space in TMPDIR, or point TMPDIR at a disk that can be written.",
    )


def explain(failed: GitFailed, remote: Remote) -> ReleaseError | Moved:
    """Return the error that says what git's failure means.

    While pushing, a refusal is a PushRefused, since reading had worked before.
    """
    text = f"{failed.output}\n{failed.complaint}"
    kind = next((kind for kind in _KINDS if kind.pattern.search(text)), _UNKNOWN)
    if issubclass(kind.error, Moved):
        return Moved(kind.what)
    error = kind.error
    if failed.command == "push" and error in (RepositoryUnavailable, BranchMissing):
        error = PushRefused
    return error(f"{kind.what} ({remote.url})", why=_said(failed, remote), todo=kind.todo)


def _said(failed: GitFailed, remote: Remote) -> str:
    """Return what the server, else git, said: without secrets, controls and git's advice."""
    lines = [line.strip() for line in neutral(failed.complaint).splitlines()]
    server = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    own = [line for line in lines if line.startswith(("fatal:", "error:"))]
    chosen = [line for line in server if line] or own or [line for line in lines if line]
    return remote.without_secrets("\n".join(dict.fromkeys(chosen)))[:_LONGEST]
