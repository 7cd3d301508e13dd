"""Edits scalars of generated values files, or of yaml-test-suite, and asks others for the truth.

Run: python tests/fuzz/fuzz_values.py --cases 100000 [--seed N] [--helm PATH]...
     python tests/fuzz/fuzz_values.py --suite tests/values/yaml-test-suite.json

An edit must change the one value for PyYAML (composed nodes with their resolved tags) and for each
helm given (a chart prints every file's values as JSON, some of them as its own values), and no byte
outside the scalar's token; or be refused, which a file without aliases, merges, tags, blocks or
twins must never be.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from plate_release.errors import EditRefused
from plate_release.values import Key, Spliced, splice

STRING = "tag:yaml.org,2002:str"
NULL = "tag:yaml.org,2002:null"
BATCH = 1000  # files in one helm process
SAMPLE = 5  # of them are given to helm as a values file each

VALUES = [
    *("1.4.2", "v2.0.0-rc.1", "1.20", "1234567", "12e4567", "0o17", "017", "08", "0x1F", "1_000"),
    *(
        "on",
        "y",
        "No",
        "null",
        "~",
        "",
        "2026-11-23",
        "1:30",
        ".inf",
        "-1",
        "1e3",
        ".5",
        "1.",
        "+1",
    ),
    *(
        "latest",
        "sha-0a1b2c3",
        "registry.example.com:5000/a/b:1.2@sha256:" + "0a" * 32,
        "0b11",
        "0b-10",
    ),
    *("0_x1f", "7e_-9", "1_2e_+3"),
    *(
        "it's",
        'say "hi"',
        "a: b",
        "a #b",
        " x ",
        "back\\slash",
        "{a}",
        "*a",
        "&a",
        "- a",
        "😀",
        "!x",
    ),
]
PLAIN = [
    *("1.4.2", "1.20", "42", "on", "~", "null", "2026-11-23", "0x1F", "v1", "a b c", "x:y", "é😀"),
    *("http://a/b#c", "-1", "1e3", "a'b", 'a"b', "0o17", "y", "repo:1.0", "...x", "<<x"),
]
QUOTED = [
    *("'1.4.2'", '"1.4.2"', "'it''s'", '"\\u00e9 \\"q\\" \\\\ \\n"', '""', "''", "'# no'", "'😀'"),
]
BLOCKS = ["|-", ">-", "|", ">", "|+", "|2-", "|- # why"]
REASONS = [
    *("second document", "stands twice", "supplied by a merge", "readers differ", "is shared"),
    *("inside its own anchor", "has the tag", "block scalar", "with certainty", "not YAML"),
    *("is no string", "byte order mark"),
]
NAMES = ["tag", "image", "repository", "a.b", "k-1", "'x y'", '"q"', "😀", "env", "n[0]", "a=b"]
TWINS = [
    ("8080", "0x1f90"),
    ("1.2", "1.20"),
    ("on", "'true'"),
    ("tag", "!!str tag"),
    ("16", "'16'"),
]
COMMENTS = ["", "", "", " # set by release", "  # 😀 'x' \t", " #\t: {", "   "]


@dataclass
class Case:
    """One file and one edit; `clean` files have nothing that may be refused.

    `twins`: keys that helm takes for one, keeping now one value and now the other.
    """

    text: str
    clean: bool = False
    twins: bool = False
    refused: str = ""
    new: str = ""
    path: tuple[str | int, ...] = ()
    value: str = ""


@dataclass
class Generator:
    """Writes values files of every style, reproducibly."""

    rng: random.Random
    clean: bool = True
    twins: bool = False
    anchors: list[str] = field(default_factory=list)
    maps: list[str] = field(default_factory=list)

    def file(self) -> Case:
        self.clean, self.twins, self.anchors, self.maps = True, False, [], []
        text = "".join(self.mapping(0, self.rng.randint(1, 4)))
        if self.chance(0.2):
            text = "# head\n---\n" + text
        if self.chance(0.05):
            text, self.clean = text + "---\nother: 1\n", False
        if self.chance(0.1):
            text += "...\n"
        if self.chance(0.01):
            text, self.clean = text.replace("\n", "\n\ufeff", 1), False
        if self.chance(0.2):
            text = text.rstrip("\n")
        if self.chance(0.2):
            text = text.replace("\n", "\r\n")
        return Case(("\ufeff" if self.chance(0.1) else "") + text, self.clean, self.twins)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def mapping(self, indent: int, count: int) -> Iterator[str]:
        names = self.rng.sample(NAMES, min(count, len(NAMES)))
        if self.chance(0.03):
            more = self.rng.choice([*TWINS, (names[0],)])
            names, self.clean, self.twins = [*names, *more], False, True
        merge = self.rng.randrange(len(names)) if self.maps and self.chance(0.3) else None
        for number, name in enumerate(names):
            if number == merge:
                for _ in range(self.rng.choice([1, 1, 1, 2])):
                    yield f"{' ' * indent}<<: *{self.rng.choice(self.maps)}\n"
            yield f"{' ' * indent}{name}:{self.node(indent)}"
            if self.chance(0.1):
                yield f"{' ' * self.rng.randint(0, 4)}# between: [\n\n"

    def node(self, indent: int) -> str:
        kind = self.rng.random()
        if indent > 6 or kind < 0.5:
            return self.scalar(indent)
        if kind < 0.75:
            inner = "".join(self.mapping(indent + self.rng.choice([1, 2, 4]), 2))
            return f"{self.anchor(self.maps)}{self.comment()}\n{inner}"
        if kind < 0.9:
            return f"{self.comment()}\n" + "".join(self.items(indent + self.rng.choice([0, 2])))
        return f" {self.flow(2)}{self.comment()}\n"

    def items(self, indent: int) -> Iterator[str]:
        for _ in range(self.rng.randint(1, 3)):
            if self.chance(0.4):
                first, *rest = self.mapping(indent + 2, 2)
                yield f"{' ' * indent}- {first.lstrip(' ')}"
                yield from rest
            else:
                yield f"{' ' * indent}-{self.scalar(indent)}"

    def scalar(self, indent: int) -> str:
        pad = " " * (indent + 2)
        kinds = ("empty", "block", "lines", "quoted lines", "alias", "tag", "plain")
        kind = self.rng.choices(kinds, (5, 7, 4, 4, 5 * bool(self.anchors), 2, 73))[0]
        self.clean &= kind not in ("block", "alias", "tag")
        text = {
            "empty": "",
            "block": f" {self.rng.choice(BLOCKS)}\n{pad}1.4.2",
            "lines": f" one\n{pad}two  three",
            "quoted lines": f' "one\n\n{pad}two\\\n{pad}three"',
            "alias": f" *{self.rng.choice(self.anchors or [''])}",
            "tag": f" {self.rng.choice(['!!str', '!!binary', '!x'])} aGk=",
            "plain": f" {self.rng.choice(PLAIN + QUOTED)}",
        }[kind]
        anchor = self.anchor(self.anchors) if kind == "plain" else ""
        if anchor and self.chance(0.3):
            anchor += self.rng.choice(["", " # pinned", "\n", " # a\n\n  # b"]) + f"\n{pad}"
        return f"{anchor}{text}{'' if kind == 'block' else self.comment()}\n"

    def anchor(self, names: list[str]) -> str:
        if not self.chance(0.08):
            return ""
        self.clean = False
        names.append(f"{'m' if names is self.maps else 's'}{len(names)}")
        return f" &{names[-1]}"

    def comment(self) -> str:
        return self.rng.choice(COMMENTS)

    def flow(self, depth: int) -> str:
        if depth == 0 or self.chance(0.5):
            return self.rng.choice(["1.4.2", "1.20", "'q'", '"é😀"', "a b", "x:y", "~", "on"])
        gap = self.rng.choice(["", " "])
        if self.chance(0.5):
            return f"[{f',{gap}'.join(self.flow(depth - 1) for _ in range(3))}]"
        pairs = [f"{n}: {self.flow(depth - 1)}" for n in self.rng.sample(("a", "tag", '"b"'), 2)]
        return f"{{{gap}{', '.join(pairs)}{gap}}}"


def composed(text: str) -> list[Any]:
    return list(yaml.compose_all(text, Loader=yaml.CSafeLoader))


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Give the path and node of every scalar below string keys, each node once."""
    stack, seen = [(path, node)], set()
    while stack:
        path, node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield path, node
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(((*path, i), item) for i, item in enumerate(node.value))
        else:
            stack.extend(
                ((*path, key.value), value)
                for key, value in node.value
                if key.tag == STRING and key.value and isinstance(key.value, str)
                if key.value not in ("y", "Y", "n", "N")  # booleans for Helm
            )


