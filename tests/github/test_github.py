"""The runner's protocol: what it would obey is ours alone, and within what it keeps."""

import base64
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from plate_release.github import (
    Runner,
    annotations,
    escape_data,
    escape_property,
    masks,
    without_commands,
)
from plate_release.github.runner import SUMMARY_BYTES, fitting, output
from plate_release.model import Finding, Secret

RUN = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "mina",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "plate/web",
    "GITHUB_RUN_ID": "42",
}


def unescaped(text: str) -> str:
    """Undo the escapes as the runner does (ActionCommand.cs): the percent sign last."""
    for escape, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n")):
        text = text.replace(escape, character)
    return text.replace("%25", "%")


@given(st.text(st.sampled_from("%:,\r\n0AD25 a")))
def test_the_runner_reads_what_was_escaped(text: str) -> None:
    assert not set(escape_data(text)) & set("\r\n")
    assert not set(escape_property(text)) & set("\r\n:,")
    assert unescaped(escape_property(text)) == text


def test_findings_become_annotations_of_their_level() -> None:
    findings = [
        Finding("error", "x", "50% of\npods: failed\x1b[0m"),
        Finding("warning", "y", "mutable tag"),
        Finding("info", "z", "cluster"),
    ]
    assert list(annotations(findings, "plate-release: prod, api")) == [
        "::error title=plate-release%3A prod%2C api::50%25 of%0Apods: failed\\x1b[0m",
        "::warning title=plate-release%3A prod%2C api::mutable tag",
        "::notice title=plate-release%3A prod%2C api::cluster",
    ]


@pytest.mark.parametrize(("count", "shown", "last"), [(10, 10, "m9"), (13, 10, "and 4 more")])
def test_no_more_annotations_than_the_runner_keeps(count: int, shown: int, last: str) -> None:
    lines = list(annotations([Finding("error", "x", f"m{n}") for n in range(count)], "t"))
    assert len(lines) == shown
    assert last in lines[-1]


def test_a_long_message_is_cut_by_us() -> None:
    (line,) = annotations([Finding("error", "x", "a" * 5000)], "t")
    assert line.partition("t::")[2] == "a" * 4095 + "…"


def test_a_token_is_masked_in_gits_header_too() -> None:
    encoded = base64.b64encode(b"x-access-token:ghs_x").decode()
    assert list(masks(Secret("ghs_x"))) == ["::add-mask::ghs_x", f"::add-mask::{encoded}"]
    assert list(masks(Secret(""))) == []


def test_untrusted_lines_are_no_commands() -> None:
    written: list[str] = []
    with suppress(KeyError), without_commands(written.append):
        written.append("::set-output name=commit::evil\n")
        raise KeyError
    stop, _, resume = written
    (token,) = re.findall("^::stop-commands::([0-9a-f]{32})\n$", stop)
    assert resume == f"::{token}::\n"
    with without_commands(written.append):
        pass
    assert written[3] != stop


def test_an_output_keeps_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "output"
    runner = Runner.of({**RUN, "GITHUB_OUTPUT": str(file)})
    assert runner is not None
    runner.set_output("summary", "two\nlines")
    runner.set_output("commit", "abc")
    found = re.findall(r"(\w+)<<(ghadelimiter_\S+)\n(.*?)\n\2\n", file.read_text(), re.DOTALL)
    assert [(name, value) for name, _, value in found] == [
        ("summary", "two\nlines"),
        ("commit", "abc"),
    ]
    assert found[0][1] != found[1][1]


@pytest.mark.parametrize(("name", "value"), [("a", "x\nend\ncommit=evil"), ("a\nend", "")])
def test_an_output_that_holds_its_delimiter_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="delimiter"):
        output(name, value, "end")


def test_a_summary_that_fits_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    runner = Runner.of({**RUN, "GITHUB_STEP_SUMMARY": str(file)})
    assert runner is not None
    runner.add_summary("# one\n")
    runner.add_summary("two\n")
    assert file.read_text() == "# one\ntwo\n"


def test_two_summaries_of_a_step_share_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    runner = Runner.of({**RUN, "GITHUB_STEP_SUMMARY": str(file)})
    assert runner is not None
    runner.add_summary("가" * (SUMMARY_BYTES // 3 - 100) + "\n")
    runner.add_summary("- a line\n" * 1000)
    assert SUMMARY_BYTES - 20 < file.stat().st_size <= SUMMARY_BYTES
    assert file.read_text().endswith("the report has it all.*\n")


@pytest.mark.parametrize("size", [250, 400, 700])
def test_a_cut_summary_leaves_nothing_open(size: int) -> None:
    diff = "`````diff\n" + "+ ``` </details> a line of the difference\n" * 20 + "`````\n"
    whole = f"# title\n\n<details><summary>Difference</summary>\n\n{diff}\n</details>\n"
    cut = fitting(whole, size)
    assert len(cut.encode()) <= size
    tokens = MarkdownIt("commonmark").parse(cut)
    fence = next(token for token in tokens if token.type == "fence")
    assert "did not fit" not in fence.content
    assert tokens[-2].type == "inline"
    assert "did not fit" in tokens[-2].content
    outside = "".join(token.content for token in tokens if token.type == "html_block")
    assert outside.count("<details") == outside.count("</details>") == 1


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "https://github.com/plate/web/actions/runs/42"),
        ({"GITHUB_RUN_ATTEMPT": "1"}, "https://github.com/plate/web/actions/runs/42"),
        ({"GITHUB_RUN_ATTEMPT": "3"}, "https://github.com/plate/web/actions/runs/42/attempts/3"),
        ({"GITHUB_RUN_ID": ""}, ""),
    ],
)
def test_the_run_is_named_by_its_url(more: dict[str, Any], url: str) -> None:
    runner = Runner.of(RUN | more)
    assert runner is not None
    assert (runner.run_url, runner.actor) == (url, "mina")


@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "false"}, {"CI": "true"}])
def test_elsewhere_there_is_no_runner(environ: dict[str, str]) -> None:
    assert Runner.of(environ) is None


def test_a_runner_without_files_is_told_nothing() -> None:
    runner = Runner.of(RUN)
    assert runner is not None
    runner.set_output("commit", "abc")
    runner.add_summary("x")
    assert (runner.output_file, runner.summary_file, runner.temp) == (None, None, None)
