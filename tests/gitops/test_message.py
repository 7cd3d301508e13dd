"""The release commit's message, there and back."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plate_release.gitops.message import Message, Shift, parse

API, WEB = Shift("plate-api", "1.4.2", "1.5.0"), Shift("plate-web", "1.27.0", "1.27.1")


@pytest.mark.parametrize(
    ("message", "subject"),
    [
        (Message("r1", "prod", (API,)), "release(prod): plate-api 1.4.2 -> 1.5.0"),
        (Message("r1", "prod", (API, WEB)), "release(prod): plate-api 1.5.0, plate-web 1.27.1"),
        (
            Message("r2", "prod", (Shift("plate-api", "1.5.0", "1.4.2"),), rollback=True),
            "rollback(prod): plate-api 1.5.0 -> 1.4.2",
        ),
    ],
)
def test_the_subject(message: Message, subject: str) -> None:
    assert message.subject == subject
    assert message.text().startswith(subject + "\n\n")


def test_git_itself_reads_the_trailers() -> None:
    message = Message("r1", "prod", (API, WEB), "https://ci.example/7", "b" * 40, "it failed")
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=message.text(skip_ci=True),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "Plate-Release-Id: r1",
        "Plate-Service: plate-api 1.4.2 -> 1.5.0",
        "Plate-Service: plate-web 1.27.0 -> 1.27.1",
        "Plate-Run: https://ci.example/7",
        f"Plate-Reverts: {'b' * 40}",
        "Plate-Reason: it failed",
    ]


def test_skip_ci_stands_in_the_subject() -> None:
    assert "[skip ci]" in Message("r1", "prod", (API,)).text(skip_ci=True).splitlines()[0]
    assert "[skip ci]" not in Message("r1", "prod", (API,)).text()


@given(st.text(), st.text())
def test_no_value_can_forge_a_trailer(reason: str, run: str) -> None:
    text = Message("r1", "prod", (API,), run, reason=f"x\nPlate-Reverts: evil\n{reason}").text()
    back = parse(text)
    assert back is not None
    assert back.reverts is None
    assert back.services == (API,)


@given(
    st.lists(
        st.builds(
            Shift,
            st.from_regex(r"[a-z]+(-[a-z]+)*", fullmatch=True),
            st.from_regex(r"([\w.-]{1,20}(@sha256:[0-9a-f]{8})?)?", fullmatch=True),
            st.from_regex(r"[\w.-]{1,20}", fullmatch=True),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([None, "c" * 40]),
)
def test_what_is_written_is_read_back(services: list[Shift], reverts: str | None) -> None:
    message = Message(
        "r1",
        "prod",
        tuple(services),
        "https://ci.example/7",
        reverts,
        "why not",
        rollback=reverts is not None,
    )
    assert parse(message.text()) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Fix it\n\nPlate-Release-Id: x\n",
        "release(prod): by hand\n",
        "release(prod): a\n\nSo.\n",
    ],
)
def test_other_commits_are_none_of_ours(text: str) -> None:
    assert parse(text) is None
