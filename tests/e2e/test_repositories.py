"""Services whose Applications live in two repositories: one release, one commit in each."""

import shutil

import pytest

from tests.e2e.aftermath import notes, pass_time, states
from tests.e2e.conftest import QUICK, SHORT, Found, Team, heard


@pytest.fixture
def teams(nobody: Team, founded: Found) -> tuple[Team, Team]:
    """A team whose repository holds the manifest of another team's service too."""
    other = founded()
    service = nobody.add()
    apps = "environments/argocd/apps"
    name = f"{other.service}-prod.yaml"
    shutil.copy(other.work / "seed" / apps / name, nobody.work / "seed" / apps / name)
    nobody.configure(QUICK)
    nobody.found()
    assert nobody.service == service
    return nobody, other


def test_one_release_is_one_commit_in_each(teams: tuple[Team, Team]) -> None:
    home, other = teams
    ended = home.run("deploy", f"{home.service}=1.5.0", f"{other.service}=1.6.0", "--yes")
    assert (ended.status, ended.report["outcome"]) == (0, "released"), ended.stderr
    assert (home.tag(), other.tag()) == ("1.5.0", "1.6.0")
    for team, service in zip(teams, ended.report["services"], strict=True):
        assert len(team.heads()) == 2
        assert service["name"] == team.service
        assert service["repository"] == team.url
        assert (service["commit"], service["revert_commit"]) == (team.heads()[0], None)
        assert states(team) == ["released"]
    identities = {entry["id"] for team in teams for entry in notes(team).values()}
    assert len(identities) == 1


def test_both_are_rolled_back_together(teams: tuple[Team, Team]) -> None:
    home, other = teams
    ended = home.run("deploy", f"{home.service}=1.5.0", f"{other.service}=1.6.0-bad", "--yes")
    assert (ended.status, ended.report["outcome"]) == (10, "rolled-back"), ended.stderr
    for team, service in zip(teams, ended.report["services"], strict=True):
        assert team.tag() == "1.4.2"
        assert [service["revert_commit"], service["commit"]] == team.heads()[:2]
        assert service["revert"]["verdict"] == "live"
        assert states(team) == ["released", "rolled-back"]


def test_a_refusal_of_the_second_takes_the_first_back(teams: tuple[Team, Team]) -> None:
    home, other = teams
    other.refuse("release", "Closed for today")
    ended = home.run("deploy", f"{home.service}=1.5.0", f"{other.service}=1.6.0", "--yes")
    assert (ended.status, ended.report["outcome"]) == (10, "rolled-back"), ended.stderr
    (why,) = [f["message"] for f in ended.report["findings"] if f["code"] == "push-refused"]
    assert "Closed for today" in why
    assert (home.tag(), len(home.heads())) == ("1.4.2", 3)
    assert states(home) == ["released", "rolled-back"]
    assert (other.tag(), len(other.heads())) == ("1.4.2", 1)


def test_a_revert_that_one_refuses_happens_in_the_other(teams: tuple[Team, Team]) -> None:
    home, other = teams
    home.refuse("rollback", "No rollbacks")
    ended = home.run("deploy", f"{home.service}=1.5.0", f"{other.service}=1.6.0-bad", "--yes")
    assert (ended.status, ended.report["outcome"]) == (12, "rollback-impossible"), ended.stderr
    assert (home.tag(), other.tag()) == ("1.5.0", "1.4.2")
    (told,) = [f["message"] for f in ended.report["findings"] if f["code"] == "rollback-impossible"]
    assert f"Set backend.image.tag in {home.values_of(home.service)} to 1.4.2" in told
    assert other.service not in told


@pytest.mark.parametrize("then", ["settle", "deploy"])
def test_a_killed_release_is_settled_in_both(teams: tuple[Team, Team], then: str) -> None:
    home, other = teams
    asks = (f"{home.service}=1.5.0", f"{other.service}=1.6.0-bad")
    process = home.start("deploy", *asks, *SHORT)
    for _ in teams:
        heard(process, "release commit")
    process.kill()
    home.end(process)
    for team in teams:
        pass_time(team)
    commits = {team.heads()[0] for team in teams}
    more = (f"{other.service}=1.7.0", "--yes", "--no-wait") if then == "deploy" else ()
    ended = home.run(then, *more)
    assert ended.status == 0, ended.stderr
    if then == "settle":
        rolled_back = {"commit": home.heads()[1], "outcome": "rolled-back"}
        assert rolled_back in ended.report["settled"]
        assert {one["commit"] for one in ended.report["settled"]} == commits
    assert states(home) == ["released", "rolled-back"]
    assert states(other)[-2:] == ["released", "rolled-back"]
    assert (home.tag(), other.tag()) == ("1.4.2", "1.7.0" if more else "1.4.2")
