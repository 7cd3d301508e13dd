"""Runs that must leave everything as they found it: stopped, dry, refused just before the push."""

import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.e2e.aftermath import abandoned, notes, pass_time, states
from tests.e2e.conftest import SHORT, Found, Team, heard

DRY = {"DRY_RUN": "true"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_settle_or_watch_takes_nothing_back(
    founded: Found, number: signal.Signals
) -> None:
    team = founded()
    commit = abandoned(team, f"{team.service}=1.5.0-slow")
    pass_time(team)
    refs = team.refs()
    process = team.start("settle")
    heard(process, "settling ")
    process.send_signal(number)
    settled = team.end(process)
    assert (settled.status, team.refs()) == (130, refs), settled.stderr
    assert states(team) == ["watching"]
    process = team.start("watch")
    heard(process, "release commit")
    process.send_signal(number)
    watched = team.end(process)
    assert (watched.status, watched.report["outcome"]) == (130, "interrupted"), watched.stderr
    assert (team.heads()[0], team.tag()) == (commit, "1.5.0-slow")


def test_a_dry_run_settles_refuses_and_reverts_nothing(founded: Found) -> None:
    team = founded()
    commit = abandoned(team, f"{team.service}=1.5.0-bad")
    ask = ("deploy", f"{team.service}=1.6.0", *SHORT)
    refs = team.refs()
    early = team.run(*ask, **DRY)
    assert (early.status, team.refs()) == (4, refs), early.stderr
    assert "under way" in early.stderr
    pass_time(team)
    refs = team.refs()
    run = partial(team.run, **DRY)
    with ThreadPoolExecutor(3) as pool:
        watch = pool.submit(run, "watch", commit, *SHORT[:3], "--on-failure=revert")
        settle, deploy = pool.submit(run, "settle"), pool.submit(run, *ask)
    assert settle.result().report == {"settled": []}
    assert (deploy.result().status, deploy.result().report["outcome"]) == (0, "planned")
    assert commit[:12] in deploy.result().stdout
    assert (watch.result().status, watch.result().service["verdict"]) == (16, "failed")
    assert team.refs() == refs


def test_a_recording_that_cannot_be_written_is_told_before_the_push(team: Team) -> None:
    refs = team.refs()
    ended = team.deploy(f"{team.service}=1.5.0", f"--record={team.work}")
    assert (ended.status, team.refs()) == (2, refs), ended.stderr
    assert str(team.work) in ended.stderr


def test_a_chart_that_fails_its_review_meanwhile_is_not_released(team: Team) -> None:
    chart = team.values_of(team.service).rpartition("/")[0]
    old = "  name: {{ .Release.Name }}\nspec:\n  replicas"
    new = old.replace("spec:", "  labels: {team: not a label}\nspec:")
    template = f"{chart}/templates/deployment.yaml"
    team.meanwhile(lambda: team.push("label it", {template: (old, new)}))
    ended = team.run("deploy", f"{team.service}=1.5.0", *SHORT, "--no-wait")
    assert (ended.status, ended.report["outcome"]) == (3, "refused"), ended.stderr
    assert "not a label" in ended.stderr
    assert (len(team.heads()), team.tag(), notes(team)) == (2, "1.4.2", {})


def test_an_application_that_is_changed_meanwhile_is_read_anew(team: Team) -> None:
    manifest = f"environments/argocd/apps/{team.service}-prod.yaml"
    old = f"releaseName: {team.service}"
    new = f"{old}\n      parameters: [{{name: backend.image.tag, value: 1.4.2}}]"
    team.meanwhile(lambda: team.push("override it", {manifest: (old, new)}))
    ended = team.run("deploy", f"{team.service}=1.5.0", *SHORT, "--no-wait")
    assert (ended.status, ended.report["outcome"]) == (3, "refused"), ended.stderr
    assert f"the edit has no effect: {manifest} sets backend.image.tag" in ended.stderr
    assert (len(team.heads()), team.tag()) == (2, "1.4.2")


def test_of_three_that_queue_each_has_its_turn(founded: Found) -> None:
    team = founded()
    tags = ["1.5.0", "1.6.0", "1.7.0"]

    with ThreadPoolExecutor(3) as pool:
        asks = [f"{team.service}={tag}" for tag in tags]
        options = ("--yes", "--queue", "--allow-downgrade", "--skip-backup")
        deploy = partial(team.run, "deploy", *options)
        for ended in pool.map(deploy, asks):
            assert (ended.status, ended.report["outcome"]) == (0, "released"), ended.stderr
    assert states(team) == ["released"] * 3
    assert len(team.heads()) == 4
    parents = team.at("log", "--format=%P", "main").splitlines()
    assert parents == [*team.heads()[1:], ""]
    line = [notes(team)[commit]["services"][0] for commit in reversed(team.heads()[:-1])]
    assert sorted(one["after"] for one in line) == tags
    assert [one["before"] for one in line] == ["1.4.2", *(one["after"] for one in line[:-1])]