def flat(roots: list[Any], target: Any = None, value: str = "") -> list[object]:
    """Write trees as a list of what they say, the target replaced; a node seen again by number."""
    said: list[object] = []
    seen: dict[int, int] = {}
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        if id(node) in seen:
            said.append(seen[id(node)])
        elif isinstance(node, yaml.ScalarNode):
            said.append((STRING, value) if node is target else (node.tag, node.value))
        elif node is not None:
            said.append((node.tag, len(node.value)))
            children = node.value
            if isinstance(node, yaml.MappingNode):
                children = [child for pair in children for child in pair]
            stack.extend(reversed(children))
        seen.setdefault(id(node), len(seen))
    return said


def attempt(case: Case, key: Key) -> Spliced | None:
    try:
        return splice(case.text.encode(), {key: case.value}, file="values.yaml")
    except EditRefused as refusal:
        case.refused = next(reason for reason in REASONS if reason in refusal.what)
        return None


def token_of(text: str, node: Any) -> tuple[int, int]:
    """Return where a scalar itself stands, without its anchor and tag, as the scanner has it."""
    start, end = node.start_mark.index, node.end_mark.index
    for token in yaml.scan(text, Loader=yaml.CSafeLoader):
        place = token.start_mark.index, token.end_mark.index
        if isinstance(token, yaml.ScalarToken) and start <= place[0] and place[1] == end:
            return place
    return start, end


