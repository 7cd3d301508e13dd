"""Prove that an edit brings the asked image to the containers, and nothing else. Pure."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from plate_release.charts.difference import Change, Difference
from plate_release.charts.key import Wanted
from plate_release.charts.objects import Objects
from plate_release.charts.workloads import Container, containers, split_image
from plate_release.errors import NoEffect, PlanRefused
from plate_release.model import Check, Finding, Image

_HASH = re.compile(r"[0-9a-f]{16,128}")
_SHORT_HASH = re.compile(r"[0-9a-f]{6,128}")
_HASHED = re.compile(r"checksum|hash|sha|digest", re.IGNORECASE)
_SHOWN = 10


def unexplained(difference: Difference, wanted: Sequence[Wanted]) -> Iterator[str]:
    """Give what changes beyond the images, without a reason that lies in them.

    A value follows the image where it is the same text with the old tag or digest replaced by the
    new one (a version label, a Job's name), or where it is a checksum in metadata.
    """
    pairs = [*_pairs(wanted), *_renamed(difference)]
    for one in difference.objects:
        if one.before is None or one.after is None:
            yield f"{one}: the object {'appears' if one.before is None else 'goes'}"
            continue
        for change in one.changes:
            if not (_follows(change, pairs) or _is_asked_image(change, wanted)):
                yield f"{one}: {change}"


def _renamed(difference: Difference) -> Iterator[tuple[str, str]]:
    """Give the names of objects that end in a hash of their content, by which others name them."""
    for one in difference.objects:
        if one.before and one.after and one.before.name != one.after.name:
            old, new = one.before.name, one.after.name
            (start, _, end), (same, _, other) = old.rpartition("-"), new.rpartition("-")
            if start == same and _SHORT_HASH.fullmatch(end) and _SHORT_HASH.fullmatch(other):
                yield old, new


def prove(
    difference: Difference, before: Objects, after: Objects, wanted: Sequence[Wanted]
) -> tuple[Finding, ...]:
    """Check what edits would do to an Application, and return what a reviewer should know.

    Raises NoEffect where a container would not run the asked image, PlanRefused where anything
    else would change.
    """
    now = {container.place: container.image for container in containers(after)}
    for one, container in _of_each(wanted):
        image = now.get(container.place)
        # One that is gone is told below as what nobody asked for.
        if image is not None and not _is(split_image(image), one.image(container)):
            raise NoEffect(
                f"the edit has no effect: {container} would run {image}",
                why=f"Asked was {one.image(container)}.",
                todo="See which other value or template decides the image.",
            )
    unasked = list(unexplained(difference, wanted))
    if unasked:
        raise PlanRefused(
            f"{_edits(wanted)} would change more than the image.",
            why="\n".join(some_of(unasked, _SHOWN)),
            todo="Release what nobody asked for by a commit of its own first.",
        )
    return tuple(_findings(before, after, wanted))


def some_of(lines: list[str], most: int) -> list[str]:
    """Return the first lines, and how many there are more."""
    left = len(lines) - most
    return [*lines[:most], f"and {left} more"] if left > 0 else lines


def _of_each(wanted: Iterable[Wanted]) -> Iterator[tuple[Wanted, Container]]:
    yield from ((one, container) for one in wanted for container in one.keys.containers)


def _edits(wanted: Sequence[Wanted]) -> str:
    keys = [str(one.keys.main) for one in wanted]
    return f"The edit{'s' if len(keys) > 1 else ''} of {' and '.join(keys) or 'other services'}"


def _findings(before: Objects, after: Objects, wanted: Sequence[Wanted]) -> Iterator[Finding]:
    was = {container.place: container.image for container in containers(before)}
    all_ours: set[str] = set()
    for one in wanted:
        keys, ask = one.keys, one.ask
        if keys.image.digest and not ask.digest:
            text = f"{keys.main}: the pinned digest is removed, since none is known for {ask.tag}."
            yield Finding("warning", Check.DIGEST_DROPPED, text)
        ours = {split_image(container.image).repository for container in keys.containers}
        if len(ours) > 1:
            text = f"{keys.main} decides the tag of several images: {', '.join(sorted(ours))}."
            yield Finding("info", Check.SEVERAL_IMAGES, text)
        all_ours |= ours
    for container in containers(after):
        image = split_image(container.image)
        stays = was.get(container.place) == container.image
        if stays and image.repository in all_ours and not _is_asked(image, wanted):
            text = f"{container} stays at {container.image}."
            yield Finding("warning", Check.IMAGE_LEFT_BEHIND, text)


def _is_asked_image(change: Change, wanted: Sequence[Wanted]) -> bool:
    if change.path[-1] != "image" or not isinstance(change.before, str):
        return False
    old, new = split_image(change.before), split_image(str(change.after))
    return old.repository == new.repository and _is_asked(new, wanted)


def _is_asked(image: Image, wanted: Sequence[Wanted]) -> bool:
    """Whether an image is what some container is to run then."""
    return any(_is(image, one.image(container)) for one, container in _of_each(wanted))


def _is(image: Image, asked: Image) -> bool:
    """Whether the tag and the digest are as asked; beside a digest the tag may be left out."""
    if asked.digest:
        return image.digest == asked.digest and image.tag in {asked.tag, None}
    return image.tag == asked.tag and image.digest is None


def _pairs(wanted: Sequence[Wanted]) -> list[tuple[str, str]]:
    """Return the texts that may stand for each other, the longest first."""
    shifts = {
        (split_image(container.image), replace(one.image(container), repository=""))
        for one, container in _of_each(wanted)
    }
    for keys, ask in ((one.keys, one.ask) for one in wanted if not one.keys.whole):
        shifts.add((Image("", keys.values[keys.main] or None), Image("", ask.tag, ask.digest)))
    pairs = {pair for shift in shifts for pair in _pairs_of(*shift)}
    pairs |= {(_base64(one), _base64(other)) for one, other in pairs}
    return sorted((pair for pair in pairs if pair[0]), key=lambda pair: (-len(pair[0]), pair))


def _pairs_of(old: Image, new: Image) -> Iterator[tuple[str, str]]:
    yield _tail(old), _tail(new)
    if old.tag and new.tag:
        yield from ((old.tag, new.tag), (old.tag, _tail(new)[1:]))
        yield from ((form(old.tag), form(new.tag)) for form in _FORMS)
    if old.digest and new.digest:
        yield old.digest.rpartition(":")[2], new.digest.rpartition(":")[2]


def _tail(image: Image) -> str:
    return str(image)[len(image.repository) :]


def _slug(sign: str, tag: str) -> str:
    return re.sub(r"[._]", sign, tag.lower())


def _hash(algorithm: str, length: int, tag: str) -> str:
    return hashlib.new(algorithm, tag.encode(), usedforsecurity=False).hexdigest()[:length]


def _cut(length: int, tag: str) -> str:
    return tag[:length]


def _minor(tag: str) -> str:
    """Return `1.4` of `v1.4.2`."""
    match = re.match(r"v?(\d+\.\d+)(?=[.+-]|$)", tag)
    return match[1] if match else ""


def _major(tag: str) -> str:
    """Return `v1` of `1.4.2`."""
    match = re.match(r"v?(\d+)\.\d", tag)
    return f"v{match[1]}" if match else ""


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# What charts make of a tag: a label without its v, a short commit, the hash in a Job's name.
_FORMS: tuple[Callable[[str], str], ...] = (
    *(partial(_slug, sign) for sign in "-_"),
    *(partial(_cut, length) for length in (63, 40, 12, 10, 8, 7)),
    *(partial(_hash, name, n) for name in ("sha256", "sha1") for n in (64, 40, 32, 16, 12, 10, 8)),
    _minor,
    _major,
    lambda tag: tag.removeprefix("v"),
)


def _follows(change: Change, pairs: list[tuple[str, str]]) -> bool:
    old, new = change.before, change.after
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    if any(_replaced(old, *pair) == new for pair in pairs) or _is_checksum(change):
        return True
    # A text of several lines may have the tag in more than one form.
    for pair in pairs:
        old = _replaced(old, *pair)
    return old == new


def _replaced(text: str, old: str, new: str) -> str:
    """Replace `old` where it stands for itself: 1.4 is in v1.4-shop, but not in 21.4 or 1.4.2."""
    start, end = (
        _edge(old[0], r"(?<![0-9])(?<![0-9]\.)", "<!"),
        _edge(old[-1], r"(?!\.?[0-9])", "!"),
    )
    return re.sub(start + re.escape(old) + end, lambda _: new, text)


def _edge(sign: str, beside_digit: str, look: str) -> str:
    if sign.isdigit():
        return beside_digit
    return f"(?{look}[A-Za-z0-9])" if sign.isalpha() else ""


def _is_checksum(change: Change) -> bool:
    if "annotations" not in change.path and "labels" not in change.path:
        return False
    form = _SHORT_HASH if _HASHED.search(str(change.path[-1])) else _HASH
    return all(form.fullmatch(str(side)) for side in (change.before, change.after))
