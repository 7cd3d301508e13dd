"""What differs between two renderings, and which of it is what was asked for."""

import textwrap

import pytest

from plate_release.charts import Objects, compare, containers
from plate_release.charts.key import ImageKeys, changes
from plate_release.charts.objects import read_rendered
from plate_release.charts.proof import prove
from plate_release.charts.workloads import split_image
from plate_release.errors import NoEffect, PlanRefused
from plate_release.model import Ask, Image
from plate_release.values import Key

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def rendered(*parts: str) -> Objects:
    return read_rendered("---\n".join(textwrap.dedent(part).lstrip() for part in parts)).objects


def config(name: str = "shop", template: str = "config", **data: str) -> str:
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return (
        f"# Source: shop/templates/{template}.yaml\n"
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{lines}"
    )


def pod(image: str, /, **annotations: str) -> str:
    notes = "".join(f"    {key}: {value!r}\n" for key, value in annotations.items())
    return (
        "# Source: shop/templates/pod.yaml\n"
        f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\n  annotations:\n    a: b\n{notes}"
        f"spec:\n  containers:\n  - name: shop\n    image: {image}\n"
    )


def keys_of(before: Objects) -> ImageKeys:
    found = containers(before)
    key = Key.parse("image.tag")
    image = split_image(found[0].image)
    return ImageKeys("values.yaml", key, False, None, image, found, {key: image.tag or ""})


def test_a_unified_difference_for_each_object() -> None:
    before = rendered(config(a="'1'", b="same"), pod("shop:1"))
    after = rendered(config(a="'2'", b="same"), pod("shop:1"))
    assert compare(before, after).text == textwrap.dedent("""\
        --- ConfigMap shop (now)
        +++ ConfigMap shop (planned)
        @@ -3,5 +3,5 @@
         metadata:
           name: shop
         data:
        -  a: '1'
        +  a: '2'
           b: same
        """)


def test_objects_come_as_helm_applies_them_and_what_goes_comes_last() -> None:
    before = rendered(config("gone", "gone"), config(a="old"), pod("shop:1"))
    after = rendered(config(a="new"), pod("shop:2"), config("fresh", "fresh"))
    found = compare(before, after)
    assert [str(one) for one in found.objects] == [
        "ConfigMap shop",
        "Pod shop",
        "ConfigMap fresh",
        "ConfigMap gone",
    ]
    assert [(i.before, i.after) for i in found.images] == [("shop:1", "shop:2")]


def test_equal_renderings_differ_in_nothing() -> None:
    one = rendered(config(a="x"), pod("shop:1"))
    assert compare(one, one) == compare(one, rendered(config(a="x"), pod("shop:1")))
    assert compare(one, one).objects == ()


def secret(value: str, other: str = "same") -> str:
    return (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\n"
        f"stringData: {{password: {value}, other: {other}}}\n"
    )


def test_secrets_show_as_stable_fingerprints() -> None:
    before, after = rendered(secret("hunter2")), rendered(secret("correct-horse"))
    found = compare(before, after)
    for word in ("hunter2", "correct-horse", "same"):
        assert word not in found.text
        assert word not in str(found)
    assert found.text == compare(before, after).text
    assert found.text.count("(secret, fingerprint ") == 3  # old and new, and what is beside
    assert compare(before, rendered(secret("hunter2"))).objects == ()


def test_a_secret_in_an_unasked_change_is_not_told() -> None:
    before, after = rendered(pod("s:1"), secret("hunter2")), rendered(pod("s:2"), secret("other"))
    with pytest.raises(PlanRefused) as caught:
        prove(compare(before, after), after, keys_of(before), Ask("shop", "2"))
    assert "Secret shop: stringData.password: (secret, fingerprint" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_noise_is_left_out_wherever_it_stands() -> None:
    def chart(salt: str, tag: str) -> Objects:
        return rendered(config(salt=salt, tag=tag), config(f"job-{salt}", "job", a="b"))

    noise = compare(chart("aaa", "one"), chart("bbb", "one")).places
    found = compare(chart("aaa", "one"), chart("ccc", "two"), noise)
    assert [str(change) for one in found.objects for change in one.changes] == [
        "data.tag: one -> two"
    ]
    assert "ccc" not in found.text


def test_text_of_several_lines_is_shown_line_by_line() -> None:
    def lines(word: str) -> Objects:
        return rendered(config(conf=f'"first\\n{word}\\nlast\\n"'))

    text = compare(lines("second"), lines("other")).text
    assert "-    second\n+    other\n" in text


