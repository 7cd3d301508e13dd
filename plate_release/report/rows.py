"""What a table of a run's services holds, wherever it is shown. Pure."""

from collections.abc import Iterator

from plate_release.result import Result, ServiceResult, Watched

HEADS = ("service", "before", "after", "verdict", "seconds", "reason")


def rows(result: Result) -> Iterator[tuple[str, ...]]:
    """Give a row for each service, and one for its revert; texts are as they came."""
    for service in result.services:
        yield _row(service.name, service.before, service.after, service.watched)
        if service.revert_commit:
            yield _reverted(service)


def _reverted(service: ServiceResult) -> tuple[str, ...]:
    return _row("rolled back", service.after, service.back_to, service.revert)


def _row(name: str, before: str, after: str, watched: Watched | None) -> tuple[str, ...]:
    if watched is None:
        return name, before, after, "-", "-", ""
    return name, before, after, watched.verdict.value, f"{watched.seconds:.1f}", watched.reason
