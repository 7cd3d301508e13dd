"""From the asked tag to edited bytes, and the proof of what they do in the cluster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from plate_release.charts.difference import NO_NOISE, Difference, Noise, Place, compare, noise_of
from plate_release.charts.key import ImageKeys, changes
from plate_release.charts.objects import Objects, Rendered, objects_of
from plate_release.charts.proof import prove, unexplained
from plate_release.charts.render import OpenChart
from plate_release.model import Ask, Finding
from plate_release.values import Spliced, splice

# How often a chart is rendered to see what differs each time: one random digit of two may be equal.
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class ChartChange:
    """What an edit changes when the charts are rendered, and what is rendered `after` it."""

    difference: Difference
    after: Objects = field(repr=False)
    findings: tuple[Finding, ...]


def edited(charts: Iterable[OpenChart], keys: ImageKeys, ask: Ask) -> Spliced:
    """Edit the values file for `ask`; raises EditRefused."""
    layers = (layer for chart in charts for layer in chart.inputs.layers)
    layer = next(one for one in layers if one.editable and one.file == keys.file)
    return splice(layer.data, changes(keys, ask), file=keys.file)


def proven(
    charts: Sequence[OpenChart],
    before: Sequence[Rendered],
    files: Mapping[str, bytes],
    keys: ImageKeys,
    ask: Ask,
) -> ChartChange:
    """Render with the edited `files`, and prove that just the asked image changes.

    Where more seems to change, the charts are rendered unchanged again: what differs then too
    (random names, the time) is left out. Raises ChartRefused, NoEffect and PlanRefused with the
    reason.
    """
    old, new = objects_of(before), objects_of(_rendered(charts, before, files))
    difference, noise = compare(old, new), NO_NOISE
    for _ in range(_ATTEMPTS):
        if not any(unexplained(difference, keys, ask)):
            break
        noise = noise_of(old, objects_of(chart.render() for chart in charts), noise)
        difference = compare(old, new, noise)
    findings = (*prove(difference, new, keys, ask), *_unstable(noise))
    return ChartChange(difference, new, findings)


def _rendered(
    charts: Iterable[OpenChart], before: Iterable[Rendered], files: Mapping[str, bytes]
) -> Iterator[Rendered]:
    """Render those charts anew that read the files."""
    for chart, old in zip(charts, before, strict=True):
        yield chart.render(files) if any(map(chart.inputs.reads, files)) else old


def _unstable(noise: Noise) -> Iterator[Finding]:
    places: dict[Place, list[str]] = {}
    for place, path in sorted(noise, key=str):
        places.setdefault(place, []).append(".".join(map(str, path)))
    for (_, kind, _, name), paths in places.items():
        text = f"{kind} {name}: {', '.join(paths)} differs each time that it is rendered."
        yield Finding("warning", "unstable-rendering", text)
