"""The recording format: one JSON object a line, `t` (seconds), `kind` and `data`.

Rows become the judge's events here, and nowhere else. A row that carries something unexpected (a
proxy's HTML, an error) is what the client saw: nobody answered.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError
from pydantic_core import from_json

from plate_release.application import Application, Many, Wire
from plate_release.argocd.events import (
    Blind,
    Event,
    Gone,
    RefreshUnanswered,
    Seen,
    SyncAnswer,
    TreeSeen,
    Via,
    WindowsSeen,
)
from plate_release.argocd.status import LiveApplication, ResourceTree, SyncWindows

# gRPC's codes, as grpc-gateway maps them to HTTP.
_HTTP = {3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 12: 501, 13: 500, 14: 503, 16: 401}
_NOT_FOUND = 404
_GATEWAY_TIMEOUT = 504
_OK = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One line; `more` holds what stands beside `t`, `kind` and `data` (of a call: its path)."""

    t: float
    kind: str
    data: Any
    more: Mapping[str, Any]


class Scenario(Wire):
    """The first row: the Application's manifest, and the commit before."""

    application: Application = Application()


class Push(Wire):
    """A commit that arrived: `role` is release, revert or other; `set` the values it changed."""

    commit: str
    parent: str = ""
    role: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    diff: Many[str] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it changed, from git's `--stat`."""
        return tuple(
            path.strip() for path, bar, _ in (x.partition(" | ") for x in self.diff) if bar
        )


def rows(lines: Iterable[str | bytes], skipped: list[str]) -> Iterator[Row]:
    """Read the rows; a line that is no row (cut off, say) is named in `skipped`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = from_json(line)
            yield Row(float(row.pop("t")), str(row.pop("kind")), row.pop("data"), row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            skipped.append(
                f"line {number} is no row of a recording: {type(error).__name__} {error}"
            )


def events(row: Row) -> Iterator[Event]:
    """Return what `row` tells the judge; nothing for rows that are about something else."""
    try:
        yield from _READERS.get(row.kind, _nothing)(row)
    except ValidationError as error:
        yield Blind(f"Argo CD answered something else: {error.error_count()} fields are wrong")


def _nothing(_row: Row) -> Iterator[Event]:
    yield from ()


def _stream(row: Row) -> Iterator[Event]:
    result = row.data.get("result") if isinstance(row.data, dict) else None
    if not isinstance(result, dict):
        yield _nobody(row.data)
    elif result.get("type") == "DELETED":
        yield Gone()
    else:
        yield Seen(LiveApplication.model_validate(result.get("application")), Via.STREAM)


def _get(row: Row) -> Iterator[Event]:
    yield _seen(row.data, Via.GET)


def _seen(data: Any, via: Via) -> Event:
    if isinstance(data, dict) and "metadata" in data:
        return Seen(LiveApplication.model_validate(data), via)
    blind = _nobody(data)
    return Gone() if blind.status == _NOT_FOUND else blind


def _tree(row: Row) -> Iterator[Event]:
    if isinstance(row.data, dict) and "nodes" in row.data:
        yield TreeSeen(ResourceTree.model_validate(row.data))
    elif isinstance(row.data, dict) and "refused" in row.data:
        yield _nobody(row.data)


def _refused(row: Row) -> Iterator[Event]:
    denied = re.search(r"\b40[13]\b", str(row.data))
    yield Blind(f"Argo CD refused: {row.data}", int(denied[0]) if denied else None)


def _call(row: Row) -> Iterator[Event]:
    """Read any other request. One that failed says nothing of the others, which go on."""
    path, _, query = str(row.more.get("path", "")).partition("?")
    method, status = row.more.get("method"), row.more.get("status")
    if method == "POST" and path.endswith("/sync"):
        yield _sync_answer(row.data, status)
    elif method == "GET" and path.endswith("/syncwindows") and status == _OK:
        yield WindowsSeen(SyncWindows.model_validate(row.data))
    elif method == "GET" and "refresh=" in query:
        if status == _OK:
            yield _seen(row.data, Via.REFRESH)
        elif status in ("timeout", _GATEWAY_TIMEOUT):
            yield RefreshUnanswered()


def _sync_answer(data: Any, status: Any) -> Event:
    if status == _OK:
        return SyncAnswer(None, _OK)
    message = data.get("message") if isinstance(data, dict) else data
    return SyncAnswer(str(message or "no answer"), status if isinstance(status, int) else 0)


def _nobody(data: Any) -> Blind:
    """Read an answer that is no Application: an error in one of Argo CD's shapes, or anything."""
    if not isinstance(data, dict):
        return Blind(f"Argo CD answered something else: {str(data)[:200]}")
    error = data.get("error")
    shape = error if isinstance(error, dict) else data
    code = shape.get("code", shape.get("grpc_code"))
    status = shape.get("http_code") or _HTTP.get(code if isinstance(code, int) else -1)
    text = shape.get("message") or shape.get("refused") or error or data
    return Blind(f"Argo CD does not answer: {text}", status if isinstance(status, int) else None)


_READERS = {"stream": _stream, "get": _get, "tree": _tree, "refused": _refused, "call": _call}
