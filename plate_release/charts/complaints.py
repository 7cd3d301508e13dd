"""What helm complains about, with the file and the line it means. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TEMPLATE = re.compile(r"(?P<chart>[\w.-]+)/(?P<path>(?:charts/|templates/)[^\s:()]+)")
_LINE = re.compile(r":(?P<line>\d+)(?::\d+)?(?=[:)\s]|$)")
_YAML_LINE = re.compile(r"\bline (?P<line>\d+)")
_FAILED_VALUES = re.compile(r"failed to parse (?P<file>\S+?):")
_MISSING_DEPENDENCY = re.compile(r"missing in charts/ directory: ")


@dataclass(frozen=True, slots=True)
class Complaint:
    """helm's message, and what it points to, if anything."""

    text: str
    file: str = ""
    line: int = 0
    todo: str = ""


def complaint(
    said: str, home: Path, names: Mapping[str, str] | None = None, chart: str = ""
) -> Complaint:
    """Read helm's message.

    `names` has the repository's names of the temporary paths in it, `chart` the folder that helm
    calls by the chart's name when it speaks of `NAME/templates/...`.
    """
    text = said.strip().removeprefix("Error: ")
    for path, name in sorted((names or {}).items(), key=lambda item: -len(item[0])):
        text = text.replace(path, name)
    text = text.replace(f"{home}/", "")
    file, line = _place(text, chart)
    if _MISSING_DEPENDENCY.search(text):
        todo = f"Run `helm dependency build {chart}` and commit {chart}/charts."
        return Complaint(text, f"{chart}/Chart.yaml".lstrip("/"), 0, todo)
    return Complaint(text, file, line)


def _place(text: str, chart: str) -> tuple[str, int]:
    if values := _FAILED_VALUES.search(text):
        found = _YAML_LINE.search(text)
        return values["file"], int(found["line"]) if found else 0
    # The last one named is the innermost: where an include failed.
    templates = list(_TEMPLATE.finditer(text))
    if not templates:
        return "", 0
    template = templates[-1]
    found = _LINE.match(text, template.end()) or _YAML_LINE.search(text, template.end())
    path = f"{chart}/{template['path']}".lstrip("/")
    return path, int(found["line"]) if found else 0
