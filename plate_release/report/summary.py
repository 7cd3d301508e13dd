"""The job summary: what happened, as Markdown."""

from plate_release.model import Finding
from plate_release.report.console import headline
from plate_release.report.untrusted import fenced, markdown
from plate_release.result import Result, ServiceResult, Watched


def render(result: Result) -> str:
    """Return the summary of a run; everything from outside is neutralised."""
    title = f"### plate-release: {markdown(headline(result))}"
    parts = [title, _services(result), _findings(result.findings), _diff(result), _timeline(result)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _services(result: Result) -> str:
    if not result.services:
        return ""
    head = "| service | before | after | verdict | seconds | reason |\n|---|---|---|---|---|---|"
    rows = [row for service in result.services for row in _rows(service)]
    return "\n".join([head, *rows])


def _rows(service: ServiceResult) -> list[str]:
    rows = [_row(service.name, service.before, service.after, service.watched)]
    if service.revert_commit:
        rows.append(_row("rolled back", service.after, service.back_to, service.revert))
    return rows


def _row(name: str, before: str, after: str, watched: Watched | None) -> str:
    end = (
        (watched.verdict.value, f"{watched.seconds:.1f}", watched.reason)
        if watched
        else ("-", "-", "")
    )
    return "| " + " | ".join(markdown(cell) for cell in (name, before, after, *end)) + " |"


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
