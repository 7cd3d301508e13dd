"""Taking a bad release back: only what is still ours, and told apart where that is not possible."""

import pytest

from tests.e2e.aftermath import states
from tests.e2e.conftest import SHORT, Ended, Process, Team, heard
from tests.e2e.door import Door

BAD = "1.5.0-bad"


def bad(team: Team, *options: str, **environ: str) -> Process:
    """Start the release of a bad tag; return when it is pushed."""
    process = team.start("deploy", f"{team.service}={BAD}", *SHORT, *options, **environ)
    heard(process, "release commit")
    return process


def findings(ended: Ended, code: str) -> str:
    return "\n".join(f["message"] for f in ended.report["findings"] if f["code"] == code)


def test_a_newer_value_of_somebody_else_is_left_alone_and_named(team: Team) -> None:
    process = bad(team)
    values = team.values_of(team.service)
    team.meanwhile(lambda: team.push("newer", {values: (BAD, "1.6.0")}))
    ended = team.end(process)
    assert (ended.status, ended.report["outcome"]) == (16, "held"), ended.stderr
    assert "holds 1.6.0 now" in findings(ended, "left-alone")
    assert "by Somebody" in findings(ended, "left-alone")
    assert (team.tag(), len(team.heads())) == ("1.6.0", 3)
    assert states(team) == ["held"]


def test_other_edits_of_the_same_file_are_kept_byte_for_byte(team: Team) -> None:
    values = team.values_of(team.service)
    before = team.at("show", f"main:{values}")
    process = bad(team)
    edit = ("# Production.\n", "# Production: \t größer  \n\n")
    team.meanwhile(lambda: team.push("comment", {values: edit}))
    ended = team.end(process)
    assert (ended.status, ended.report["outcome"]) == (10, "rolled-back"), ended.stderr
    assert team.at("show", f"main:{values}") == before.replace(*edit)
    assert len(team.heads()) == 4


def test_what_somebody_has_put_back_already_is_verified_and_not_put_back_twice(team: Team) -> None:
    process = bad(team)
    values = team.values_of(team.service)
    team.meanwhile(lambda: team.push("put back", {values: (BAD, "1.4.2")}))
    ended = team.end(process)
    assert (ended.status, ended.report["outcome"]) == (10, "rolled-back"), ended.stderr
    assert ended.service["revert"]["verdict"] == "live"
    assert ended.report["revert_commit"] is None
    assert (team.tag(), len(team.heads())) == ("1.4.2", 3)
    assert states(team) == ["rolled-back"]


@pytest.mark.parametrize("edit", [("    tag:", "    version:"), None])
def test_a_key_or_file_that_has_gone_is_told_with_the_edit_by_hand(
    team: Team, edit: tuple[str, str] | None
) -> None:
    process = bad(team)
    values = team.values_of(team.service)
    team.meanwhile(lambda: team.push("reorganise", {values: edit}))
    ended = team.end(process)
    assert (ended.status, ended.report["outcome"]) == (12, "rollback-impossible"), ended.stderr
    told = findings(ended, "rollback-impossible")
    assert f"Set backend.image.tag to 1.4.2 for {team.service}" in told
    assert values in told
    assert len(team.heads()) == 3
    assert states(team) == ["rollback-impossible"]


def test_it_goes_back_to_the_last_good_tag_where_the_one_before_never_was(team: Team) -> None:
    assert team.deploy(f"{team.service}=1.4.9").status == 0
    held = team.run("deploy", f"{team.service}=1.5.0-bad", *SHORT, "--on-failure=hold")
    assert held.status == 16
    ended = team.deploy(f"{team.service}=1.6.0-cfgerr")
    assert (ended.status, ended.report["outcome"]) == (10, "rolled-back"), ended.stderr
    assert ended.service["before"] == "1.5.0-bad"
    assert team.tag() == "1.4.9"


def test_a_branch_that_refuses_the_revert_is_told_with_the_edit_by_hand(team: Team) -> None:
    team.refuse("rollback", r"No rollbacks on a Friday \033[31m")
    ended = team.deploy(f"{team.service}={BAD}")
    assert (ended.status, ended.report["outcome"]) == (12, "rollback-impossible"), ended.stderr
    told = findings(ended, "rollback-impossible")
    assert "No rollbacks on a Friday" in told
    assert "\033" not in ended.stderr
    values = team.values_of(team.service)
    assert f"Set backend.image.tag in {values} to 1.4.2 and push that." in told
    assert (team.tag(), states(team)) == (BAD, ["rollback-impossible"])


def test_a_rollback_to_what_is_bad_too_is_not_verified(team: Team) -> None:
    held = team.run("deploy", f"{team.service}={BAD}", *SHORT, "--on-failure=hold")
    assert held.status == 16
    ended = team.deploy(f"{team.service}=1.6.0-cfgerr")
    assert (ended.status, ended.report["outcome"]) == (11, "rollback-unverified"), ended.stderr
    assert ended.service["revert"]["verdict"] == "failed"
    assert (team.tag(), len(team.heads())) == (BAD, 4)


def test_a_rollback_that_argo_cd_says_nothing_of_is_not_verified(team: Team) -> None:
    with Door(team.backend) as door:
        process = bad(team, "--timeout=20s", **door.environ)
        team.meanwhile(door.close)
        ended = team.end(process)
    assert (ended.status, ended.report["outcome"]) == (11, "rollback-unverified"), ended.stderr
    assert ended.service["revert"]["verdict"] == "unknown"
    assert (team.tag(), states(team)) == ("1.4.2", ["unknown", "rollback-unverified"])