def edit(case: Case, path: tuple[str | int, ...], target: Any, roots: list[Any]) -> None:
    """Edit one scalar and compare bytes and PyYAML's trees; raises AssertionError."""
    key = Key(path)
    assert Key.parse(str(key)) == key, key
    case.path = path
    result = attempt(case, key)
    if result is None:
        assert not case.clean, case.refused
        return
    case.new = result.data.decode()
    old, new = case.text.removeprefix("\ufeff"), case.new.removeprefix("\ufeff")
    bom = len(case.text) - len(old)
    assert case.new[:bom] == case.text[:bom]
    start, end = token_of(old, target)
    assert new[:start] == old[:start]
    assert new.endswith(old[end:])
    assert len(new) >= len(old) - (end - start)
    if not case.value and not result.edits:
        assert case.new == case.text
        assert (target.tag, target.value) == (STRING, "") or target.tag == NULL
        case.refused, case.new = "nothing to do", ""
        return
    assert flat(composed(new)) == flat(roots, target, case.value)


def generated(count: int, seed: int) -> Iterator[Case]:
    rng = random.Random(seed)
    generator = Generator(rng)
    while count:
        case = generator.file()
        try:
            roots = composed(case.text)
        except yaml.YAMLError:
            continue  # a merge of an alias not there yet, and the like
        found = list(leaves(roots[0]))
        if not found:
            continue
        path, node = rng.choice(found)
        case.value = rng.choice(VALUES)
        run(case, path, node, roots)
        count -= 1
        yield case


def suite(file: Path) -> Iterator[Case]:
    """Every scalar of every document's first root, with a plain and a quoted value."""
    for name, text in json.loads(file.read_text())["cases"].items():
        try:
            roots = composed(text)
        except yaml.YAMLError:
            try:
                splice(text.encode(), {Key(("a",)): "1"}, file="values.yaml")
            except EditRefused:
                continue
            raise AssertionError(f"{name}: edited what PyYAML does not read") from None
        for path, node in leaves(roots[0] if roots else None):
            for value in ("1.5.0", "1.20"):
                if path:
                    case = Case(text, value=value)
                    run(case, path, node, roots)
                    yield case


def run(case: Case, path: tuple[str | int, ...], node: Any, roots: list[Any]) -> None:
    try:
        edit(case, path, node, roots)
    except AssertionError as error:
        error.add_note(f"{path} = {case.value!r}\n{case.text!r}\n{case.new!r}")
        raise


