"""What is listened to when charts render differently each time."""

from collections.abc import Iterable
from itertools import count
from typing import cast

import pytest

from plate_release.charts.change import changed, proven
from plate_release.charts.key import ImageKeys, Wanted
from plate_release.charts.objects import Rendered, objects_of
from plate_release.charts.render import OpenChart
from plate_release.charts.search import Affixes
from plate_release.charts.workloads import containers
from plate_release.errors import PlanRefused
from plate_release.model import Ask, Check
from plate_release.values import Key

from .conftest import objects_in


class Chart:
    """A chart that writes down the time, which a clock gives to each rendering in turn."""

    def __init__(self, clock: Iterable[object], tag: str) -> None:
        self.clock, self.tag = iter(clock), tag

    def render(self) -> Rendered:
        return Rendered(
            objects_in(
                "# Source: shop/templates/pod.yaml\n"
                "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\n  annotations:\n"
                f"    rendered-at: 'At {next(self.clock)}'\n"
                f"spec:\n  containers:\n  - {{name: shop, image: 'shop:{self.tag}'}}\n"
            ),
            {},
        )


def charts(
    *clocks: Iterable[object], tags: tuple[str, str] = ("1", "2")
) -> tuple[OpenChart, OpenChart]:
    old, new = (Chart(clock, tag) for clock, tag in zip(clocks, tags, strict=True))
    return cast("OpenChart", old), cast("OpenChart", new)


def wanted(before: Rendered, old: str = "1", new: str = "2") -> Wanted:
    found = containers(objects_of([before]))
    key = Key.parse("image.tag")
    keys = ImageKeys("values.yaml", key, False, dict.fromkeys(found, Affixes()), {key: old})
    return Wanted(keys, Ask("shop", new))


def test_a_clock_that_turns_between_two_renderings_and_then_stands_still_is_noise() -> None:
    after = ["20:00"] * 20
    old, new = charts(["19:59", *after], after)
    before = old.render()
    found = proven([old], [before], [new], [wanted(before)])
    (pod,) = found.difference.objects
    assert [str(change) for change in pod.changes] == ["spec.containers.0.image: shop:1 -> shop:2"]
    assert [finding.code for finding in found.findings] == [Check.UNSTABLE_RENDERING]


def test_a_clock_that_never_stands_still_is_noise() -> None:
    ticks = count(1000)
    old, new = charts(ticks, ticks)
    before = old.render()
    found = proven([old], [before], [new], [wanted(before)])
    assert [str(one) for one in found.difference.objects] == ["Pod shop"]


def test_what_is_constant_before_and_after_is_no_noise() -> None:
    old, new = charts(["noon"] * 20, ["midnight"] * 20)
    before = old.render()
    with pytest.raises(PlanRefused, match="At noon -> At midnight"):
        proven([old], [before], [new], [wanted(before)])


def test_a_clock_that_turns_is_no_change_of_an_application_that_reads_the_file_too() -> None:
    after = ["20:00"] * 20
    old, new = charts(["19:59", *after], after, tags=("1", "1"))
    assert changed([old], [new]).objects == ()


def test_a_secret_that_is_made_anew_each_time_is_hidden_wherever_it_stands() -> None:
    made = count(1)

    class Random(Chart):
        def render(self) -> Rendered:
            secret = f"generated-{next(made)}"
            pod = super().render()
            text = (
                "# Source: shop/templates/secret.yaml\n"
                f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n"
                f"stringData: {{p: {secret}}}\n"
                "---\n# Source: shop/templates/config.yaml\n"
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
                f"data: {{line: 'host {secret} {self.tag}'}}\n"
            )
            return Rendered((*pod.objects, *objects_in(text)), {})

    old, new = (cast("OpenChart", Random(["now"] * 20, tag)) for tag in ("1.4.2", "1.5.0"))
    before = old.render()
    change = proven([old], [before], [new], [wanted(before, "1.4.2", "1.5.0")])
    assert "host (secret, fingerprint" in change.difference.text
    assert "generated" not in change.difference.text


def test_what_an_object_is_called_is_no_secret() -> None:
    class Named(Chart):
        def render(self) -> Rendered:
            text = (
                "apiVersion: v1\nkind: Secret\nmetadata: {name: shop-db-1}\n"
                "stringData: {host: shop-db-1, user: shop-user-1}\n---\n"
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
                f"data: {{line: 'shop-user-1 at shop-db-1 for {self.tag}'}}\n"
            )
            return Rendered((*super().render().objects, *objects_in(text)), {})

    old, new = (cast("OpenChart", Named(["now"] * 9, tag)) for tag in ("1.4.2", "1.5.0"))
    before = old.render()
    change = proven([old], [before], [new], [wanted(before, "1.4.2", "1.5.0")])
    assert "at shop-db-1 for 1.5.0" in change.difference.text
    assert "shop-user-1" not in change.difference.text
