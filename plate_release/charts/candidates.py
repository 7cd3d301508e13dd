"""Which values a container's image comes from, found by what is rendered.

A value that equals a container's tag, or its whole reference, is a candidate. Where that is not
certain (two claim one container, one claims several images, or a container's tag may come from a
value that does not show), the chart is rendered once more with a mark in each, and the marks that
come out in images tell.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

from plate_release.charts.marks import marked, shown
from plate_release.charts.reading import Path
from plate_release.charts.search import (
    Affixes,
    Candidate,
    Search,
    as_text,
    candidates_of,
    role,
)
from plate_release.charts.workloads import Container, split_image
from plate_release.errors import PlanRefused
from plate_release.model import Image

_ALGORITHM = "sha256:"  # some charts write it before the digest
_LEAST_PART = 3  # characters of a value that is a part of a tag


def tag_candidates(search: Search) -> list[Candidate]:
    """Return every value that a container takes its tag from.

    Raises PlanRefused where it cannot be told.
    """
    claims = _claims(search)
    hidden = dict.fromkeys(_unseen(search, chain(*claims.values())))
    if not claims:
        return marked(search, list(hidden), {})
    if _certain(claims.values()):
        known, unsure = candidates_of(search, claims), list(hidden)
    else:
        known = marked(search, list(claims), claims if len(claims) == 1 else {})
        unsure = [path for path in hidden if path not in claims]
    if not known:
        return marked(search, unsure, {})
    return _joined(search, known, _suspected(search, unsure))


def _suspected(search: Search, paths: list[Path]) -> list[Candidate]:
    """Return those of the values that do not show which are a tag, none where that is not told."""
    with suppress(PlanRefused):
        return marked(search, paths, {})
    return []


def _joined(
    search: Search, known: Iterable[Candidate], more: Iterable[Candidate]
) -> list[Candidate]:
    """Add candidates, and the containers of one that is known: a mark may leave out its own."""
    claims: dict[Path, Mapping[Container, Affixes]] = {}
    for one in (*known, *more):
        claims[one.path] = {**one.affixes, **claims.get(one.path, {})}
    return candidates_of(search, claims)


def candidate_at(search: Search, path: Path) -> list[Candidate]:
    """Return the candidate at `path`, if containers take their tag from there."""
    claims = _claims(search)
    own = {path: claims.pop(path, {})}
    alone = _certain(own.values()) and set(own[path]).isdisjoint(chain(*claims.values()))
    if own[path] and alone and path not in _unseen(search, own[path]):
        return candidates_of(search, own)
    return marked(search, [path], own)


def digest_candidates(tag: Candidate) -> list[Candidate]:
    """Return the values that hold the digest of the tag's containers."""
    search = tag.search
    claims = {
        path: {
            one: Affixes("" if ":" in as_text(value) else _ALGORITHM)
            for one in tag.containers
            if role(value, (one,)) == "digest"
        }
        for path, value in search.leaves
    }
    return candidates_of(search, {path: users for path, users in claims.items() if users})


def empty_digests(tag: Candidate) -> list[Candidate]:
    """Return the empty values beside the tag that would be a digest if they were filled."""
    search = tag.search
    beside = {
        path: f"{_ALGORITHM}{index:0>64}"
        for index, (path, value) in enumerate(search.leaves)
        if path[:-1] == tag.path[:-1] and path != tag.path and value in ("", None)
    }
    return shown(search, beside, search.rendered.values) if beside else []


def _claims(search: Search) -> dict[Path, dict[Container, Affixes]]:
    """Return the values that are a container's tag or image, with those containers."""
    claims = (
        (path, (one for one in search.containers if role(value, (one,)) in {"tag", "whole"}))
        for path, value in search.leaves
    )
    return {path: found for path, users in claims if (found := dict.fromkeys(users, Affixes()))}


def _certain(claims: Iterable[Iterable[Container]]) -> bool:
    """Whether no container is claimed twice, and no value claims several images."""
    users = [list(claim) for claim in claims]
    taken = list(chain(*users))
    images = [{split_image(c.image).repository for c in claim} for claim in users]
    return len(taken) == len(set(taken)) and all(len(one) == 1 for one in images)


def _unseen(search: Search, seen: Iterable[Container]) -> Iterator[Path]:
    """Give the values that may decide a tag which none of the `seen` containers has.

    They are a part of such a tag; or they are empty or hidden by a digest, and stand in one map
    with a part of the image's repository.
    """
    others = set(search.containers).difference(seen)
    images = {split_image(container.image) for container in others}
    known: dict[Path, list[tuple[Any, Image]]] = {}
    for path, value in search.leaves if images else ():
        if isinstance(value, bool | dict | list):
            continue
        text, holder = as_text(value), path[:-1]
        if holder not in known:
            known[holder] = list(_repositories(search.value(holder), images))
        beside = [image for key, image in known[holder] if key != path[-1]]
        if any(_is_part(one, text) for one in images) or any(_hides(one, text) for one in beside):
            yield path


def _repositories(holder: Any, images: Iterable[Image]) -> Iterator[tuple[Any, Image]]:
    """Give the keys of a map that hold an image's repository, or whole names of it."""
    for key, value in holder.items() if isinstance(holder, dict) else ():
        for image in images if value else ():
            if f"/{value}/" in f"/{image.repository}/":
                yield key, image


def _is_part(image: Image, text: str) -> bool:
    plain = text.removeprefix("v")
    return len(text) >= _LEAST_PART and image.tag is not None and plain in image.tag


def _hides(image: Image, text: str) -> bool:
    """Whether a value beside the image's repository may be its tag, though it does not show."""
    pinned = image.digest is not None and image.tag is None
    shown = text in image.repository or text == image.digest
    return not text or (pinned and not shown)
