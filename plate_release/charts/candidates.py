"""Which values a container's image comes from, found by what is rendered.

A value that equals a container's tag, or its whole reference, is a candidate. Where that is not
certain (two claim one container, one claims several images, or none does), the chart is rendered
once more with a mark in each, and the marks that come out in images tell.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, NamedTuple, Self

from plate_release.charts.inputs import Layer, Parameter
from plate_release.charts.objects import Rendered
from plate_release.charts.reading import Path, at, leaves, placed
from plate_release.charts.render import OpenChart
from plate_release.charts.winner import winner
from plate_release.charts.workloads import Container, containers, split_image
from plate_release.errors import ChartRefused, EditRefused, PlanRefused
from plate_release.model import Image
from plate_release.values import Key, scalars

Role = Literal["tag", "digest", "whole"]


class Affixes(NamedTuple):
    """What a template puts before and behind a value to make the tag: `v`, `-alpine`.

    `plain`: it takes the value's own leading v away.
    """

    before: str = ""
    behind: str = ""
    plain: bool = False

    def tag(self, value: str) -> str:
        """Return the tag that a value makes."""
        return f"{self.before}{value.removeprefix('v') if self.plain else value}{self.behind}"

    def value(self, tag: str) -> str:
        """Return the value that makes a tag; a tag that none makes is one itself."""
        inner = tag.removeprefix(self.before).removesuffix(self.behind)
        return inner if inner and self.tag(inner) == tag else tag


# So many values are marked one by one, where the chart takes not all marks at once.
_MOST_ALONE = 20
_LEAST_PART = 3  # characters of a value that is a part of a tag


@dataclass(frozen=True, slots=True)
class Search:
    """A chart as it is rendered now; `document` is the one to look at in a file of several.

    `leaves` are all values that helm saw, and all that a file leaves blank.
    """

    chart: OpenChart
    rendered: Rendered
    containers: tuple[Container, ...]
    document: int | None
    leaves: tuple[tuple[Path, Any], ...] = field(repr=False)

    @classmethod
    def of(cls, chart: OpenChart, rendered: Rendered, document: int | None) -> Self:
        """Return the search in a chart."""
        seen = (*leaves(rendered.values), *((path, None) for path in _blank(chart, rendered)))
        return cls(chart, rendered, containers(rendered.objects), document, seen)

    def key(self, path: Path) -> Key:
        """Return the key that leads to a value."""
        return Key(path, self.document)

    @property
    def name(self) -> str:
        """The Application's name."""
        return self.chart.inputs.application

    def value(self, path: Path) -> Any:
        """Return the value that helm saw at `path`."""
        return at(self.rendered.values, path)


def _blank(chart: OpenChart, rendered: Rendered) -> Iterator[Path]:
    """Give what files set to null, which helm takes out of the values."""
    for layer in chart.inputs.layers:
        try:
            found = list(scalars(layer.data, file=layer.file))
        except EditRefused:
            continue  # told where the file is to be edited
        for key, scalar in found:
            path = tuple(step for step in key.steps if isinstance(step, str | int))
            holder = at(rendered.values, path[:-1])
            if not scalar.value and isinstance(holder, dict) and path[-1] not in holder:
                yield path


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value, the containers that take their image from it and how, and what sets it last."""

    search: Search = field(repr=False)
    path: Path
    affixes: Mapping[Container, Affixes]
    setter: Layer | Parameter | None

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers that take their image from it."""
        return tuple(self.affixes)

    @property
    def value(self) -> Any:
        """What stands there now."""
        return self.search.value(self.path)

    @property
    def key(self) -> Key:
        """The key that leads to it."""
        return self.search.key(self.path)

    def __str__(self) -> str:
        where = self.setter.file if self.setter else "a subchart's default values"
        return f"{self.key} in {where}: {', '.join(map(str, self.containers))}"


def tag_candidates(search: Search) -> list[Candidate]:
    """Return every value that a container takes its tag from.

    Raises PlanRefused where it cannot be told.
    """
    claims = _claims(search)
    if claims and _certain(claims.values()) and not _more_follow(search, claims):
        return _candidates(search, {path: _plain(users) for path, users in claims.items()})
    return marked(search, list(claims) or list(dict.fromkeys(_unseen(search))))


