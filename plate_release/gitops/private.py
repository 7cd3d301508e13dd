"""The private bare repository that a run works in, and the settings git runs under there."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from plate_release.gitops.backoff import attempts
from plate_release.gitops.commit import Signing
from plate_release.gitops.git import Git, GitFailed, environment, inherited, require_version
from plate_release.gitops.refusals import Unanswered, explain, no_room
from plate_release.gitops.remote import Remote
from plate_release.model import Clock

_SETTINGS = {
    "core.fsync": "none",
    "core.hooksPath": os.devnull,
    "core.logAllRefUpdates": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    # A token would follow a redirect to whoever it leads to.
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1",
    # Above any release commit: git asks twice where a request is larger.
    "http.postBuffer": "16777216",
    "maintenance.auto": "false",
    "protocol.version": "2",
    "remote.origin.partialCloneFilter": "blob:none",
    "remote.origin.promisor": "true",
    "remote.origin.tagOpt": "--no-tags",
    "transfer.unpackLimit": "1",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds.

    stall: without a byte, before a connection is given up. answer: for a question that fails in a
    way that may pass (5xx, 429, a connection that breaks), until it is no longer repeated.
    """

    stall: float = 30.0
    answer: float = 20.0


@dataclass(frozen=True, slots=True)
class Private:
    """git in the private repository, and how it asks the server."""

    git: Git
    remote: Remote
    clock: Clock
    patience: Patience
    signing: Signing | None
    rng: Random = field(default_factory=Random, repr=False)

    @classmethod
    def prepare(
        cls,
        folder: Path,
        remote: Remote,
        environ: Mapping[str, str],
        clock: Clock,
        patience: Patience,
    ) -> Self:
        """Make the repository in `folder`. Raises RepositoryUnavailable."""
        given = inherited(folder, environ)
        stall = ("http.lowSpeedTime", str(max(1, round(patience.stall))))
        own = [*given, *_SETTINGS.items(), stall, ("remote.origin.url", remote.url)]
        variables = environment(environ, [*own, *remote.settings]) | remote.variables
        try:
            if trusted := [value for key, value in given if key.lower() == "safe.directory"]:
                variables["GIT_CONFIG_GLOBAL"] = str(_trusting(folder, trusted))
            require_version(folder, variables)
            make = ("init", "--quiet", "--bare", "--template=", "git")
            Git(folder, variables, patience.stall).run(*make)
            git = Git(folder / "git", variables, 10 * patience.stall)
            # Read from the repository's own file alone.
            git.run("config", "extensions.partialClone", "origin")
        except GitFailed as failed:
            raise explain(failed, remote) from failed
        except OSError as error:
            raise no_room(error) from error
        return cls(git, remote, clock, patience, Signing.configured(given))

    def ask(self, *arguments: str, stdin: bytes = b"") -> str:
        """Ask the server, again where it gives no answer, and return git's remarks.

        For questions alone, never for a push. Raises GitFailed.
        """
        failure: GitFailed | None = None
        for _ in attempts(self.clock, self.patience.answer, self.rng):
            try:
                return self.once(*arguments, stdin=stdin)[1]
            except GitFailed as failed:
                failure = failed
                if not isinstance(explain(failed, self.remote), Unanswered):
                    break
        assert failure is not None  # noqa: S101
        raise failure

    def once(self, *arguments: str, stdin: bytes = b"", **extra: str) -> tuple[bytes, str]:
        """Run a command that talks to the server, once. Raises GitFailed."""
        # Where a token is given, no .netrc may add another.
        home = {"HOME": os.devnull} if self.remote.settings else {}
        return self.git.talk(*arguments, stdin=stdin, extra={**home, **extra})

    def push(self, *arguments: str) -> None:
        """Push, once. Raises GitFailed."""
        # Over HTTP git always packs against the files' former contents: fetched if need be.
        self.once("push", *arguments, GIT_NO_LAZY_FETCH="0")


@contextmanager
def folder_for(workspace: Path | None) -> Iterator[Path]:
    """Give a folder of our own, which is gone afterwards."""
    try:
        holder = tempfile.TemporaryDirectory(
            prefix="plate-release-", dir=workspace, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise no_room(error) from error
    with holder as folder:
        yield Path(folder)


def _trusting(folder: Path, directories: list[str]) -> Path:
    """Write the configuration that lets git serve a repository of another user, as ours is read.

    git passes no other setting on to the server's side of a repository on this machine.
    """
    quoted = (d.replace("\\", "\\\\").replace('"', '\\"') for d in directories)
    path = folder / "trusted"
    path.write_text("[safe]\n" + "".join(f'\tdirectory = "{d}"\n' for d in quoted))
    return path
