"""Which values an image is made of, told by a rendering in which each holds a mark."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from plate_release.charts.reading import Path, placed
from plate_release.charts.search import (
    Affixes,
    Candidate,
    Claims,
    Search,
    as_text,
    candidates_of,
    role,
)
from plate_release.charts.workloads import Container, containers, split_image
from plate_release.errors import ChartRefused, PlanRefused

# So many values are marked one by one, where the chart takes not all marks at once.
_MOST_ALONE = 20


def marked(search: Search, paths: Sequence[Path], believed: Claims) -> list[Candidate]:
    """Render with a mark in each value; return those whose mark an image shows.

    A chart that does not take all marks at once is tried with each alone; where none of them is
    found and some are refused, it is what is `believed`. Raises PlanRefused where that is nothing.
    """
    marks = {path: _mark(search.value(path), index) for index, path in enumerate(paths)}
    values = _without_digests(search)
    try:
        return shown(search, marks, values) if marks else []
    except ChartRefused as error:
        found, refused = _alone(search, marks, values)
        if found or not refused:
            return found
        if any(believed.values()):
            return candidates_of(search, believed)
        raise PlanRefused(
            f"The key that holds the image of {search.name} cannot be told.",
            why=f"Possible: {', '.join(str(search.key(path)) for path in paths)}.\n{error.why}",
            todo="Name it in the configuration as `tag-key`.",
        ) from error


def _alone(
    search: Search, marks: Mapping[Path, Any], values: Any
) -> tuple[list[Candidate], list[Path]]:
    """Try each mark by itself; also return those that the chart refuses."""
    found: list[Candidate] = []
    refused: list[Path] = []
    for path, mark in list(marks.items())[:_MOST_ALONE]:
        try:
            found += shown(search, {path: mark}, values)
        except ChartRefused:
            refused.append(path)
    return found, refused


def shown(search: Search, marks: Mapping[Path, Any], values: Any) -> list[Candidate]:
    """Render with the marks; raises ChartRefused where the chart does not take them.

    A mark that takes the place of a whole image hides the others, and of two in one tag the one is
    no affix of the other: each is tried alone then.
    """
    changes = dict(marks)
    for path, mark in marks.items():
        if role(search.value(path), search.containers) == "whole":
            changes[path] = f"{split_image(as_text(search.value(path))).repository}:{mark}"
    then = containers(search.chart.render(placed(values, changes)).objects)
    before = {container.place: container for container in search.containers}
    kept = [one for one in then if one.place in before and _is_kept(one, before[one.place])]
    users = {
        path: {
            before[one.place]: _affixes(one.image, as_text(mark))
            for one in kept
            if as_text(mark).removeprefix("v") in one.image
        }
        for path, mark in marks.items()
    }
    taken = list(chain(*users.values()))
    if len(marks) > 1 and (len(kept) < len(then) or len(taken) > len(set(taken))):
        return _alone(search, marks, values)[0]
    return candidates_of(search, {path: found for path, found in users.items() if found})


def _is_kept(now: Container, before: Container) -> bool:
    return split_image(now.image).repository == split_image(before.image).repository


def _affixes(image: str, mark: str) -> Affixes:
    seen = mark if mark in image else mark.removeprefix("v")
    parts = (split_image(image).tag, split_image(image).digest)
    before, _, behind = next((one for one in parts if one and seen in one), seen).partition(seen)
    return Affixes(before, behind, plain=seen != mark)


def _mark(value: Any, index: int) -> Any:
    """Return what the value could be instead, for templates that want a number or a version."""
    text = as_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A number that is also how often a template repeats something stays small.
        return (700 if value < 100 else 908_000) + index  # noqa: PLR2004
    if re.fullmatch(r"v?\d+\.\d+\.\d+", text):
        return f"{'v' if text.startswith('v') else ''}90817.{index}.0"
    if re.fullmatch(r"[0-9]+", text):
        return f"{908_000 + index}".ljust(len(text), "0")
    if re.fullmatch(r"[0-9a-f]{7,40}", text):
        return f"{0x9081000 + index:x}".ljust(len(text), "0")
    return f"0.0.0-mark.{index}.x"


def _without_digests(search: Search) -> Any:
    """Clear the digests of images, since many charts leave the tag out beside one."""
    digests = [path for path, value in search.leaves if role(value, search.containers) == "digest"]
    return placed(search.rendered.values, dict.fromkeys(digests, ""))
