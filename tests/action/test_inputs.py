"""Inputs that are right become one command line; wrong ones are refused before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from plate_release.action import Inputs, deploy_command, headline
from plate_release.errors import UsageError

JOB = {"GITHUB_REPOSITORY": "plate/gitops", "GITHUB_SERVER_URL": "https://github.example.com"}
HOME = "--repo=https://github.example.com/plate/gitops"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"service": "plate-api", "tag": "1.5.0"}, [HOME, "deploy", "--", "plate-api=1.5.0"]),
        (
            {"services": "\n plate-api=1.5.0 \n\nplate-web=1.27.1@sha256:ab\n"},
            [HOME, "deploy", "--", "plate-api=1.5.0", "plate-web=1.27.1@sha256:ab"],
        ),
        (
            {"services": "a=1", "repository": "http://127.0.0.1:8080/x.git", "branch": "live"},
            ["--repo=http://127.0.0.1:8080/x.git", "--branch=live", "deploy", "--", "a=1"],
        ),
        (
            {"services": "a=1", "dry-run": "True", "skip-backup": "false", "timeout": "5m"},
            [HOME, "deploy", "--timeout=5m", "--dry-run", "--backup", "--", "a=1"],
        ),
        ({"services": "a=1", "confirm": "prod"}, [HOME, "deploy", "--yes", "--", "a=1"]),
        ({"services": "a=1", "confirm": "true"}, [HOME, "deploy", "--yes", "--", "a=1"]),
        ({"services": "a=1", "confirm": "false"}, [HOME, "deploy", "--", "a=1"]),
        ({"services": "--yes\n-h=1"}, [HOME, "deploy", "--", "--yes", "-h=1"]),
    ],
)
def test_the_command_line(given: dict[str, str], line: list[str]) -> None:
    assert deploy_command(Inputs(given), JOB) == ["--output=json", *line]


BAD = [
    ({}, "Nothing is asked for."),
    ({"service": "plate-api"}, "Nothing is asked for."),
    ({"tag": "1.5.0"}, "Nothing is asked for."),
    ({"services": "a=1", "tag": "2"}, "Both `services` and `service` or `tag` are given."),
    ({"services": "a=1", "dry-run": "yes please"}, "dry-run: 'yes please' is neither"),
    ({"services": "a=1", "skip-backup": "1"}, "skip-backup: '1' is neither"),
    ({"services": "a=1", "confirm": "stage"}, "confirm: 'stage' does not confirm"),
    (
        {"services": "a=1", "environment": "stage", "confirm": "prod"},
        "confirm: 'prod' does not confirm a release to stage.",
    ),
]


@pytest.mark.parametrize(("given", "says"), BAD)
def test_inputs_that_contradict_are_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError) as refusal:
        deploy_command(Inputs(given), JOB)
    assert says in refusal.value.what


@pytest.mark.parametrize(("given", "says"), BAD)
def test_a_refusal_is_an_annotation_outputs_and_exit_code_2(
    job: Any, installed: Path, given: dict[str, str], says: str
) -> None:
    ended = job(installed).run("release", **{n.replace("-", "_"): v for n, v in given.items()})
    assert ended.status == 2
    assert f"::error title=plate-release::{says}" in ended.stdout
    assert ended.outputs["outcome"] == "refused"
    assert ended.outputs["summary"].startswith("refused: ")
    assert ended.summary.startswith("### plate-release: ")
    assert ended.stderr == ""


def test_what_stands_in_an_input_is_never_run(job: Any, installed: Path, tmp_path: Path) -> None:
    evil = f"$(touch {tmp_path}/gone)`touch {tmp_path}/gone`\n::set-env name=X::y"
    steps = job(installed)
    ended = steps.run("release", dry_run=evil, services="a=1")
    assert ended.status == 2
    assert not (tmp_path / "gone").exists()
    (shown,) = [line for line in ended.stdout.splitlines() if line.startswith("::error")]
    assert "%0A::set-env" in shown or "\\n::set-env" in shown
    assert not [line for line in ended.stdout.splitlines() if line.startswith("::set-env")]


def test_tokens_are_masked_before_anything_else(job: Any, installed: Path) -> None:
    ended = job(installed).run("release", token="ghs_1", argocd_token="ey.a.b")
    first, *_ = ended.stdout.split("::error")
    assert "::add-mask::ghs_1\n" in first
    assert "::add-mask::ey.a.b\n" in first


def test_nothing_was_begun_so_nothing_is_settled(job: Any, installed: Path) -> None:
    ended = job(installed).run("settle")
    assert (ended.status, ended.outputs, ended.stderr) == (0, {}, "")


@pytest.mark.parametrize(
    ("services", "findings", "line"),
    [
        (
            [
                {"name": "a", "before": "1", "after": "2"},
                {"name": "b", "before": "3", "after": "4"},
            ],
            [],
            "released: a 1 -> 2, b 3 -> 4",
        ),
        ([], [{"level": "error", "message": "No such\x1b[0m service.\nmore"}], ""),
    ],
)
def test_the_summary_is_one_line(
    services: list[dict[str, str]], findings: list[dict[str, str]], line: str
) -> None:
    outcome = "refused" if findings else "released"
    expected = line or "refused: No such\\x1b[0m service."
    assert headline({"outcome": outcome, "services": services, "findings": findings}) == expected
