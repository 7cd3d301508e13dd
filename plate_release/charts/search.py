"""A chart that is searched for the values that its images come from, and what is found."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Literal, NamedTuple, Self

import yaml

from plate_release.charts.inputs import Layer, Parameter
from plate_release.charts.objects import Rendered
from plate_release.charts.reading import Path, at, leaves
from plate_release.charts.render import OpenChart
from plate_release.charts.winner import winner
from plate_release.charts.workloads import Container, containers, split_image
from plate_release.errors import EditRefused
from plate_release.model import Image
from plate_release.values import Key, scalars
from plate_release.values.keys import Match, Step

Role = Literal["tag", "digest", "whole"]
Claims = Mapping[Path, Mapping[Container, "Affixes"]]
"""Values that containers take their image from, and what a template puts around each."""


class Affixes(NamedTuple):
    """What a template puts before and behind a value to make the tag or digest: `v`, `-alpine`.

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


@dataclass(frozen=True, slots=True)
class Sought:
    """The service whose image is looked for, and what the configuration says of its key.

    `tag_key` names the tag's key, `values_file` the file that it stands in, `config_file` where
    that is said.
    """

    service: str
    tag_key: Key | None = None
    values_file: str | None = None
    config_file: str = "environments/prod.yaml"

    def setting(self, name: str, value: object) -> str:
        """Return what a message tells people to write into the configuration."""
        said = yaml.safe_dump(
            {self.service: {name: str(value)}}, default_flow_style=True, width=sys.maxsize
        )
        return f"`services: {said.strip()}`"


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

    def is_of_subchart(self, container: Container) -> bool:
        """Whether a container is rendered by a chart within the chart."""
        inputs, template = self.chart.inputs, container.object.template
        inside = (
            template.partition("/")[2]
            if inputs.remote
            else template.removeprefix(f"{inputs.chart}/")
        )
        return inside.startswith("charts/")

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

    @property
    def named_key(self) -> Key:
        """The key, list items by their names: an index means another item tomorrow."""
        steps: list[Step] = []
        for end, step in enumerate(self.path):
            item = self.search.value((*self.path[:end], step)) if isinstance(step, int) else None
            name = item.get("name") if isinstance(item, dict) else None
            names = [at(one, ("name",)) for one in self.search.value(self.path[:end]) or ()]
            is_one = isinstance(name, str) and names.count(name) == 1
            steps.append(Match("name", str(name)) if is_one else step)
        return Key(tuple(steps), self.search.document)

    @property
    def is_own(self) -> bool:
        """Whether the environment sets it, and not the default values that all share."""
        is_default = isinstance(self.setter, Layer) and self.setter.is_default
        return self.setter is not None and not is_default

    def goes_by(self, service: str) -> bool:
        """Whether a container of it is called like the service, or has it in its image's name."""
        return any(_is_called(one, service) for one in self.containers)

    def stands_in(self, file: str) -> bool:
        """Whether a values file sets it last."""
        return isinstance(self.setter, Layer) and self.setter.goes_by(file)

    def __str__(self) -> str:
        where = self.setter.file if self.setter else "a subchart's default values"
        return f"{self.key} in {where}: {', '.join(map(str, self.containers))}"


def _is_called(container: Container, service: str) -> bool:
    words = re.sub(r"[/_.]", "-", split_image(container.image).repository)
    return service in {container.name, container.object.name} or f"-{service}-" in f"-{words}-"


def candidates_of(search: Search, claims: Claims) -> list[Candidate]:
    """Return the candidates of claims.

    What only mirrors another value is left out, such as the globals in a subchart's values.
    """
    found = [
        Candidate(search, path, users, winner(search.chart.inputs, search.key(path)))
        for path, users in claims.items()
    ]
    set_by_someone = set(chain(*(one.affixes for one in found if one.setter)))
    return [one for one in found if one.setter or not set_by_someone.issuperset(one.affixes)]


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


def as_text(value: Any) -> str:
    """Write a scalar as a template prints it, large numbers apart."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same_number(value: Any, tag: str | None) -> bool:
    """Compare as numbers: Helm prints 1234567 as `1.234567e+06`."""
    try:
        return type(value) in {int, float} and float(tag or "") == value
    except ValueError:
        return False
