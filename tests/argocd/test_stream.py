"""The stream of Applications over real HTTP, broken in every way that was thought of."""

import json
import queue
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plate_release.argocd import stream as streaming
from plate_release.argocd.client import AppRef
from plate_release.argocd.connection import Connection
from plate_release.argocd.failures import CallFailed, NotArgo, TimedOut, Unauthorized, Unwell
from plate_release.argocd.stream import Changed, Cut, Lines, Missed, News, Opened, Stream, read_line
from plate_release.argocd.transport import Transport
from plate_release.model import Secret

APP = AppRef("plate-api", "default")


def app(version: int, name: str = "plate-api") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "argocd", "resourceVersion": str(version)}}


def line(version: int, name: str = "plate-api") -> bytes:
    event = {"result": {"type": "MODIFIED", "application": app(version, name)}}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class Ear:
    """Hears what a stream tells; each `next` waits for it."""

    def __init__(self, url: str, *apps: AppRef) -> None:
        self._heard: queue.SimpleQueue[News] = queue.SimpleQueue()
        transport = Transport(Connection(url, Secret("a.b.c")))
        self.stream = Stream(transport, apps or (APP,), self._heard.put, pause=lambda _: 0.01)
        self.stream.start()

    def next(self) -> News:
        return self._heard.get(timeout=20)

    def version(self) -> int | None:
        """Wait for the next change, and return its version."""
        while not isinstance(news := self.next(), Changed):
            pass
        return news.application.version

    def cut(self) -> CallFailed | None:
        while not isinstance(news := self.next(), Cut):
            pass
        return news.failure


@pytest.fixture
def listen(server: Any) -> Iterator[Callable[..., Ear]]:
    ears: list[Ear] = []

    def start(*apps: AppRef) -> Ear:
        ears.append(Ear(server.url, *apps))
        return ears[-1]

    yield start
    for ear in ears:
        ear.stream.close()


def first_then(server: Any, first: Callable[[Any], None]) -> None:
    """Answer the first request with `first`, and every later one with version 7 and silence."""

    def answer(exchange: Any) -> None:
        if len(server.asked) == 1:
            first(exchange)
        else:
            exchange.head(200)
            exchange.line("ADDED", app(7))
            exchange.hang()

    server.answer = answer


def test_it_asks_for_one_by_name_and_for_many_by_project(server: Any, listen: Any) -> None:
    first_then(server, lambda exchange: exchange.hang())
    listen(AppRef("plate-api", "default", "team"))
    wait_for(lambda: len(server.asked) == 1)
    asked = server.asked[0]
    assert asked.query == {"name": "plate-api", "appNamespace": "team", "projects": "default"}
    assert asked.headers["accept"] == "text/event-stream"
    assert asked.headers["accept-encoding"] == "identity"
    many = streaming._query([AppRef("a", "x"), AppRef("b", "y"), AppRef("c", "x")])
    assert many == [("projects", "x"), ("projects", "y")]
    assert streaming._query([AppRef("a", "x"), AppRef("b")]) == []


def wait_for(true: Callable[[], bool]) -> None:
    gate = queue.SimpleQueue[None]()
    for _ in range(1000):
        if true():
            return
        try:
            gate.get(timeout=0.01)
        except queue.Empty:
            continue
    pytest.fail("it never came")


def test_server_sent_events_and_plain_lines_say_the_same(server: Any, listen: Any) -> None:
    def first(exchange: Any) -> None:
        exchange.head(200, "text/event-stream")
        exchange.write(b": keep-alive\n\nevent: x\n")
        exchange.write(b"data: " + line(3) + b"\n" + line(4) + b"data:" + line(5))
        exchange.hang()

    first_then(server, first)
    ear = listen()
    assert isinstance(ear.next(), Opened)
    assert [ear.version() for _ in range(3)] == [3, 4, 5]


def test_a_line_cut_in_the_middle_is_dropped_and_the_stream_opened_again(
    server: Any, listen: Any
) -> None:
    def first(exchange: Any) -> None:
        exchange.head(200)
        exchange.write(line(5) + line(6)[:40])

    first_then(server, first)
    ear = listen()
    assert ear.version() == 5
    assert ear.cut() is None
    assert isinstance(ear.next(), Opened)
    assert ear.version() == 7


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (("<html>Sign in</html>", 200, "text/html"), NotArgo),
        (("<html>\n<body>\n", 200, "application/json"), NotArgo),
        (("[1]\n", 200, "application/json"), NotArgo),
        (("<html>Bad gateway</html>", 502, "text/html"), Unwell),
        (('{"error":{"grpc_code":16,"http_code":401}}', 401, "application/json"), Unauthorized),
    ],
)
def test_what_is_no_stream_is_told_apart_and_tried_again(
    server: Any, listen: Any, answer: tuple[str, int, str], kind: type[CallFailed]
) -> None:
    first_then(server, lambda exchange: exchange.text(*answer))
    ear = listen()
    assert type(ear.cut()) is kind
    assert ear.version() == 7


def test_a_401_half_way_is_told(server: Any, listen: Any) -> None:
    def first(exchange: Any) -> None:
        exchange.head(200)
        error = {"grpc_code": 16, "http_code": 401, "message": "invalid session: expired"}
        exchange.write(line(5) + json.dumps({"error": error}).encode() + b"\n")
        exchange.hang()

    first_then(server, first)
    ear = listen()
    assert ear.version() == 5
    failure = ear.cut()
    assert isinstance(failure, Unauthorized)
    assert failure.status == 401
    assert "expired" in str(failure)
    assert ear.version() == 7


@pytest.mark.parametrize("headers_first", [True, False])
def test_silence_is_ended_and_the_stream_opened_again(
    server: Any, listen: Any, monkeypatch: pytest.MonkeyPatch, *, headers_first: bool
) -> None:
    monkeypatch.setattr(streaming, "_SILENCE_SECONDS", 0.2)

    def first(exchange: Any) -> None:
        if headers_first:
            exchange.head(200)
        exchange.hang()

    first_then(server, first)
    ear = listen()
    assert isinstance(ear.cut(), TimedOut)
    assert ear.version() == 7


def test_a_reset_is_a_cut(server: Any, listen: Any) -> None:
    first_then(server, lambda exchange: exchange.reset())
    ear = listen()
    assert ear.cut() is not None
    assert ear.version() == 7


def test_a_line_of_16_mib_is_skipped_and_the_next_one_read(server: Any, listen: Any) -> None:
    def first(exchange: Any) -> None:
        exchange.head(200)
        exchange.write(b'{"result":')
        for _ in range(256):
            exchange.write(b"x" * 65536)
        exchange.write(b"\n" + line(8))
        exchange.hang()

    first_then(server, first)
    ear = listen()
    assert isinstance(ear.next(), Opened)
    assert isinstance(ear.next(), Missed)
    assert ear.version() == 8
    assert len(server.asked) == 1


def test_a_long_line_is_never_held_in_memory() -> None:
    lines, chunk = Lines(longest=1 << 20), b"x" * 65536
    tracemalloc.start()
    for _ in range(512):
        assert list(lines.feed(chunk)) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
    assert list(lines.feed(b"\nshort\n")) == [None, b"short"]


def test_bytes_come_in_any_pieces() -> None:
    lines, whole = Lines(), line(1) + line(2) + line(3)
    found = [got for byte in whole for got in lines.feed(bytes([byte]))]
    assert b"\n".join(x for x in found if x is not None) + b"\n" == whole


def test_a_line_that_is_not_utf_8_is_read_all_the_same() -> None:
    raw = line(9).replace(b'"9"', b'"9","generateName":"\xff\xfe"')
    news = read_line(raw, {"plate-api"})
    assert isinstance(news, Changed)
    assert news.application.version == 9


@pytest.mark.parametrize("raw", [b'{"result":{"type"', b'{"result":{}}', b'{"other":1}'])
def test_a_line_that_cannot_be_read_is_missed(raw: bytes) -> None:
    assert isinstance(read_line(raw, {"plate-api"}), Missed)


def test_others_are_left_out_without_being_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("parsed")

    monkeypatch.setattr(json, "loads", refuse)
    kinds = b'"application":{"kind":"Application","apiVersion":"argoproj.io/v1alpha1","metadata"'
    assert read_line(line(1, "other"), {"plate-api"}) is None
    raw = line(1, "other").replace(b'"application":{"metadata"', kinds)
    assert kinds in raw
    assert read_line(raw, {"plate-api"}) is None


def test_a_deletion_is_told() -> None:
    news = read_line(line(4).replace(b"MODIFIED", b"DELETED"), {"plate-api"})
    assert isinstance(news, Changed)
    assert news.deleted


def test_close_ends_the_thread_while_the_server_says_nothing(server: Any, listen: Any) -> None:
    def answer(exchange: Any) -> None:
        exchange.head(200)
        exchange.line("ADDED", app(1))
        exchange.hang()

    server.answer = answer
    ear = listen()
    assert ear.version() == 1
    ear.stream.close()
    ear.stream._thread.join(timeout=20)
    assert not ear.stream._thread.is_alive()
    assert len(server.asked) == 1
