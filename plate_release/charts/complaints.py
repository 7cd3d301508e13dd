"""What helm complains about, with the file and the line it means. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from plate_release.charts.reading import Path

_TEMPLATE = re.compile(r"[\w.-]+/(?P<path>(?:charts/|templates/)[^\s:()\"']+)")
_LINE = re.compile(r":(?P<line>\d+)")
_CHATTER = re.compile(r"^(?:level=\w+ .*|Use --debug flag .*|Error: +(?=\S))\n?", re.MULTILINE)
_YAML_LINE = re.compile(r"\bline (?P<line>\d+)")
_FAILED_VALUES = re.compile(r"failed to parse (?P<file>\S+?):")
_SCHEMA = re.compile(
    r"meet the specifications of the schema[^\n]*\n[^\n]*\n"
    r"- (?:at '/(?P<pointer>[^']+)'|(?P<dotted>[\w.-]+)): "
)
_MISSING_DEPENDENCY = re.compile(r"missing in charts/ directory: ")


@dataclass(frozen=True, slots=True)
class Complaint:
    """helm's message, and what it points to, if anything; `value` is a path in the values."""

    text: str
    file: str = ""
    line: int = 0
    todo: str = ""
    value: Path = ()


def complaint(
    said: str, home: FilePath, names: Mapping[str, str] | None = None, chart: str = ""
) -> Complaint:
    """Read helm's message.

    `names` has the repository's names of the temporary paths in it, `chart` the folder that helm
    calls by the chart's name when it speaks of `NAME/templates/...`.
    """
    text = _CHATTER.sub("", said).strip()
    for path, name in sorted((names or {}).items(), key=lambda item: -len(item[0])):
        text = text.replace(path, name)
    text = text.replace(f"{home}/", "")
    file, line = _place(text, chart)
    if _MISSING_DEPENDENCY.search(text):
        todo = f"Run `helm dependency build {chart}` and commit {chart}/charts."
        return Complaint(text, f"{chart}/Chart.yaml".lstrip("/"), 0, todo)
    return Complaint(text, file, line, value=_value(text))


def _place(text: str, chart: str) -> tuple[str, int]:
    if values := _FAILED_VALUES.search(text):
        found = _YAML_LINE.search(text)
        return values["file"], int(found["line"]) if found else 0
    # The last one with a line is the innermost: where an include failed.
    templates = list(_TEMPLATE.finditer(text))
    lines = [_LINE.match(text, template.end()) for template in templates]
    for template, found in reversed(list(zip(templates, lines, strict=True))):
        if found:
            return f"{chart}/{template['path']}".lstrip("/"), int(found["line"])
    if not templates:
        return "", 0
    found = _YAML_LINE.search(text)
    return f"{chart}/{templates[-1]['path']}".lstrip("/"), int(found["line"]) if found else 0


def _value(text: str) -> Path:
    """Read which value a schema refuses: `- image.tag: ...` of helm 3, `- at '/image/tag': ...`."""
    match = _SCHEMA.search(text)
    if match is None:
        return ()
    parts = match["pointer"].split("/") if match["pointer"] else match["dotted"].split(".")
    return tuple(int(part) if part.isdigit() else part for part in parts)