def candidate_at(search: Search, path: Path) -> list[Candidate]:
    """Return the candidate at `path`, if containers take their tag from there."""
    claims = _claims(search)
    users = claims.pop(path, ())
    alone = users and _certain([users]) and set(users).isdisjoint(chain(*claims.values()))
    if alone and not _more_follow(search, {path: users}):
        return _candidates(search, {path: _plain(users)})
    return marked(search, [path])


def digest_candidates(tag: Candidate) -> list[Candidate]:
    """Return the values that hold the digest of the tag's containers."""
    search = tag.search
    claims = {
        path: _plain(tag.containers)
        for path, value in search.leaves
        if role(value, tag.containers) == "digest"
    }
    return _candidates(search, claims)


def empty_digests(tag: Candidate) -> list[Candidate]:
    """Return the empty values beside the tag that would be a digest if they were filled."""
    search = tag.search
    beside = {
        path: f"sha256:{index:0>64}"
        for index, (path, value) in enumerate(search.leaves)
        if path[:-1] == tag.path[:-1] and path != tag.path and value in ("", None)
    }
    return _shown(search, beside, search.rendered.values) if beside else []


def role(value: Any, users: Iterable[Container]) -> Role | None:
    """Say what part of a container's image the value is."""
    text = as_text(value)
    for container in users if text else ():
        image = split_image(container.image)
        if text in {image.tag, f"{image.tag}@{image.digest}"} or _same_number(value, image.tag):
            return "tag"
        whole = container.image == text or container.image.endswith(f"/{text}")
        if whole and split_image(text) != Image(text):
            return "whole"
        if image.digest and text in {image.digest, image.digest.rpartition(":")[2]}:
            return "digest"
    return None


def marked(search: Search, paths: list[Path]) -> list[Candidate]:
    """Render with a mark in each value; return those whose mark an image shows.

    A chart that does not take all marks at once is tried with each alone, and one that takes none
    is believed. Raises PlanRefused where it cannot be told.
    """
    marks = {path: _mark(search.value(path), index) for index, path in enumerate(paths)}
    values = _without_digests(search)
    try:
        return _shown(search, marks, values) if marks else []
    except ChartRefused as error:
        found, refused = _alone(search, marks, values)
        if found or not refused:
            return found
        if len(paths) == 1 and (users := _claims(search).get(paths[0])):
            return _candidates(search, {paths[0]: _plain(users)})
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
            found += _shown(search, {path: mark}, values)
        except ChartRefused:
            refused.append(path)
    return found, refused


def _shown(search: Search, marks: Mapping[Path, Any], values: Any) -> list[Candidate]:
    """Render with the marks; raises ChartRefused where the chart does not take them.

    A mark that takes the place of a whole image hides the others: each is tried alone then.
    """
    changes = dict(marks)
    for path, mark in marks.items():
        if role(search.value(path), search.containers) == "whole":
            changes[path] = f"{split_image(as_text(search.value(path))).repository}:{mark}"
    shown = containers(search.chart.render(placed(values, changes)).objects)
    before = {container.place: container for container in search.containers}
    kept = [one for one in shown if one.place in before and _is_kept(one, before[one.place])]
    if len(kept) < len(shown) and len(marks) > 1:
        return _alone(search, marks, values)[0]
    users = {
        path: {
            before[one.place]: _affixes(one.image, as_text(mark))
            for one in kept
            if as_text(mark).removeprefix("v") in one.image
        }
        for path, mark in marks.items()
    }
    return _candidates(search, {path: found for path, found in users.items() if found})


def _is_kept(now: Container, before: Container) -> bool:
    return split_image(now.image).repository == split_image(before.image).repository


def _affixes(image: str, mark: str) -> Affixes:
    seen = mark if mark in image else mark.removeprefix("v")
    before, _, behind = (split_image(image).tag or seen).partition(seen)
    return Affixes(before, behind, plain=seen != mark)


