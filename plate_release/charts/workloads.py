"""Which containers rendered objects run, and with which images. Pure."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from plate_release.charts.objects import KubernetesObject, Objects
from plate_release.charts.reading import Path, dotted
from plate_release.model import Image

_TEXT_ONLY = {"ConfigMap", "Secret", "CustomResourceDefinition"}
TESTS = {"test", "test-success", "test-failure"}
_TAG = re.compile(r":(?P<tag>[^/:@]*)$")


ContainerPlace: TypeAlias = tuple[int, str, str, int, Path]


@dataclass(frozen=True, slots=True)
class Container:
    """One place where an object names an image.

    `place` is the object's source, kind and template, its number among those, and the path to the
    map that holds the image: what stays when the object's name follows the tag.
    """

    object: KubernetesObject
    name: str
    place: ContainerPlace
    image: str

    @property
    def is_main(self) -> bool:
        """Whether it is one of a pod that runs on, and no init container."""
        return self.place[-1][-2:-1] == ("containers",)

    @property
    def is_first(self) -> bool:
        """Whether it is the first of these."""
        return self.place[-1][-2:] == ("containers", 0)

    def __str__(self) -> str:
        return f"{self.object}, container {self.name}"


def containers(objects: Objects) -> tuple[Container, ...]:
    """Return every container of every object, custom resources with an `image` too.

    Pods of `helm test` are left out: Argo CD never runs them.
    """
    return tuple(_containers(objects))


def _containers(objects: Objects) -> Iterator[Container]:
    seen: Counter[tuple[int, str, str]] = Counter()
    for one in objects:
        if one.kind in _TEXT_ONLY or one.hooks & TESTS:
            continue
        origin = (one.source, one.kind, one.template)
        for path, body, image in _with_image(one.body, ()):
            name = str(body.get("name") or dotted(path))
            yield Container(one, name, (*origin, seen[origin], path), image)
        seen[origin] += 1


def _image(said: Any) -> str | None:
    if isinstance(said, dict) and isinstance(said.get("repository"), str):
        registry = f"{said['registry']}/" if said.get("registry") else ""
        tag = f":{said['tag']}" if said.get("tag") else ""
        digest = f"@{said['digest']}" if said.get("digest") else ""
        return f"{registry}{said['repository']}{tag}{digest}"
    return said if isinstance(said, str) else None


@lru_cache(maxsize=1024)
def split_image(text: str) -> Image:
    """Split a reference as it stands, valid or not."""
    name, _, digest = text.partition("@")
    match = _TAG.search(name)
    repository = name[: match.start()] if match else name
    return Image(repository, (match["tag"] or None) if match else None, digest or None)


def tag_of(text: str) -> str:
    """Return the tag of a value that is a tag, or a whole image reference; a digest is left out."""
    name = text.partition("@")[0]
    return split_image(name).tag or "" if _is_reference(name) else name


def retagged(text: str, tag: str, old: str = "") -> str:
    """Return a value or an image with another tag, and without its digest.

    Of an image's tag that is more than `old`, such as `v1.4.2-slim`, just that is replaced; it may
    be without the leading v that `old` has.
    """
    name = text.partition("@")[0]
    if not _is_reference(name):
        return tag
    image = split_image(name)
    for was, becomes in ((old, tag), (old.removeprefix("v"), tag.removeprefix("v"))):
        before, found, behind = (image.tag or "").partition(was) if was else ("", "", "")
        if found:
            return f"{image.repository}:{before}{becomes}{behind}"
    return f"{image.repository}:{tag}"


def _is_reference(name: str) -> bool:
    # Neither character can stand in a tag.
    return ":" in name or "/" in name


def _with_image(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any], str]]:
    """Give each map that holds an image: as a text, or in parts as some custom resources do."""
    if isinstance(value, dict):
        image = _image(value.get("image", value.get("imageName")))
        if image is not None:
            yield path, value, image
        for key, item in value.items():
            if key != "metadata":
                yield from _with_image(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _with_image(item, (*path, index))
