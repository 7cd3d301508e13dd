import html as stdlib_html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from plate_release.report import untrusted

NASTY = st.text(
    st.characters() | st.sampled_from("`*_~[]()<>#+-=.!|&@:/\\{}$1 \t\n\r\x1b\x9b\u202e\u200b")
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plate-api: 이미지 없음 🚀", "plate-api: 이미지 없음 🚀"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("windows\r\nline", "windows\nline"),
        ("over\rwritten", "over\\rwritten"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x1b]8;;http://evil\x07link", "\\x1b]8;;http://evil\\x07link"),
        ("\x9b31m", "\\x9b31m"),
        ("user\u202etxt.exe", "user\\u202etxt.exe"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028separator", "line\\u2028separator"),
        ("hidden\U000e0041", "hidden\\U000e0041"),
        ("lone\ud800surrogate", "lone\\ud800surrogate"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert untrusted.terminal(text) == shown


@given(NASTY)
def test_a_terminal_gets_nothing_but_what_is_seen(text: str) -> None:
    shown = untrusted.terminal(text)

    assert not set(shown) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}
    assert not set(shown) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2069")
    assert shown.encode().decode() == shown


def texts(tokens: list[Token]) -> tuple[str, list[str]]:
    """Return the text that is shown, and what else the Markdown made."""
    shown, made = "", []
    for token in tokens:
        if token.type == "text":
            shown += token.content
        elif token.type == "html_inline" and token.content == "<br>":
            shown += "\n"
        elif token.type != "softbreak" and token.content != "<!-- -->":
            made.append(f"{token.type} {token.content}")
    return shown, made


@given(NASTY)
def test_markdown_shows_the_text_and_makes_nothing_of_it(text: str) -> None:
    tokens = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .parse(f"| reason |\n|---|\n| {untrusted.markdown(text)} |\n")
    )

    kinds = [token.type for token in tokens]
    assert kinds.count("td_open") == 1
    assert kinds[0] == "table_open"
    assert kinds[-1] == "table_close"
    shown, made = texts(tokens[kinds.index("td_open") + 1].children or [])
    assert made == []
    assert shown.split() == untrusted.terminal(text).split()


@given(NASTY)
def test_markdown_at_a_lines_start_makes_no_block(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"{untrusted.markdown(text)}\n")

    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}


def test_markdown_leaves_what_is_harmless_readable() -> None:
    assert untrusted.markdown("plate-api 1.5.0-rc.1") == "plate-api 1.5.0-rc.1"


@pytest.mark.parametrize("text", ["www.evil.example", "WWW.evil.example", "http://evil", "a@b.c"])
def test_markdown_gives_githubs_autolinks_nothing_to_find(text: str) -> None:
    made = untrusted.markdown(text)

    assert "www." not in made.lower()
    assert "://" not in made
    assert "@b" not in stdlib_html.unescape(made)


@given(NASTY)
def test_a_fenced_block_cannot_be_left(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(untrusted.fenced(text, "diff"))

    (block,) = tokens
    assert block.type == "fence"
    assert block.content.split() == untrusted.terminal(text).split()
