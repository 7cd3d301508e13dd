"""When a sync window lets a sync through again."""

from datetime import UTC, datetime

import pytest

from plate_release.argocd.status import SyncWindow, SyncWindows
from plate_release.argocd.windows import opens

# A Monday.
NOW = datetime(2026, 11, 23, 14, 30, 40, tzinfo=UTC).timestamp()


def windows(*assigned: tuple[str, str, str], zone: str = "") -> SyncWindows:
    made = tuple(
        SyncWindow(kind=kind, schedule=schedule, duration=duration, time_zone=zone)
        for kind, schedule, duration in assigned
    )
    return SyncWindows(active_windows=made[:1], assigned_windows=made)


@pytest.mark.parametrize(
    ("assigned", "opening"),
    [
        ([("deny", "0 14 * * *", "1h")], "2026-11-23 15:00 UTC"),
        ([("deny", "0 14 * * *", "1h"), ("deny", "50 14 * * *", "30m")], "2026-11-23 15:20 UTC"),
        ([("allow", "0 22 * * *", "1h")], "2026-11-23 22:00 UTC"),
        ([("allow", "30 9 * * tue", "1h")], "2026-11-24 09:30 UTC"),
        ([("allow", "0 0 * * 0", "1h")], "2026-11-29 00:00 UTC"),
        ([("allow", "0 8-10/2 24,25 11 *", "1h")], "2026-11-24 08:00 UTC"),
        ([("allow", "0 3 25 * fri", "1h")], "2026-11-25 03:00 UTC"),
        ([("allow", "*/20 15 * nov *", "1m")], "2026-11-23 15:00 UTC"),
        ([("allow", "@daily", "1h"), ("deny", "0 0 * * *", "30m")], "2026-11-24 00:30 UTC"),
        ([("deny", "0 0 * * fri", "96h")], "2026-11-24 00:00 UTC"),
        ([("deny", "0 14 * * *", "90m30s")], "2026-11-23 15:31 UTC"),
    ],
)
def test_the_opening_is_predicted(assigned: list[tuple[str, str, str]], opening: str) -> None:
    assert opens(windows(*assigned), NOW) == opening


def test_a_schedule_is_read_in_its_own_time_zone() -> None:
    seoul = windows(("allow", "0 9 * * *", "1h"), zone="Asia/Seoul")
    assert opens(seoul, NOW) == "2026-11-24 00:00 UTC"


def test_a_window_that_never_ends_has_a_time_before_which_it_does_not_open() -> None:
    told = opens(windows(("deny", "* * * * *", "1h")), NOW)
    assert told == "no earlier than 2026-11-30 14:30 UTC"


@pytest.mark.parametrize(
    ("schedule", "duration"),
    [("61 x * * *", "1h"), ("* * *", "1h"), ("0 14 * * *", "soon"), ("", "")],
)
def test_what_cannot_be_read_is_told_as_it_is_written(schedule: str, duration: str) -> None:
    told = opens(windows(("deny", schedule, duration)), NOW)
    assert told == f"as its schedule says (deny {schedule} for {duration})"
