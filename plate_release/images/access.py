"""Asking a registry over HTTP: who may see credentials, how long and how much we listen."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from plate_release.images.credentials import Login

MAX_BYTES = 4 * 1024 * 1024
"""The distribution specification's least limit for manifests; nothing that we read is larger."""
_TIMEOUT = (5, 15)  # seconds to connect, and between two bytes
_DEADLINE = 60.0  # seconds for one answer
_MAX_WAIT = 10.0  # seconds that a Retry-After may ask for
_ATTEMPTS = 3
_REDIRECTS = 5
_BUSY = {429, 502, 503, 504}
_MOVED = {301, 302, 303, 307, 308}
_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"')
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class RegistryUnavailable(Exception):
    """The registry gave no answer that says whether the image exists."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the registry said: header names in lower case, the body up to `MAX_BYTES`."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON; raises RegistryUnavailable where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise RegistryUnavailable("the registry's answer is not JSON") from None


@dataclass(slots=True)
class Access:
    """One repository of one registry; `name` is the host as users write it, such as docker.io.

    The login goes to the registry's own host, and to a token server of its domain, alone.
    """

    name: str
    path: str
    login: Login | None
    session: requests.Session
    sleep: Callable[[float], None]
    verify: str | bool = True
    _authorization: str | None = field(default=None, repr=False)

    def ask(self, method: str, route: str, accept: str = "application/json") -> Answer:
        """Ask for `/v2/PATH/ROUTE`, signing in where the registry wants it.

        Raises RegistryUnavailable, also where it does not let us in.
        """
        url = f"{_origin(self.name)}/v2/{self.path}/{route}"
        headers = {"Accept": accept}
        answer = self._follow(method, url, headers)
        if answer.status == requests.codes.unauthorized:
            self._authorization = self._sign_in(answer.headers.get("www-authenticate", ""))
            answer = self._follow(method, url, headers)
        if answer.status in (requests.codes.unauthorized, requests.codes.forbidden):
            who = "the login given" if self.login else "anyone without a login"
            raise RegistryUnavailable(f"{self.name} does not let {who} read {self.path}")
        return answer

    def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """Follow redirects; only the registry's own origin ever sees the authorization."""
        origin = _origin(self.name)
        for _ in range(_REDIRECTS + 1):
            sent = dict(headers)
            if self._authorization and _same_origin(url, origin):
                sent["Authorization"] = self._authorization
            answer = self._patiently(method, url, sent)
            if answer.status not in _MOVED or "location" not in answer.headers:
                return answer
            url = urljoin(url, answer.headers["location"])
            if not _secure(url):
                raise RegistryUnavailable(f"{self.name} redirects to {_shown(url)}, not HTTPS")
        raise RegistryUnavailable(f"{self.name} redirects more than {_REDIRECTS} times")

    def _patiently(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask again where the registry is busy, as it says, within bounds."""
        attempt = 1
        while True:
            answer = self._once(method, url, headers, data)
            if answer.status not in _BUSY:
                return answer
            wait = _retry_after(answer.headers.get("retry-after"), attempt)
            if attempt == _ATTEMPTS or wait > _MAX_WAIT:
                raise RegistryUnavailable(f"{_shown(url)} is busy (HTTP {answer.status})")
            self.sleep(wait)
            attempt += 1

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], data: Mapping[str, str] | None
    ) -> Answer:
        try:
            with self.session.request(
                method,
                url,
                headers=dict(headers),
                data=data,
                auth=_as_it_is,
                allow_redirects=False,
                stream=True,
                timeout=_TIMEOUT,
                verify=self.verify,
            ) as response:
                body = b"".join(_limited(response, url))
                names = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status_code, names, body)
        except (requests.RequestException, OSError, ValueError) as error:
            raise RegistryUnavailable(f"{_shown(url)} cannot be asked: {_cause(error)}") from None

    def _sign_in(self, challenge: str) -> str | None:
        scheme, _, parameters = challenge.partition(" ")
        if scheme.lower() == "bearer":
            return self._token(dict(_PARAMETER.findall(parameters)))
        if scheme.lower() == "basic" and self.login and self.login.user:
            return _basic(self.login)
        return None

    def _token(self, challenge: Mapping[str, str]) -> str:
        """Fetch a token (distribution's token and OAuth2 specifications)."""
        realm = challenge.get("realm", "")
        if not _secure(realm):
            raise RegistryUnavailable(f"{self.name} names the token server {_shown(realm)}")
        query = {"service": challenge.get("service", ""), "scope": f"repository:{self.path}:pull"}
        login = self.login if _may_know(self.name, realm) else None
        if login and login.identity_token:
            form = {**query, "grant_type": "refresh_token", "client_id": "plate-release"}
            form["refresh_token"] = login.identity_token.value
            answer = self._patiently("POST", realm, {}, form)
        else:
            url = requests.Request("GET", realm, params=query).prepare().url or realm
            headers = {"Authorization": _basic(login)} if login else {}
            answer = self._patiently("GET", url, headers)
        given = answer.json() if answer.status == requests.codes.ok else {}
        token = given.get("token") or given.get("access_token") if isinstance(given, dict) else None
        if not isinstance(token, str):
            raise RegistryUnavailable(f"{_shown(realm)} gives no token (HTTP {answer.status})")
        return f"Bearer {token}"


def _origin(name: str) -> str:
    host = "registry-1.docker.io" if name == "docker.io" else name
    plain = urlsplit(f"//{host}").hostname in _LOOPBACK
    return f"{'http' if plain else 'https'}://{host}"


def _same_origin(url: str, origin: str) -> bool:
    one, other = urlsplit(url), urlsplit(origin)
    return (one.scheme, one.netloc) == (other.scheme, other.netloc)


def _secure(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _may_know(name: str, realm: str) -> bool:
    """Whether a token server is the registry's: its host, or one below or above it.

    auth.docker.io serves docker.io, gitlab.com serves registry.gitlab.com.
    """
    ours, theirs = urlsplit(f"//{name}").hostname or "", urlsplit(realm).hostname or ""
    above = "." in theirs and ours.endswith(f".{theirs}")
    return ours == theirs or theirs.endswith(f".{ours}") or above


def _limited(response: requests.Response, url: str) -> Iterator[bytes]:
    end, size = time.monotonic() + _DEADLINE, 0
    for chunk in response.iter_content(64 * 1024):
        size += len(chunk)
        if size > MAX_BYTES or time.monotonic() > end:
            raise RegistryUnavailable(f"{_shown(url)} sends too much, or too slowly")
        yield chunk


def _retry_after(header: str | None, attempt: int) -> float:
    return float(header) if header and header.isdecimal() else float(attempt)


def _basic(login: Login) -> str:
    prepared = requests.Request(
        "GET", "http://x", auth=(login.user, login.password.value)
    ).prepare()
    return prepared.headers["Authorization"]


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a login of ~/.netrc."""
    return request


def _shown(url: str) -> str:
    """Return scheme and host alone: what follows may be signed."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _cause(error: BaseException) -> str:
    """Return the innermost reason, without the URL that requests puts before it."""
    reason: Any = error
    while isinstance(getattr(reason, "reason", None), BaseException):
        reason = reason.reason
    inner = reason.args[0] if reason.args and isinstance(reason.args[0], BaseException) else reason
    return str(getattr(inner, "reason", inner)).rpartition("): ")[2]
