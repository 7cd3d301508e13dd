"""Where Argo CD's API is and how it is spoken to, from the environment of the argocd CLI."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from plate_release.errors import UsageError
from plate_release.model import Secret

_TRUE = {"1", "t", "true", "yes", "on"}
_FALSE = {"", "0", "f", "false", "no", "off"}
_HEADER = re.compile(r"(?P<name>[!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*:\s*(?P<value>[^\x00-\x1f\x7f]*)")
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Connection:
    """An Argo CD API server.

    url: `https://host[:port][/rootpath]`, without a slash at its end. ca_file: PEM certificates
    that replace the system's. insecure: the server's certificate is not verified. headers: sent
    with every request, for a proxy in front.
    """

    url: str
    token: Secret
    ca_file: Path | None = None
    insecure: bool = False
    headers: tuple[tuple[str, Secret], ...] = ()


def connection_from(environment: Mapping[str, str], *, server: str = "") -> Connection:
    """Return the connection that ARGOCD_SERVER and its relatives describe.

    server: used where ARGOCD_SERVER is not set (the configuration file's). Raises UsageError.
    """
    plaintext = _flag(environment, "ARGOCD_PLAINTEXT")
    ca_file = environment.get("ARGOCD_CA_FILE", "").strip()
    return Connection(
        url=_url(environment.get("ARGOCD_SERVER", "").strip() or server.strip(), plaintext),
        token=_token(environment.get("ARGOCD_AUTH_TOKEN", "").strip()),
        ca_file=Path(ca_file) if ca_file else None,
        insecure=_flag(environment, "ARGOCD_INSECURE"),
        headers=_headers(environment.get("ARGOCD_HEADERS", "")),
    )


def _flag(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in _TRUE | _FALSE:
        raise UsageError(f"{name} is neither true nor false", todo=f"Set {name} to true or false.")
    return value in _TRUE


def _url(server: str, plaintext: bool) -> str:
    if not server:
        raise UsageError(
            "no Argo CD server is configured",
            todo="Set ARGOCD_SERVER to its host, host:port or URL.",
        )
    scheme = "http" if plaintext else "https"
    try:
        parts = urlsplit(server if "://" in server else f"{scheme}://{server}")
        port = parts.port
    except ValueError:
        raise _bad_server("its host or its port is malformed") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _bad_server("it is not a host, host:port or http(s) URL")
    if parts.username is not None or parts.query or parts.fragment:
        raise _bad_server("a user, a password, a query and a fragment have no place in it")
    if re.search(r"[^!-~]", server):
        raise _bad_server("it holds characters that a URL cannot have")
    if plaintext and parts.scheme == "https":
        raise _bad_server("it says https and ARGOCD_PLAINTEXT says the opposite")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _bad_server(why: str) -> UsageError:
    return UsageError(
        "ARGOCD_SERVER cannot be understood",
        why=f"{why[0].upper()}{why[1:]}.",
        todo="Set it to host, host:port or https://host[:port][/rootpath].",
    )


def _token(token: str) -> Secret:
    if not token:
        raise UsageError(
            "no Argo CD token is configured",
            todo="Set ARGOCD_AUTH_TOKEN; `argocd account generate-token --account NAME` makes one.",
        )
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            "ARGOCD_AUTH_TOKEN holds a space, a line break or another character no token has",
            todo="Set it to the token alone, as `argocd account generate-token` printed it.",
        )
    return Secret(token)


def _headers(lines: str) -> tuple[tuple[str, Secret], ...]:
    found = []
    for number, line in enumerate(lines.splitlines(), start=1):
        if not line.strip():
            continue
        header = _HEADER.fullmatch(line.strip())
        if header is None:
            raise UsageError(
                f"line {number} of ARGOCD_HEADERS is not a header",
                todo="Write one `Name: value` a line.",
            )
        found.append((header["name"], Secret(header["value"])))
    return tuple(found)
