"""The runner's workflow commands: lines on standard output that it obeys. Pure formatting.

Source: actions/toolkit packages/core/src/command.ts, actions/runner ActionCommandManager.cs.
"""

import base64
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from plate_release.model import Finding, Level, Secret
from plate_release.report.untrusted import terminal

# The runner keeps so many of a type in a step, and so much of each.
_MOST = 10
_LONGEST = 4096

_COMMANDS: dict[Level, str] = {"error": "error", "warning": "warning", "info": "notice"}


def escape_data(text: str) -> str:
    """Return `text` as a command's data."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Return `text` as a command's property."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def annotations(findings: Iterable[Finding], title: str) -> Iterator[str]:
    """Yield a command a finding; where a level has more than the runner keeps, the last counts."""
    found = tuple(findings)
    for level, command in _COMMANDS.items():
        messages = [finding.message for finding in found if finding.level == level]
        if len(messages) > _MOST:
            left = len(messages) - _MOST + 1
            messages = [*messages[: _MOST - 1], f"and {left} more: see the summary"]
        for message in messages:
            yield f"::{command} title={escape_property(terminal(title))}::{_data(message)}"


def masks(token: Secret, user: str = "x-access-token") -> Iterator[str]:
    """Yield the commands that keep a token out of the log, its form in git's header too."""
    if token.value:
        yield f"::add-mask::{escape_data(token.value)}"
        header = base64.b64encode(f"{user}:{token.value}".encode()).decode()
        yield f"::add-mask::{header}"


@contextmanager
def without_commands(write: Callable[[str], object]) -> Iterator[None]:
    """Have the runner obey no line that is written meanwhile, whoever it came from."""
    token = secrets.token_hex(16)
    write(f"::stop-commands::{token}\n")
    try:
        yield
    finally:
        write(f"::{token}::\n")


def _data(message: str) -> str:
    shown = terminal(message)
    if len(shown) > _LONGEST:
        shown = f"{shown[: _LONGEST - 1]}…"
    return escape_data(shown)
