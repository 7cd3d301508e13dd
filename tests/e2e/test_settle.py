"""Nothing stays unsettled: who may settle what, when, and what another release has to wait for."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.aftermath import NOTES, abandoned, notes, pass_time, states
from tests.e2e.conftest import SHORT, Found, Team, git, heard


def left(team: Team, tag: str, *, over: bool = True) -> str:
    """Let a release be pushed and its run be killed; its time is over. Return its commit."""
    commit = abandoned(team, f"{team.service}={tag}")
    if over:
        pass_time(team)
    return commit


def test_two_settlers_at_once_do_no_harm(founded: Found) -> None:
    team = founded()
    left(team, "1.5.0-bad")
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(team.run, "settle") for _ in range(2)]
    for ended in (run.result() for run in runs):
        assert ended.status == 0, ended.stderr
        assert {one["outcome"] for one in ended.report["settled"]} <= {"released", "rolled-back"}
    assert states(team) == ["released", "rolled-back"]
    assert (len(team.heads()), team.tag()) == (3, "1.4.2")


def test_a_settler_that_is_overtaken_at_its_push_verifies_what_the_other_did(
    founded: Found,
) -> None:
    team = founded()
    bad = left(team, "1.5.0-bad")
    with ThreadPoolExecutor(1) as pool:
        team.meanwhile(lambda: pool.submit(team.run, "settle").result())
        ended = team.run("settle")
    assert ended.report["settled"] == [{"commit": bad, "outcome": "rolled-back"}], ended.stderr
    assert states(team) == ["released", "rolled-back"]
    assert (len(team.heads()), team.tag()) == (3, "1.4.2")


def test_a_release_whose_revert_is_watched_is_not_left(founded: Found) -> None:
    team = founded()
    process = team.start("deploy", f"{team.service}=1.5.0-bad", "--yes", "--soak=30s")
    heard(process, "revert commit")
    revert, bad, _ = team.heads()
    pass_time(team, bad)
    assert team.run("settle").report == {"settled": []}
    other = team.deploy(f"{team.service}=1.6.0")
    assert (other.status, revert[:12] in other.stderr) == (4, True), other.stderr
    assert team.end(process).status == 10
    assert states(team) == ["released", "rolled-back"]


def test_a_release_within_its_time_refuses_another_of_its_service_alone(pair: Team) -> None:
    one, two = pair.services
    process = pair.start("deploy", f"{one}=1.5.0-slow", *SHORT)
    heard(process, "release commit")
    queued = pair.start("deploy", f"{one}=1.6.0", *SHORT, "--queue", "--no-wait")
    refused = pair.run("deploy", f"{one}=1.7.0", *SHORT)
    passing = pair.run("deploy", f"{two}=1.6.0", *SHORT, "--no-wait")
    assert refused.status == 4
    assert f"Another release is under way: {one} 1.4.2 -> 1.5.0-slow" in refused.stderr
    assert "--queue" in refused.stderr
    assert (passing.status, pair.tag(two)) == (0, "1.6.0"), passing.stderr
    first, waited = pair.end(process), pair.end(queued)
    assert (first.status, first.report["outcome"]) == (0, "released"), first.stderr
    assert (waited.status, waited.service["before"]) == (0, "1.5.0-slow"), waited.stderr
    assert states(pair) == ["unwatched", "unwatched", "released"]


def test_nothing_is_settled_before_its_time(team: Team) -> None:
    left(team, "1.5.0-bad", over=False)
    refs = team.refs()
    ended = team.run("settle")
    assert ended.report == {"settled": []}
    assert f"UTC: {team.service} 1.4.2 -> 1.5.0-bad" in ended.stderr
    assert team.refs() == refs


def test_without_argo_cd_nothing_is_judged(team: Team) -> None:
    left(team, "1.5.0")
    refs = team.refs()
    for command in ("settle",), ("deploy", f"{team.service}=1.6.0", *SHORT, "--no-wait"):
        ended = team.run(*command, ARGOCD_SERVER="")
        assert ended.status == 2, ended.stdout
        assert "ARGOCD_SERVER" in ended.stderr
    assert team.refs() == refs


def test_what_has_gone_meanwhile_is_held(team: Team) -> None:
    left(team, "1.5.0-bad")
    manifest = f"environments/argocd/apps/{team.service}-prod.yaml"
    team.push("stop it", {manifest: None})
    ended = team.run("settle", ARGOCD_SERVER="")
    assert [one["outcome"] for one in ended.report["settled"]] == ["held"], ended.stderr
    assert states(team) == ["held"]


def test_a_lost_ledger_stops_nobody(founded: Found) -> None:
    team = founded()
    left(team, "1.5.0-bad")
    team.at("update-ref", "-d", NOTES)
    assert team.run("settle").report == {"settled": []}
    ended = team.deploy(f"{team.service}=1.6.0")
    assert (ended.status, team.tag()) == (0, "1.6.0"), ended.stderr
    watched = team.run("watch", team.heads()[1], *SHORT[:3])
    assert watched.status == 13, watched.stderr
    assert states(team) == ["released", "superseded"]


def test_what_people_wrote_into_a_note_stays(founded: Found) -> None:
    team = founded()
    commit = left(team, "1.5.0")
    git("notes", f"--ref={NOTES}", "append", "-m", "Reviewed-by: Kim", commit, at=team.bare)
    assert team.run("settle").report["settled"] == [{"commit": commit, "outcome": "released"}]
    note = team.at("notes", f"--ref={NOTES}", "show", commit)
    entry, end = json.JSONDecoder().raw_decode(note)
    assert (entry["state"], note[end:].strip()) == ("released", "Reviewed-by: Kim")


def test_a_note_that_somebody_wrote_over_is_written_again(founded: Found) -> None:
    team = founded()
    commit = left(team, "1.5.0")
    git("notes", f"--ref={NOTES}", "add", "-f", "-m", "lgtm", commit, at=team.bare)
    assert team.run("settle").report["settled"] == [{"commit": commit, "outcome": "released"}]
    note = team.at("notes", f"--ref={NOTES}", "show", commit)
    assert '"state": "released"' in note
    assert note.endswith("lgtm\n")


def test_a_ledger_that_cannot_be_written_ends_the_settling(founded: Found) -> None:
    team = founded()
    left(team, "1.5.0")
    team.refuse("Note", "No notes")
    ended = team.run("settle")
    assert ended.status == 4, ended.stdout
    assert "No notes" in ended.stderr
    assert [entry["state"] for entry in notes(team).values()] == ["watching"]
