"""What helm prints, read as the objects that Argo CD would apply."""

from collections.abc import Callable

import pytest

from plate_release.charts import Helm
from plate_release.errors import ChartRefused

from .conftest import DirectoryTree, objects_in, opened

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def test_a_list_of_any_kind_is_its_items() -> None:
    inner = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {}}]}"
    text = f"kind: List\nitems: [{inner}]\n---\nkind: SecretList\nitems: []\n---\nkind: List\n"
    assert [one.kind for one in objects_in(text)] == ["Secret"]
    custom = "apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\n"
    assert [str(one) for one in objects_in(custom)] == ["AllowList a"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\n", "It has no kind"),
        ("- 1\n", r"It is \[1\]"),
        ("kind: [x]\n", "It has no kind"),
        ("kind: ConfigMap\n", "The ConfigMap has no apiVersion"),
        ("apiVersion: v1\nkind:\n", "It has no kind"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: foo\n", "no metadata, but 'foo'"),
        ("kind: List\nitems: [null]\n", "It is null"),
        ("kind: List\nitems: [{a: b}]\n", "It has no kind"),
        ("a: b: c\n", "mapping values are not allowed"),
        ("apiVersion: v1\nkind: List\nitems: 5\n", "The List has no list of items"),
    ],
)
def test_what_is_no_object_is_refused_by_its_template(text: str, why: str) -> None:
    with pytest.raises(ChartRefused, match=why) as refused:
        objects_in(f"# Source: my shop/templates/a.yaml\n{text}", "helm/shop")
    assert refused.value.what.startswith("helm/shop/templates/a.yaml renders something")


def test_what_is_nested_too_deep_is_refused() -> None:
    def nested(depth: int) -> str:
        return f"{CONFIG}data: {'[' * depth}{']' * depth}\n"

    assert objects_in(nested(150))
    with pytest.raises(ChartRefused, match="nested deeper than 200 levels"):
        objects_in(nested(250))
    with pytest.raises(ChartRefused, match=r"renders something|nested deeper"):
        objects_in(nested(100_000))


def test_hooks_come_when_they_run() -> None:
    notes = "annotations: {helm.sh/hook: 'pre-install,pre-upgrade'}"
    before = CONFIG.replace("{name: a}", f"{{name: before, {notes}}}")
    after = CONFIG.replace("{name: a}", "{name: after, annotations: {helm.sh/hook: post-install}}")
    text = f"{CONFIG}\n---\n{before}\n---\n{after}"
    assert [one.name for one in objects_in(text)] == ["before", "a", "after"]
    assert objects_in(before)[0].hooks == {"pre-install", "pre-upgrade"}


def test_annotations_of_another_shape_are_no_hooks() -> None:
    assert objects_in(CONFIG.replace("{name: a}", "{annotations: [a]}"))[0].hooks == set()


def test_a_chart_that_hides_our_template_is_told(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    tree = layout("pair", {"chart/.helmignore": "plate*\n"})
    with opened(helm, tree) as chart, pytest.raises(ChartRefused, match=r"\.helmignore"):
        chart.render()


def test_values_that_a_template_changes_are_seen_as_they_were(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    mutates = '{{ $_ := set .Values "image" (dict "tag" "changed") }}\n'
    files = ("a.yaml", "z.yaml", "z/z/z/z.yaml")
    tree = layout("pair", {f"chart/templates/{file}": mutates for file in files})
    with opened(helm, tree) as chart:
        assert "changed" not in str(chart.render().values)
