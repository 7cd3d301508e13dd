"""The last step of a cancelled job: it ends what the job's own step pushed, as that step would."""

from tests.e2e.aftermath import abandoned, notes, pass_time
from tests.e2e.conftest import QUICK, Team

INTENT = "plate-release-intent.json"


def test_a_later_step_holds_where_the_step_that_pushed_would_and_touches_no_other(
    nobody: Team,
) -> None:
    team = nobody
    one, two = team.add(), team.add()
    team.configure(QUICK)
    team.found()
    mine = {"RUNNER_TEMP": str(team.work)}
    own = abandoned(team, f"{one}=1.5.0-slow", "--on-cancel=hold", **mine)
    other = abandoned(team, f"{two}=1.6.0")
    pass_time(team, other)
    heads = team.heads()
    assert team.run("settle", DRY_RUN="true", **mine).report == {"settled": []}
    ended = team.run("settle", **mine)
    assert ended.report == {"settled": [{"commit": own, "outcome": "interrupted"}]}, ended.stderr
    assert (team.heads(), team.tag(one)) == (heads, "1.5.0-slow")
    assert notes(team)[other]["state"] == "watching"
    intent = team.work / INTENT
    assert not intent.exists()
    intent.write_text("{")
    ended = team.run("settle", **mine)
    assert ended.report == {"settled": [{"commit": other, "outcome": "released"}]}, ended.stderr
    assert not intent.exists()
