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
_TEXT = r"(?:\\.|[^\\\[\]=])+"  # between brackets a dot stands for itself
_STEP = re.compile(
    rf"(?P<dot>\.?)(?P<name>{_NAME})"
    rf"|\[(?:(?P<index>[0-9]{{1,9}})|(?P<field>{_TEXT})=(?P<value>{_TEXT}))\]",
    re.DOTALL,
)
_DOCUMENT = re.compile(r"---\[([0-9]{1,9})\](?=[.\[])\.?")


@dataclass(frozen=True, slots=True)
class Key:
    r"""A path of steps; `str` gives back text that parses to the same key.

    Dots and brackets inside a name are escaped: `nodeSelector.kubernetes\.io/arch`. `document`
    says which document of a file is meant that has several, from 0: `---[1].image.tag`.
    """

    steps: tuple[Step, ...]
    document: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key; raises UsageError where `text` is none."""
        steps: list[Step] = []
        chosen = _DOCUMENT.match(text)
        position = chosen.end() if chosen else 0
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
        return cls(tuple(steps), int(chosen[1]) if chosen else None)

    def __str__(self) -> str:
        text = "".join(map(_written, self.steps))
        if self.document is not None:
            return f"---[{self.document}]{text}"
        # A name that would be read as the choice of a document.
        return f"\\{text[1:]}" if text.startswith(".---[") else text.removeprefix(".")


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
            return f"[{_escaped(field, dots=False)}={_escaped(value, dots=False)}]"


def _escaped(name: str, *, dots: bool = True) -> str:
    return re.sub(r"[\\.\[\]=]" if dots else r"[\\\[\]=]", r"\\\g<0>", name)


def _unescaped(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name, flags=re.DOTALL)
