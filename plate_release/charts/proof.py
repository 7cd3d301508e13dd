"""Prove that an edit brings the asked image to the containers, and nothing else. Pure."""

import re
from collections.abc import Iterator

from plate_release.charts.difference import Change, Difference
from plate_release.charts.key import ImageKeys
from plate_release.charts.objects import Objects
from plate_release.charts.workloads import containers, split_image
from plate_release.errors import NoEffect, PlanRefused
from plate_release.model import Ask, Finding, Image

_HASH = re.compile(r"[0-9a-f]{32,128}")
_SHOWN = 10


def unexplained(difference: Difference, keys: ImageKeys, ask: Ask) -> Iterator[str]:
    """Give what changes beyond the image, without a reason that lies in it.

    A value follows the image where it is the same text with the old tag or digest replaced by the
    new one (a version label, a Job's name), or where it is a checksum in metadata.
    """
    pairs = _pairs(keys.image, Image(keys.image.repository, ask.tag, ask.digest))
    for one in difference.objects:
        if one.before is None or one.after is None:
            yield f"{one}: the object {'appears' if one.before is None else 'goes'}"
            continue
        for change in one.changes:
            if not (_follows(change, pairs) or _is_asked_image(change, ask)):
                yield f"{one}: {change}"


def prove(difference: Difference, after: Objects, keys: ImageKeys, ask: Ask) -> tuple[Finding, ...]:
    """Check what an edit would do, and return what a reviewer should know.

    Raises NoEffect where a container would not run the asked image, PlanRefused where anything
    else would change.
    """
    now = {container.place: container.image for container in containers(after)}
    for container in keys.containers:
        image = now.get(container.place)
        if image is None:
            continue  # gone: told below as what nobody asked for
        if not _is_asked(split_image(image), ask):
            raise NoEffect(
                f"the edit has no effect: {container} would run {image}",
                why=f"Asked was {_reference(keys.image.repository, ask)}.",
                todo="See which other value or template decides the image.",
            )
    unasked = list(unexplained(difference, keys, ask))
    if unasked:
        more = [f"and {len(unasked) - _SHOWN} more"] if len(unasked) > _SHOWN else []
        raise PlanRefused(
            f"The edit of {keys.main} would change more than the image.",
            why="\n".join(unasked[:_SHOWN] + more),
            todo="Release what nobody asked for by a commit of its own first.",
        )
    return tuple(_findings(after, keys, ask))


def _findings(after: Objects, keys: ImageKeys, ask: Ask) -> Iterator[Finding]:
    if keys.image.digest and not ask.digest:
        yield Finding(
            "warning",
            "digest-dropped",
            f"{keys.main}: the pinned digest is removed, since none is known for {ask.tag}.",
        )
    for container in containers(after):
        image = split_image(container.image)
        if image.repository == keys.image.repository and not _is_asked(image, ask):
            yield Finding(
                "warning", "image-left-behind", f"{container} stays at {container.image}."
            )


def _is_asked_image(change: Change, ask: Ask) -> bool:
    if change.path[-1] != "image" or not isinstance(change.before, str):
        return False
    old, new = split_image(change.before), split_image(str(change.after))
    return old.repository == new.repository and _is_asked(new, ask)


def _is_asked(image: Image, ask: Ask) -> bool:
    if ask.digest:
        return image.digest == ask.digest and image.tag in {ask.tag, None}
    return image.tag == ask.tag and image.digest is None


def _reference(repository: str, ask: Ask) -> str:
    return str(Image(repository, ask.tag, ask.digest))


def _pairs(old: Image, new: Image) -> list[tuple[str, str]]:
    """Return the texts that may stand for each other, the longest first."""
    pairs = [(_tail(old), _tail(new))]
    if old.tag and new.tag:
        pairs += [(old.tag, new.tag), (old.tag, _tail(new)[1:])]
        pairs += [(_slug(old.tag, sign), _slug(new.tag, sign)) for sign in "-_"]
    if old.digest and new.digest:
        pairs.append((old.digest.rpartition(":")[2], new.digest.rpartition(":")[2]))
    return [pair for pair in pairs if pair[0]]


def _tail(image: Image) -> str:
    return str(image)[len(image.repository) :]


def _slug(tag: str, sign: str) -> str:
    return re.sub(r"[._]", sign, tag.lower())


def _follows(change: Change, pairs: list[tuple[str, str]]) -> bool:
    old, new = change.before, change.after
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    return any(_replaced(old, *pair) == new for pair in pairs) or _is_checksum(change)


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
    in_metadata = "annotations" in change.path or "labels" in change.path
    hashes = all(_HASH.fullmatch(str(side)) for side in (change.before, change.after))
    return in_metadata and (hashes or "checksum" in str(change.path[-1]))
