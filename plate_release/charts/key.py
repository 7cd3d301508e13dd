"""The keys that a release writes for an image, and what it writes there."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from plate_release.charts.candidates import (
    candidate_at,
    digest_candidates,
    empty_digests,
    tag_candidates,
)
from plate_release.charts.choice import only, refuse_stranger
from plate_release.charts.inputs import Layer
from plate_release.charts.objects import Rendered
from plate_release.charts.reading import at
from plate_release.charts.render import OpenChart
from plate_release.charts.search import Affixes, Candidate, Search, Sought, as_text, role
from plate_release.charts.winner import editable, last_file
from plate_release.charts.workloads import Container, split_image, tag_of
from plate_release.errors import PlanRefused
from plate_release.model import Ask, Image
from plate_release.values import Key
from plate_release.values.keys import Match


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """The keys to write, all in one `file`.

    `main` holds the tag, or where `whole` is set `repository:tag@digest` in one string. `affixes`
    is what the chart puts around that for each container that takes it, `digests` around what
    stands at `digest` for each of them that takes it, `values` what helm sees at each key now.
    """

    file: str
    main: Key
    whole: bool
    affixes: Mapping[Container, Affixes] = field(repr=False)
    values: Mapping[Key, str]
    digest: Key | None = None
    digests: Mapping[Container, Affixes] = field(default_factory=dict, repr=False)

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers that take their tag from `main`."""
        return tuple(self.affixes)

    @property
    def repository(self) -> str:
        """The repository of the first container's image."""
        return split_image(self.containers[0].image).repository

    @property
    def pinned(self) -> str | None:
        """The digest that the keys hold."""
        at_main = self.containers if "@" in self.values[self.main] else ()
        pinned = self.digests if self.digest else at_main
        return next(filter(None, (split_image(c.image).digest for c in pinned)), None)

    @property
    def tag(self) -> str:
        """The tag that `main` holds; where it holds none, what stands in for it."""
        held = self.values[self.main]
        if held:
            return tag_of(held)
        tags = filter(None, (split_image(c.image).tag for c in self.containers))
        return self.value(next(tags, ""))

    def value(self, tag: str) -> str:
        """Return what to write for a tag that is asked for as images have it: `v1.5.0`."""
        main = [self.affixes[one] for one in self.containers if one.is_main]
        around = main or [*self.affixes.values()]
        if Affixes() in around:
            return tag
        return next((value for one in around if (value := one.value(tag)) != tag), tag)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the containers of some keys are to run."""

    keys: ImageKeys
    ask: Ask

    def image(self, container: Container) -> Image:
        """Return the image that a container of the keys is to run."""
        keys, ask = self.keys, self.ask
        pinned = keys.digest is None or container in keys.digests
        repository = split_image(container.image).repository
        tag = keys.affixes[container].tag(ask.tag)
        return Image(repository, tag, ask.digest if pinned else None)

    def images(self) -> Iterator[Image]:
        """Give the image that each container of the keys is to run."""
        return map(self.image, self.keys.containers)

    def pinned(self) -> frozenset[Image]:
        """Return the images that a digest is written for if there is one."""
        pinned = self.keys.digests if self.keys.digest else self.keys.affixes
        return frozenset(map(self.image, pinned))


def image_keys(
    charts: Sequence[OpenChart],
    before: Sequence[Rendered],
    sought: Sought,
    *,
    digest_wanted: bool,
) -> ImageKeys:
    """Find the keys that hold a service's image, in any chart of an Application.

    Where a digest is wanted, a key that is empty now may hold it. Raises PlanRefused where none or
    several fit, or the only one may be another image's, NoEffect where the Application overrides
    them.
    """
    tag_key = sought.tag_key
    if sought.values_file:
        _refuse_unread(charts, sought.values_file)
    document = tag_key.document if tag_key else None
    searches = [Search.of(*pair, document) for pair in zip(charts, before, strict=True)]
    found = _candidates(searches, tag_key)
    tag = only(searches, found, sought)
    if tag_key is None and sought.values_file is None:
        refuse_stranger(tag, found, searches, sought)
    layer = editable(tag.search.chart.inputs, tag.path, tag.setter)
    whole = role(tag.value, tag.containers) == "whole"
    main = tag_key or tag.key
    values = {main: as_text(tag.value)}
    digest = None if whole else _digest(tag, layer, wanted=digest_wanted)
    if digest:
        values[digest.key] = as_text(digest.value)
    return ImageKeys(
        file=layer.file,
        main=main,
        whole=whole,
        affixes=tag.affixes,
        values=values,
        digest=digest.key if digest else None,
        digests=digest.affixes if digest else {},
    )


def _refuse_unread(charts: Sequence[OpenChart], values_file: str) -> None:
    layers = [layer for chart in charts for layer in chart.inputs.layers]
    if any(layer.goes_by(values_file) for layer in layers):
        return
    read = list(dict.fromkeys(layer.file for layer in layers if layer.editable))
    near = difflib.get_close_matches(values_file, read, n=1)
    name = charts[0].inputs.application
    raise PlanRefused(
        f"values-file {values_file} is no values file of {name}.",
        why=f"Did you mean {near[0]}?" if near else f"It reads {', '.join(read) or 'none'}.",
        todo="Correct values-file in the configuration.",
    )


def written(keys: ImageKeys, ask: Ask) -> dict[Key, str]:
    """Return what to write at each key. Pure.

    A digest that is given goes to its own key, or behind the tag where the chart has none. One
    that stands there now never stays beside another tag: without a new one it is cleared. Raises
    PlanRefused for one digest that several images would have.
    """
    images = {image.repository for image in Wanted(keys, ask).pinned()}
    if ask.digest and len(images) > 1:
        raise PlanRefused(
            f"{ask.digest} cannot be the digest of several images.",
            why=f"{keys.digest or keys.main} decides {', '.join(sorted(images))}.",
            todo="Leave the digest out, or give each image a key of its own.",
        )
    behind = f"@{ask.digest}" if ask.digest and keys.digest is None else ""
    start = f"{split_image(keys.values[keys.main]).repository}:" if keys.whole else ""
    result = {keys.main: f"{start}{ask.tag}{behind}"}
    if keys.digest:
        around = next(iter(keys.digests.values()))
        result[keys.digest] = around.value(ask.digest) if ask.digest else ""
    return result


def _candidates(searches: Sequence[Search], key: Key | None) -> list[Candidate]:
    found = _at_key(searches, key) if key else [c for s in searches for c in tag_candidates(s)]
    return _merged(found)


def _merged(found: Iterable[Candidate]) -> list[Candidate]:
    """Make one of the candidates that are one value of one file, read by several charts."""
    result: dict[object, Candidate] = {}
    for one in found:
        real = one.setter.real if isinstance(one.setter, Layer) else ""
        place = (real, one.path) if real else len(result)
        known = result.get(place)
        users = {**known.affixes, **one.affixes} if known else one.affixes
        result[place] = replace(known or one, affixes=users)
    return list(result.values())


def _at_key(searches: Sequence[Search], key: Key) -> Iterator[Candidate]:
    paths = [tuple(_resolved(search.rendered.values, key)) for search in searches]
    known = [{str(Key(path)): path for path, _ in search.leaves} for search in searches]
    have = [path in names.values() for path, names in zip(paths, known, strict=True)]
    if not any(have):
        near = difflib.get_close_matches(str(key), chain(*known), n=1)
        raise PlanRefused(
            f"tag-key {key} is no value of {searches[0].name}'s chart.",
            why=f"Did you mean {near[0]}?" if near else "",
            todo="Correct tag-key in the configuration; or, where the chart reads it and no file"
            f" sets it, add it to {last_file(searches[0].chart.inputs)}.",
        )
    for search, path, here in zip(searches, paths, have, strict=True):
        if here:
            yield from candidate_at(search, path)


def _digest(tag: Candidate, layer: Layer, *, wanted: bool) -> Candidate | None:
    """Return where the digest beside the tag stands, an empty place only where one is wanted.

    Raises PlanRefused where a digest that is in use stands in another file than the tag.
    """
    used = digest_candidates(tag)
    if not used and wanted:
        used = [one for one in empty_digests(tag) if one.setter == layer]
    if not used:
        return None
    inputs = tag.search.chart.inputs
    if editable(inputs, used[0].path, used[0].setter).real != layer.real:
        raise PlanRefused(
            f"{tag.key} and its digest {used[0].key} stand in different files.",
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
