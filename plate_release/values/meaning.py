"""What a scalar's text means to PyYAML (YAML 1.1) and to Helm, and which text holds a string.

Helm reads values with sigs.k8s.io/yaml, a go-yaml v2: YAML 1.1 words and integers, YAML 1.2
octals, and floats by their own pattern, all without regard to underscores (its resolve.go).
"""

import re

_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
# Any case of a word that some reader knows in one case: quoting too often harms nobody.
_WORD = re.compile(r"[-+]?\.?(?:null|nan|inf|y|yes|true|on|n|no|false|off)", re.IGNORECASE)
_NUMBER = re.compile(
    r"""[-+]?(?: 0[xX][0-9a-fA-F]+ | 0[oO][0-7]+ | 0[bB][-+]?[01]+  # 0x1F, 0o17, 0b-1
               | [0-9]+(?::[0-9]+)+(?:\.[0-9]*)?                    # 1:30 is 90
               | (?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?  # 1.20, 12e4567
        ) | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt].*)?               # 2026-11-23
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
    bare = text.replace("_", "")
    return not (is_null(text) or _WORD.fullmatch(text) or _NUMBER.fullmatch(bare))


def key_name(text: str) -> str | None:
    """Return the name that every reader gives to a plain key; None where they may differ.

    `on` is "true" and `1_0` is "10" for Helm; `1.20`, `0x10` or `~` could be anything.
    """
    if text in _TRUE:
        return "true"
    if text in _FALSE:
        return "false"
    if _INTEGER.fullmatch(text):
        return str(int(text.replace("_", "")))
    return text if is_string(text) or (text.isalpha() and not is_null(text)) else None


def is_vague(name: str) -> bool:
    """Whether a key for which `key_name` has no name may have this one to some reader."""
    return name == "null" or not (is_string(name) or name.isalpha())


def write(value: str, style: str) -> tuple[str, str]:
    """Return the text that holds `value`, and its style: `style` if it can, else double quotes.

    `style` is PyYAML's: empty for plain, else the quote.
    """
    if style == "'":
        return "'" + value.replace("'", "''") + "'", style
    if not style and _PLAIN.fullmatch(value) and is_string(value):
        return value, style
    return '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"', '"'
