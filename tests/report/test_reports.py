"""The same result, told three ways; nothing from outside leads a terminal or Markdown astray."""

import io
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from plate_release.errors import ChartRefused, ExitCode, Interrupted
from plate_release.model import Edit, Finding, Judgement, Outcome
from plate_release.report import console, summary
from plate_release.report.json import dump, report
from plate_release.report.stream import console as stream_console
from plate_release.report.stream import say
from plate_release.result import (
    Journal,
    Moment,
    Result,
    ServiceResult,
    Silent,
    Watched,
    refuse,
    refused,
)
from plate_release.signals import Stop, SystemClock

EVIL = "\x1b[2J\x1b]0;pwned\x07 [red]x[/red] | `code` <script>alert(1)</script> @everyone"


def service(**more: object) -> ServiceResult:
    whole = {
        "name": "plate-api",
        "application": "plate-api-prod",
        "repository": "https://git.example/platform.git",
        "file": "helm/values-prod.yaml",
        "key": "backend.image.tag",
        "before": "1.4.2",
        "after": "1.5.0",
    }
    return ServiceResult(**(whole | more))  # type: ignore[arg-type]


RELEASED = Result(
    Outcome.RELEASED,
    ExitCode.RELEASED,
    "prod",
    base="a" * 40,
    services=(service(commit="b" * 40, watched=Watched(Judgement.LIVE, "Synced", 3.94)),),
    findings=(Finding("warning", "mutable-tag", "latest is mutable"),),
    timeline=(Moment(0.0, "planned"),),
)
BACK = Result(
    Outcome.ROLLED_BACK,
    ExitCode.ROLLED_BACK,
    "prod",
    services=(
        service(
            commit="b" * 40,
            watched=Watched(Judgement.FAILED, EVIL, 9.0),
            revert_commit="c" * 40,
            revert=Watched(Judgement.LIVE, "Synced", 2.0),
        ),
    ),
)


def shown(result: Result) -> str:
    stream = io.StringIO()
    console.show(result, Console(file=stream, width=200))
    return stream.getvalue()


def test_the_json_has_the_documented_shape() -> None:
    body = json.loads(dump(report(RELEASED)))
    assert set(body) == {
        "schema",
        "outcome",
        "exit_code",
        "environment",
        "dry_run",
        "commit",
        "base",
        "revert_commit",
        "services",
        "findings",
        "timeline",
    }
    assert body["commit"] == "b" * 40
    assert body["timeline"] == [{"t": 0.0, "event": "planned"}]
    (one,) = body["services"]
    assert (one["verdict"], one["seconds_to_verdict"]) == ("live", 3.9)
    assert "repository" not in one


def test_several_repositories_stand_at_each_service() -> None:
    other = service(name="plate-web", repository="https://git.example/web.git", commit="d" * 40)
    result = Result(
        Outcome.RELEASED, ExitCode.RELEASED, "prod", services=(*RELEASED.services, other)
    )
    commits = [one["commit"] for one in report(result)["services"]]
    assert commits == ["b" * 40, "d" * 40]


def test_a_plan_has_its_edits_and_its_difference() -> None:
    edit = Edit("v.yaml", "tag", 4, "1.4.2", "1.5.0")
    result = Result(Outcome.PLANNED, ExitCode.RELEASED, "prod", edits=(edit,), diff="+x")
    body = report(result)
    assert body["edits"] == [{"file": "v.yaml", "line": 4, "before": "1.4.2", "after": "1.5.0"}]
    assert body["diff"] == "+x"


def test_both_verdicts_of_a_rollback_are_told() -> None:
    (one,) = report(BACK)["services"]
    assert (one["verdict"], one["revert"]["verdict"]) == ("failed", "live")
    text = shown(BACK)
    assert "rolled back" in text
    assert "rolled-back commit bbbbbbbbbbbb, reverted by cccccccccccc (exit 10)" in text


def test_a_revert_tells_the_tag_that_it_went_to() -> None:
    journal = Journal(SystemClock(Stop()), Silent(), RELEASED)
    journal.committed("c" * 40, {"plate-api": "1.4.0"}, revert=True)
    (one,) = report(journal.result)["services"]
    assert (one["before"], one["revert"]["tag"], one["revert"]["verdict"]) == (
        "1.4.2",
        "1.4.0",
        None,
    )
    (row,) = (line for line in shown(journal.result).splitlines() if "rolled back" in line)
    assert row.split()[2:4] == ["1.5.0", "1.4.0"]
    assert "1.4.0" in summary.render(journal.result)


def test_the_json_has_what_was_said_as_it_was() -> None:
    (one,) = json.loads(dump(report(BACK)))["services"]
    assert one["reason"] == EVIL


@pytest.mark.parametrize("text", [shown(BACK), summary.render(BACK)])
def test_no_control_character_gets_through(text: str) -> None:
    assert not any(ord(character) < 32 and character != "\n" for character in text)


def test_markup_in_a_reason_stays_text() -> None:
    assert "[red]x[/red]" in shown(BACK)
    assert "<script>" not in summary.render(BACK)


def test_a_refusal_ends_the_result_with_its_own_exit_code() -> None:
    ended = refuse(RELEASED, ChartRefused("no chart", why="gone", todo="add it"))
    assert (ended.outcome, ended.exit_code) == (Outcome.REFUSED, ExitCode.PLAN_REFUSED)
    assert ended.findings[-1] == Finding("error", "chart-refused", "no chart\ngone\nadd it")
    assert refused(Interrupted("stopped")).outcome is Outcome.INTERRUPTED


