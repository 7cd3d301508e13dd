"""Which values a container's image comes from, found by what is rendered.

A value that equals a container's tag, or its whole reference, is a candidate. Where two claim one
container, or none does, the chart is rendered once more with a mark in each, and the marks that
come out in images tell.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from plate_release.charts.inputs import Layer, Parameter
from plate_release.charts.objects import Rendered
from plate_release.charts.reading import Path, at, leaves, replaced
from plate_release.charts.render import OpenChart
from plate_release.charts.winner import winner
from plate_release.charts.workloads import Container, containers, split_image
from plate_release.errors import ChartRefused, PlanRefused
from plate_release.model import Image
from plate_release.values import Key

Role = Literal["tag", "digest", "whole"]
_TAG_MARK = "0.0.0-mark.{}.x"
_DIGEST_MARK = "sha256:{:0>64}"


@dataclass(frozen=True, slots=True)
class Search:
    """A chart as it is rendered now; `document` is the one to look at in a file of several."""

    chart: OpenChart
    rendered: Rendered
    containers: tuple[Container, ...]
    document: int | None

    @classmethod
    def of(cls, chart: OpenChart, rendered: Rendered, document: int | None) -> Self:
        """Return the search in a chart."""
        return cls(chart, rendered, containers(rendered.objects), document)

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

    def leaves(self) -> Iterator[tuple[Path, Any]]:
        """Give every value that helm saw."""
        return leaves(self.rendered.values)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value, the containers that take their image from it, and what sets it last."""

    search: Search = field(repr=False)
    path: Path
    containers: tuple[Container, ...]
    setter: Layer | Parameter | None

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
    claims = {path: users for path, value in search.leaves() if (users := _users(search, value))}
    found = _set_by_someone(search, claims)
    taken = [container for one in found for container in one.containers]
    if found and len(taken) == len(set(taken)):
        return found
    return marked(search, [one.path for one in found] or list(_unseen(search)))


def candidate_at(search: Search, path: Path) -> list[Candidate]:
    """Return the candidate at `path`, if containers take their tag from there."""
    users = _users(search, search.value(path))
    others = {user for p, value in search.leaves() if p != path for user in _users(search, value)}
    if users and others.isdisjoint(users):
        return _set_by_someone(search, {path: users})
    return marked(search, [path])


def digest_candidates(tag: Candidate) -> list[Candidate]:
    """Return the values that hold the digest of the tag's containers."""
    search = tag.search
    claims = {
        path: tag.containers
        for path, value in search.leaves()
        if role(value, tag.containers) == "digest"
    }
    return _set_by_someone(search, claims)


def empty_digests(tag: Candidate) -> list[Candidate]:
    """Return the empty values beside the tag that would be a digest if they were filled."""
    search = tag.search
    beside = [
        path
        for path, value in search.leaves()
        if path[:-1] == tag.path[:-1] and path != tag.path and value in ("", None)
    ]
    return marked(search, beside, _DIGEST_MARK)


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


def marked(search: Search, paths: list[Path], mark: str = _TAG_MARK) -> list[Candidate]:
    """Render once with a mark in each value; return those whose mark an image shows.

    Raises PlanRefused where the chart does not render with them.
    """
    if not paths:
        return []
    marks = {path: mark.format(index) for index, path in enumerate(paths)}
    values = search.rendered.values if mark is _DIGEST_MARK else _without_digests(search)
    for path, text in marks.items():
        whole = role(search.value(path), search.containers) == "whole"
        repository = split_image(as_text(search.value(path))).repository if whole else ""
        values = replaced(values, path, f"{repository}:{text}" if whole else text)
    try:
        shown = containers(search.chart.render(values=values).objects)
    except ChartRefused as error:
        raise PlanRefused(
            f"The key that holds the image of {search.name} cannot be told.",
            why=f"Possible: {', '.join(str(search.key(path)) for path in paths)}.\n{error.why}",
            todo="Name it in the configuration as `tag-key`.",
        ) from error
    before = {container.place: container for container in search.containers}
    users = {
        path: tuple(before[c.place] for c in shown if text in c.image and c.place in before)
        for path, text in marks.items()
    }
    return _set_by_someone(search, {path: found for path, found in users.items() if found})


def as_text(value: Any) -> str:
    """Write a scalar as a template prints it, large numbers apart."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _set_by_someone(search: Search, claims: dict[Path, tuple[Container, ...]]) -> list[Candidate]:
    """Leave out what only mirrors another value, such as the globals in a subchart's values."""
    found = [
        Candidate(search, path, users, winner(search.chart.inputs, search.key(path)))
        for path, users in claims.items()
    ]
    return [one for one in found if one.setter] or found


def _users(search: Search, value: Any) -> tuple[Container, ...]:
    return tuple(c for c in search.containers if role(value, (c,)) in {"tag", "whole"})


def _same_number(value: Any, tag: str | None) -> bool:
    """Compare as numbers: Helm prints 1234567 as `1.234567e+06`."""
    try:
        return type(value) in {int, float} and float(tag or "") == value
    except ValueError:
        return False


def _unseen(search: Search) -> Iterator[Path]:
    """Give the values that may be a tag unseen: empty, or hidden by a digest.

    They stand in one map with the image's repository.
    """
    images = [split_image(container.image) for container in search.containers]
    for path, value in search.leaves():
        holder = search.value(path[:-1])
        if not isinstance(holder, dict) or isinstance(value, bool | dict | list):
            continue
        others = [text for key, text in holder.items() if text and key != path[-1]]
        if any(_hides(image, as_text(value), others) for image in images):
            yield path


def _hides(image: Image, text: str, siblings: list[Any]) -> bool:
    beside = any(f"/{image.repository}".endswith(f"/{sibling}") for sibling in siblings)
    pinned = image.digest is not None and image.tag is None
    shown = text in image.repository or text == image.digest
    return beside and (not text or (pinned and not shown))


def _without_digests(search: Search) -> Any:
    """Clear the digests of images, since many charts leave the tag out beside one."""
    values: Any = search.rendered.values
    for path, value in search.leaves():
        if role(value, search.containers) == "digest":
            values = replaced(values, path, "")
    return values
