"""Who asks, and what that account may do: Argo CD's tokens and a few of its roles."""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from plate_release.sandbox.answers import ApiError
from plate_release.sandbox.clock import Clock, stamp

UNAUTHENTICATED = "no session information"
ROLES: dict[str, tuple[tuple[str, str], ...]] = {
    "admin": (("*", "*"),),
    "release": (("applications", "*"), ("logs", "*"), ("repositories", "get")),
    "readonly": (("applications", "get"),),
}


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody with a valid token."""

    name: str
    role: str
    issued: float

    def may(self, resource: str, action: str) -> bool:
        """Tell whether the account's role allows the action."""
        return any(fnmatchcase(resource, r) and fnmatchcase(action, a) for r, a in ROLES[self.role])

    def demand(self, resource: str, action: str, subject: str) -> None:
        """Raise ApiError where the role does not allow it, in Argo CD's words."""
        if not self.may(resource, action):
            raise ApiError(
                7,
                f"permission denied: {resource}, {action}, {subject}, sub: {self.name}, "
                f"iat: {stamp(self.issued)}",
            )


def _part(value: object) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _read(part: str) -> Mapping[str, object]:
    value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value if isinstance(value, dict) else {}


class Accounts:
    """Issues and checks tokens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._roles = {"admin": "admin", "ci": "release", "readonly": "readonly"}
        self.password = secrets.token_urlsafe(12)

    def issue(self, name: str, *, lifetime: float | None = None) -> str:
        """Return a token of the account, valid for ever or for `lifetime` seconds."""
        now = int(self._clock.now())
        claims = {"iss": "argocd", "sub": name, "nbf": now, "iat": now, "jti": secrets.token_hex(8)}
        if lifetime is not None:
            claims["exp"] = now + int(lifetime)
        body = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        return f"{body}.{self._signature(body)}"

    def of(self, headers: Mapping[str, str]) -> Account:
        """Return who sends these headers; raise ApiError where nobody does."""
        token = headers.get("grpc-metadata-token", "")
        if not token:
            kind, _, value = headers.get("authorization", "").partition(" ")
            token = value if kind.lower() == "bearer" else _cookie(headers.get("cookie", ""))
        if token.count(".") != 2:  # noqa: PLR2004 - a JWT has three parts
            raise ApiError(16, UNAUTHENTICATED)
        return self._account(token)

    def _account(self, token: str) -> Account:
        body, _, signature = token.rpartition(".")
        try:
            _read(body.partition(".")[0])
            claims = _read(body.partition(".")[2])
        except ValueError:
            raise ApiError(
                16,
                "invalid session: token is malformed: could not base64 decode header: "
                "illegal base64 data at input byte 0",
            ) from None
        if not hmac.compare_digest(signature, self._signature(body)):
            raise ApiError(16, "invalid session: token signature is invalid: signature is invalid")
        expires, issued = claims.get("exp"), claims.get("iat")
        if isinstance(expires, int) and expires <= self._clock.now():
            raise ApiError(16, "invalid session: token has invalid claims: token is expired")
        name = str(claims.get("sub"))
        return Account(name, self._roles[name], float(issued) if isinstance(issued, int) else 0.0)

    def _signature(self, body: str) -> str:
        digest = hmac.digest(self._key, body.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _cookie(header: str) -> str:
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return next((value for name, _, value in pairs if name == "argocd.token"), "")