def read_by_helm(helm: str, texts: list[str], folder: Path) -> list[Any]:
    """Return what Helm's reader makes of each file; None where it refuses it."""
    chart = folder / "chart"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "cases").mkdir(exist_ok=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: cases\nversion: 0.1.0\n")
    loop = '{{ range $i, $_ := until (int .Values.count) }}#{{ $.Files.Get (printf "cases/%d" $i) '
    (chart / "templates/out.yaml").write_text(f"{loop}| fromYaml | toJson }}}}\n{{{{ end }}}}")
    for number, text in enumerate(texts):
        (chart / "cases" / str(number)).write_bytes(text.encode())
    command = [helm, "template", "x", str(chart), "--set", f"count={len(texts)}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    trees = [json.loads(line[1:]) for line in out.splitlines() if line.startswith("#{")]
    assert len(trees) == len(texts), f"{len(texts)} files, {len(trees)} answers"
    return [None if set(tree) == {"Error"} else tree for tree in trees]


def differences(old: Any, new: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for key, value in old.items():
            yield from differences(value, new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, value in enumerate(old):
            yield from differences(value, new[index], (*path, index))
    elif (type(old), old) != (type(new), new):
        yield path, new


def read_as_values(helm: str, text: str, folder: Path) -> Any:
    """Return the values that helm has of a values file; None where it refuses it."""
    chart = folder / "values"
    (chart / "templates").mkdir(parents=True, exist_ok=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: values\nversion: 0.1.0\n")
    (chart / "templates/out.yaml").write_text("#{{ .Values | toJson }}")
    file = chart / "given.yaml"
    file.write_bytes(text.encode())
    command = [helm, "template", "x", str(chart), "--values", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("#{")]
    return json.loads(found[0][1:]) if found else None


def check_as_values(helm: str, edited: list[Case], counts: Counter[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for case in edited[:: max(1, len(edited) // SAMPLE)]:
            old, new = (read_as_values(helm, text, Path(folder)) for text in (case.text, case.new))
            if old is None:
                counts["no values file for helm before either"] += 1
                continue
            assert new is not None, case
            # Helm drops what is null.
            changed = {path: after for path, after in leaves_of(new) if at(old, path) != after}
            assert case.twins or set(changed) <= {case.path}, (case, changed)
            assert at(new, case.path) == case.value, (case, at(new, case.path))
            counts["a values file for helm"] += 1


def leaves_of(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any]]:
    if isinstance(tree, dict | list) and tree:
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for step, value in pairs:
            yield from leaves_of(value, (*path, step))
    else:
        yield path, tree


def check_by_helm(helm: str, cases: list[Case], counts: Counter[str]) -> None:
    edited = [case for case in cases if case.new]
    check_as_values(helm, [case for case in edited if isinstance(case.path[0], str)], counts)
    with tempfile.TemporaryDirectory() as folder:
        before = read_by_helm(helm, [case.text for case in edited], Path(folder))
        after = read_by_helm(helm, [case.new for case in edited], Path(folder))
    for case, old, new in zip(edited, before, after, strict=True):
        if old is None:
            counts["not read by helm before either"] += 1
            continue
        if case.twins:
            assert at(new, case.path) == case.value, (case, at(new, case.path))
            continue
        changed = list(differences(old, new))
        assert changed in ([], [(case.path, case.value)]), (case, changed)
        assert changed or case.new == case.text or at(old, case.path) == case.value, case
        counts["checked by helm"] += 1


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def batches(cases: Iterator[Case]) -> Iterator[list[Case]]:
    batch: list[Case] = []
    for case in cases:
        batch.append(case)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--suite", type=Path)
    parser.add_argument("--helm", action="append", default=[])
    options = parser.parse_args()
    cases = suite(options.suite) if options.suite else generated(options.cases, options.seed)
    counts: Counter[str] = Counter()
    for batch in batches(cases):
        counts["cases"] += len(batch)
        counts["edited"] += sum(bool(case.new) for case in batch)
        counts.update(f"refused: {case.refused}" for case in batch if case.refused)
        for helm in options.helm:
            check_by_helm(helm, batch, counts)
    sys.stdout.write(json.dumps({"seed": options.seed, **counts}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
