"""The cluster's watches: what changes from a resourceVersion on, with bookmarks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from plate_release.sandbox.admission import KINDS
from plate_release.sandbox.answers import Lines
from plate_release.sandbox.shapes import selects
from plate_release.sandbox.status import expired
from plate_release.sandbox.world import Change, Object, Ref, World

BOOKMARK = 60.0
BOOKMARKED = Change("MODIFIED", 0, Ref("", "", "", ""), {})


def selected(request: Request, obj: Object) -> bool:
    """Tell whether a request's selectors select the object."""
    query = request.query_params
    fields = query.get("fieldSelector", "")
    for term in filter(None, fields.split(",")):
        path, _, value = term.replace("==", "=").partition("=")
        negated = path.endswith("!")
        found: Any = obj
        for key in path.rstrip("!").split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if (str(found or "") == value) is negated:
            return False
    return selects(query.get("labelSelector", ""), obj)


def watch(world: World, request: Request, group: str, kind: str, namespace: str | None) -> Response:
    """Return the stream of what changes, from the resourceVersion asked for."""
    query = request.query_params
    asked = query.get("resourceVersion") or "0"
    start = int(asked) if asked.isdigit() else 0
    past = list(world.since(start) or ()) if start else []
    gone = start and (world.since(start) is None)
    bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
    seconds = float(query.get("timeoutSeconds") or 0)
    initial = [] if start else world.of_kind(group, kind, namespace)

    def wanted(change: Change) -> bool:
        ref = change.ref
        return (
            (ref.group, ref.kind) == (group, kind)
            and (namespace is None or ref.namespace == namespace)
            and selected(request, change.object)
        )

    async def lines() -> AsyncIterator[Object]:
        if gone:
            yield {"type": "ERROR", "object": expired(start, world.oldest).wire()}
            return
        for obj in initial:
            if selected(request, obj):
                yield {"type": "ADDED", "object": obj}
        for change in past:
            if wanted(change):
                yield {"type": change.kind, "object": change.object}
        async for each in _follow(world, wanted, group, kind, bookmarks, seconds):
            yield each

    return Lines(lines(), wrap=False)


async def _follow(
    world: World, wanted: Any, group: str, kind: str, bookmarks: bool, seconds: float
) -> AsyncIterator[Object]:
    queue: asyncio.Queue[Change | None] = asyncio.Queue()
    stop = world.subscribe(lambda c: queue.put_nowait(c) if wanted(c) else None)
    clock = world.clock
    end = clock.later(seconds, queue.put_nowait, None) if seconds else None
    version = KINDS[group, kind][1]
    try:
        while True:
            mark = clock.later(BOOKMARK, queue.put_nowait, BOOKMARKED) if bookmarks else None
            change = await queue.get()
            if mark:
                mark.cancel()
            if change is None:
                return
            if change is BOOKMARKED:
                meta = {"resourceVersion": str(world.revision), "creationTimestamp": None}
                api = f"{group}/{version}" if group else version
                yield {
                    "type": "BOOKMARK",
                    "object": {"kind": kind, "apiVersion": api, "metadata": meta},
                }
            else:
                yield {"type": change.kind, "object": change.object}
    finally:
        stop()
        if end:
            end.cancel()
