"""The job summary: what happened, as Markdown."""

from plate_release.model import Finding
from plate_release.report.console import headline
from plate_release.report.rows import HEADS, rows
from plate_release.report.untrusted import fenced, markdown
from plate_release.result import Result


def render(result: Result) -> str:
    """Return the summary of a run; everything from outside is neutralised."""
    title = f"### plate-release: {markdown(headline(result))}"
    parts = [title, _services(result), _findings(result.findings), _diff(result), _timeline(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _services(result: Result) -> str:
    if not result.services:
        return ""
    lines = (f"| {' | '.join(map(markdown, row))} |" for row in rows(result))
    return "\n".join([f"| {' | '.join(HEADS)} |", "|---" * len(HEADS) + "|", *lines])


def _findings(findings: tuple[Finding, ...]) -> str:
    return "\n".join(
        f"- **{f.level}** {markdown(f.message)} ({markdown(f.code)})" for f in findings
    )


def _diff(result: Result) -> str:
    if not result.diff:
        return ""
    return _folded("Rendered difference", fenced(result.diff, "diff"))


def _timeline(result: Result) -> str:
    lines = "\n".join(f"{moment.t:8.1f}s  {moment.event}" for moment in result.timeline)
    return _folded("Timeline", fenced(lines)) if lines else ""


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n</details>"
