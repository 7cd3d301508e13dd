"""Judging commits that people pushed by hand, without anything of ours in them."""

from tests.e2e.aftermath import states
from tests.e2e.conftest import SHORT, Team

LIMITS = SHORT[:3]


def by_hand(team: Team, tag: str) -> str:
    return team.push(f"Ship {tag}", {team.values_of(team.service): ("1.4.2", tag)})


def test_a_good_one_is_live(team: Team) -> None:
    sha = by_hand(team, "1.5.0")
    ended = team.run("watch", sha, *LIMITS)
    assert (ended.status, ended.report["outcome"]) == (0, "released"), ended.stderr
    assert ended.report["commit"] == sha
    assert (ended.service["before"], ended.service["after"]) == ("1.4.2", "1.5.0")
    assert (team.heads()[0], states(team)) == (sha, ["released"])


def test_a_bad_one_is_left_to_a_person(team: Team) -> None:
    sha = by_hand(team, "1.5.0-bad")
    ended = team.run("watch", sha, *LIMITS)
    assert (ended.status, ended.report["outcome"]) == (16, "held"), ended.stderr
    assert ended.service["verdict"] == "failed"
    assert (team.heads()[0], team.tag()) == (sha, "1.5.0-bad")


def test_a_bad_one_is_taken_back_where_that_is_asked_for(team: Team) -> None:
    sha = by_hand(team, "1.5.0-bad")
    ended = team.run("watch", sha, *LIMITS, "--on-failure=revert")
    assert (ended.status, ended.report["outcome"]) == (10, "rolled-back"), ended.stderr
    assert (team.tag(), len(team.heads())) == ("1.4.2", 3)
    trailers = team.at("log", "-1", "--format=%(trailers)", "main")
    assert f"Plate-Reverts: {sha}" in trailers


def test_a_commit_that_ships_nothing_is_refused(team: Team) -> None:
    sha = team.push("comment", {team.values_of(team.service): ("# Production.", "# Live.")})
    ended = team.run("watch", sha, *LIMITS)
    assert (ended.status, ended.report["outcome"]) == (2, "refused")
    assert "changed no service's tag" in ended.stderr
