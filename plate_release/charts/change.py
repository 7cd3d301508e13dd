"""The proof of what edited files do in the cluster."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from plate_release.charts.difference import QUIET, Difference, Noise, compare
from plate_release.charts.key import Wanted
from plate_release.charts.objects import ObjectId, Objects, Rendered, objects_of
from plate_release.charts.proof import prove, unexplained
from plate_release.charts.reading import dotted
from plate_release.charts.render import OpenChart
from plate_release.charts.secrets import held_texts, secret_texts
from plate_release.charts.workloads import TESTS, containers, tag_of
from plate_release.model import Check, Finding

# How often a chart is rendered to see what differs each time: one random digit of two may be equal.
_ATTEMPTS = 8
_PARTS = re.compile(r"[-_:/@ ]")
_VERSION = re.compile(r"\d.*\d")  # a word says too little


@dataclass(frozen=True, slots=True)
class ChartChange:
    """What an edit changes when the charts are rendered, and what is rendered `after` it."""

    difference: Difference
    after: Objects = field(repr=False)
    findings: tuple[Finding, ...]


def proven(
    charts: Sequence[OpenChart],
    before: Sequence[Rendered],
    edited: Sequence[OpenChart],
    wanted: Sequence[Wanted],
) -> ChartChange:
    """Render the edited charts, and prove that just the images change that are wanted.

    Where more seems to change, all are rendered again, unedited and edited: what differs then too
    (random names, the time) is left out. Raises ChartRefused, NoEffect and PlanRefused with the
    reason.
    """
    after = tuple(_rendered(charts, before, edited))
    found = _compared(charts, edited, before, after, wanted)
    proof = prove(found.difference, found.before, found.after, wanted)
    findings = (*proof, *_unstable(found.noise, found.before))
    return ChartChange(found.difference, found.after, findings)


def changed(charts: Sequence[OpenChart], edited: Sequence[OpenChart]) -> Difference:
    """Return what the edited charts change, noise left out. Raises ChartRefused."""
    pairs = [(old, new) for old, new in zip(charts, edited, strict=True) if new is not old]
    touched, then = [old for old, _ in pairs], [new for _, new in pairs]
    before, after = ([one.render() for one in charts] for charts in (touched, then))
    return _compared(touched, then, before, after, ()).difference


@dataclass(frozen=True, slots=True)
class _Compared:
    """Two renderings, how they differ, and what of them differs each time."""

    before: Objects
    after: Objects
    difference: Difference
    noise: Noise


def _compared(
    charts: Sequence[OpenChart],
    edited: Sequence[OpenChart],
    before: Sequence[Rendered],
    after: Sequence[Rendered],
    wanted: Sequence[Wanted],
) -> _Compared:
    """Compare charts; where more than is wanted differs, render them again and listen for noise.

    It is the last two renderings that are compared, one made right after the other: a clock's
    minute may turn between the first two, and then stand still while we listen.
    """
    old, new = objects_of(before), objects_of(after)
    secrets = _secrets((*before, *after), (*old, *new))
    difference, noise = compare(old, new, secrets=secrets), QUIET
    heard: list[tuple[Objects, Objects]] = []
    while len(heard) < _ATTEMPTS and any(unexplained(difference, wanted)):
        heard.append((old, new))
        old, new = (objects_of(one.render() for one in some) for some in (charts, edited))
        secrets |= _secrets((), (*old, *new))
        noise = QUIET
        for once, new_once in heard:
            noise = noise.listened((old, once), (new, new_once))
        difference = compare(old, new, noise, secrets)
    return _Compared(old, new, difference, noise)


def _secrets(rendered: Iterable[Rendered], objects: Objects) -> frozenset[str]:
    """Return the texts to show nowhere; what an image or an object is called is none."""
    images = {container.image for container in containers(objects)}
    called = images | {name for one in objects for name in (one.kind, one.name, one.namespace)}
    texts = {text for one in rendered for text in secret_texts(one.values)}
    # What is rendered alike is one body.
    unique = {id(one.body): one for one in objects}
    texts |= {text for one in unique.values() for text in held_texts(one)}
    tags = {tag for image in images if _VERSION.search(tag := tag_of(image))}
    return frozenset(
        text
        for text in texts
        if not any(text in name for name in called) and tags.isdisjoint(_PARTS.split(text))
    )


def _rendered(
    charts: Iterable[OpenChart], before: Iterable[Rendered], edited: Iterable[OpenChart]
) -> Iterator[Rendered]:
    """Render those charts anew that are edited."""
    for chart, old, new in zip(charts, before, edited, strict=True):
        yield old if new is chart else new.render()


def _unstable(noise: Noise, objects: Objects) -> Iterator[Finding]:
    never_applied = {one.identity for one in objects if one.hooks & TESTS}
    keys: dict[ObjectId, list[str]] = {}
    for one, path in sorted(noise.before, key=str):
        if one not in never_applied:
            keys.setdefault(one, []).append(dotted(path))
    for identity, paths in keys.items():
        name = f"{identity.kind} {identity.name}"
        differ = "differs" if len(paths) == 1 else "differ"
        text = f"{name}: {', '.join(paths)} {differ} each time that it is rendered."
        yield Finding("warning", Check.UNSTABLE_RENDERING, text)