FOLLOWS = [
    ({"version": "1.4.2"}, {"version": "1.5.0"}),
    ({"version": "v1.4.2-shop"}, {"version": "v1.5.0-shop"}),
    ({"job": "run-1-4-2"}, {"job": "run-1-5-0"}),
    ({"image": "plate/shop:1.4.2"}, {"image": "plate/shop:1.5.0"}),
    ({"checksum/config": "a" * 64}, {"checksum/config": "b" * 64}),
    ({"hash": "a" * 40}, {"hash": "b" * 40}),
]
UNASKED = [
    ({"replicas": "3"}, {"replicas": "4"}),
    ({"version": "1.4.2"}, {"version": "1.5.1"}),
    ({"version": "21.4.2"}, {"version": "21.5.0"}),
    ({"version": "1.4.2.1"}, {"version": "1.5.0.1"}),
    ({"version": "1.4.2"}, {"other": "1.5.0"}),
]


@pytest.mark.parametrize(("old", "new"), FOLLOWS)
def test_what_follows_the_tag_is_asked(old: dict[str, str], new: dict[str, str]) -> None:
    before, after = rendered(pod("shop:1.4.2", **old)), rendered(pod("shop:1.5.0", **new))
    assert prove(compare(before, after), after, keys_of(before), Ask("shop", "1.5.0")) == ()


@pytest.mark.parametrize(("old", "new"), UNASKED)
def test_anything_else_is_refused(old: dict[str, str], new: dict[str, str]) -> None:
    before, after = rendered(pod("shop:1.4.2", **old)), rendered(pod("shop:1.5.0", **new))
    with pytest.raises(PlanRefused, match=r"would change more than the image") as caught:
        prove(compare(before, after), after, keys_of(before), Ask("shop", "1.5.0"))
    assert f"Pod shop: metadata.annotations.{next(iter(new))}: " in caught.value.why


@pytest.mark.parametrize("appears", [True, False])
def test_an_object_that_appears_or_goes_is_refused(*, appears: bool) -> None:
    more, less = (pod("shop:2"), config()), (pod("shop:2"),)
    before = rendered(*(part.replace("shop:2", "shop:1") for part in (less if appears else more)))
    after = rendered(*(more if appears else less))
    with pytest.raises(PlanRefused, match="ConfigMap shop: the object"):
        prove(compare(before, after), after, keys_of(before), Ask("shop", "2"))


@pytest.mark.parametrize(
    ("image", "ask"),
    [
        ("shop:1", Ask("shop", "2")),
        ("shop:v2", Ask("shop", "2")),
        (f"shop:2@{OLD}", Ask("shop", "2")),
        (f"shop:2@{OLD}", Ask("shop", "2", NEW)),
        ("shop:2", Ask("shop", "2", NEW)),
    ],
)
def test_a_container_without_the_asked_image_is_no_effect(image: str, ask: Ask) -> None:
    before, after = rendered(pod("shop:1")), rendered(pod(image))
    with pytest.raises(NoEffect, match=f"container shop would run {image}"):
        prove(compare(before, after), after, keys_of(before), ask)


@pytest.mark.parametrize(
    ("keys", "ask", "written"),
    [
        (("1", None, False), Ask("s", "2"), {"main": "2"}),
        (("1", None, False), Ask("s", "2", NEW), {"main": f"2@{NEW}"}),
        ((f"1@{OLD}", None, False), Ask("s", "2"), {"main": "2"}),
        (("1", OLD, False), Ask("s", "2"), {"main": "2", "digest": ""}),
        (("1", OLD, False), Ask("s", "2", NEW), {"main": "2", "digest": NEW}),
        (("1", OLD[7:], False), Ask("s", "2", NEW), {"main": "2", "digest": NEW[7:]}),
        (("1", "", False), Ask("s", "2", NEW), {"main": "2", "digest": NEW}),
        (("r:5000/s:1", None, True), Ask("s", "2"), {"main": "r:5000/s:2"}),
        ((f"r/s@{OLD}", None, True), Ask("s", "2"), {"main": "r/s:2"}),
        ((f"r/s:1@{OLD}", None, True), Ask("s", "2", NEW), {"main": f"r/s:2@{NEW}"}),
    ],
)
def test_what_is_written_at_each_key(
    keys: tuple[str, str | None, bool], ask: Ask, written: dict[str, str]
) -> None:
    main, digest, whole = keys
    values = {Key.parse("main"): main}
    if digest is not None:
        values[Key.parse("digest")] = digest
    found = ImageKeys(
        file="values.yaml",
        main=Key.parse("main"),
        whole=whole,
        digest=Key.parse("digest") if digest is not None else None,
        image=Image("s"),
        containers=(),
        values=values,
    )
    assert {str(key): text for key, text in changes(found, ask).items()} == written
