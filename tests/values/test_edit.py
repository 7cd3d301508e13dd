import json
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plate_release.errors import EditRefused
from plate_release.values import Key, document, find, read, scalars, splice

FILE = "values-prod.yaml"


def edited(text: str, key: str, value: str) -> str:
    return splice(text.encode(), {Key.parse(key): value}, file=FILE).data.decode()


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        ("tag: 1.4.2\n", "tag", "1.5.0", "tag: 1.5.0\n"),
        ("tag: '1.4.2'  # why\n", "tag", "1.20", "tag: '1.20'  # why\n"),
        ('tag: "1.4.2"\t# tab\n', "tag", "x", 'tag: "x"\t# tab\n'),
        ("tag: 'a'\n", "tag", "it's", "tag: 'it''s'\n"),
        ('tag: "a"\n', "tag", 'a"\\', 'tag: "a\\"\\\\"\n'),
        ("a:\r\n  tag: 1\r\n  b: 2", "a.tag", "v2", "a:\r\n  tag: v2\r\n  b: 2"),
        ("\ufeffa: {w: '😀é', tag: 1.4}\n", "a.tag", "v2", "\ufeffa: {w: '😀é', tag: v2}\n"),
        (
            "---\n# c\na:   \n    tag: x   \n...\n",
            "a.tag",
            "z",
            "---\n# c\na:   \n    tag: z   \n...\n",
        ),
        ("a:\n- {name: web, tag: 1}\n", "a[name=web].tag", "v2", "a:\n- {name: web, tag: v2}\n"),
        ("a:\n- x\n- y\n", "a[1]", "z", "a:\n- x\n- z\n"),
        ("a.b: {c: 1}\n", r"a\.b.c", "z", "a.b: {c: z}\n"),
        ("'a.b': 1\n", r"a\.b", "z", "'a.b': z\n"),
        ("tag:\nb: 1\n", "tag", "v1", "tag: v1\nb: 1\n"),
        ("tag:   # none\n", "tag", "v1", "tag: v1   # none\n"),
        ("tag: ~\n", "tag", "sha256:" + "0" * 64, "tag: sha256:" + "0" * 64 + "\n"),
        ("tag: x\n", "tag", "", 'tag: ""\n'),
        ("tag: &t x\n", "tag", "z", "tag: &t z\n"),
        ("tag: one\n  two\nb: 1\n", "tag", "z", "tag: z\nb: 1\n"),
        ("tag: |-\n  1.4.2\n\nb: 1\n", "tag", "1.20", "tag: |-\n  1.20\n\nb: 1\n"),
        ("tag: >2-\n  1.4.2", "tag", "1.20", "tag: >2-\n  1.20"),
        ("tag: |-2\n  1.4.2", "tag", "1.20", "tag: |-2\n  1.20"),
        ("tag: >- # folded\n    1.4.2", "tag", "1.5.0", "tag: >- # folded\n    1.5.0"),
        (
            "b: &b {x: 1}\na:\n  <<: *b\n  tag: 1\n",
            "a.tag",
            "v",
            "b: &b {x: 1}\na:\n  <<: *b\n  tag: v\n",
        ),
        (
            "b: &b {tag: 1}\na: {<<: *b, tag: 1}\n",
            "a.tag",
            "v",
            "b: &b {tag: 1}\na: {<<: *b, tag: v}\n",
        ),
        ("i: repo:1.0\n", "i", "repo:1.1@sha256:0a", "i: repo:1.1@sha256:0a\n"),
        ("a: 1\n---\n# empty\n", "a", "v2", "a: v2\n---\n# empty\n"),
        (f"? {'9' * 5000}\n: 1\na: x\n", "a", "z", f"? {'9' * 5000}\n: 1\na: z\n"),
        ("on: {+1_0: x}\n", "true.10", "z", "on: {+1_0: z}\n"),
        ("1: {2: x}\n", "1.2", "z", "1: {2: z}\n"),
        ("yEs: {1.5: {}, tag: x}\n", "yEs.tag", "z", "yEs: {1.5: {}, tag: z}\n"),
        ("!!str on: {! b: x}\n", "on.b", "z", "!!str on: {! b: z}\n"),
        ("tag: &t # pinned\n  1.4.2\nb: 1\n", "tag", "z", "tag: &t # pinned\n  z\nb: 1\n"),
        ("tag: &t\n\n  # pinned\n  '1.4.2'\n", "tag", "z", "tag: &t\n\n  # pinned\n  'z'\n"),
        ("a:\n- &t # pinned\n  1.4.2\n", "a[0]", "z", "a:\n- &t # pinned\n  z\n"),
        ("tag: &t # why\n  |-\n  1.4.2\n", "tag", "z", "tag: &t # why\n  |-\n  z\n"),
        ("tag: &t \u00a0x\n", "tag", "z", "tag: &t z\n"),
        (
            "m: &m {name: web}\na:\n- {name: api, tag: 1}\n- {<<: *m, tag: 2}\n",
            "a[name=web].tag",
            "z",
            "m: &m {name: web}\na:\n- {name: api, tag: 1}\n- {<<: *m, tag: z}\n",
        ),
        ("- {host: ghcr.io, tag: 1}\n", "[host=ghcr.io].tag", "z", "- {host: ghcr.io, tag: z}\n"),
        ("a: 1\n---\n---\nb: {tag: 2}\n", "---[2].b.tag", "z", "a: 1\n---\n---\nb: {tag: z}\n"),
        ("a: {tag: 1}\n---\na: {tag: 2}\n", "---[0].a.tag", "z", "a: {tag: z}\n---\na: {tag: 2}\n"),
        ("a: {tag: 1}\n", "---[3].a.tag", "z", "a: {tag: z}\n"),
    ],
)
def test_one_scalar_changes_and_no_other_byte(
    before: str, key: str, value: str, after: str
) -> None:
    assert edited(before, key, value) == after


