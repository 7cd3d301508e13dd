"""The way to one scalar of a values file, as people write it: `backend.images[name=web].tag`."""

import re
from dataclasses import dataclass
from typing import Self

from plate_release.errors import UsageError


@dataclass(frozen=True, slots=True)
class Match:
    """The one list item whose `field` has this `value`."""

    field: str
    value: str


Step = str | int | Match
"""A map's key, a list's index, or a list item by one of its fields."""

_NAME = r"(?:\\.|[^\\.\[\]=])+"
_STEP = re.compile(
    rf"(?P<dot>\.?)(?P<name>{_NAME})"
    rf"|\[(?:(?P<index>[0-9]{{1,9}})|(?P<field>{_NAME})=(?P<value>{_NAME}))\]",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Key:
    r"""A path of steps; `str` gives back text that parses to the same key.

    Dots and brackets inside a name are escaped: `nodeSelector.kubernetes\.io/arch`.
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key; raises UsageError where `text` is none."""
        steps: list[Step] = []
        position = 0
        while position < len(text) or not steps:
            match = _STEP.match(text, position)
            if match is None or _misplaced_dot(match, first=not steps):
                raise UsageError(
                    f"{text!r} is not a key",
                    why=f"nothing to step into at character {position + 1}",
                    todo=r"Write it as backend.image.tag, list[0].tag, list[name=web].tag; a\.b",
                )
            steps.append(_step(match))
            position = match.end()
        return cls(tuple(steps))

    def __str__(self) -> str:
        return "".join(_written(step) for step in self.steps).removeprefix(".")


def _misplaced_dot(match: re.Match[str], *, first: bool) -> bool:
    return match["name"] is not None and (match["dot"] == "") is not first


def _step(match: re.Match[str]) -> Step:
    if match["name"] is not None:
        return _unescaped(match["name"])
    if match["index"] is not None:
        return int(match["index"])
    return Match(_unescaped(match["field"]), _unescaped(match["value"]))


def _written(step: Step) -> str:
    match step:
        case str():
            return f".{_escaped(step)}"
        case int():
            return f"[{step}]"
        case Match(field, value):
            return f"[{_escaped(field)}={_escaped(value)}]"


def _escaped(name: str) -> str:
    return re.sub(r"[\\.\[\]=]", r"\\\g<0>", name)


def _unescaped(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)
