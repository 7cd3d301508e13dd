"""What a registry asks for before it answers: the header WWW-Authenticate (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(
    rf'(?P<name>{_WORD})[ \t]*=[ \t]*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
)
_SCHEME = re.compile(_WORD)
_BETWEEN = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to sign in; the scheme and the parameters' names are in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def challenges(header: str) -> Iterator[Challenge]:
    """Give every challenge of a header, up to what cannot be read; several headers are joined."""
    position, scheme, parameters = 0, "", dict[str, str]()
    while True:
        position = _BETWEEN.match(header, position).end()  # type: ignore[union-attr]  # may be empty
        if scheme and (found := _PARAMETER.match(header, position)):
            value = re.sub(r"\\(.)", r"\1", found["quoted"] or "") or found["plain"] or ""
            parameters.setdefault(found["name"].lower(), value)
            position = found.end()
            continue
        if scheme:
            yield Challenge(scheme, parameters)
        found = _SCHEME.match(header, position)
        if found is None:
            return
        scheme, parameters, position = found[0].lower(), {}, found.end()