AMBIGUOUS = [
    *(
        "1.20",
        "1234567",
        "12e4567",
        "0o17",
        "017",
        "08",
        "0x1F",
        "0b11",
        "1_000",
        "1e3",
        ".5",
        "1.",
    ),
    *(
        "on",
        "Off",
        "y",
        "N",
        "yes",
        "true",
        "NULL",
        "null",
        "~",
        ".inf",
        "-.Inf",
        ".NaN",
        "+1",
        "-1",
    ),
    *("0b-10", "0b+1", "0_x1f", "+0_o7", "7e_-9", "1_2e_+3"),
    *("2026-11-23", "2026-11-23T10:00:00Z", "1:30", "1:30:15.5", "1_0.5", "-0x1F", "+0o7"),
]


@pytest.mark.parametrize("value", AMBIGUOUS)
def test_what_a_reader_would_not_take_for_a_string_is_quoted(value: str) -> None:
    assert edited("tag: x\n", "tag", value) == f'tag: "{value}"\n'


STRINGS = [
    *("1.4.2", "v1", "sha-1234567", "12a", "1.2.3-rc.1", "latest", "2026.11.23", "one", "yes1"),
]


@pytest.mark.parametrize("value", STRINGS)
def test_what_every_reader_takes_for_a_string_stays_plain(value: str) -> None:
    assert edited("tag: x\n", "tag", value) == f"tag: {value}\n"


@pytest.mark.parametrize("version", [3, 4])
def test_helm_reads_each_value_as_the_string_it_is(version: int, tmp_path: Path) -> None:
    names = {f"k{number}": value for number, value in enumerate([*AMBIGUOUS, *STRINGS])}
    before = "".join(f"{name}: {value}\n" for name, value in names.items())
    changes = {Key.parse(name): value for name, value in names.items()}
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: c\nversion: 0.1.0\n")
    (tmp_path / "templates/values.yaml").write_text("{{ .Values | toJson }}")
    (tmp_path / "values-prod.yaml").write_bytes(splice(before.encode(), changes, file=FILE).data)
    helm = Path(__file__).parents[2] / f".tools/helm-{version}/helm"
    command: list[str | Path] = [
        helm,
        "template",
        "c",
        tmp_path,
        "-f",
        tmp_path / "values-prod.yaml",
    ]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(out.splitlines()[-1]) == names


def test_a_tag_that_only_looks_equal_is_quoted_and_an_equal_one_left() -> None:
    looks = splice(b"tag: 1.20\n", {Key.parse("tag"): "1.20"}, file=FILE)
    assert looks.data == b'tag: "1.20"\n'
    assert len(looks.edits) == 1
    for same in (b"tag: v1\n", b"tag: 'v1'\n", b"tag: |-\n  v1\n"):
        assert splice(same, {Key.parse("tag"): "v1"}, file=FILE) == type(looks)(same, ())


