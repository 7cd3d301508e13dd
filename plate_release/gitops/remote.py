"""Where the repository is, and what may be sent there: address, token, SSH key.

A token reaches git through the environment alone, as a header for its own origin (the first, empty
value drops a header that the runner's configuration may add: git would send both).
"""

import base64
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit, urlunsplit

from plate_release.errors import UsageError
from plate_release.model import Secret

# What git is let to speak.
_SCHEMES = {"file", "http", "https", "ssh"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens the repository.

    username: the name beside the token; GitHub takes any, others their own.
    ssh_key, known_hosts: where given, the only key and the only hosts that ssh accepts.
    """

    token: Secret | None = None
    username: str = "x-access-token"
    ssh_key: Path | None = None
    known_hosts: Path | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository's address without credentials, and the credentials."""

    url: str
    credentials: Credentials

    @classmethod
    def parse(cls, url: str, credentials: Credentials) -> Self:
        """Take an address; a password inside it becomes the token where none was given.

        Raises UsageError for an address that git would not understand as one.
        """
        scheme, absolute, _ = url.partition("://")
        if (
            not url
            or _CONTROL.search(url)
            or url.startswith("-")
            or "::" in url.partition("/")[0]
            or (absolute and scheme.lower() not in _SCHEMES)
        ):
            # What stands before an @ may be a password.
            shown = url.rpartition("@")[2]
            raise UsageError(
                f"{shown!r} is no repository.", todo="Give a URL or a path with --repo."
            )
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.username is None:
            return cls(url, credentials)
        host = parts.netloc.rpartition("@")[2]
        clean = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        password = unquote(parts.password or parts.username)
        if credentials.token is None:
            name = unquote(parts.username) if parts.password else credentials.username
            credentials = replace(credentials, token=Secret(password), username=name)
        return cls(clean, credentials)

    @property
    def origin(self) -> str:
        """Scheme, host and port, as git compares them."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/"

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """The configuration that carries the token; for the environment, never for argv."""
        token = self.credentials.token
        if token is None or not self.url.startswith(("http://", "https://")):
            return ()
        key = f"http.{self.origin}.extraHeader"
        return ((key, ""), (key, f"AUTHORIZATION: basic {self._basic(token)}"))

    @property
    def variables(self) -> dict[str, str]:
        """The environment that makes ssh ask nothing and trust only what was given."""
        options = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]
        if key := self.credentials.ssh_key:
            options += ["-F", "/dev/null", "-o", "IdentitiesOnly=yes", "-i", str(key)]
        if hosts := self.credentials.known_hosts:
            options += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={hosts}"]
        return {"GIT_SSH_COMMAND": shlex.join(options), "GIT_SSH_VARIANT": "ssh"}

    def without_secrets(self, text: str) -> str:
        """Return `text` with the token, plain and encoded, starred out."""
        token = self.credentials.token
        if token is None or not token.value:
            return text
        return text.replace(token.value, "***").replace(self._basic(token), "***")

    def _basic(self, token: Secret) -> str:
        return base64.b64encode(f"{self.credentials.username}:{token.value}".encode()).decode()
