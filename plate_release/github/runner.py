"""The runner that a step runs on: who asked, which run it is, and the files that it reads."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

# What the runner takes from one step; it drops a larger summary whole.
SUMMARY_BYTES = 1024 * 1024
_CUT = "\n\n*The rest did not fit into the summary; the report has it all.*\n"


@dataclass(frozen=True, slots=True)
class Runner:
    """One step's surroundings; a file that the runner did not name is None."""

    actor: str
    run_url: str
    output_file: Path | None
    summary_file: Path | None
    temp: Path | None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self | None:
        """Return the runner, or None where this is no GitHub Actions step."""
        if environ.get("GITHUB_ACTIONS") != "true":
            return None
        return cls(
            actor=environ.get("GITHUB_ACTOR", ""),
            run_url=_run_url(environ),
            output_file=_path(environ, "GITHUB_OUTPUT"),
            summary_file=_path(environ, "GITHUB_STEP_SUMMARY"),
            temp=_path(environ, "RUNNER_TEMP"),
        )

    def set_output(self, name: str, value: str) -> None:
        """Set one of the step's outputs."""
        if self.output_file:
            _append(self.output_file, output(name, value, f"ghadelimiter_{uuid.uuid4()}"))

    def add_summary(self, markdown: str) -> None:
        """Add to the job summary, cut at a line where it would not fit."""
        if self.summary_file:
            taken = self.summary_file.stat().st_size if self.summary_file.exists() else 0
            _append(self.summary_file, fitting(markdown, SUMMARY_BYTES - taken))


def output(name: str, value: str, delimiter: str) -> str:
    """Return the lines that set an output.

    Raises ValueError where the value holds the delimiter, after which it could set others.
    """
    if delimiter in value or delimiter in name:
        raise ValueError(f"the output {name!r} holds its delimiter")
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def fitting(markdown: str, size: int) -> str:
    """Return so many whole lines as fit into `size` bytes, what they left open closed, and why."""
    if len(markdown.encode()) <= size:
        return markdown
    kept, used, ending, opened = "", 0, "", _Open()
    for line in markdown.splitlines(keepends=True):
        opened = opened.after(line)
        used += len(line.encode())
        if used + len(opened.ending.encode()) > size:
            break
        kept, ending = kept + line, opened.ending
    return kept + ending


@dataclass(frozen=True, slots=True)
class _Open:
    """What some lines of Markdown leave open."""

    fence: str = ""
    folds: int = 0

    def after(self, line: str) -> Self:
        """Return what is open after another line."""
        if self.fence:
            return replace(self, fence="" if line.rstrip() == self.fence else self.fence)
        if fence := re.match("`{3,}", line):
            return replace(self, fence=fence[0])
        return replace(self, folds=self.folds + line.count("<details") - line.count("</details>"))

    @property
    def ending(self) -> str:
        """What closes it, and says that more was to come."""
        fence = f"\n{self.fence}\n" if self.fence else ""
        return fence + "\n</details>\n" * self.folds + _CUT


def _run_url(environ: Mapping[str, str]) -> str:
    parts = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (environ.get(name, "") for name in parts)
    if not (server and repository and run):
        return ""
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "1")
    url = f"{server}/{repository}/actions/runs/{run}"
    return url if attempt == "1" else f"{url}/attempts/{attempt}"


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    return Path(environ[name]) if environ.get(name) else None


def _append(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text)