def test_several_keys_of_a_file_change_at_once_in_the_files_order() -> None:
    text = b"b: {tag: 1, digest: sha256:a}\na:\n  tag: 2\n"
    changes = {Key.parse("a.tag"): "v3", Key.parse("b.digest"): "", Key.parse("b.tag"): "v2"}
    result = splice(text, changes, file=FILE)
    assert result.data == b'b: {tag: v2, digest: ""}\na:\n  tag: v3\n'
    seen = [(edit.file, edit.key, edit.line, edit.before, edit.after) for edit in result.edits]
    assert seen == [
        (FILE, "b.tag", 1, "1", "v2"),
        (FILE, "b.digest", 1, "sha256:a", ""),
        (FILE, "a.tag", 3, "2", "v3"),
    ]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a:\n  tag: 1\n  tag: 2\n", "3:3", "the key tag stands twice, first on line 2"),
        ("a: {tag: 1}\n&x a: {tag: 2}\n", "2:1", "the key a stands twice"),
        ("a: {tag: 1}\n'a': {tag: 2}\n", "2:1", "the key a stands twice"),
        ("a: &a\n  tag: 1\nb: *a\n", "3:4", "is shared: the alias *a"),
        ("x: &x 1\na:\n  tag: *x\n", "3:8", "is shared: the alias *x"),
        ("x: &x {tag: 1}\na: *x\n", "2:4", "is shared"),
        ("a:\n  tag: &t 1\nb: *t\n", "3:4", "is shared"),
        ("b: &b {tag: 1}\na:\n  <<: *b\n", "3:3", "supplied by a merge"),
        ("b: &b {tag: 1}\na:\n  <<: [*b]\n  x: 1\n", "3:3", "supplied by a merge"),
        ("b: &b {tag: 1}\na:\n  tag: 2\n  <<: *b\n", "4:3", "readers differ"),
        ("b: &b {a: {tag: 1}}\n<<: *b\n", "2:1", "supplied by a merge"),
        ("a: {tag: 1}\n---\na: {tag: 2}\n", "3:1", "a second document"),
        ("a: {tag: !!binary aGk=}\n", "1:10", "has the tag tag:yaml.org,2002:binary"),
        ("a: {tag: !!str 1.2}\n", "1:10", "has the tag"),
        ("a:\n  tag: {x: 1}\n", "2:8", "is a map, not a single value"),
        ("a:\n  tag: [x]\n", "2:8", "is a list, not a single value"),
        ("a:\n  image: x\n  tagg: 1\n", "2:3", "did you mean tagg?"),
        ("a: [\n", "2:1", "not YAML"),
        ("b: 1\na: {tag: \x07}\n", "2:10", "not YAML"),
        ("a: {tag: *nothing}\n", "1:10", "no anchor before it"),
        ("a: &a {tag: 1, b: *a}\n", "1:19", "inside its own anchor"),
        ("a:\n  tag: |\n    1.4.2\n", "2:8", "block scalar"),
        ("a:\n  tag: |\n    1.4.2", "2:8", "block scalar"),
        ("a:\n  tag: >+\n    1.4.2", "2:8", "block scalar"),
        ("a:\n  tag: |-\n    1\n    2\n", "2:8", "block scalar"),
        ("a: {tag}\n", "1:8", "a.tag cannot be edited with certainty here"),
        ("? a\n", "2:1", "a.tag is not there: a is a scalar without tag"),
        ("# c\n\ufeffa: {tag: 1}\n", "2:1", "a byte order mark starts this line"),
        ("\ufeff\ufeffa: {tag: 1}\n", "1:1", "a byte order mark starts this line"),
        ("%TAG !a! x\n" * 101 + "---\na: {tag: 1}\n", "1:1", "more than 100"),
        ("a: {!!binary dGFn: 1, tag: 2}\n", "1:5", "a key here has the tag"),
        ("a: {tag: 2, ! '<<': {tag: 1}}\n", "1:13", "readers differ"),
        ("a: {tag: 2, !!merge '<<': {tag: 1}}\n", "1:13", "readers differ"),
        ("m: &m {tag: 1, tag: 2}\na: {<<: *m}\n", "1:16", "the key tag stands twice"),
        (
            "x: &x {tag: 1}\ny: &y {tag: 2, <<: *x}\na: {<<: *y}\n",
            "2:16",
            "readers differ",
        ),
        ("a: {tag: 1}\r\nb: \x07", "2:4", "not YAML"),
        ("a: {tag: 1}\n---\na: 1\n", "3:1", "a second document starts here"),
        (BOMB + "tag: 1\n", "6:36", "expand to more than 1000000"),
        ("[" * 10_000, "1:201", "deeper than 200"),
        ("[" * 200, "1:201", "not YAML"),
        ("".join(f"{' ' * i}a:\n" for i in range(1_000)), "201:201", "deeper than 200"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_place(text: str, place: str, reason: str) -> None:
    with pytest.raises(EditRefused) as refusal:
        edited(text, "a.tag", "1.5.0")
    assert refusal.value.what.startswith(f"{FILE}:{place}: ")
    assert reason in refusal.value.what


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a: 1\nb: \xff\n", "2:4: the byte 0xff is not UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: the file is not UTF-8"),
        (b"a: " + b"x" * 10_000_000, "more than the limit of 10000000"),
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"\xef\xbb\xbfa: \xff\n", "1:4: the byte 0xff is not UTF-8"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EditRefused, match=reason):
        splice(data, {Key.parse("a"): "1"}, file=FILE)


