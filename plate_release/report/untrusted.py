"""Text from outside (Argo CD, helm, git, the registry), made safe for the place that shows it."""

import re
from unicodedata import category

# Controls, formats (bidi overrides and zero-width characters among them), lone surrogates, and
# the two separators that some terminals and every JavaScript take for a line's end.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# ASCII punctuation, but for - . / inside a word or version, which only `www.` makes a link.
_MARKUP = re.compile(
    r"[!-,:-@\[-`{-~]|(?<!\w)[-./]|[-./](?!\w)|(?i:(?<=www))\.",
    re.ASCII,
)


def terminal(text: str) -> str:
    r"""Return `text` with what a terminal would obey or hide written out, as in `\x1b[2J`.

    Line feeds and tabs stay. Rich's markup is not a matter of this: print it as `rich.text.Text`.
    """
    text = text.replace("\r\n", "\n")
    return "".join(_seen(character) for character in text)


def markdown(text: str) -> str:
    """Return `text` as Markdown that is shown as it is: in a paragraph, a list or a table's cell.

    No markup, HTML, link, image or mention comes of it. Lines are joined by `<br>`.
    """
    # A `<br>` that stands alone on a line would be a block.
    lines = (_MARKUP.sub(_entity, line.strip()) for line in terminal(text).strip().split("\n"))
    return "<br>".join(lines)


def fenced(text: str, language: str = "") -> str:
    """Return `text` as a fenced block that it cannot close, with a line feed at its end.

    language: a name for the colouring, which is not from outside.
    """
    runs = (len(run) for run in re.findall("`+", text))
    fence = "`" * max(3, 1 + max(runs, default=0))
    return f"{fence}{language}\n{terminal(text).rstrip()}\n{fence}\n"


def _seen(character: str) -> str:
    if character in "\n\t" or category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def _entity(match: re.Match[str]) -> str:
    character = match[0]
    # GitHub looks for mentions and addresses after it has read the entities.
    return "&#64;<!-- -->" if character == "@" else f"&#{ord(character)};"
