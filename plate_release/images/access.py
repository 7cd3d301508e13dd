"""Asking a registry over HTTP: who may see credentials, and how much we listen.

Source: OCI distribution specification 1.1; distribution's token and OAuth2 specifications.
"""

import base64
import ipaddress
import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException, SSLError
from urllib3 import Retry
from urllib3.exceptions import HTTPError, InvalidHeader

from plate_release.images.challenge import Challenge, challenges
from plate_release.images.credentials import Login
from plate_release.images.reference import DOCKER_HUB, Location

MAX_BYTES = 4 * 1024 * 1024
"""The distribution specification's least limit for manifests."""
_TIMEOUT = (5, 15)  # seconds to connect, and between two bytes
_REDIRECTS = 5
_BUSY = (429, 502, 503, 504)
_MOVED = {301, 302, 303, 307, 308}
_HUB_AT = "registry-1.docker.io"
_TOKEN = re.compile(r"[\x21-\x7e]+")


class RegistryUnavailable(Exception):
    """The registry gave no answer that says whether the image exists."""


class NotAdmitted(RegistryUnavailable):
    """The registry wants a login, or another one."""


class _NoTLS(RegistryUnavailable):
    """What answers does not speak TLS."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the registry said: header names in lower case, the whole body."""

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
    """One repository of one registry, asked with a login or anonymously.

    The login goes to the registry's own origin, and to a token server of its domain, alone.
    """

    where: Location
    login: Login | None
    verify: str | bool
    _session: requests.Session = field(init=False, repr=False)
    _origins: list[str] = field(init=False)
    _authorization: str | None = field(default=None, init=False, repr=False)
    _sent: bool = field(default=False, init=False)  # whether the login was used

    def __post_init__(self) -> None:
        host = _HUB_AT if self.where.host == DOCKER_HUB else self.where.host
        _split(f"https://{host}")
        self._session = _session()
        # No proxy stands between us and this machine, as for Docker.
        self._session.trust_env = not self._is_here
        self._origins = [f"https://{host}", *([f"http://{host}"] if self._is_here else [])]

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def ask(self, route: str, accept: str = "application/json", limit: int = MAX_BYTES) -> Answer:
        """GET `/v2/PATH/ROUTE`, signing in where the registry wants it; `limit` is in bytes.

        Raises RegistryUnavailable, also where it does not let us in.
        """
        while True:
            origin, *others = self._origins
            try:
                answer = self._admitted(f"{origin}/v2/{self.where.path}/{route}", accept, limit)
            except _NoTLS:
                if not others:
                    raise
                self._origins = others
            else:
                self._origins = [origin]
                return answer

    def _admitted(self, url: str, accept: str, limit: int) -> Answer:
        headers = {"Accept": accept}
        answer, at = self._follow(url, headers, self._authorization, limit=limit)
        # Only the registry itself may say where its logins go.
        if answer.status == requests.codes.unauthorized and _origin(at) == _origin(url):
            self._authorization = self._sign_in(answer.headers.get("www-authenticate", ""), url)
            answer, at = self._follow(url, headers, self._authorization, limit=limit)
        if answer.status in (requests.codes.unauthorized, requests.codes.forbidden):
            who = "the login given" if self._sent else "anyone without a login"
            raise NotAdmitted(f"{self.where.host} does not let {who} read {self.where.path}")
        return answer

    def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        authorization: str | None,
        *,
        query: Mapping[str, str] | None = None,
        limit: int = MAX_BYTES,
    ) -> tuple[Answer, str]:
        """Follow redirects; only the first origin ever sees the authorization."""
        home = _origin(url)
        for _ in range(_REDIRECTS + 1):
            ours = authorization is not None and _origin(url) == home
            sent = {**headers, "Authorization": authorization} if ours else headers
            answer = self._once("GET", url, sent, limit=limit, params=query)
            if answer.status not in _MOVED or "location" not in answer.headers:
                return answer, url
            url, query = _joined(url, answer.headers["location"]), None
            self._must_be_secure(url, "redirects to")
        raise RegistryUnavailable(f"{self.where.host} redirects more than {_REDIRECTS} times")

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str | None],
        *,
        limit: int = MAX_BYTES,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            with self._session.request(
                method,
                url,
                headers=headers,
                params=params,
                data=data,
                auth=_as_it_is,
                allow_redirects=False,
                stream=True,
                timeout=_TIMEOUT,
                verify=self.verify,
            ) as response:
                names = {name.lower(): value for name, value in response.headers.items()}
                answer = Answer(response.status_code, names, _body(response, url, limit))
        except (RequestException, HTTPError, OSError, ValueError) as error:
            kind = _NoTLS if _speaks_no_tls(error) else RegistryUnavailable
            raise kind(f"{_shown(url)} cannot be asked: {_cause(error)}") from None
        if answer.status in _BUSY:
            raise RegistryUnavailable(f"{_shown(url)} is busy (HTTP {answer.status})")
        return answer

    def _sign_in(self, header: str, url: str) -> str | None:
        found = {challenge.scheme: challenge for challenge in challenges(header)}
        if bearer := found.get("bearer"):
            return self._token(bearer, url)
        if "basic" in found and self.login and self.login.user:
            self._sent = True
            return _basic(self.login)
        return None

    def _token(self, challenge: Challenge, url: str) -> str:
        realm = _joined(url, challenge.parameters.get("realm", ""))
        self._must_be_secure(realm, "names the token server")
        login = self.login if may_know(self.where.host, realm) else None
        self._sent = login is not None
        scope = f"repository:{self.where.path}:pull"
        query = {"scope": challenge.parameters.get("scope") or scope}
        if service := challenge.parameters.get("service"):
            query["service"] = service
        if login and login.identity_token:
            form = {**query, "grant_type": "refresh_token", "client_id": "plate-release"}
            form["refresh_token"] = login.identity_token.value
            answer = self._once("POST", realm, {}, data=form)
        else:
            answer, _ = self._follow(realm, {}, _basic(login) if login else None, query=query)
        given = answer.json() if answer.status == requests.codes.ok else None
        token = given.get("token") or given.get("access_token") if isinstance(given, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            unseen = self.login and not login
            why = ", and is of another domain, so our login was not sent" if unseen else ""
            raise RegistryUnavailable(
                f"the token server {_shown(realm)} gives no token (HTTP {answer.status}){why}"
            )
        return f"Bearer {token}"

    def _must_be_secure(self, url: str, does: str) -> None:
        """Refuse what is not HTTPS, and this machine to who is not on it."""
        parts = _split(url)
        if parts.scheme == "https" or (
            parts.scheme == "http" and self._is_here and _is_loopback(parts.hostname or "")
        ):
            return
        raise RegistryUnavailable(f"{self.where.host} {does} {_shown(url)}, not HTTPS")

    @property
    def _is_here(self) -> bool:
        return _is_loopback(_split(f"//{self.where.host}").hostname or "")


class _Session(requests.Session):
    """Follows no redirect by itself, and so does not read what comes with one."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """There is none."""
        del resp


class _Patience(Retry):
    def parse_retry_after(self, retry_after: str) -> float:
        """Return seconds; what is no time says nothing."""
        try:
            return super().parse_retry_after(retry_after)
        except InvalidHeader:
            return 0


def _session() -> requests.Session:
    session = _Session()
    patience = _Patience(
        total=2,
        connect=0,
        read=1,
        other=0,
        status_forcelist=_BUSY,
        allowed_methods=None,
        backoff_factor=0.5,
        retry_after_max=5,
        raise_on_status=False,
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=patience))
    return session


def _body(response: requests.Response, url: str, limit: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(64 * 1024):
        body += chunk
        if len(body) > limit:
            raise RegistryUnavailable(f"{_shown(url)} sends more than {limit} bytes")
    return bytes(body)


def _split(url: str) -> SplitResult:
    with _readable():
        parts = urlsplit(url)
        _ = parts.port
        return parts


def _joined(url: str, other: str) -> str:
    with _readable():
        return urljoin(url, other)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise RegistryUnavailable(f"an address cannot be read: {error}") from None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = _split(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def may_know(name: str, realm: str) -> bool:
    """Whether a token server may see a registry's login: on its host, below it, or just above.

    auth.docker.io serves docker.io, gitlab.com serves registry.gitlab.com.
    """
    ours, theirs = _split(f"//{name}").hostname or "", _split(realm).hostname or ""
    _, _, above = ("", "", "") if _address(ours) else ours.partition(".")
    return theirs == ours or theirs.endswith(f".{ours}") or (theirs == above and "." in above)


def _basic(login: Login) -> str:
    # As UTF-8 (RFC 7617); requests would take Latin-1.
    pair = f"{login.user}:{login.password.value}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from adding a login of ~/.netrc."""
    return request


def _shown(url: str) -> str:
    """Return scheme and host alone: what follows may be signed."""
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _speaks_no_tls(error: BaseException) -> bool:
    causes = tuple(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return False
    return any(isinstance(cause, SSLError | ConnectionResetError) for cause in causes)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and what it was raised for, as urllib3 and requests nest them."""
    while True:
        yield error
        inner = getattr(error, "reason", None) or next(
            (a for a in reversed(error.args) if isinstance(a, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            return
        error = inner


def _cause(error: BaseException) -> str:
    """Return the innermost reason, without the URL that requests puts before it."""
    *_, last = _causes(error)
    return str(last).rpartition("): ")[2]