def test_a_key_without_colon_and_an_unprintable_value_are_refused() -> None:
    with pytest.raises(EditRefused, match=r":1:5: tag cannot be edited with certainty"):
        edited("{tag}", "tag", "1.5.0")
    with pytest.raises(EditRefused, match="unprintable"):
        edited("tag: x", "tag", "1\n2")


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("v:\n  1.2: {tag: a}\n  1.20: {tag: b}\n", r"v.1\.2.tag", "2:3: the key 1.2 is no string"),
        ("a:\n  16: {tag: 1}\n  0x10: {tag: 2}\n", "a.16.tag", "3:3: the key 0x10 is no string"),
        ("a:\n  8: {tag: 1}\n  010: {tag: 2}\n", "a.8.tag", "3:3: the key 010 is no string"),
        ("a: {~: {tag: 1}}\n", "a.null.tag", "1:5: the key ~ is no string"),
        ("a:\n- {name: web, name: api, tag: 1}\n", "a[name=web].tag", "name stands twice"),
        (
            "m: &m {name: api}\na:\n- {name: web, <<: *m, tag: 1}\n",
            "a[name=web].tag",
            "readers differ",
        ),
        (
            "m: &m {name: w}\na:\n- {<<: *m, tag: 1}\n- {name: w, tag: 2}\n",
            "a[name=w].tag",
            "several items have name=w",
        ),
        ("a: 1\n---\nb: 2\n", "---[2].b", "3:1: there are 2 documents, and so no ---[2]"),
        ("kubernetes.io/arch: x\n", "kubernetes.io/arch", r"did you mean kubernetes\.io/arch?"),
    ],
)
def test_a_key_that_readers_may_take_otherwise_is_refused(text: str, key: str, reason: str) -> None:
    with pytest.raises(EditRefused) as refusal:
        edited(text, key, "9.9.9")
    assert reason in refusal.value.what


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\n  8080: {tag: 1}\n  9090: {tag: 2}\n  1.5: {}\n", "1"),
        ("a: {8080: {<<: {tag: 1}, <<: {tag: 2}}}\n", "2"),
        ("a: {8080: {!!str <<: {tag: 1}}}\n", None),
        ("b: &b {tag: 1}\nc: &c {tag: 2}\na: {8080: {<<: [*c, *b]}}\n", "2"),
    ],
)
def test_merges_and_numbers_are_read_as_every_reader_does(text: str, value: str | None) -> None:
    assert read(text.encode(), Key.parse("a.8080.tag"), file=FILE) == value


def test_what_takes_long_to_match_is_matched_at_once() -> None:
    """Each took seconds, and days at the limit of a file's size."""
    with pytest.raises(EditRefused, match="block scalar"):
        edited("tag: |-\n  x" + " " * 1_000_000 + "\n  y\nb: 1\n", "tag", "z")
    digits = "1" * 100_000 + "x"
    assert edited("tag: x\n", "tag", digits) == f"tag: {digits}\n"


