"""The main job, on real input: a tag goes live and is verified, a bad one comes back by itself."""

import json

import pytest

from tests.e2e.aftermath import abandoned
from tests.e2e.conftest import IMAGE, SHORT, Team, heard, interrupt


def test_a_good_tag_goes_live_and_only_its_bytes_change(team: Team) -> None:
    before = team.at("show", f"main:{team.values_of(team.service)}")
    ended = team.deploy(f"{team.service}=1.5.0")
    assert ended.status == 0, ended.stderr
    assert ended.report["outcome"] == "released"
    assert ended.service["verdict"] == "live"
    assert (ended.service["before"], ended.service["after"]) == ("1.4.2", "1.5.0")
    assert team.heads()[0] == ended.report["commit"]
    after = team.at("show", f"main:{team.values_of(team.service)}")
    assert after == before.replace('"1.4.2"', '"1.5.0"')
    assert team.backend.images(team.namespace) == {f"{IMAGE}:1.5.0"}
    note = json.loads(team.at("notes", "--ref=plate-release", "show", ended.report["commit"]))
    assert note["state"] == "released"
    assert note["services"][0]["verdict"] == "live"


def test_two_services_go_out_in_one_commit(pair: Team) -> None:
    one, two = pair.services
    ended = pair.deploy(f"{one}=1.5.0", f"{two}=1.6.0")
    assert ended.status == 0, ended.stderr
    assert len(pair.heads()) == 2
    assert (pair.tag(one), pair.tag(two)) == ("1.5.0", "1.6.0")
    assert {service["verdict"] for service in ended.report["services"]} == {"live"}


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("1.5.0-bad", "Pull"),
        ("1.5.0-oom", "OOMKilled"),
        ("1.5.0-cfgerr", "CreateContainerConfigError"),
    ],
)
def test_a_bad_tag_is_found_by_its_pods_and_taken_back(team: Team, tag: str, reason: str) -> None:
    ended = team.deploy(f"{team.service}={tag}")
    assert ended.status == 10, ended.stderr
    assert ended.report["outcome"] == "rolled-back"
    assert ended.service["verdict"] == "failed"
    assert reason in ended.service["reason"]
    assert ended.service["revert"]["verdict"] == "live"
    assert team.heads()[0] == ended.report["revert_commit"]
    assert team.tag() == "1.4.2"
    assert team.backend.images(team.namespace) == {f"{IMAGE}:1.4.2"}
    trailers = team.at("log", "-1", "--format=%(trailers)", "main")
    assert f"Plate-Reverts: {ended.report['commit']}" in trailers


def test_a_crash_in_the_soak_is_taken_back(team: Team) -> None:
    options = ("--soak=25s", "--grace=2s", "--timeout=90s", "--yes", "--image-check=off")
    ended = team.run("deploy", f"{team.service}=1.5.0-crash", *options)
    assert ended.status == 10, ended.stderr
    assert team.tag() == "1.4.2"


def test_one_bad_service_takes_the_whole_commit_back(pair: Team) -> None:
    one, two = pair.services
    ended = pair.deploy(f"{one}=1.5.0", f"{two}=1.6.0-bad")
    assert ended.status == 10, ended.stderr
    assert (pair.tag(one), pair.tag(two)) == ("1.4.2", "1.4.2")
    assert len(pair.heads()) == 3


def test_a_failed_one_is_held_where_that_is_the_policy(team: Team) -> None:
    ended = team.run("deploy", f"{team.service}=1.5.0-bad", *SHORT, "--on-failure=hold")
    assert (ended.status, ended.report["outcome"]) == (16, "held")
    assert team.tag() == "1.5.0-bad"


def test_a_newer_release_of_somebody_else_supersedes_ours(team: Team) -> None:
    process = team.start("deploy", f"{team.service}=1.5.0-slow", *SHORT)
    heard(process, "release commit")
    team.push("newer", {team.values_of(team.service): ("1.5.0-slow", "1.6.0")})
    ended = team.end(process)
    assert (ended.status, ended.report["outcome"]) == (13, "superseded")
    assert team.tag() == "1.6.0"


def test_a_dry_run_changes_nothing(team: Team) -> None:
    refs = team.refs()
    ended = team.run("deploy", f"{team.service}=1.5.0", *SHORT, "--dry-run")
    assert (ended.status, ended.report["outcome"]) == (0, "planned")
    assert f"+        image: {IMAGE}:1.5.0" in ended.report["diff"]
    assert [edit["after"] for edit in ended.report["edits"]] == ["1.5.0"]
    assert team.refs() == refs


def test_a_chart_is_rendered_for_the_cluster_that_is_there(nobody: Team) -> None:
    chart = nobody.work / "seed" / "helm" / "applications" / nobody.add() / "Chart.yaml"
    chart.write_text(chart.read_text() + 'kubeVersion: ">=1.36"\n')
    nobody.found()
    ask = f"{nobody.service}=1.5.0"
    assert nobody.run("plan", ask, "--image-check=off").status == 0
    told = "apiVersion: plate-release/v1\nkubernetes: {version: v1.30.4-gke.7}\n"
    nobody.push("An older cluster", {"environments/prod.yaml": ("", told)})
    ended = nobody.run("plan", ask, "--image-check=off")
    assert ended.status == 3
    assert "requires kubeVersion: >=1.36" in ended.stderr
    assert "1.30.4" in ended.stderr


