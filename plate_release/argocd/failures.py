"""What Argo CD's API can answer instead of what was asked, each kind told apart.

::

    ArgoUnavailable
    └── CallFailed
        ├── Unauthorized         401: no token, a wrong one, an expired one
        ├── Forbidden            403: a permission is missing
        │   └── WindowClosed     a sync that a sync window forbids
        ├── NotFound             404: no such Application, or no API at this address
        ├── OperationInProgress  another operation runs; retryable
        ├── NoOperation          nothing to terminate
        ├── Rejected             any other 4xx
        ├── Unwell               429 and 5xx: Argo CD or what stands before it
        ├── NotArgo              an answer that is not Argo CD's: HTML, a redirect, broken JSON
        └── Unreachable          no answer: DNS, refused, reset, TLS
            └── TimedOut         no answer in time

The shapes are those of argo-cd's grpc-gateway: `{"error","code","message"}`, on streams
`{"error":{"grpc_code","http_code","message"}}`; routing errors are plain text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from plate_release.errors import ArgoUnavailable

_LONGEST_EXCERPT = 300


class CallFailed(ArgoUnavailable):
    """A request to Argo CD that was not answered with what was asked.

    status: the HTTP status, 0 where none came. message: Argo CD's own words. retry_after: seconds
    that the server asked to wait.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        todo: str = "",
        status: int = 0,
        message: str = "",
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(what, why=why, todo=todo)
        self.status, self.message, self.retry_after = status, message, retry_after


class Unauthorized(CallFailed):
    """The token is missing, wrong or expired."""


class Forbidden(CallFailed):
    """The token's account lacks a permission, or (without a project) the Application is missing."""


class WindowClosed(Forbidden):
    """A sync window forbids the sync."""


class NotFound(CallFailed):
    """No such Application, or this address is not Argo CD's API."""


class OperationInProgress(CallFailed):
    """Another operation is already in progress."""


class NoOperation(CallFailed):
    """There is no operation to terminate."""


class Rejected(CallFailed):
    """The request was understood and refused."""


class Unwell(CallFailed):
    """Argo CD, or a proxy before it, cannot answer now."""


class NotArgo(CallFailed):
    """The answer is not Argo CD's."""


class Unreachable(CallFailed):
    """No answer came."""


class TimedOut(Unreachable):
    """No answer came in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status, its headers with their names in lower case, its whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether the server says that the body is JSON."""
        return "json" in self.headers.get("content-type", "")

    @property
    def text(self) -> str:
        """The body; what is not UTF-8 in it is replaced."""
        return self.body.decode("utf-8", "replace")


def failure(asked: str, answer: Answer) -> CallFailed:
    """Return what `answer`, whose status is not 2xx, says about the request `asked`."""
    status, message = answer.status, _message(answer)
    if status in range(300, 400):
        return _redirected(asked, answer)
    if not message and not answer.is_json and not _plain(answer):
        return foreign(asked, answer)
    kind, todo = _kind(status, message, answer)
    return kind(
        f"Argo CD refused {asked}" if kind is not Unwell else f"Argo CD cannot answer {asked}",
        why=f"It answered {status}: {message or _excerpt(answer.text) or 'nothing'}",
        todo=todo,
        status=status,
        message=message,
        retry_after=_retry_after(answer.headers),
    )


def stream_failure(asked: str, error: Mapping[str, Any]) -> CallFailed:
    """Return what an `error` line of a stream says; its status is that of the unary answer."""
    status = error.get("http_code")
    body = json.dumps({"message": str(error.get("message", ""))}).encode()
    known = status if isinstance(status, int) and status in range(400, 600) else 500
    return failure(asked, Answer(known, {"content-type": "application/json"}, body))


def _kind(status: int, message: str, answer: Answer) -> tuple[type[CallFailed], str]:
    said = message.lower()
    if "another operation is already in progress" in said or status == HTTPStatus.CONFLICT:
        return OperationInProgress, "Wait until that operation has ended."
    if "no operation is in progress" in said:
        return NoOperation, ""
    if status == HTTPStatus.FORBIDDEN:
        return _about_permission(said)
    kinds: dict[int, tuple[type[CallFailed], str]] = {
        HTTPStatus.UNAUTHORIZED: (Unauthorized, _about_token(said)),
        HTTPStatus.NOT_FOUND: (NotFound, _about_absence(answer)),
    }
    unwell = Unwell, "Try again when Argo CD is well."
    return kinds.get(status, unwell if _unwell(status) else (Rejected, ""))


def _unwell(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status in range(500, 600)


def _about_token(said: str) -> str:
    if "no session information" in said:
        return "Set ARGOCD_AUTH_TOKEN to a token of Argo CD; it has two dots in it."
    if "expired" in said:
        return "The token has expired: make a new one."
    return "Make a new token: this one is wrong or revoked."


def _about_permission(said: str) -> tuple[type[CallFailed], str]:
    if "blocked by sync window" in said:
        return (
            WindowClosed,
            "Wait until the window opens, or let a person allow manual syncs in it.",
        )
    if ":" in said:
        return Forbidden, "Give the token's account this permission (`argocd-rbac-cm`)."
    return Forbidden, (
        "Check the Application's name, project and namespace, and that the token's account may "
        "get it: Argo CD does not say which of them is wrong."
    )


def _about_absence(answer: Answer) -> str:
    if answer.is_json:
        return "Check the Application's name and project."
    return "Check ARGOCD_SERVER: Argo CD's API is not at this address (is there a root path?)."


def _redirected(asked: str, answer: Answer) -> CallFailed:
    # A Location can carry a proxy's state; only the origin is safe to show.
    target = answer.headers.get("location", "")
    origin = "/".join(target.split("?")[0].split("/")[:3]) if "://" in target else "another path"
    todo = (
        "Argo CD speaks TLS there: use https and leave ARGOCD_PLAINTEXT out."
        if answer.status == HTTPStatus.TEMPORARY_REDIRECT and origin.startswith("https://")
        else "Set ARGOCD_SERVER to Argo CD itself, or ARGOCD_HEADERS to what its proxy asks for."
    )
    return NotArgo(
        f"{asked} was redirected to {origin}",
        why="A redirect is not followed, because it could carry the token elsewhere.",
        todo=todo,
        status=answer.status,
    )


def foreign(asked: str, answer: Answer) -> CallFailed:
    """Return the failure of an answer that is not Argo CD's, whatever its status."""
    kind = Unwell if _unwell(answer.status) else NotArgo
    return kind(
        f"something that is not Argo CD answered {asked}",
        why=f"Status {answer.status}, {answer.headers.get('content-type') or 'no content type'}.",
        todo="Check ARGOCD_SERVER and the proxy before it.",
        status=answer.status,
        retry_after=_retry_after(answer.headers),
    )


def _message(answer: Answer) -> str:
    try:
        said = json.loads(answer.text)
    except (ValueError, RecursionError):
        return ""
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        said = said["error"]
    message = (said.get("message") or said.get("error")) if isinstance(said, dict) else None
    return _excerpt(message) if isinstance(message, str) else ""


def _plain(answer: Answer) -> bool:
    return answer.headers.get("content-type", "").startswith("text/plain")


def _excerpt(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}..."


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that Retry-After asks for; a date is compared with the server's own."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError):
        return 0.0