def test_one_value_named_twice_is_refused() -> None:
    changes = {Key.parse("a[0].tag"): "1.1.1", Key.parse("a[name=w].tag"): "2.2.2"}
    with pytest.raises(EditRefused, match="are one value"):
        splice(b"a: [{name: w, tag: x}]\n", changes, file=FILE)


def test_several_items_of_one_name_are_refused() -> None:
    with pytest.raises(EditRefused, match=r"several items have name=w \(lines 1 and 2\)"):
        edited("- {name: w, tag: 1}\n- {name: w, tag: 2}\n", "[name=w].tag", "x")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a: {tag: 1.20}", "a.tag", "1.20"),
        ("a: {tag: '1.20'}", "a.tag", "1.20"),
        ("a: {tag: ~}", "a.tag", ""),
        ("a: {tag: }", "a.tag", ""),
        ("a: {b: 1}", "a.tag", None),
        ("a: x", "a.tag", None),
        ("", "a.tag", None),
        ("x: &x {tag: 2}\na: *x", "a.tag", "2"),
        ("x: &x {tag: 2}\na: {<<: *x}", "a.tag", "2"),
        ("x: &x {tag: 2}\ny: &y {<<: *x}\na: {<<: *y}", "a.tag", "2"),
        ("a: [x]", "a[1]", None),
    ],
)
def test_read_gives_the_text_that_helm_would_use(text: str, key: str, value: str | None) -> None:
    assert read(text.encode(), Key.parse(key), file=FILE) == value


def test_find_and_scalars_say_where() -> None:
    data = b"# c\na:\n  tag: 1.20\n  l: [x, {k: ~}]\nb: 'q'\n"
    found = find(data, Key.parse("a.tag"), file=FILE)
    assert (found and found.line) == 3
    seen = {str(key): (scalar.value, scalar.line) for key, scalar in scalars(data, file=FILE)}
    assert seen == {"a.tag": ("1.20", 3), "a.l[0]": ("x", 4), "a.l[1].k": ("", 4), "b": ("q", 5)}


def test_without_libyaml_the_same_edits_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    before = "\ufeffa: {w: '😀é', tag: 1.4}\r\n"
    assert edited(before, "a.tag", "v2") == before.replace("1.4", "v2")
    with pytest.raises(EditRefused, match=r":1:1: not YAML"):
        edited('a: {tag: "\\UFFFFFFFF"}\n', "a.tag", "v2")
    with pytest.raises(EditRefused, match=r":2:10: not YAML"):
        edited("b: 1\na: {tag: \x07}\n", "a.tag", "v2")
    with pytest.raises(EditRefused, match=r"1:201: nested deeper"):
        edited("[" * 10_000, "a.tag", "v2")


names = st.from_regex(r"[a-z][a-z.\[\]= -]{0,6}[a-z]", fullmatch=True)
texts = st.text(st.characters(min_codepoint=32, blacklist_categories=("Cs", "Cc")), max_size=12)
plain = st.one_of(texts, st.none(), st.booleans(), st.integers(), st.floats(), st.dates())
trees = st.recursive(
    st.dictionaries(names, plain, min_size=1, max_size=3),
    lambda inner: st.one_of(
        st.dictionaries(names, inner, min_size=1, max_size=3),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def leaves(tree: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(tree, dict):
        return [leaf for name, value in tree.items() for leaf in leaves(value, (*path, name))]
    if isinstance(tree, list):
        return [leaf for i, value in enumerate(tree) for leaf in leaves(value, (*path, i))]
    return [path]


@settings(max_examples=60)  # drawing trees is slow; the fuzzer goes far
@given(st.data(), trees, st.sampled_from(["'", '"', None]), st.booleans())
def test_the_new_tree_is_the_old_one_but_for_the_one_value(
    data: st.DataObject, tree: object, style: str | None, flow: bool
) -> None:
    text = yaml.safe_dump(tree, default_style=style, default_flow_style=flow, allow_unicode=True)
    if "!!" in text:
        text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True)
    old = yaml.safe_load(text)
    path = data.draw(st.sampled_from(leaves(tree)))
    value = data.draw(texts.filter(str.isprintable).filter(bool))
    new = yaml.safe_load(splice(text.encode(), {Key(path): value}, file=FILE).data)
    inner = old
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert repr(new) == repr(old)  # as text, so that nan is nan
