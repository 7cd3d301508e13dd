"""Who has the last word about a value: a file, or the Application itself. Pure."""

import re
from collections.abc import Sequence

from plate_release.charts.inputs import ChartInputs, Layer, Parameter
from plate_release.charts.reading import Path, lines_of
from plate_release.errors import NoEffect, PlanRefused
from plate_release.values import Key, find
from plate_release.values.keys import Step

_STEP = re.compile(r"(?P<name>(?:\\.|[^\\.\[\]])+)|\[(?P<index>\d+)\]", re.DOTALL)


def winner(inputs: ChartInputs, key: Key) -> Layer | Parameter | None:
    """Return what sets the value at `key` last, None where only a subchart's default does.

    Raises EditRefused for values that cannot be read with certainty.
    """
    for given in reversed(inputs.parameters):
        if _sets(given, key.steps):
            return given
    layers = reversed(inputs.layers)
    return next((one for one in layers if find(one.data, key, file=one.file)), None)


def place_of(inputs: ChartInputs, path: Path) -> tuple[str, int]:
    """Return the file and line that set the value at `path` last, or what it would stand in.

    Empty where that is in the default values of a subchart.
    """
    for given in reversed(inputs.parameters):
        if _sets(given, path):
            return given.file, given.line
    layers = [(one.file, one.lines or lines_of(one.data)) for one in reversed(inputs.layers)]
    for end in range(len(path), 0, -1):
        for file, lines in layers:
            if path[:end] in lines:
                return file, lines[path[:end]]
    return "", 0


def _sets(given: Parameter, path: Sequence[Step]) -> bool:
    name = parameter_path(given.name)
    return tuple(path[: len(name)]) == name


def editable(inputs: ChartInputs, path: Path, found: Layer | Parameter | None) -> Layer:
    """Return the file in which an edit of `path`, that `found` sets last, changes what runs.

    Raises NoEffect where the Application itself overrides every file, PlanRefused where the value
    stands in no file of this repository.
    """
    key = Key(path)
    if isinstance(found, Parameter):
        raise NoEffect(
            f"the edit has no effect: {found.file} sets {key} as a parameter{_line(found.line)}",
            why="A parameter of the Application beats every values file.",
            todo="Remove the parameter, so that the values file decides.",
        )
    if found is not None and found.kind in {"values", "valuesObject"}:
        line = _line(found.lines.get(path, found.line))
        raise NoEffect(
            f"the edit has no effect: {found.file} sets {key} in {found.kind}{line}",
            why="Values of the Application beat every values file.",
            todo="Move the value into a values file.",
        )
    if found is not None and found.is_default and any(one.kind == "file" for one in inputs.layers):
        own = last_file(inputs)
        raise PlanRefused(
            f"{key} stands in the chart's own defaults alone: {found.file}.",
            why=f"An edit there would reach every environment; {own} does not set it.",
            todo=f"Add {key} to {own}.",
        )
    if found is None or not found.editable:
        raise PlanRefused(
            f"{key} is set in no values file of this repository.",
            why=f"It stands in {_stands(found)}.",
            todo=f"Add {key} to {last_file(inputs)}.",
        )
    return found


def _stands(found: Layer | None) -> str:
    if found is None:
        return "the default values of a subchart"
    return f"{found.file} of {found.origin}" if found.origin else found.file


def _line(line: int) -> str:
    return f", line {line}" if line else ""  # a live Application has no lines


def parameter_path(name: str) -> Path:
    r"""Read a parameter's name as `helm --set` does: `a.b[0].c`, dots in a name as `\.`."""
    return tuple(
        int(match["index"]) if match["index"] else re.sub(r"\\(.)", r"\1", match["name"])
        for match in _STEP.finditer(name)
    )


def last_file(inputs: ChartInputs) -> str:
    """Return the values file to add a key to."""
    files = [layer.file for layer in inputs.layers if layer.editable and layer.kind == "file"]
    plain = [file for file in files if "secret" not in file]
    return (plain or files or ["a values file that the Application names"])[-1]
