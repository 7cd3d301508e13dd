"""The tags of a repository that are nearest to one that is not there."""

from bisect import bisect_left
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from plate_release.images.reference import is_tag
from plate_release.images.versions import semver

_SHOWN = 5
_BESIDE = 2  # versions shown on either side


def nearest(wanted: str, tags: Collection[str]) -> list[str]:
    """Return a few tags: the same version written otherwise, its neighbours, the newest. Pure."""
    known = [tag for tag in dict.fromkeys(tags) if is_tag(tag)]
    found = dict.fromkeys([*_versions(wanted, known), *get_close_matches(wanted, known, n=_SHOWN)])
    return list(found)[:_SHOWN]


def _versions(wanted: str, tags: list[str]) -> Iterator[str]:
    target = semver(wanted)
    if target is None:
        return
    read = ((version, tag) for tag in tags if (version := semver(tag)))
    order = sorted(((version.release, tag) for version, tag in read), key=lambda pair: pair[0])
    place = bisect_left(order, target.release, key=lambda pair: pair[0])
    while place < len(order) and order[place][0] == target.release:
        yield order.pop(place)[1]
    yield from (tag for _, tag in reversed(order[max(0, place - _BESIDE) : place]))
    yield from (tag for _, tag in order[place : place + _BESIDE])
    yield from (tag for _, tag in order[-1:])
