import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_release.errors import UsageError
from plate_release.values import Key
from plate_release.values.keys import Match


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("tag", ("tag",)),
        ("backend.image.tag", ("backend", "image", "tag")),
        (r"nodeSelector.kubernetes\.io/arch", ("nodeSelector", "kubernetes.io/arch")),
        ("list[0].tag", ("list", 0, "tag")),
        ("list[12][3]", ("list", 12, 3)),
        ("[0].tag", (0, "tag")),
        ("containers[name=web].image", ("containers", Match("name", "web"), "image")),
        (r"env[name=a.b\]].value", ("env", Match("name", "a.b]"), "value")),
        (r"\---[1].x", ("---", 1, "x")),
        (r"a.---[1]", ("a", "---", 1)),
        ("x y.é😀", ("x y", "é😀")),
    ],
)
def test_a_key_is_read_and_written_back(text: str, steps: tuple[object, ...]) -> None:
    key = Key.parse(text)
    assert key.steps == steps
    assert str(key) == text


def test_a_key_may_choose_a_document() -> None:
    for text, steps in (("---[1].image.tag", ("image", "tag")), ("---[1][0]", (0,))):
        assert Key.parse(text) == Key(steps, document=1)
        assert str(Key.parse(text)) == text
    assert Key.parse(r"a[name=x\.y]") == Key.parse("a[name=x.y]")


@pytest.mark.parametrize(
    "text",
    [
        "---[1].",
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a[x]",
        "a[0]b",
        "a]",
        "a\\",
        "a[²]",
        f"a[{'9' * 5000}]",
    ],
)
def test_what_is_no_key_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not a key"):
        Key.parse(text)


names = st.text(min_size=1)
steps = st.one_of(names, st.integers(0, 999), st.builds(Match, names, names))


@given(st.lists(steps, min_size=1).map(tuple), st.none() | st.integers(0, 9))
def test_every_key_round_trips(path: tuple[str | int | Match, ...], number: int | None) -> None:
    assert Key.parse(str(Key(path, number))) == Key(path, number)
