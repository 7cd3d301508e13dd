"""The one place that runs git: alone with what was given to it, bounded in time, ended cleanly."""

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from plate_release.errors import RepositoryUnavailable

# 2.34: signs with ssh keys; fetches the objects named on standard input.
OLDEST = (2, 34)

# What git may know of the caller's environment. All else (GIT_DIR, GIT_CONFIG_*, GIT_ASKPASS,
# GIT_EXTERNAL_DIFF, GIT_TRACE that would print headers, ...) stays out.
_PASSED = (
    "PATH",
    "HOME",
    "TMPDIR",
    "USER",
    "LOGNAME",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
    "GNUPGHOME",
    "GPG_TTY",
    "XDG_RUNTIME_DIR",
)

# Keys of the user's and the machine's configuration that are obeyed: none can run a program.
_INHERITED = re.compile(
    r"http\.(.+\.)?(proxy|sslcainfo|sslcapath)|safe\.directory"
    r"|commit\.gpgsign|gpg\.format|user\.signingkey|user\.name|user\.email"
)

_FIXED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    # Else a question about an object that is not here quietly fetches its whole history.
    "GIT_NO_LAZY_FETCH": "1",
}


class GitFailed(Exception):
    """git ended with an error; what it said is not yet fit to be shown."""

    def __init__(self, command: str, status: int, output: str, complaint: str) -> None:
        super().__init__(f"git {command} ended with {status}")
        self.command, self.status, self.output, self.complaint = command, status, output, complaint


@dataclass(frozen=True, slots=True)
class Git:
    """git in one bare repository of ours.

    settings: configuration for every call, through the environment, so that secrets may be in it.
    patience: seconds after which a call is given up and its processes are ended.
    """

    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    patience: float

    def run(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> bytes:
        """Return what git prints. Raises GitFailed; a timeout is one too."""
        return self.talk(*arguments, stdin=stdin, extra=extra)[0]

    def talk(
        self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> tuple[bytes, str]:
        """Return what git prints and what it remarks on standard error."""
        process = self.start(*arguments, extra=extra, stderr=subprocess.PIPE)
        with ended(process):
            try:
                output, complaint = process.communicate(stdin, timeout=self.patience)
            except subprocess.TimeoutExpired as slow:
                text = f"timed out after {self.patience:g} s"
                raise GitFailed(arguments[0], -signal.SIGKILL, "", text) from slow
        remarks = complaint.decode(errors="replace")
        if process.returncode:
            text = output.decode(errors="replace")
            raise GitFailed(arguments[0], process.returncode, text, remarks)
        return output, remarks

    def start(
        self,
        *arguments: str,
        extra: Mapping[str, str] | None = None,
        stderr: int = subprocess.DEVNULL,
    ) -> "subprocess.Popen[bytes]":
        """Start git with its standard input and output open; the caller ends it with `ended`."""
        return _start(arguments, self.directory, {**self.environment, **(extra or {})}, stderr)


class ended:  # noqa: N801
    """On leaving, the process and all it started are gone, whatever happened."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def __enter__(self) -> None:
        """Nothing begins here."""

    def __exit__(self, *error: object) -> None:
        process = self._process
        if process.poll() is None:
            # Its own session: a fetch has children (ssh, remote-https, index-pack).
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()


def _start(
    arguments: Iterable[str], directory: Path, environment: Mapping[str, str], stderr: int
) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise RepositoryUnavailable(
            "git cannot be started.", why=str(error), todo="Install git 2.34 or later."
        ) from error


def environment(
    environ: Mapping[str, str], settings: Iterable[tuple[str, str]], **more: str
) -> dict[str, str]:
    """Return an environment for git: the caller's harmless part, ours, and `settings`."""
    settings = list(settings)
    result = {name: environ[name] for name in _PASSED if name in environ}
    result |= _FIXED | {"GIT_CONFIG_GLOBAL": os.devnull} | more
    result["GIT_CONFIG_COUNT"] = str(len(settings))
    for index, (key, value) in enumerate(settings):
        result |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return result


def inherited(directory: Path, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the harmless settings of the user's and the machine's git configuration.

    A checkout's own configuration is not among them, wherever `directory` stands.
    """
    names = ("PATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM")
    known = {name: environ[name] for name in names if name in environ}
    try:
        listing = Git(directory, known, 10).run("config", "--list", "--show-scope", "-z")
    except GitFailed:
        # A configuration that git itself cannot read: nothing is inherited.
        return ()
    fields = listing.decode(errors="surrogateescape").split("\0")
    pairs = [
        (key, value)
        for scope, item in zip(fields[::2], fields[1::2], strict=False)
        for key, _, value in [item.partition("\n")]
        if scope in ("system", "global")
    ]
    return tuple((key, value) for key, value in pairs if _INHERITED.fullmatch(key.lower()))


def require_version(directory: Path, environ: Mapping[str, str]) -> None:
    """Raise RepositoryUnavailable where git is missing or older than it may be."""
    told = Git(directory, environ, 10).run("--version").decode(errors="replace")
    found = re.search(r"(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise RepositoryUnavailable(
            f"git is too old: {told.strip()[:80]}.", todo="Install git 2.34 or later."
        )
