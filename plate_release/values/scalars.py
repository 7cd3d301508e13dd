"""What a scalar's text means to PyYAML (YAML 1.1) and to Helm, and which text holds a string.

Helm reads values with sigs.k8s.io/yaml, a go-yaml v2: YAML 1.1 words and integers, YAML 1.2
octals, and floats by their own pattern (its resolve.go).
"""

import re

_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE = ("y", "yes", "true", "on")
_FALSE = ("n", "no", "false", "off")
# Any case of a word that some reader knows in one case: quoting too often harms nobody.
_WORD = re.compile(r"[-+]?\.?(?:null|nan|inf|y|yes|true|on|n|no|false|off)", re.IGNORECASE)
_NUMBER = re.compile(
    r"""[-+]?(?: 0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+       # 0x1F, 0o17, 0b1
               | [0-9][0-9_]*(?::[0-9_]+)+(?:\.[0-9_]*)?               # 1:30 is 90
               | (?:[0-9_]+\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9_]+)?  # 1.20, 1_000, 12e4567
        ) | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt].*)?                  # 2026-11-23
    """,
    re.VERBOSE,
)
_PLAIN = re.compile(r"[A-Za-z0-9_./+](?:[A-Za-z0-9_./@+:-]*[A-Za-z0-9_./@+-])?")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,18})")


def is_null(text: str) -> bool:
    """Whether a plain scalar is null."""
    return text in _NULLS


def is_string(text: str) -> bool:
    """Whether every reader takes this plain, non-empty text for a string."""
    return not (is_null(text) or _WORD.fullmatch(text) or _NUMBER.fullmatch(text))


def key_name(text: str) -> str:
    """Return the name that Helm gives to a plain key: `on` is "true", `0x10` stays as it is."""
    if text.lower() in _TRUE:
        return "true"
    if text.lower() in _FALSE:
        return "false"
    return str(int(text.replace("_", ""))) if _INTEGER.fullmatch(text) else text


def has_spellings(name: str) -> bool:
    """Whether plain keys written otherwise can have this name too."""
    return name in ("true", "false") or name.lstrip("-").isdigit()


def write(value: str, style: str) -> tuple[str, str]:
    """Return the text that holds `value`, and its style: `style` if it can, else double quotes.

    `style` is PyYAML's: empty for plain, else the quote.
    """
    if style == "'":
        return "'" + value.replace("'", "''") + "'", style
    if not style and _PLAIN.fullmatch(value) and is_string(value):
        return value, style
    return '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"', '"'