def test_a_log_gets_a_line_a_change_and_no_cursor_movement() -> None:
    stream = io.StringIO()
    with console.Progress(stream) as progress:
        progress.event(Moment(1.0, f"pushed {EVIL}"))
        progress.says("plate-api", "Progressing")
        progress.says("plate-api", "Progressing")
        progress.difference("\n".join(f"+{number}" for number in range(100)))
    text = stream.getvalue()
    assert "\x1b" not in text
    assert text.count("Progressing") == 1
    assert "40 more lines" in text


PLANNED = Result(
    Outcome.PLANNED,
    ExitCode.RELEASED,
    "prod",
    services=(service(),),
    findings=(Finding("warning", "helm-lint", "templates/a.yaml: an odd name"),),
    edits=(Edit("v.yaml", "image.tag", 4, "1.4.2", "1.5.0"), Edit("v.yaml", "digest", 5, "x", "")),
    diff="--- Deployment shop (now)\n+++ Deployment shop (planned)\n@@ -1 +1 @@\n-1.4.2\n+1.5.0\n",
)


def test_a_plan_shows_its_edits_and_what_lint_says() -> None:
    lines = shown(PLANNED).splitlines()
    assert lines[0] == "warning: templates/a.yaml: an odd name [helm-lint]"
    assert lines[1:3] == [
        "v.yaml:4  image.tag: 1.4.2 -> 1.5.0",
        "v.yaml:5  digest: x -> (empty)",
    ]


def test_who_wants_it_quiet_is_told_only_how_it_ended() -> None:
    stream = io.StringIO()
    console.show(PLANNED, Console(file=stream), quiet=True)
    assert stream.getvalue() == "planned (exit 0)\n"


def test_the_summary_folds_the_difference() -> None:
    assert (
        "<details><summary>Rendered difference</summary>\n\n```diff\n--- Deployment shop (now)\n"
        in summary.render(PLANNED)
    )


LONG = "".join(
    f"--- ConfigMap c{n} (now)\n+++ ConfigMap c{n} (planned)\n@@ -1 +1 @@\n-a\n+{'b' * 500}\n"
    for n in range(20)
)


def drawn(
    diff: str, *, whole: bool = False, height: int | None = None, width: int = 9000
) -> list[str]:
    stream = io.StringIO()
    terminal = height is not None
    console.difference(
        diff,
        Console(file=stream, force_terminal=terminal, width=width, height=height or 25),
        whole=whole,
    )
    return stream.getvalue().splitlines()


def test_a_difference_is_cut_at_a_screen_and_names_what_is_left_out() -> None:
    log, terminal = drawn(LONG), drawn(LONG, height=22)
    assert (len(log), len(terminal)) == (61, 21)
    assert log[4] == "+" + "b" * 398 + "…"
    assert log[-1] == (
        "... 40 more lines, of ConfigMap c12 (planned), ConfigMap c13 (planned),"
        " ConfigMap c14 (planned), and 5 more; -v shows them"
    )
    assert len(drawn(LONG, height=3)) == 11


def test_a_difference_with_long_lines_is_a_screen_too() -> None:
    rows = drawn(LONG, height=22, width=80)
    assert len(rows) <= 23
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", row)) <= 80 for row in rows)
    few = drawn("+" + "b" * 100, height=22, width=80)
    assert "long lines are cut; -v shows them" in few[-1]


def test_a_difference_is_whole_where_that_is_wanted() -> None:
    assert drawn(LONG, whole=True) == LONG.splitlines()


def test_a_difference_has_its_colours() -> None:
    red, green = (re.compile(rf"\x1b\[{code}m(.*)\x1b\[0m") for code in ("31", "32"))
    lines = drawn(PLANNED.diff, height=40)
    assert [m[1] for line in lines if (m := red.fullmatch(line))] == ["-1.4.2"]
    assert [m[1] for line in lines if (m := green.fullmatch(line))] == ["+1.5.0"]


def test_a_character_that_the_locale_cannot_write_ends_nothing(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as stream:
        say(stream, "größer \U0001f680")
    assert (tmp_path / "log").read_text() == "gr\\xf6\\xdfer \\U0001f680\n"


def test_a_reader_that_leaves_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        with console.Progress(stream) as progress:
            progress.event(Moment(1.0, "pushed"))
            progress.says("plate-api", "Progressing")
            progress.difference("+x")
        monkeypatch.setattr(sys, "stderr", stream)
        console.error("It failed.")
        say(stream, "{}")
        # What is left in its buffer goes nowhere, so that closing it does not fail either.
        assert os.fstat(stream.fileno()).st_rdev == Path(os.devnull).stat().st_rdev


def test_a_stream_that_was_closed_before_the_start_ends_nothing() -> None:
    with console.Progress(None) as progress:
        progress.event(Moment(1.0, "pushed"))
    say(None, "{}")


def test_a_log_folds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    reason = "the pod " + "does not become ready " * 20
    result = replace(RELEASED, services=(service(watched=Watched(Judgement.FAILED, reason, 9.0)),))
    stream = io.StringIO()
    console.show(result, stream_console(stream))
    assert reason.strip() in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_folds_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console.show(BACK, stream_console(stream))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert max(map(len, plain.splitlines()[:-1])) <= 60


def test_nothing_is_drawn_while_a_question_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with console.Progress(stream) as progress:
        progress.says("plate-api", "planned")
        with progress.asking():
            drawn = stream.getvalue()
            progress.says("plate-api", "still planned")
            assert stream.getvalue() == drawn
        progress.says("plate-api", "Progressing")
        assert "Progressing" in stream.getvalue()
