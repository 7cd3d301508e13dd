"""Who we are to a registry, as `docker login` left it in ~/.docker/config.json."""

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plate_release.model import Secret

_HELPER_SECONDS = 10
_IDENTITY = "<token>"  # a credential helper's way to say: the secret is an identity token


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password, or an identity token to be exchanged at the registry's token server."""

    user: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    identity_token: Secret | None = None


def docker_login(host: str, environ: Mapping[str, str]) -> Login | None:
    """Return the login that Docker would use for a registry's host, as in `locate`; None if none.

    A credential helper is run only where the configuration names it for this host or for all.
    """
    config = _config(environ)
    helper = _by_host(config.get("credHelpers")).get(host) or config.get("credsStore")
    if isinstance(helper, str) and re.fullmatch(r"[A-Za-z0-9_.-]+", helper):
        login = _from_helper(helper, host, environ)
        if login:
            return login
    entry = _by_host(config.get("auths")).get(host)
    return _from_entry(entry) if isinstance(entry, dict) else None


def _config(environ: Mapping[str, str]) -> dict[str, Any]:
    folder = environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/"), ".docker")
    try:
        config = json.loads(Path(folder, "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _by_host(section: object) -> dict[str, Any]:
    """Key a section by host: Docker writes `https://index.docker.io/v1/` for its own registry."""
    if not isinstance(section, dict):
        return {}
    hosts = {re.sub(r"^https?://", "", key).partition("/")[0]: v for key, v in section.items()}
    return {"docker.io" if h == "index.docker.io" else h: v for h, v in hosts.items()}


def _from_entry(entry: dict[str, Any]) -> Login | None:
    token = entry.get("identitytoken")
    if token:
        return Login(identity_token=Secret(str(token)))
    try:
        decoded = base64.b64decode(str(entry.get("auth") or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    user, _, password = decoded.rstrip("\0").partition(":")
    user, password = (
        user or str(entry.get("username", "")),
        password or str(entry.get("password", "")),
    )
    return Login(user, Secret(password)) if user else None


def _from_helper(helper: str, host: str, environ: Mapping[str, str]) -> Login | None:
    server = "https://index.docker.io/v1/" if host == "docker.io" else host
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=server,
            capture_output=True,
            text=True,
            check=True,
            timeout=_HELPER_SECONDS,
            env=dict(environ),
        )
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), Secret(str(answer["Secret"]))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None  # as Docker does: without a login, the registry is asked anonymously
    return Login(identity_token=secret) if user == _IDENTITY else Login(user, secret)
