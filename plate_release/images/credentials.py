"""Who we are to a registry: as the environment says, else as `docker login` left it."""

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plate_release.errors import UsageError
from plate_release.images.reference import DOCKER_HUB, Location, host_of
from plate_release.model import Secret

_HELPER_SECONDS = 10
_IDENTITY = "<token>"  # a credential helper's way to say: the secret is an identity token
_HUB = "https://index.docker.io/v1/"  # Docker's name for its own registry
_NO_BUSINESS_OF_A_HELPER = {
    "GITOPS_TOKEN",
    "GITHUB_TOKEN",
    "ARGOCD_AUTH_TOKEN",
    "ARGOCD_HEADERS",
    "REGISTRY_PASSWORD",
}


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password, or an identity token to be exchanged at the registry's token server."""

    user: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    identity_token: Secret | None = None


def given_logins(environ: Mapping[str, str]) -> dict[str, Login]:
    """Return the login of REGISTRY (docker.io if unset), REGISTRY_USERNAME, REGISTRY_PASSWORD.

    Raises UsageError where only one of the latter two is given.
    """
    user, password = (environ.get(f"REGISTRY_{name}", "") for name in ("USERNAME", "PASSWORD"))
    if not user and not password:
        return {}
    if not user or not password:
        missing = "REGISTRY_PASSWORD" if user else "REGISTRY_USERNAME"
        raise UsageError(f"{missing} is missing.", todo="Set both, or neither.")
    host = re.sub(r"^https?://", "", environ.get("REGISTRY") or DOCKER_HUB).partition("/")[0]
    return {host_of(host): Login(user, Secret(password))}


def docker_login(where: Location, environ: Mapping[str, str]) -> Login | None:
    """Return the login that Docker would use for a repository; None if none.

    A credential helper is run only where the configuration names it for this host or for all.
    """
    config = _config(environ)
    helpers = _fitting(config.get("credHelpers"), where)
    for helper in (*helpers, config.get("credsStore")):
        if isinstance(helper, str) and re.fullmatch(r"[A-Za-z0-9_.-]+", helper):
            login = _from_helper(helper, where.host, environ)
            if login:
                return login
    logins = map(_from_entry, _fitting(config.get("auths"), where))
    return next((login for login in logins if login), None)


def _config(environ: Mapping[str, str]) -> dict[str, Any]:
    home = environ.get("HOME")
    folder = environ.get("DOCKER_CONFIG") or (home and Path(home, ".docker"))
    if not folder:
        return {}
    try:
        config = json.loads(Path(folder, "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _fitting(section: object, where: Location) -> list[Any]:
    """Return the entries for a repository's host, those for a path of it first.

    Docker keeps `https://index.docker.io/v1/` for its own registry, and tokens of its own below it.
    """
    if not isinstance(section, dict):
        return []
    found = []
    for key, value in section.items():
        host, _, path = re.sub(r"^https?://", "", key, flags=re.IGNORECASE).partition("/")
        path = re.sub(r"^v[12]/?$", "", path).strip("/")
        if host_of(host) == where.host and f"{where.path}/".startswith(f"{path}/" if path else ""):
            found.append((path, value))
    return [value for _, value in sorted(found, key=lambda pair: -len(pair[0]))]


def _from_entry(entry: object) -> Login | None:
    if not isinstance(entry, dict):
        return None
    if token := entry.get("identitytoken"):
        return Login(identity_token=Secret(str(token)))
    user, password = _decoded(str(entry.get("auth") or ""))
    user, password = (
        user or str(entry.get("username") or ""),
        password or str(entry.get("password") or ""),
    )
    return Login(user, Secret(password)) if user else None


def _decoded(auth: str) -> tuple[str, str]:
    bare = "".join(auth.split()).rstrip("=")
    try:
        decoded = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    user, _, password = decoded.rstrip("\0").partition(":")
    return user, password


def _from_helper(helper: str, host: str, environ: Mapping[str, str]) -> Login | None:
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=_HUB if host == DOCKER_HUB else host,
            capture_output=True,
            text=True,
            check=True,
            timeout=_HELPER_SECONDS,
            env={k: v for k, v in environ.items() if k not in _NO_BUSINESS_OF_A_HELPER},
        )
        answer = json.loads(done.stdout)
        user, secret = answer["Username"], answer["Secret"]
    except (
        OSError,
        subprocess.SubprocessError,
        ValueError,
        LookupError,
        TypeError,
        RecursionError,
    ):
        return None  # as Docker does: without a login, the registry is asked anonymously
    if not isinstance(user, str) or not isinstance(secret, str):
        return None
    return (
        Login(identity_token=Secret(secret)) if user == _IDENTITY else Login(user, Secret(secret))
    )
