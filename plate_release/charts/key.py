"""The keys that a release writes for an image, and what it writes there."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from plate_release.charts.candidates import (
    Candidate,
    Search,
    as_text,
    candidate_at,
    digest_candidates,
    empty_digests,
    role,
    tag_candidates,
)
from plate_release.charts.inputs import Layer
from plate_release.charts.objects import Rendered
from plate_release.charts.reading import at
from plate_release.charts.render import OpenChart
from plate_release.charts.winner import editable
from plate_release.charts.workloads import Container, containers, split_image
from plate_release.errors import PlanRefused
from plate_release.model import Ask, Image
from plate_release.values import Key
from plate_release.values.keys import Match


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """The keys to write, all in one `file`.

    `main` holds the tag, or where `whole` is set `repository:tag@digest` in one string. `image`
    is what the `containers` run now, `values` what helm sees at each key now.
    """

    file: str
    main: Key
    whole: bool
    digest: Key | None
    image: Image
    containers: tuple[Container, ...] = field(repr=False)
    values: Mapping[Key, str]


def image_keys(
    chart: OpenChart, before: Rendered, ask: Ask, tag_key: Key | None = None
) -> ImageKeys:
    """Find the keys that hold the image; `tag_key`, where configured, names the tag's.

    Raises PlanRefused where none or several fit, NoEffect where the Application overrides them.
    """
    search = Search(chart, before, containers(before))
    tag = _the_one(search, _at_key(search, tag_key) if tag_key else tag_candidates(search))
    layer = editable(chart.inputs, tag.path, tag.setter)
    whole = role(search.value(tag.path), tag.containers) == "whole"
    main = tag_key or Key(tag.path)
    values = {main: as_text(search.value(tag.path))}
    digest = None if whole else _digest(search, tag, layer, ask)
    if digest:
        values[Key(digest.path)] = as_text(search.value(digest.path))
    return ImageKeys(
        file=layer.file,
        main=main,
        whole=whole,
        digest=Key(digest.path) if digest else None,
        image=split_image(tag.containers[0].image),
        containers=tag.containers,
        values=values,
    )


def changes(keys: ImageKeys, ask: Ask) -> dict[Key, str]:
    """Return what to write at each key. Pure.

    A digest that is given goes to its own key, or behind the tag where the chart has none. One
    that stands there now never stays beside another tag: without a new one it is cleared.
    """
    behind = f"@{ask.digest}" if ask.digest and keys.digest is None else ""
    before = keys.values[keys.main]
    start = f"{split_image(before).repository}:" if keys.whole else ""
    result = {keys.main: f"{start}{ask.tag}{behind}"}
    if keys.digest:
        stands = keys.values[keys.digest]
        digest = ask.digest or ""
        result[keys.digest] = digest.partition(":")[2] if stands and ":" not in stands else digest
    return result


def _the_one(search: Search, found: list[Candidate]) -> Candidate:
    """Choose the only candidate, or the only one that a file of the environment sets."""
    own = [one for one in found if not (isinstance(one.setter, Layer) and one.setter.is_default)]
    for choice in (found, own):
        if len(choice) == 1:
            return choice[0]
    if found:
        raise PlanRefused(
            f"Several keys of {search.name} hold an image's tag.",
            why="\n".join(map(str, found)),
            todo=f"Choose one in the configuration, such as `tag-key: {Key(found[0].path)}`.",
        )
    images = "\n".join(f"{container}: {container.image}" for container in search.containers)
    raise PlanRefused(
        f"No values key of {search.name} decides a container's tag.",
        why=images or "The chart runs no container.",
        todo="Let the chart take the tag from its values, or name the key as `tag-key`.",
    )


def _at_key(search: Search, key: Key) -> list[Candidate]:
    path = tuple(_resolved(search.rendered.values, key))
    known = {str(Key(known)): known for known, _ in search.leaves()}
    if path not in known.values():
        near = difflib.get_close_matches(str(key), known, n=1)
        raise PlanRefused(
            f"tag-key {key} is no value of {search.name}'s chart.",
            why=f"Did you mean {near[0]}?" if near else "",
            todo="Correct tag-key in the configuration.",
        )
    return candidate_at(search, path)


def _digest(search: Search, tag: Candidate, layer: Layer, ask: Ask) -> Candidate | None:
    """Return where the digest beside the tag stands, an empty place only where one is asked for.

    Raises PlanRefused where a digest that is in use stands in another file than the tag.
    """
    used = digest_candidates(search, tag)
    if not used and ask.digest:
        used = [one for one in empty_digests(search, tag) if one.setter == layer]
    if not used:
        return None
    if editable(search.chart.inputs, used[0].path, used[0].setter).file != layer.file:
        raise PlanRefused(
            f"{Key(tag.path)} and its digest {Key(used[0].path)} stand in different files.",
            why="The digest that stays would pin the old image.",
            todo=f"Move the digest to {layer.file}.",
        )
    return used[0]


def _resolved(values: Any, key: Key) -> Iterator[str | int]:
    """Turn `[name=web]` into the index that it has in the values."""
    for step in key.steps:
        plain = _index(values, step) if isinstance(step, Match) else step
        yield plain
        values = at(values, (plain,))


def _index(items: Any, wanted: Match) -> int:
    return next(
        (
            index
            for index, item in enumerate(items if isinstance(items, list) else ())
            if isinstance(item, dict) and as_text(item.get(wanted.field)) == wanted.value
        ),
        -1,
    )
