"""What helm complains about, with the file and the line it means. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from plate_release.charts.reading import Path

_LONGEST = 4_000  # characters of a message; a template can make one of any length
_TEMPLATE = re.compile(r"[\w.-]+/(?P<path>(?:charts/|templates/)[^:()\"'\n]+)")
_LINE = re.compile(r":(?P<line>\d+)")
_CHATTER = re.compile(r"^(?:level=\w+ .*|Use --debug flag .*|Error: +(?=\S))\n?", re.MULTILINE)
_YAML_LINE = re.compile(r"\byaml: line (?P<line>\d+)")
_FAILED_VALUES = re.compile(r"failed to parse (?P<file>[^:\n]+):")
_OF_A_CHART = re.compile(
    r"(?:error unpacking (?:sub)?chart (?P<sub>[\w.-]+) in [^:\n]+: )?"
    r"(?:cannot load (?P<file>values\.yaml|Chart\.yaml|values\.schema\.json)|"
    r"(?P<invalid>validation: chart\.metadata|chart\.metadata))"
)
_RENDERED = re.compile(r"(YAML parse error on [^:\n]+: [^\n]*?\byaml: line \d+)")
_SCHEMA = re.compile(r"meet the specifications of the schema[^\n]*\n(?P<items>(?:.+\n?)*)")
_SCHEMA_ITEM = re.compile(r"- (?:at '(?P<pointer>[^']*)'|(?P<dotted>[\w.()-]+)): ")
_QUOTED_VALUE = re.compile(r"(- at '[^']*': )'[^\n]*'(?= (?:does not match|is not valid) )")
_NOT_VALID = re.compile(r"(the value is not valid [\w-]+): [^\n]*")
_LOGIN = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_NUMBER_WANTED = re.compile(
    r"got string, want (?:integer|number)|Expected: (?:integer|number), given: string"
)
_TEXT_FOR_NUMBER = (
    "A tag is written as a text, so that 1.10 stays 1.10: let values.schema.json take texts there."
)
_MISSING_DEPENDENCY = re.compile(r"missing in charts/ directory: ")
_LINTED = re.compile(r"^\[(?:WARNING|ERROR)\] (?P<place>[^:\n]+): (?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Name:
    """What a temporary file is in the repository, and the line there that its first one is."""

    file: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Complaint:
    """helm's message, and what it points to, if anything; `values` are paths in the values."""

    text: str
    file: str = ""
    line: int = 0
    todo: str = ""
    values: tuple[Path, ...] = ()


def complaint(
    said: str,
    home: FilePath,
    names: Mapping[str, Name],
    chart: str = "",
    subcharts: Collection[str] = (),
) -> Complaint:
    """Read helm's message.

    `names` has the repository's names of the temporary paths in it, `chart` the folder that helm
    calls by the chart's name when it speaks of `NAME/templates/...`.
    """
    text = _CHATTER.sub("", said)[: 2 * _LONGEST].strip()
    named = {name.file: name for name in names.values()}
    for path, name in sorted(names.items(), key=lambda item: -len(item[0])):
        text = text.replace(path, name.file or ".")
    text = _RENDERED.sub(r"\1 of what it renders", text.replace(f"{home}/", ""))
    text = _NOT_VALID.sub(r"\1", _QUOTED_VALUE.sub(r"\1the value", text))
    text = _LOGIN.sub("(hidden)", text)
    file, line = _place(text, chart, named)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if _MISSING_DEPENDENCY.search(text):
        todo = f"Run `helm dependency build {chart}` and commit {chart}/charts."
        return Complaint(shown, f"{chart}/Chart.yaml".lstrip("/"), 0, todo)
    todo = _TEXT_FOR_NUMBER if _NUMBER_WANTED.search(text) else ""
    return Complaint(shown, file, line, todo, tuple(_values(text, subcharts)))


def linted(said: str, chart: str) -> Iterator[str]:
    """Give each thing that `helm lint` warns of or fails for, by its file in the repository."""
    for match in _LINTED.finditer(said[: 8 * _LONGEST]):
        yield f"{chart}/{match['place']}: {match['text']}".lstrip("/")


def _place(text: str, chart: str, named: Mapping[str, Name]) -> tuple[str, int]:
    if values := _FAILED_VALUES.search(text):
        found = _YAML_LINE.search(text)
        name = named.get(values["file"], Name(values["file"]))
        return name.file, name.line + int(found["line"]) - 1 if found else 0
    if own := _OF_A_CHART.match(text):
        folder = f"{chart}/charts/{own['sub']}" if own["sub"] else chart
        found = _YAML_LINE.search(text)
        file = f"{folder}/{own['file'] or 'Chart.yaml'}".lstrip("/")
        return file, int(found["line"]) if found else 0
    # The last one with a line is the innermost: where an include failed.
    templates = list(_TEMPLATE.finditer(text))
    lines = [_LINE.match(text, template.end()) for template in templates]
    for template, found in reversed(list(zip(templates, lines, strict=True))):
        if found:
            return f"{chart}/{template['path']}".lstrip("/"), int(found["line"])
    return (f"{chart}/{templates[-1]['path']}".lstrip("/"), 0) if templates else ("", 0)


def _values(text: str, subcharts: Collection[str]) -> Iterator[Path]:
    """Give the values that schemas refuse: `- image.tag: ...` of helm 3, `- at '/image/tag': ...`.

    Those of a subchart stand below its name.
    """
    match = _SCHEMA.search(text)
    start: Path = ()
    for line in match["items"].splitlines() if match else ():
        item = _SCHEMA_ITEM.match(line)
        if item is None:
            start = (line[:-1],) if line.endswith(":") and line[:-1] in subcharts else ()
        elif item["dotted"] is not None:
            yield start + _path(item["dotted"].split("."))
        else:
            parts = item["pointer"].split("/")[1:]
            yield start + _path([part.replace("~1", "/").replace("~0", "~") for part in parts])


def _path(parts: list[str]) -> Path:
    named = [part for part in parts if part not in {"", "(root)"}]
    return tuple(int(part) if part.isdigit() else part for part in named)
