"""One stream of many Applications' changes, opened again whenever it ends.

A stream starts from a cache that may be stale, and what happens before it has subscribed is lost:
who listens hears `Opened`, `Missed` and `Cut`, and asks by other means what they may have hidden.
"""

import json
import random
import re
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

import requests
from pydantic import ValidationError

from plate_release.argocd.client import AppRef
from plate_release.argocd.failures import CallFailed, NotArgo, failure, foreign, stream_failure
from plate_release.argocd.pace import LONGEST_QUIET, backoff
from plate_release.argocd.status import ApplicationEvent, LiveApplication
from plate_release.argocd.transport import EVENTS, Query, Request, Transport, answer_of

_ASKED = "the stream of Applications"
# With server-sent events Argo CD says something every 15 s.
_SILENCE_SECONDS = 40.0
# An object in etcd is 1.5 MiB at most.
_LONGEST_LINE = 4 * 1024 * 1024
_CHUNK = 64 * 1024
# A stream that held this long was well: the next one is opened at once.
_WELL_SECONDS = 30.0
_NAME = re.compile(
    rb'"application":\s?\{(?:"kind":\s?"\w+",\s?)?(?:"apiVersion":\s?"[\w./]+",\s?)?'
    rb'"metadata":\s?\{"name":\s?"(?P<name>[a-z0-9.-]+)"'
)


@dataclass(frozen=True, slots=True)
class Changed:
    """An Application was added, modified or deleted, or is told of as the stream starts."""

    application: LiveApplication
    deleted: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream answers; what happened before may not come."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A line came that cannot be read."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream ended; `failure` says how, None where the server just closed it."""

    failure: CallFailed | None


News = Changed | Opened | Missed | Cut


class Lines:
    """Bytes into lines. A line that is too long comes as None, and is never held in memory."""

    def __init__(self, longest: int = _LONGEST_LINE) -> None:
        self._rest, self._skipping, self._longest = bytearray(), False, longest

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Yield the lines that `data` completes; what is left waits for more."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._rest += piece
            too_long = self._skipping or len(self._rest) > self._longest
            yield None if too_long else bytes(self._rest)
            self._rest, self._skipping = bytearray(), False
        self._rest += rest
        if len(self._rest) > self._longest:
            self._rest, self._skipping = bytearray(), True


def read_line(line: bytes | None, names: Collection[str]) -> News | None:
    """Return what a line of the stream says of the Applications `names`; None where nothing.

    Both newline-delimited JSON and server-sent events are read. Raises CallFailed where it is an
    error, NotArgo where it is not Argo CD's at all.
    """
    if line is None:
        return Missed()
    line = line.strip().removeprefix(b"data:").lstrip()
    if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
        return None
    named = _NAME.search(line, 0, 1024)
    if named and named["name"].decode() not in names:
        return None
    try:
        message = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        if line.startswith(b"{"):
            return Missed()
        raise NotArgo(f"{_ASKED} is not Argo CD's", status=200) from None
    return _read_message(message, names)


def _read_message(message: object, names: Collection[str]) -> News | None:
    if not isinstance(message, dict):
        raise NotArgo(f"{_ASKED} is not Argo CD's", status=200)
    if isinstance(message.get("error"), dict):
        raise stream_failure(_ASKED, message["error"])
    try:
        event = ApplicationEvent.model_validate(message.get("result"))
    except ValidationError:
        return Missed()
    if event.application.name not in names:
        return None
    return Changed(event.application, deleted=event.type == "DELETED")


class Stream:
    """Hears of Applications in a thread of its own, until `close`.

    tell: called in that thread with all news; may block. pause: seconds before attempt n.
    """

    def __init__(
        self,
        transport: Transport,
        apps: Collection[AppRef],
        tell: Callable[[News], None],
        *,
        pause: Callable[[int], float] = lambda n: backoff(n, random.random()),  # noqa: S311
    ) -> None:
        self._transport, self._tell, self._pause = transport, tell, pause
        self._names = frozenset(app.name for app in apps)
        self._request = Request(
            "GET",
            "/api/v1/stream/applications",
            _query(apps),
            read_seconds=_SILENCE_SECONDS,
            accept=EVENTS,
        )
        self._closing = threading.Event()
        self._response: requests.Response | None = None
        self._thread = threading.Thread(target=self._run, name="argocd-stream", daemon=True)

    def start(self) -> None:
        """Open it."""
        self._thread.start()

    def close(self) -> None:
        """End it now; news that comes in this moment is not told any more."""
        self._closing.set()
        if (response := self._response) is not None:
            # Wakes the thread from its read. It fails where the answer has just ended.
            with suppress(ValueError, RuntimeError, OSError, AttributeError):
                response.raw.shutdown()

    def _run(self) -> None:
        attempt = 0
        while not self._closing.is_set():
            opened = monotonic()
            cause = self._listen()
            self._say(Cut(cause))
            attempt = 0 if monotonic() - opened > _WELL_SECONDS else attempt + 1
            asked = min(cause.retry_after, LONGEST_QUIET) if cause else 0.0
            self._closing.wait(max(asked, self._pause(attempt)))

    def _listen(self) -> CallFailed | None:
        try:
            with self._transport.open(self._request) as response:
                self._response = response
                if response.status_code != HTTPStatus.OK:
                    return failure(_ASKED, answer_of(self._request, response))
                if "html" in response.headers.get("Content-Type", ""):
                    return foreign(_ASKED, answer_of(self._request, response))
                self._say(Opened())
                self._read(response)
        except CallFailed as error:
            return error
        finally:
            self._response = None
        return None

    def _read(self, response: requests.Response) -> None:
        lines = Lines()
        while data := response.raw.read1(_CHUNK, decode_content=True):
            for line in lines.feed(data):
                if (news := read_line(line, self._names)) is not None:
                    self._say(news)

    def _say(self, news: News) -> None:
        if not self._closing.is_set():
            self._tell(news)


def _query(apps: Collection[AppRef]) -> Query:
    projects = sorted({app.project for app in apps})
    # Where the project of one is not known, none can be named: the others would hide it.
    named = [("projects", project) for project in projects] if all(projects) else []
    if len(apps) > 1:
        return named
    (app,) = apps
    namespace = [("appNamespace", app.namespace)] if app.namespace else []
    return [("name", app.name), *namespace, *named]
