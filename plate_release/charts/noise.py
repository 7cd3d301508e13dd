"""Charts that render differently each time: what of a difference that is. Pure."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

Span = tuple[int, int]

_TOKEN = re.compile(r"\w+|\W")
_MOST_TOKENS = 5_000  # of a longer text, lines are compared


def quieted(old: Any, new: Any, others: Sequence[Any]) -> Any:
    """Return `new` with what is only noise as it is in `old`.

    `others` are what the unchanged chart rendered in the place of `old` at other times. Of a text,
    just those parts are noise that differ there; anything else that differs is kept.
    """
    if not isinstance(old, str) or not isinstance(new, str):
        return old
    split = _lines if len(old) > _MOST_TOKENS else _TOKEN.findall
    before, after = split(old), split(new)
    noise = _spans(before, [split(other) for other in others if isinstance(other, str)])
    result: list[str] = []
    for what, start, end, to, until in _opcodes(before, after):
        is_noise = any(first <= start and end <= last for first, last in noise)
        result += before[start:end] if what == "equal" or is_noise else after[to:until]
    return "".join(result)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _opcodes(old: list[str], new: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def _spans(old: list[str], others: list[list[str]]) -> list[Span]:
    """Return where `old` differs from the others; spans with but single signs between are one."""
    found = sorted(
        (start, end)
        for other in others
        for what, start, end, _, _ in _opcodes(old, other)
        if what != "equal"
    )
    merged: list[Span] = []
    for start, end in found:
        if merged and not any(len(token) > 1 for token in old[merged[-1][1] : start]):
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged
