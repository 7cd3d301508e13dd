"""What names and texts say of secrets: which values are some, and where they stand. Pure."""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from plate_release.charts.reading import Path, at

Span = tuple[int, int]

_TELLING = re.compile(
    r"(?i:passw|passphrase|pwd|secret|token|credential|dsn|conn(?:ection)?[-_]?str"
    r"|(?:api|access|private|encryption|signing|master|licen[cs]e|ssh|storage|account|shared"
    r"|app|admin|hmac|jwt)[-_]?key|webhook[-_]?url|(?:smtp|basic)[-_]?auth$|salt$|^id_rsa|tls\.key$"
    r"|service[-_]?account[-_]?json|(?:^|[-_.]|require|pg)pass$|(?:^|[-_.])pw$|jwt$)"
    r"|[a-z]P(?:ass|w)$|_KEY$|_PAT$"
)
# What is about a secret, and holds none.
_ABOUT = re.compile(
    r"(?:^-{0,2}(?:skip|no|enable|disable|allow|existing)[-_]?.*|^checksum.*"
    r"|name|ref|path|file|ttl|expir\w*|expiry|lifetime|length|tag|image|version|mode|enabled"
    r"|disabled|type|class|store|backend|provider\w*|region|issuer|endpoint|uri|algorithm|webhook"
    r"|tokenizer\w*|(?:max|min|num|total)[\w-]*tokens|allow[-_]?credentials"
    r"|(?:pull|tls|env)[-_]?secrets?|(?<!webhook)(?<!webhook[-_])url"
    r"|(?:sort|partition|primary|foreign|topology|cache|routing|public|site|idempotency)[-_]?key)$",
    re.IGNORECASE,
)
_HOLDERS = {"secrets", "passwords", "tokens", "credentials"}
# An option, or a key of a text; a colon without a blank is an image's or an address's.
_NAMED = re.compile(
    r"(?<![\w-])(?P<option>--?[\w-]{1,80})[= ]"
    r"|(?<![\w.-])(?P<key>[\w.-]{1,80})"
    r"(?:[\"']?\s{0,8}=\s{0,8}|[\"']\s{0,8}:\s{0,8}|:\s{1,8})[\"']?"
)
_BEFORE = re.compile(
    # The login in an address, a header, and what shows by itself what it is: tokens of GitHub,
    # GitLab, Slack, AWS, and JSON web tokens.
    r"://[^/\s:@]{0,256}:(?=[^\s/@]{1,256}@)|\bbearer\s{1,8}"
    r"|\bauthorization[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:basic|token|digest|apikey)\s{1,8}"
    r"|hooks\.slack\.com/services/"
    r"|(?<![\w-])(?=gh[opsru]_\w{20}|github_pat_\w|glpat-[\w-]{20}|xox[a-z]-\w|(?-i:AKIA)\w{16}"
    r"|(?-i:eyJ)[\w-]{8,}\.[\w-]+\.)",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[^\s@\"',;&]+")
_PRIVATE_KEY = re.compile(
    r"(?<=-----BEGIN )[A-Z ]{0,30}PRIVATE KEY-----(.*?)(?=-----END|\Z)", re.DOTALL
)
_SHORT = 12  # characters; within another word they are chance


def tells(body: Any, path: Path) -> bool:
    """Whether what names a value says that it is secret."""
    held = any(str(one).lower() in _HOLDERS and isinstance(two, str) for one, two in pairwise(path))
    own = _called(body, path) if path else ""
    return (held or _TELLING.search(own) is not None) and not _ABOUT.search(own)


def _called(body: Any, path: Path) -> str:
    """Return the word that names a value: its key, its `name`, or the option in the item before."""
    *above, last = path
    if last == "value":
        return str(at(body, (*above, "name")) or (*above, last)[-2:][0])
    option = at(body, (*above, last - 1)) if isinstance(last, int) and last else None
    is_option = isinstance(option, str) and option.startswith("-") and "=" not in option
    if is_option and not str(at(body, path)).startswith("-"):
        return str(option)
    return str(last)


def secret_spans(text: str, secrets: Collection[str]) -> list[Span]:
    """Return where secrets stand in a text: those given, and what it calls one itself."""
    spans = sorted({*_given(text, secrets), *_said(text)})
    merged: list[Span] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged


def _given(text: str, secrets: Collection[str]) -> Iterator[Span]:
    if present := frozenset(secret for secret in secrets if secret in text):
        yield from (match.span() for match in _any_of(present).finditer(text))


@lru_cache(maxsize=64)
def _any_of(secrets: frozenset[str]) -> re.Pattern[str]:
    longest_first = sorted(secrets, key=lambda secret: (-len(secret), secret))
    return re.compile("|".join(map(_alone, longest_first)))


def _alone(secret: str) -> str:
    escaped = re.escape(secret)
    return rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])" if len(secret) < _SHORT else escaped


def _said(text: str) -> Iterator[Span]:
    ends = [match.end() for match in _BEFORE.finditer(text)]
    for match in _NAMED.finditer(text):
        name = match["option"] or match["key"]
        # What follows an option may be the next one.
        is_next = match["option"] and match[0][-1] == " " and text.startswith("-", match.end())
        if _TELLING.search(name) and not _ABOUT.search(name) and not is_next:
            ends.append(match.end())
    until = 0
    for end in sorted(ends):
        if end >= until and (found := _VALUE.match(text, end)):
            until = found.end()
            yield found.span()
    yield from (match.span(1) for match in _PRIVATE_KEY.finditer(text))
