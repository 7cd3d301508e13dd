"""What charts derive from a tag: labels, names, hashes; which of it changes with the tag. Pure."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self, TypeAlias

from plate_release.charts.difference import Change
from plate_release.charts.key import Wanted
from plate_release.charts.objects import KubernetesObject
from plate_release.charts.reading import at
from plate_release.charts.secrets import in_base64
from plate_release.charts.workloads import split_image
from plate_release.model import Image

Shift: TypeAlias = tuple[str, str]
"""A text, and the one that takes its place."""

_HASH = re.compile(r"[0-9a-f]{5,128}")
_LENGTHS = {32, 40, 64, 128}  # characters of what is a hash without being named so
_HASHED = re.compile(r"checksum|hash|(?<![a-z])sha(?![a-z])|digest|rollme", re.IGNORECASE)
_SUM = re.compile(r"^checksum/|checksum$")
_DIGIT = re.compile(r"\d")
# What moves to other data where it changes.
_STORES = {
    *("claimName", "existingClaim", "pvcName", "subPath", "subPathExpr", "volumeName"),
    *("hostPath", "nfs", "volumeHandle"),
}
_VERSIONED = re.compile(r"(?i:version|build|image|release|revision(?!history))|(?<![a-z])tag|Tag")
_VERSION = re.compile(r"(?i:version|release)$|[tT]ag$")
_SIGNS = re.compile(r"[-_+]")
_DIGEST_CUTS = (64, 16, 15, 12, 10, 8, 7)
_CUT = 6  # characters at least of a tag that is cut
_PART = 3  # characters of a part of a tag that stands for itself


@dataclass(frozen=True, slots=True)
class Shifts:
    """The texts that may stand for each other, the longest first.

    `tags` are whole ones, `alone` those and digests that may be all of a text, where there may be
    none before or then. `said` are for labels and annotations, which may say less: a `1.4`, or a
    tag of two signs.
    """

    tags: frozenset[Shift]
    alone: frozenset[Shift]
    anywhere: tuple[Shift, ...]
    said: tuple[Shift, ...]

    @classmethod
    def of(cls, wanted: Sequence[Wanted], more: Iterable[Shift] = ()) -> Self:
        """Return what charts may make of the tags and digests, and `more`."""
        images = {
            (split_image(container.image), replace(one.image(container), repository=""))
            for one in wanted
            for container in one.keys.containers
        }
        for keys, ask in ((one.keys, one.ask) for one in wanted if not one.keys.whole):
            images.add((Image("", keys.values[keys.main] or None), Image("", ask.tag, ask.digest)))
        whole = {pair for image in images for pair in _whole(*image)} | {*more}
        less = {pair for image in images for pair in _less(*image)}
        tags = {(old.tag, new.tag) for old, new in images if old.tag and new.tag}
        alone = {(old.tag or "", new.tag) for old, new in images if new.tag}
        digests = {(old.digest or "", new.digest or "") for old, new in images}
        alone |= {(old, new) for old, new in digests if old != new}
        plain = (pair for pair in whole if len(pair[0]) >= _PART or pair[0][:1] in {":", "@"})
        return cls(frozenset(tags), frozenset(alone), _sorted(plain), _sorted(whole | less))


def _sorted(pairs: Iterable[Shift]) -> tuple[Shift, ...]:
    found = {pair for pair in pairs if all(pair)}
    found |= {(in_base64(one), in_base64(other)) for one, other in found}
    return tuple(sorted(found, key=lambda pair: (-len(pair[0]), pair)))


def _whole(old: Image, new: Image) -> Iterator[Shift]:
    yield _tail(old), _tail(new)
    yield from ((form(_tail(old)[1:]), form(_tail(new)[1:])) for form in _FORMS)
    if old.tag and new.tag:
        yield from ((old.tag, new.tag), (old.tag, _tail(new)[1:]))
        yield from ((form(old.tag), form(new.tag)) for form in _FORMS)
        parts = _parts(old.tag, new.tag)
        # A mere word, such as of prod-0a1b2c3, says something else elsewhere.
        yield from (pair for pair in parts if all(map(_DIGIT.search, pair)))
    for length in _DIGEST_CUTS:
        # What says the digest, cut, says the tag where there is none.
        yield _said(old, length), _said(new, length)


def _said(image: Image, length: int) -> str:
    return image.digest.rpartition(":")[2][:length] if image.digest else image.tag or ""


def _less(old: Image, new: Image) -> Iterator[Shift]:
    if old.tag and new.tag:
        yield from ((form(old.tag), form(new.tag)) for form in (_minor, _major, _dotless))
        yield from _parts(old.tag, new.tag)
        yield _SIGNS.split(old.tag)[-1], _SIGNS.split(new.tag)[-1]


def _parts(old: str, new: str) -> Iterator[Shift]:
    """Pair the commits, dates and versions that tags are made of, such as of main-0a1b2c3-2026."""
    olds, news = _SIGNS.split(old), _SIGNS.split(new)
    pairs = [(olds[0], news[0]), (olds[-1], news[-1])]
    if len(olds) == len(news):
        pairs += zip(olds, news, strict=True)
    yield from (pair for pair in pairs if min(map(len, pair)) >= _PART)


def _tail(image: Image) -> str:
    return str(image)[len(image.repository) :]


def _slug(sign: str, tag: str) -> str:
    return re.sub(r"[^a-z0-9]", sign, tag.lower())


def _hash(algorithm: str, length: int, tag: str) -> str:
    return hashlib.new(algorithm, tag.encode(), usedforsecurity=False).hexdigest()[:length]


def _cut(length: int, tag: str) -> str:
    return tag[:length].rstrip("-._")


def _padded(tag: str) -> str:
    """Return `26.0.0` of `26.0`."""
    parts = tag.removeprefix("v").split(".")
    is_version = all(part.isdigit() for part in parts)
    return ".".join([*parts, "0", "0"][:3]) if is_version else ""


def _minor(tag: str) -> str:
    """Return `1.4` of `v1.4.2`."""
    match = re.match(r"v?(\d+\.\d+)(?=[.+-]|$)", tag)
    return match[1] if match else ""


def _major(tag: str) -> str:
    """Return `v1` of `1.4.2`."""
    match = re.match(r"v?(\d+)\.\d", tag)
    return f"v{match[1]}" if match else ""


def _dotless(tag: str) -> str:
    return tag.removeprefix("v").replace(".", "")


# What charts make of a tag: a label without its v, a short commit, the hash in a Job's name.
_FORMS: tuple[Callable[[str], str], ...] = (
    *(partial(_slug, sign) for sign in "-_"),
    *(partial(_cut, length) for length in (63, 40, 12, 10, 8, 7)),
    *(partial(_hash, name, n) for name in ("sha256", "sha1") for n in (64, 40, 32, 16, 12, 10, 8)),
    lambda tag: tag.removeprefix("v"),
    lambda tag: _slug("-", tag.removeprefix("v")),
    lambda tag: tag.replace(".", "-"),
    str.lower,
    str.upper,
    _padded,
)


def follows(one: KubernetesObject, change: Change, shifts: Shifts) -> bool:
    """Whether a change of an object is one of the shifts, or one of a hash. Pure."""
    old, new = change.before, change.after
    if {type(old), type(new)} <= {int, float}:
        names = _VERSION if float in {type(old), type(new)} else _VERSIONED
        return (
            names.search(str(change.path[-1])) is not None and (str(old), str(new)) in shifts.said
        )
    if _STORES & {*change.path}:
        return False
    texts = tuple("" if side is None else side for side in (old, new))
    if not all(isinstance(text, str) for text in texts):
        return False
    says = bool({"labels", "annotations"} & {*change.path})
    is_whole = texts in shifts.alone or (says and texts in shifts.said)
    if is_whole and 1 not in {*map(len, texts)}:
        return True
    if old is None or new is None:
        return False
    return _is_shifted(old, new, shifts, says=says) or _is_checksum(one, change)


def _is_shifted(old: str, new: str, shifts: Shifts, *, says: bool) -> bool:
    pairs = [pair for pair in shifts.said if len(pair[0]) >= _PART] if says else shifts.anywhere
    if any(shifted(old, *pair) == new or _is_cut(old, new, *pair) for pair in pairs):
        return True
    # A text of several lines may have the tag in more than one form.
    for pair in pairs:
        old = shifted(old, *pair)
    return old == new


def shifted(text: str, old: str, new: str) -> str:
    """Replace `old` where it stands for itself: 1.4 is in v1.4-shop, but not in 21.4 or 1.4.2."""
    start, end = (
        _edge(old[0], r"(?<![0-9])(?<![0-9]\.)", "<!"),
        _edge(old[-1], r"(?!\.?[0-9])", "!"),
    )
    return re.sub(start + re.escape(old) + end, lambda _: new, text)


def _is_cut(text: str, changed: str, old: str, new: str) -> bool:
    """Whether a text ends in `old` and then in `new`, the one or the other cut, or both."""
    if text.endswith(old):
        start = len(text) - len(old)
        return len(changed) - start >= _CUT and shifted(text, old, new).startswith(changed)
    start = text.rfind(old[:_CUT])
    if len(old) < _CUT or start < 0 or not old.startswith(text[start:]):
        return False
    return changed == text[:start] + new[: len(text) - start].rstrip("-._")


def _edge(sign: str, beside_digit: str, look: str) -> str:
    if sign.isdigit():
        return beside_digit
    return f"(?{look}[A-Za-z0-9])" if sign.isalpha() else ""


def is_hash(text: str) -> bool:
    """Whether a text may be a hash, perhaps cut, of what changes."""
    has_digit = any(sign.isdigit() for sign in text)
    return _HASH.fullmatch(text) is not None and (has_digit or len(text) in _LENGTHS)


def _is_checksum(one: KubernetesObject, change: Change) -> bool:
    """Whether both sides are hashes, in metadata or the environment; short ones by their names."""
    if not {"annotations", "labels", "env"} & {*change.path}:
        return False
    name = at(one.body, (*change.path[:-1], "name")) if change.path[-1] == "value" else None
    named = _HASHED.search(str(name or change.path[-1]))
    sides = [_plain(side) for side in (change.before, change.after)]
    # A cut one may happen to be all digits.
    summed = "annotations" in change.path and _SUM.search(str(change.path[-1]))
    if not summed and any(side.isdigit() and len(side) not in _LENGTHS for side in sides):
        return False
    return all(map(is_hash, sides)) and (
        named is not None or ("env" not in change.path and {*map(len, sides)} <= _LENGTHS)
    )


def _plain(side: Any) -> str:
    """Undo base64, where it hides a hash."""
    try:
        text = base64.b64decode(str(side), validate=True).decode("ascii")
    except ValueError:
        return str(side)
    return text if is_hash(text) else str(side)
