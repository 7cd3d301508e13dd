"""Charts that render differently each time: what of a difference that is. Pure."""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate, chain, takewhile
from typing import Any

Line = tuple[str, ...]
Span = tuple[int, int]
Opcode = tuple[str, int, int, int, int]

_TOKEN = re.compile(r"\w+|\W")
_MOST_PAIRS = 50_000  # of equal parts: the comparison looks at them one by one, and again


class _TooMuchAlike(Exception):  # no error: it never leaves
    """A text repeats itself so often that comparing it would take long."""


def quieted(old: Any, new: Any, others: Sequence[Any], new_others: Sequence[Any]) -> Any:
    """Return `new` with what is only noise as it is in `old`.

    `others` and `new_others` are what the charts rendered in either's place at other times. Of a
    text, just those parts are noise that differ on both sides; anything else that differs is kept,
    and all of it where a text repeats itself too often to tell.
    """
    if not isinstance(old, str) or not isinstance(new, str):
        return old
    before, after = _lines(old), _lines(new)
    try:
        noise, new_noise = _spans(before, others), _spans(after, new_others)
        changes = list(_opcodes(before, after))
    except _TooMuchAlike:
        return new
    parts, new_parts = list(chain(*before)), list(chain(*after))
    result: list[str] = []
    for what, start, end, to, until in changes:
        is_noise = _within(noise, start, end) and _within(new_noise, to, until)
        result += parts[start:end] if what == "equal" or is_noise else new_parts[to:until]
    return "".join(result)


def _lines(text: str) -> list[Line]:
    """Return the parts of each line."""
    return [tuple(_TOKEN.findall(line)) for line in text.splitlines(keepends=True)]


def _opcodes(old: list[Line], new: list[Line]) -> Iterator[Opcode]:
    """Compare lines, then the parts of those that differ; give the places of parts."""
    olds, news = ([0, *accumulate(map(len, lines))] for lines in (old, new))
    for what, start, end, to, until in _compared(old, new):
        if what == "replace":
            inner = _compared(list(chain(*old[start:end])), list(chain(*new[to:until])))
            yield from (
                (kind, olds[start] + a, olds[start] + b, news[to] + c, news[to] + d)
                for kind, a, b, c, d in inner
            )
        else:
            yield what, olds[start], olds[end], news[to], news[until]


def _compared(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[Opcode]:
    first = _alike(old, new)
    last = _alike(reversed(old[first:]), reversed(new[first:]))
    yield "equal", 0, first, 0, first
    inner, other = old[first : len(old) - last], new[first : len(new) - last]
    counts = Counter(other)
    if sum(counts[part] for part in inner) > _MOST_PAIRS:
        raise _TooMuchAlike
    matched = SequenceMatcher(None, inner, other, autojunk=False).get_opcodes()
    for what, start, end, to, until in matched:
        yield what, first + start, first + end, first + to, first + until
    yield "equal", len(old) - last, len(old), len(new) - last, len(new)


def _alike(old: Iterable[Hashable], new: Iterable[Hashable]) -> int:
    """Return how many parts at the start are equal."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _within(spans: list[Span], start: int, end: int) -> bool:
    return any(first <= start and end <= last for first, last in spans)


def _spans(old: list[Line], others: Sequence[Any]) -> list[Span]:
    """Return where `old` differs from the others; spans with but single signs between are one."""
    tokens = list(chain(*old))
    found = sorted(
        (start, end)
        for other in others
        if isinstance(other, str)
        for what, start, end, _, _ in _opcodes(old, _lines(other))
        if what != "equal"
    )
    merged: list[Span] = []
    for start, end in found:
        if merged and not any(len(token) > 1 for token in tokens[merged[-1][1] : start]):
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged
