"""Which values keys hold the image that a service runs.

Found by what the rendered containers take, not by the keys' names: a value that equals a
container's tag, digest or whole reference is a candidate. Where several could be meant, the chart
is rendered once more with a mark in each, and the marks that come out in images tell.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from plate_release.charts.inputs import Layer, Parameter
from plate_release.charts.reading import Path, at, leaves, replaced
from plate_release.charts.render import OpenChart, Rendered
from plate_release.charts.winner import editable_layer, winner
from plate_release.charts.workloads import Container, containers, split_image
from plate_release.errors import ChartRefused, PlanRefused
from plate_release.model import Ask, Image
from plate_release.values import Key
from plate_release.values.keys import Match

Role = Literal["tag", "digest", "whole"]
Feeds = dict[Path, tuple[Container, ...]]


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """The keys to write, all in one `file`; `whole` holds `repository:tag@digest` in one string.

    `image` is what the `containers` run now, `values` what stands at each key now.
    """

    file: str
    tag: Key | None
    digest: Key | None
    whole: Key | None
    image: Image
    containers: tuple[Container, ...] = field(repr=False)
    values: Mapping[Key, str]

    @property
    def main(self) -> Key:
        """The key that the tag stands at."""
        key = self.whole or self.tag
        assert key is not None  # noqa: S101  # one of the two is what was found
        return key


@dataclass(frozen=True, slots=True)
class _Search:
    chart: OpenChart
    before: Rendered
    containers: tuple[Container, ...]

    @property
    def values(self) -> Mapping[str, Any]:
        return self.before.values


def image_keys(
    chart: OpenChart, before: Rendered, ask: Ask, tag_key: Key | None = None
) -> ImageKeys:
    """Find the keys that hold the image; `tag_key`, where configured, names the tag's.

    Raises PlanRefused where none or several fit, NoEffect where the Application overrides them.
    """
    search = _Search(chart, before, containers(before))
    feeds = _configured(search, tag_key) if tag_key else _found(search)
    path = _the_one(search, feeds)
    layer = editable_layer(chart.inputs, path)
    image = split_image(feeds[path][0].image)
    role = _role(at(search.values, path), feeds[path])
    digest = None if role == "whole" else _digest(search, path, feeds[path], ask, layer)
    found = [Key(p) for p in (path, digest) if p is not None]
    return ImageKeys(
        file=layer.file,
        tag=Key(path) if role != "whole" else None,
        digest=Key(digest) if digest else None,
        whole=Key(path) if role == "whole" else None,
        image=image,
        containers=feeds[path],
        values={key: _text(at(search.values, tuple(_plain(key)))) for key in found},
    )


def changes(keys: ImageKeys, ask: Ask) -> dict[Key, str]:
    """Return what to write at each key. Pure.

    A digest that is given goes to its own key, or behind the tag where the chart has none. One
    that stands there now never stays beside another tag: without a new one it is cleared.
    """
    behind = f"@{ask.digest}" if ask.digest and keys.digest is None else ""
    if keys.whole:
        repository = split_image(keys.values[keys.whole]).repository
        return {keys.whole: f"{repository}:{ask.tag}{behind}"}
    result = {keys.main: f"{ask.tag}{behind}"}
    if keys.digest:
        bare = keys.values[keys.digest] and ":" not in keys.values[keys.digest]
        given = ask.digest or ""
        result[keys.digest] = given.removeprefix("sha256:") if bare else given
    return result


def _found(search: _Search) -> Feeds:
    """Return each value that a container takes its tag from, with the containers."""
    strong = {
        path: claimed
        for path, value in leaves(search.values)
        if (claimed := _claimed(search.containers, value))
        and winner(search.chart.inputs, path) is not None
    }
    taken = [container for claimed in strong.values() for container in claimed]
    if len(taken) == len(set(taken)) and strong:
        return strong
    return _marked(search, strong or list(_beside(search)))


def _configured(search: _Search, key: Key) -> Feeds:
    path = tuple(_resolved(search.values, key))
    if at(search.values, path[:-1]) is None or isinstance(at(search.values, path), dict | list):
        raise PlanRefused(
            f"tag-key {key} is no value of the chart {search.chart.inputs.application} deploys.",
            why=_listed(_found(search), search),
            todo="Correct tag-key in the configuration.",
        )
    claimed = _claimed(search.containers, at(search.values, path))
    others = [p for p in _found(search) if p != path]
    if claimed and not others:
        return {path: claimed}
    return _marked(search, [path])


def _the_one(search: _Search, feeds: Feeds) -> Path:
    """Choose the key: the only one, or the only one that a file of the environment sets."""
    own = [path for path in feeds if not _is_default(search, path)]
    for choice in (list(feeds), own):
        if len(choice) == 1:
            return choice[0]
    if feeds:
        raise PlanRefused(
            f"Several keys of {search.chart.inputs.application} hold an image's tag.",
            why=_listed(feeds, search),
            todo=f"Choose one in the configuration, such as `tag-key: {Key(next(iter(feeds)))}`.",
        )
    images = "\n".join(f"{c}: {c.image}" for c in search.containers)
    raise PlanRefused(
        f"No values key of {search.chart.inputs.application} decides a container's tag.",
        why=images or "The chart runs no container.",
        todo="Let the chart take the tag from its values, or name the key as `tag-key`.",
    )


def _is_default(search: _Search, path: Path) -> bool:
    found = winner(search.chart.inputs, path)
    return isinstance(found, Layer) and found.kind == "chart"


def _claimed(all_containers: Iterable[Container], value: Any) -> tuple[Container, ...]:
    return tuple(c for c in all_containers if _role(value, (c,)) in {"tag", "whole"})


def _role(value: Any, users: Iterable[Container]) -> Role | None:
    """Say what part of a container's image the value is."""
    text = _text(value)
    for container in users if text else ():
        image = split_image(container.image)
        if text in {image.tag, f"{image.tag}@{image.digest}"} or _same_number(value, image.tag):
            return "tag"
        whole = container.image == text or container.image.endswith(f"/{text}")
        if whole and split_image(text) != Image(text):
            return "whole"
        if image.digest and image.digest.removeprefix("sha256:") == text.removeprefix("sha256:"):
            return "digest"
    return None


def _same_number(value: Any, tag: str | None) -> bool:
    """Helm prints the number 1234567 as `1.234567e+06`."""
    try:
        return type(value) in {int, float} and float(tag or "") == value
    except ValueError:
        return False


def _beside(search: _Search) -> Iterator[Path]:
    """Give the values that may be a tag unseen: empty, or hidden by a digest.

    They stand in one map with the image's repository.
    """
    images = [split_image(container.image) for container in search.containers]
    for path, value in leaves(search.values):
        holder = at(search.values, path[:-1])
        if not isinstance(holder, dict) or isinstance(value, bool | dict | list):
            continue
        others = [text for key, text in holder.items() if text and key != path[-1]]
        if any(_hides(image, _text(value), others) for image in images):
            yield path


def _hides(image: Image, text: str, siblings: list[Any]) -> bool:
    beside = any(f"/{image.repository}".endswith(f"/{sibling}") for sibling in siblings)
    pinned = image.digest is not None and image.tag is None
    shown = text in image.repository or text == image.digest
    return beside and (not text or (pinned and not shown))


def _marked(search: _Search, paths: Iterable[Path], mark: str = "0.0.0-mark.{}.x") -> Feeds:
    """Render once with a mark in each value, and return those whose mark an image shows."""
    values: Any = search.values
    marks: dict[Path, str] = {}
    for index, path in enumerate(paths):
        marks[path] = mark.format(index)
        text = _text(at(values, path))
        whole = _role(at(values, path), search.containers) == "whole"
        new = f"{split_image(text).repository}:{marks[path]}" if whole else marks[path]
        values = replaced(values, path, new)
    if not marks:
        return {}
    if "sha256" not in mark:
        values = _without_digests(search, values)
    try:
        shown = containers(search.chart.render(values=values))
    except ChartRefused as error:
        raise PlanRefused(
            f"The key that holds the tag of {search.chart.inputs.application} cannot be told.",
            why=f"Possible: {', '.join(str(Key(path)) for path in marks)}.\n{error.why}",
            todo="Name it in the configuration as `tag-key`.",
        ) from error
    places = {container.place: container for container in search.containers}
    return {
        path: users
        for path, text in marks.items()
        if (users := tuple(places[c.place] for c in shown if text in c.image and c.place in places))
    }


def _without_digests(search: _Search, values: Any) -> Any:
    """Clear the digests of images, since many charts leave the tag out beside one."""
    for path, value in leaves(search.values):
        if isinstance(value, str) and _role(value, search.containers) == "digest":
            values = replaced(values, path, "")
    return values


def _digest(
    search: _Search, tag: Path, users: tuple[Container, ...], ask: Ask, layer: Layer
) -> Path | None:
    """Return the key of the digest that stands beside the tag, empty ones only where asked for.

    Raises PlanRefused where a digest that is in use stands in another file than the tag.
    """
    used = [p for p, v in leaves(search.values) if _role(v, users) == "digest"]
    used = [path for path in used if winner(search.chart.inputs, path)]
    if not used and ask.digest:
        empty = [p for p, v in leaves(search.values) if p[:-1] == tag[:-1] and v in ("", None)]
        used = list(_marked(search, [p for p in empty if p != tag], "sha256:{:0>64}"))
        used = [p for p in used if winner(search.chart.inputs, p) == layer]
    if not used:
        return None
    if editable_layer(search.chart.inputs, used[0]).file != layer.file:
        raise PlanRefused(
            f"{Key(tag)} and its digest {Key(used[0])} stand in different files.",
            why="A digest that stays would pin the old image.",
            todo=f"Move the digest to {layer.file}.",
        )
    return used[0]


def _listed(feeds: Feeds, search: _Search) -> str:
    lines = []
    for path, users in feeds.items():
        found = winner(search.chart.inputs, path)
        where = found.file if isinstance(found, Layer | Parameter) else "a default"
        lines.append(f"{Key(path)} in {where}: {', '.join(str(user) for user in users)}")
    return "\n".join(lines)


def _resolved(values: Any, key: Key) -> Iterator[str | int]:
    """Turn `[name=web]` into the index it has in the chart's values."""
    for step in key.steps:
        plain: str | int
        if isinstance(step, Match):
            items = values if isinstance(values, list) else []
            plain = next(
                (
                    index
                    for index, item in enumerate(items)
                    if isinstance(item, dict) and _text(item.get(step.field)) == step.value
                ),
                len(items),
            )
        else:
            plain = step
        yield plain
        values = at(values, (plain,))


def _plain(key: Key) -> Iterator[str | int]:
    return (step for step in key.steps if not isinstance(step, Match))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
