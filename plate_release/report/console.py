"""What a person sees: a line per service while it goes on, then the difference and a table."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import format_exc
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from plate_release.errors import ExitCode, some_of
from plate_release.model import Finding, Outcome
from plate_release.report.rows import HEADS, rows
from plate_release.report.stream import console as stream_console
from plate_release.report.untrusted import terminal
from plate_release.result import Moment, Result

_COLOUR = {"error": "red", "warning": "yellow", "info": "cyan"}
# What is longer is cut, unless asked for whole with -v: lines where there is no screen to fill, and
# characters of a line.
_SCREEN, _LINE = 60, 400
_LEAST, _NAMED = 10, 3


def text(value: str, style: str = "") -> Text:
    """Text from outside, made safe and never read as markup."""
    return Text(terminal(value), style=style)


class Progress:
    """An observer on a terminal (live lines) or a log (a line a change); a context manager."""

    def __init__(self, stream: TextIO | None, *, whole: bool = False) -> None:
        self._whole = whole
        self._console = stream_console(stream)
        self._says: dict[str, str] = {}
        # Only a real terminal has lines that can be written again.
        self._live_on = self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(
            console=self._console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,  # the report goes there, whatever this stream is
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        if self._live_on:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live_on:
            self._live.stop()

    def event(self, moment: Moment) -> None:
        """Show one line of the timeline."""
        line = Text(f"{moment.t:7.1f}s  ", style="dim")
        self._console.print(line.append_text(text(moment.event)))

    def says(self, service: str, said: str) -> None:
        """Show what a service waits for."""
        if self._says.get(service) == said:
            return
        self._says[service] = said
        if self._live_on:
            lines = [_waiting(name, what) for name, what in self._says.items()]
            self._live.update(Group(*lines), refresh=True)
        else:
            self._console.print(_waiting(service, said))

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Write nothing over a question and what is typed."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def difference(self, diff: str) -> None:
        """Show what would change, cut at a screen unless all is wanted."""
        difference(diff, self._console, whole=self._whole)


def _waiting(service: str, said: str) -> Text:
    return (
        Text("   ...    ", style="dim")
        .append_text(text(service, "bold"))
        .append_text(text(f"  {said}"))
    )


def show(result: Result, console: Console, *, quiet: bool = False) -> None:
    """Print the end of a run: findings, edits, a table and one line; the last alone if `quiet`."""
    if not quiet:
        _show_whole(result, console)
    style = "bold green" if result.exit_code is ExitCode.RELEASED else "bold red"
    console.print(text(headline(result), style))


def _show_whole(result: Result, console: Console) -> None:
    for finding in result.findings:
        # A refusal stands on standard error already.
        if result.outcome is not Outcome.REFUSED or finding.level != "error":
            console.print(finding_line(finding))
    for edit in result.edits:
        shift = f"{edit.before or '(empty)'} -> {edit.after or '(empty)'}"
        console.print(text(f"{edit.file}:{edit.line}  {edit.key}: {shift}"))
    if result.services:
        services = table(*HEADS)
        for row in rows(result):
            services.add_row(*map(text, row))
        console.print(services)


def difference(diff: str, console: Console, *, whole: bool) -> None:
    """Print a unified difference in colour; unless `whole`, cut at a screen and at long lines."""
    lines = [text(line, _diff_style(line)) for line in diff.splitlines()]
    screen, width = _SCREEN, _LINE
    if console.is_terminal:
        screen, width = max(_LEAST, console.height - 2), min(_LINE, console.width)
    shown = lines if whole else lines[:screen]
    cut = False
    for line in shown if not whole else ():
        cut = cut or line.cell_len > width
        line.truncate(width, overflow="ellipsis")
    console.print(*shown, sep="\n")
    if rest := lines[len(shown) :]:
        objects = [line.plain[4:] for line in rest if line.plain.startswith("+++ ")]
        of = f", of {', '.join(some_of(objects, _NAMED))}" if objects else ""
        console.print(text(f"... {len(rest)} more lines{of}; -v shows them", "dim"))
    elif cut:
        console.print(text("... long lines are cut; -v shows them", "dim"))


def _diff_style(line: str) -> str:
    if line.startswith(("+++ ", "--- ", "diff ")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")


def finding_line(finding: Finding) -> Text:
    """Return one finding as a line."""
    head = Text(f"{finding.level}: ", style=_COLOUR[finding.level])
    return head.append_text(text(f"{finding.message} [{finding.code}]"))


def table(*columns: str) -> Table:
    """Return an empty table."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def headline(result: Result) -> str:
    """One line that says how it ended."""
    commit = f" commit {result.commit[:12]}" if result.commit else ""
    revert = f", reverted by {result.revert_commit[:12]}" if result.revert_commit else ""
    return f"{result.outcome.value}{commit}{revert} (exit {int(result.exit_code)})"


def error(message: str) -> None:
    """Print one error to standard error: what happened, why, what to do."""
    _complain("error: ", "bold red", message)


def warn(message: str) -> None:
    """Print a warning to standard error."""
    _complain("warning: ", "yellow", message)


def trace() -> None:
    """Print the exception that is being handled to standard error, for whoever mends it."""
    stream_console(sys.stderr).print(text(format_exc()))


def _complain(label: str, style: str, message: str) -> None:
    stream_console(sys.stderr).print(Text(label, style=style).append_text(text(message)))