def _mark(value: Any, index: int) -> Any:
    """Return what the value could be instead, for templates that want a number or a version."""
    text = as_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 908_000 + index
    if re.fullmatch(r"v?\d+\.\d+\.\d+", text):
        return f"{'v' if text.startswith('v') else ''}90817.{index}.0"
    if re.fullmatch(r"[0-9]+", text):
        return f"{908_000 + index}".ljust(len(text), "0")
    if re.fullmatch(r"[0-9a-f]{7,40}", text):
        return f"{0x9081000 + index:x}".ljust(len(text), "0")
    return f"0.0.0-mark.{index}.x"


def as_text(value: Any) -> str:
    """Write a scalar as a template prints it, large numbers apart."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(users: Iterable[Container]) -> dict[Container, Affixes]:
    return dict.fromkeys(users, Affixes())


def _claims(search: Search) -> dict[Path, tuple[Container, ...]]:
    """Return the values that are a container's tag or image, with those containers."""
    return {path: users for path, value in search.leaves if (users := _users(search, value))}


def _certain(claims: Iterable[tuple[Container, ...]]) -> bool:
    """Whether no container is claimed twice, and no value claims several images."""
    taken = [container for users in claims for container in users]
    images = [{split_image(c.image).repository for c in users} for users in claims]
    return len(taken) == len(set(taken)) and all(len(one) == 1 for one in images)


def _more_follow(search: Search, claims: Mapping[Path, tuple[Container, ...]]) -> bool:
    """Whether a tag that no value is holds one of the claimed, such as `1.4.2-slim` does 1.4.2."""
    claimed = set(chain(*claims.values()))
    tags = [split_image(one.image).tag or "" for one in search.containers if one not in claimed]
    values = [as_text(search.value(path)) for path in claims]
    return any(len(text) >= _LEAST_PART and text in tag for text in values for tag in tags)


def _candidates(
    search: Search, claims: Mapping[Path, Mapping[Container, Affixes]]
) -> list[Candidate]:
    """Leave out what only mirrors another value, such as the globals in a subchart's values."""
    found = [
        Candidate(search, path, users, winner(search.chart.inputs, search.key(path)))
        for path, users in claims.items()
    ]
    set_by_someone = set(chain(*(one.affixes for one in found if one.setter)))
    return [one for one in found if one.setter or not set_by_someone.issuperset(one.affixes)]


def _users(search: Search, value: Any) -> tuple[Container, ...]:
    return tuple(c for c in search.containers if role(value, (c,)) in {"tag", "whole"})


def _same_number(value: Any, tag: str | None) -> bool:
    """Compare as numbers: Helm prints 1234567 as `1.234567e+06`."""
    try:
        return type(value) in {int, float} and float(tag or "") == value
    except ValueError:
        return False


def _unseen(search: Search) -> Iterator[Path]:
    """Give the values that may be a tag unseen: empty, hidden by a digest, or a part of a tag.

    But for the last they stand in one map with the image's repository.
    """
    images = [split_image(container.image) for container in search.containers]
    known: dict[Path, list[tuple[Any, Image]]] = {}
    for path, value in search.leaves:
        if isinstance(value, bool | dict | list):
            continue
        text, holder = as_text(value), path[:-1]
        if holder not in known:
            known[holder] = list(_repositories(search.value(holder), images))
        beside = [image for key, image in known[holder] if key != path[-1]]
        if any(_is_part(one, text) for one in images) or any(_hides(one, text) for one in beside):
            yield path


def _repositories(holder: Any, images: list[Image]) -> Iterator[tuple[Any, Image]]:
    """Give the keys of a map that hold an image's repository, or the end of it."""
    for key, value in holder.items() if isinstance(holder, dict) else ():
        for image in images if value else ():
            if f"/{image.repository}".endswith(f"/{value}"):
                yield key, image


def _is_part(image: Image, text: str) -> bool:
    plain = text.removeprefix("v")
    return len(text) >= _LEAST_PART and image.tag is not None and plain in image.tag


def _hides(image: Image, text: str) -> bool:
    """Whether a value beside the image's repository may be its tag, though it does not show."""
    pinned = image.digest is not None and image.tag is None
    shown = text in image.repository or text == image.digest
    return not text or (pinned and not shown)


def _without_digests(search: Search) -> Any:
    """Clear the digests of images, since many charts leave the tag out beside one."""
    digests = [path for path, value in search.leaves if role(value, search.containers) == "digest"]
    return placed(search.rendered.values, dict.fromkeys(digests, ""))