GENERATOR = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: shops}
spec: {generators: [{git: {directories: [{path: helm/applications/*}]}}]}
"""


def test_an_application_that_only_argo_cd_knows_is_released(team: Team) -> None:
    apps = "environments/argocd/apps"
    manifest = f"{apps}/{team.service}-prod.yaml"
    team.push("generate it", {manifest: None, f"{apps}/set.yaml": ("", GENERATOR)})
    ended = team.deploy(f"{team.service}=1.5.0")
    assert (ended.status, ended.report["outcome"]) == (0, "released"), ended.stderr
    assert team.tag() == "1.5.0"
    unknown = team.run("plan", "nobody=1.5.0")
    assert unknown.status == 2
    assert "ApplicationSets may generate it, which only Argo CD knows: shops" in unknown.stderr


def test_the_script_s_dry_run_variable_is_obeyed(team: Team) -> None:
    refs = team.refs()
    ended = team.deploy(f"{team.service}=1.5.0", DRY_RUN="true")
    assert (ended.status, ended.report["outcome"]) == (0, "planned")
    assert team.refs() == refs


def test_nothing_to_change_is_said(team: Team) -> None:
    refs = team.refs()
    ended = team.deploy(f"{team.service}=1.4.2")
    assert (ended.status, ended.report["outcome"]) == (0, "unchanged")
    assert team.refs() == refs


def test_no_wait_commits_and_says_so(team: Team) -> None:
    ended = team.run("deploy", f"{team.service}=1.5.0", *SHORT, "--no-wait")
    assert (ended.status, ended.report["outcome"]) == (0, "unwatched")
    watched = team.run("watch", "--soak=2s", "--grace=3s", "--timeout=90s")
    assert (watched.status, watched.service["verdict"]) == (0, "live"), watched.stderr


def test_a_rollback_goes_back_to_the_last_good_tag(team: Team) -> None:
    assert team.deploy(f"{team.service}=1.5.0").status == 0
    ended = team.run("rollback", team.service, "--soak=2s", "--grace=3s", "--timeout=90s", "--yes")
    assert (ended.status, ended.report["outcome"]) == (0, "released"), ended.stderr
    assert team.tag() == "1.4.2"
    subject = team.at("log", "-1", "--format=%s", "main").strip()
    assert subject == f"rollback(prod): {team.service} 1.5.0 -> 1.4.2"
    again = team.run("rollback", team.service, "--yes")
    assert (again.status, again.report["outcome"]) == (0, "unchanged"), again.stderr
    assert "went back to 1.4.2 already" in again.stderr
    assert team.tag() == "1.4.2"


def test_an_interrupted_run_takes_its_commit_back(team: Team) -> None:
    process = team.start("deploy", f"{team.service}=1.5.0-slow", *SHORT)
    heard(process, "release commit")
    interrupt(process)
    ended = team.end(process)
    assert (ended.status, ended.report["outcome"]) == (130, "interrupted"), ended.stderr
    assert team.tag() == "1.4.2"


def test_what_a_killed_run_left_is_under_way_until_its_time_is_over(team: Team) -> None:
    abandoned(team, f"{team.service}=1.5.0-bad")
    ended = team.run("deploy", f"{team.service}=1.6.0", *SHORT)
    assert ended.status == 4, ended.stdout
    assert "under way" in ended.stderr


def test_status_history_and_check_tell_the_truth(team: Team) -> None:
    assert team.deploy(f"{team.service}=1.5.0").status == 0
    status = team.run("status", team.service).report["services"][0]
    assert status["git"]["tag"] == "1.5.0"
    assert status["argocd"]["health"] == "Healthy"
    assert status["cluster"]["images"] == [f"{IMAGE}:1.5.0"]
    assert status["disagreements"] == []
    (release,) = team.run("history", team.service).report["releases"]
    assert release["state"] == "released"
    check = team.run("check")
    assert (check.status, check.report["ok"]) == (0, True), check.stdout


def test_status_says_who_disagrees(team: Team) -> None:
    released = team.deploy(f"{team.service}=1.5.0").report["commit"]
    team.push("By hand", {team.values_of(team.service): ("1.5.0", "1.6.0")})
    (status,) = team.run("status").report["services"]
    assert status["git"]["tag"] == "1.6.0"
    assert status["disagreements"] == [
        f"Argo CD is at {released[:12]}, where the tag is 1.5.0",
        f"{IMAGE}:1.6.0 of git does not run",
    ]


def test_the_notes_are_readable_with_plain_git(team: Team) -> None:
    ended = team.deploy(f"{team.service}=1.5.0")
    log = team.at("log", "-1", "--notes=plate-release", "main")
    assert '"state": "released"' in log
    assert ended.status == 0
