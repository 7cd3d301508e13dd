"""From the asked tag to edited bytes, and the proof of what they do in the cluster."""

from dataclasses import dataclass, field

from plate_release.charts.difference import Difference, compare
from plate_release.charts.key import ImageKeys, changes
from plate_release.charts.objects import Rendered
from plate_release.charts.proof import prove, unexplained
from plate_release.charts.render import OpenChart
from plate_release.model import Ask, Edit, Finding
from plate_release.values import splice


@dataclass(frozen=True, slots=True)
class ChartChange:
    """The edit of one service: the file's new bytes, and what they change when rendered.

    No edits means that the asked image is what the repository already says.
    """

    file: str
    data: bytes = field(repr=False)
    edits: tuple[Edit, ...]
    difference: Difference
    after: Rendered
    findings: tuple[Finding, ...]


def proven(chart: OpenChart, before: Rendered, keys: ImageKeys, ask: Ask) -> ChartChange:
    """Edit the values file for `ask`, render, and prove that just the asked image changes.

    Where more seems to change, the chart is rendered unchanged once more: what differs then too
    (random names, the time) is left out. Raises EditRefused, ChartRefused, NoEffect and
    PlanRefused with the reason.
    """
    layer = next(one for one in chart.inputs.layers if one.editable and one.file == keys.file)
    spliced = splice(layer.data, changes(keys, ask), file=keys.file)
    if not spliced.edits:
        return ChartChange(keys.file, layer.data, (), compare(before, before), before, ())
    after = chart.render({keys.file: spliced.data})
    difference = compare(before, after)
    if any(unexplained(difference, keys, ask)):
        difference = compare(before, after, compare(before, chart.render()).places)
    findings = prove(difference, after, keys, ask)
    return ChartChange(keys.file, spliced.data, spliced.edits, difference, after, findings)
