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
    r"|app|admin|hmac|jwt)[-_]?key|webhook[-_]?url|(?:smtp|basic)[-_]?auth$|(?:^|[-_.])salt$"
    r"|^id_rsa|tls\.key$|service[-_]?account[-_]?json|(?:^|[-_.]|require|pg)pass$|(?:^|[-_.])pw$"
    r"|jwt$)|(?i:db|user|admin|root|mail|auth|smtp|sql)P(?:ass|w)$|_KEY$|_PAT$"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_ADDRESS = re.compile(r"dsn|conn|webhook", re.IGNORECASE)
# What is about a secret, and holds none, by its first word, its last, or its last two.
_FIRST = {"skip", "no", "enable", "disable", "allow", "existing"}
_LAST = {
    *("name", "ref", "path", "file", "ttl", "expiry", "expiration", "expires", "lifetime"),
    *("length", "tag", "image", "version", "mode", "enabled", "disabled", "type", "class", "store"),
    *("backend", "provider", "region", "issuer", "endpoint", "algorithm", "tokenizer"),
}
_LAST_TWO = {
    *(("allow", "credentials"), ("pull", "secret"), ("pull", "secrets"), ("tls", "secret")),
    *((word, "tokens") for word in ("max", "min", "num", "total", "batched")),
    *((word, "key") for word in ("sort", "partition", "primary", "foreign", "topology", "cache")),
    *((word, "key") for word in ("public", "idempotency")),
}
_LONGEST = 200  # characters of a name
_HOLDERS = {"secrets", "passwords", "tokens", "credentials"}
# An option, or a key of a text; a colon without a blank is an image's or an address's.
_NAMED = re.compile(
    r"(?<![\w-])(?P<option>--?[\w-]{1,80})(?P<sign>[= ])[\"']?"
    r"|(?<![\w.-])(?P<key>[\w.-]{1,80})"
    r"(?:[\"']?\s{0,8}:?=\s{0,8}|[\"']\s{0,8}:\s{0,8}|:\s{1,8}|:(?=[\"']))[\"']?"
)
_BEFORE = re.compile(
    # The login in an address, a header, and what shows by itself what it is: tokens of GitHub,
    # GitLab, Slack, AWS, and JSON web tokens.
    r"://[^/\s:@]{0,256}:(?=[^\s@]{1,256}@)|\bbearer\s{1,8}"
    r"|\bauthorization[\"']?\s{0,8}[:=]\s{0,8}[\"']?\w{2,16}\s{1,8}"
    r"|hooks\.slack\.com/services/"
    r"|(?<![\w-])(?=gh[opsru]_\w{20}|github_pat_\w|glpat-[\w-]{20}|xox[a-z]-\w|(?-i:AKIA)\w{16}"
    r"|(?-i:eyJ)[\w-]{8,}\.[\w-]+\.)",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[^\s@\"',;&]+")
_PRIVATE_KEY = re.compile(
    r"(?<=-----BEGIN )[A-Z ]{0,30}PRIVATE KEY-----"
    r"((?:\r?\n|\\n| (?=\w)).+?)(?=-----END|\Z)",
    re.DOTALL,
)
_SHORT = 12  # characters; within another word they are chance


def tells(body: Any, path: Path) -> bool:
    """Whether what names a value says that it is secret."""
    # A list of secrets names them.
    held = any(
        str(one).lower() in _HOLDERS and (one != "secrets" or isinstance(two, str))
        for one, two in pairwise(path)
    )
    own = _called(body, path) if path else ""
    return (held and not _is_about(own)) or _is_telling(own)


def _is_telling(name: str) -> bool:
    return _TELLING.search(name[:_LONGEST]) is not None and not _is_about(name)


def _is_about(name: str) -> bool:
    """Whether a name is that of something about a secret: `TOKEN_ISSUER`, `pullSecret`."""
    words = [word.lower() for word in _WORD.findall(name[:_LONGEST])] or [""]
    if words[-1] in {"url", "uri"}:
        return not _ADDRESS.search(name)
    return (
        words[0] in _FIRST
        or words[-1] in _LAST
        or tuple(words[-2:]) in _LAST_TWO
        or name.startswith("checksum/")
    )


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
    return (
        rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])"
        if secret.isalpha() and len(secret) < _SHORT
        else escaped
    )


def _said(text: str) -> Iterator[Span]:
    ends = [match.end() for match in _BEFORE.finditer(text)]
    for match in _NAMED.finditer(text):
        name = match["option"] or match["key"]
        # What follows an option may be the next one.
        is_next = match["sign"] == " " and text.startswith("-", match.end())
        if not is_next and _is_telling(name):
            ends.append(match.end())
    until = 0
    for end in sorted(ends):
        if end >= until and (found := _VALUE.match(text, end)):
            until = found.end()
            yield found.span()
    yield from (match.span(1) for match in _PRIVATE_KEY.finditer(text))
