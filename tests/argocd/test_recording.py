"""Rows of a recording, and what each tells the judge."""

import json
from typing import Any

import pytest

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
from plate_release.argocd.recording import Push, events, rows

APPLICATION = {"metadata": {"name": "a", "resourceVersion": "7"}, "status": {}}


def read(kind: str, data: Any, **more: Any) -> list[Event]:
    (row,) = rows([json.dumps({"t": 1, "kind": kind, "data": data, **more})], [])
    return list(events(row))


@pytest.mark.parametrize(
    ("kind", "data", "more", "via"),
    [
        ("stream", {"result": {"type": "ADDED", "application": APPLICATION}}, {}, Via.STREAM),
        ("get", APPLICATION, {}, Via.GET),
        (
            "call",
            APPLICATION,
            {"method": "GET", "path": "/applications/a?refresh=hard", "status": 200},
            Via.REFRESH,
        ),
    ],
)
def test_an_application_that_was_seen(kind: str, data: Any, more: dict[str, Any], via: Via) -> None:
    (event,) = read(kind, data, **more)
    assert isinstance(event, Seen)
    assert (event.via, event.application.version) == (via, 7)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("stream", {"result": {"type": "DELETED", "application": APPLICATION}}),
        ("get", {"error": 'applications.argoproj.io "a" not found', "code": 5}),
    ],
)
def test_an_application_that_is_gone(kind: str, data: Any) -> None:
    assert read(kind, data) == [Gone()]


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        ("refused", "ConnectionError", None),
        ("refused", "401 Client Error: Unauthorized", 401),
        ("tree", {"refused": "ConnectionError"}, None),
        ("get", {"refused": "ReadTimeout"}, None),
        ("get", "<html>Bad Gateway</html>", None),
        ("get", None, None),
        ("get", ["?"], None),
        ("get", {"metadata": {"name": 7}}, None),
        ("get", {"error": "no session information", "code": 16, "message": "no session"}, 401),
        ("get", {"error": "permission denied", "code": 7}, 403),
        ("get", {"error": "unavailable", "code": 14}, 503),
        ("stream", "<html>", None),
        ("stream", {"result": None}, None),
        ("stream", {"result": {"type": "ADDED", "application": None}}, None),
        ("stream", {"error": {"grpc_code": 16, "http_code": 401, "message": "no session"}}, 401),
    ],
)
def test_an_answer_that_is_none(kind: str, data: Any, status: int | None) -> None:
    (event,) = read(kind, data)
    assert isinstance(event, Blind)
    assert event.status == status
    assert event.why


@pytest.mark.parametrize(
    ("call", "event"),
    [
        (("GET", "/applications/a?refresh=normal", "timeout", None), RefreshUnanswered()),
        (("GET", "/applications/a?refresh=normal", 504, "x"), RefreshUnanswered()),
        (("POST", "/applications/a/sync", 200, APPLICATION), SyncAnswer(None, 200)),
        (
            ("POST", "/applications/a/sync", 403, {"message": "blocked by sync window"}),
            SyncAnswer("blocked by sync window", 403),
        ),
        (("POST", "/applications/a/sync", "timeout", None), SyncAnswer("no answer", 0)),
    ],
)
def test_what_was_asked_and_answered(call: tuple[str, str, Any, Any], event: Event) -> None:
    method, path, status, data = call
    assert read("call", data, method=method, path=path, status=status) == [event]


def test_windows_and_trees() -> None:
    more = {"method": "GET", "path": "/applications/a/syncwindows?project=p", "status": 200}
    (windows,) = read("call", {"canSync": False, "activeWindows": None}, **more)
    assert isinstance(windows, WindowsSeen)
    assert not windows.windows.can_sync
    (seen,) = read("tree", {"nodes": None, "hosts": []})
    assert isinstance(seen, TreeSeen)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("note", "?"),
        ("stream_reconnect", None),
        ("truth", {}),
        ("new", 1),
        ("tree", {"error": "x"}),
    ],
)
def test_rows_that_tell_nothing(kind: str, data: Any) -> None:
    assert read(kind, data) == []


def test_a_refresh_that_failed_says_nothing_of_what_goes_on() -> None:
    more = {"method": "GET", "path": "/applications/a?refresh=normal", "status": 500}
    assert read("call", {"error": "x", "code": 2}, **more) == []


@pytest.mark.parametrize("path", ["/applications/a/operation", "/applications/a", "/session"])
def test_calls_that_tell_nothing(path: str) -> None:
    assert read("call", {}, method="DELETE", path=path, status=200) == []


@pytest.mark.parametrize(
    "line", ["{", "[]", "7", '{"kind": "get", "data": 1}', '{"t": "x", "kind": "a", "data": 1}']
)
def test_a_line_that_is_no_row_is_named(line: str) -> None:
    skipped: list[str] = []
    good = '{"t": 1, "kind": "note", "data": ""}'
    assert [row.kind for row in rows([good, "", line, good], skipped)] == ["note", "note"]
    assert [text.split(":")[0] for text in skipped] == ["line 3 is no row of a recording"]


def test_the_files_of_a_push() -> None:
    push = Push(commit="a", diff=("charts/a/values.yaml | 2 +-", " 1 file changed, 1 insertion(+)"))
    assert push.files == ("charts/a/values.yaml",)
