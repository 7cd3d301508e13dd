"""Where a run meets its surroundings: a closed pipe, a question, a silent Argo CD."""

import json
import os
import socket

import pytest
import yaml

from tests.e2e.conftest import SHORT, Team, interrupt

CONFIRM = {"apiVersion": "plate-release/v1", "environment": "prod", "confirm": True}


def test_a_reader_that_leaves_does_not_end_a_release(team: Team) -> None:
    process = team.start("--output=text", "deploy", f"{team.service}=1.5.0", *SHORT)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    _, stderr = process.communicate(timeout=240)
    assert (process.returncode, stderr) == (0, "")
    note = json.loads(team.at("notes", "--ref=plate-release", "show", team.heads()[0]))
    assert note["state"] == "released"


@pytest.mark.parametrize(
    ("keys", "status", "outcome"),
    [("\x04", 130, "interrupted"), ("\x03", 130, "interrupted"), ("n\n", 4, "refused")],
)
def test_a_question_that_is_not_answered_with_yes_changes_nothing(
    alone: Team, keys: str, status: int, outcome: str
) -> None:
    alone.push("confirm", {"environments/prod.yaml": ("", yaml.safe_dump(CONFIRM))})
    ended = asked(alone, keys)
    assert (ended[0], ended[1]["outcome"]) == (status, outcome)
    assert len(alone.heads()) == 2


def test_a_question_that_is_answered_with_yes_goes_on(alone: Team) -> None:
    alone.push("confirm", {"environments/prod.yaml": ("", yaml.safe_dump(CONFIRM))})
    ended = asked(alone, "y\n")
    assert (ended[0], ended[1]["outcome"]) == (0, "unwatched")
    assert alone.tag() == "1.5.0"


def asked(team: Team, keys: str) -> tuple[int, dict[str, object]]:
    """Release without a watch, and type the answer."""
    master, slave = os.openpty()
    options = ("--no-wait", "--image-check=off", "--skip-backup")
    team.stdin = slave
    process = team.start("deploy", f"{team.service}=1.5.0", *options, KUBECONFIG="")
    os.close(slave)
    assert process.stderr is not None
    if keys == "\x03":
        # The pseudo-terminal controls no process: what Ctrl-C sends is sent by hand.
        said = ""
        while "[y/N]" not in said:
            said += process.stderr.read(1)
        interrupt(process)
    else:
        os.write(master, keys.encode())
    ended = team.end(process)
    os.close(master)
    assert "Traceback" not in ended.stderr
    return ended.status, ended.report


@pytest.mark.parametrize("command", [("status",), ("check",), ("plan", "nobody=1.5.0")])
def test_a_signal_ends_at_once_what_only_looks(alone: Team, command: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        environ = {"ARGOCD_SERVER": f"127.0.0.1:{port}", "ARGOCD_PLAINTEXT": "true"}
        process = alone.start(*command, **environ)
        with silent.accept()[0]:
            interrupt(process)
            ended = alone.end(process)
    assert ended.status == 130, ended.stderr
    assert ended.stderr.count("error: ") == 1
