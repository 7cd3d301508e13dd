"""Which containers rendered objects run, and with which images. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from plate_release.charts.reading import Path
from plate_release.charts.render import KubernetesObject, Rendered
from plate_release.model import Image

_TEXT_ONLY = {"ConfigMap", "Secret", "CustomResourceDefinition"}
_TAG = re.compile(r":(?P<tag>[^/:@]*)$")


@dataclass(frozen=True, slots=True)
class Container:
    """One place where an object names an image; `path` leads to the map that holds it."""

    object: KubernetesObject
    name: str
    path: Path
    image: str

    @property
    def place(self) -> tuple[str, str, Path]:
        """What stays when the object's name follows the tag."""
        return self.object.kind, self.object.template, self.path

    def __str__(self) -> str:
        return f"{self.object}, container {self.name}"


def containers(rendered: Rendered) -> tuple[Container, ...]:
    """Return every container of every object, custom resources with an `image` too.

    Pods of `helm test` are left out: Argo CD never runs them.
    """
    return tuple(
        Container(one, str(body.get("name") or ".".join(map(str, path))), path, body["image"])
        for one in rendered.objects
        if one.kind not in _TEXT_ONLY and one.hook not in {"test", "test-success"}
        for path, body in _with_image(one.body, ())
    )


def split_image(text: str) -> Image:
    """Split a reference as it stands, valid or not."""
    name, _, digest = text.partition("@")
    match = _TAG.search(name)
    repository = name[: match.start()] if match else name
    return Image(repository, (match["tag"] or None) if match else None, digest or None)


def _with_image(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(value, dict):
        if isinstance(value.get("image"), str):
            yield path, value
        for key, item in value.items():
            yield from _with_image(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _with_image(item, (*path, index))
