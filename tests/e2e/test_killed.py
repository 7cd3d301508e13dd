"""`kill -9` at every boundary of a release, then another run: settled, nothing lost or twice."""

import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.e2e.aftermath import abandoned, pass_time, states
from tests.e2e.conftest import SHORT, Found, Team
from tests.e2e.door import Door
from tests.gitops.killing import Killer, When

# What a plan and its preflight call: nothing that is shared has changed yet.
PLANNING = [
    "git check-ref-format",
    "git config",
    "git --version",
    "git init",
    "git config",
    "git fetch",  # the head and the ledger
    "git cat-file",  # runs beside its caller, and ends with it
    "git -c",  # the configuration and the Applications
    "git -c",  # the chart and its values
    "git fast-import",  # the release commit
    "git diff-tree",
    "git fast-import",  # its note
    "git push",
]
AT_ONCE = 6


@dataclass(frozen=True)
class Place:
    """The n-th call of git that starts so, or the n-th request to Argo CD that matches."""

    n: int
    what: str
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.what} #{self.n}"


def places(*known: tuple[int, str]) -> list[Place]:
    return [Place(n, what, when) for n, what in known for when in ("before", "after")]


# Of a good tag: its last word in the ledger. The push of the release has happened in all of them.
GOOD = [
    Place(1, "git push", "after"),
    Place(1, "GET .*/stream/", "before"),
    Place(1, "GET .*refresh=normal", "after"),
    Place(2, "git fetch", "before"),
    *places((2, "git push")),
]
# Of a bad one: the revert, its watch, and two last words.
BAD = [
    Place(1, "git push", "after"),
    Place(1, "GET .*refresh=normal", "before"),
    Place(2, "git fetch", "after"),
    *places((2, "git push")),
    Place(2, "GET .*refresh=normal", "after"),
    *places((3, "git push")),
    Place(4, "git push", "before"),
]


def kill(team: Team, place: Place, tag: str) -> None:
    """Deploy, and be killed there."""
    killer = Killer(team.work / "bin", "git")
    with Door(team.backend) as door:
        if place.what.startswith("git"):
            killer.arm(place.n, place.when, place.what)
        else:
            door.arm(place.n, place.when, place.what)
        ask = f"{team.service}={tag}"
        process = team.start("deploy", ask, "--yes", PATH=killer.path, **door.environ)
        door.victim.put(process.pid)
        ended = team.end(process)
    assert ended.status == -signal.SIGKILL, ended.stderr


def everywhere(known: Iterable[Place], case: Callable[[Place], None]) -> None:
    """Go through the places, some at once, and tell of each that fails."""

    def failure(place: Place) -> str | None:
        try:
            case(place)
        except AssertionError as error:
            return f"killed {place}: {error}"
        return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [found for found in pool.map(failure, known) if found]
    assert not failures, "\n".join(failures)


@pytest.mark.timeout(900)
def test_a_run_killed_before_the_push_leaves_nothing(team: Team) -> None:
    refs = team.refs()

    def case(place: Place) -> None:
        killer = Killer(team.work / str(place), "git")
        killer.arm(place.n, place.when)
        ended = team.deploy(f"{team.service}=1.5.0", PATH=killer.path)
        assert ended.status == -signal.SIGKILL, ended.stderr
        assert killer.calls == PLANNING[: place.n]

    known = [Place(n, what, "before") for n, what in enumerate(PLANNING, 1)]
    # After the last call before the push; after the push itself something has changed.
    everywhere([*known, Place(len(PLANNING) - 1, PLANNING[-2], "after")], case)
    assert team.refs() == refs
    ended = team.run("deploy", f"{team.service}=1.5.0", *SHORT, "--no-wait")
    assert (ended.status, states(team)) == (0, ["unwatched"]), ended.stderr


@pytest.mark.timeout(900)
def test_a_good_release_that_was_killed_anywhere_is_kept(founded: Found) -> None:
    def case(place: Place) -> None:
        team = founded()
        kill(team, place, "1.5.0")
        assert len(team.heads()) == 2
        released = states(team) == ["released"]
        if not released:
            pass_time(team)
        ended = team.run("settle")
        assert ended.status == 0, ended.stderr
        outcomes = [one["outcome"] for one in ended.report["settled"]]
        assert outcomes == ([] if released else ["released"]), ended.stderr
        assert states(team) == ["released"]
        assert (len(team.heads()), team.tag()) == (2, "1.5.0")

    everywhere(GOOD, case)


@pytest.mark.timeout(900)
def test_a_bad_release_that_was_killed_anywhere_is_taken_back_once(
    founded: Found,
) -> None:
    def case(place: Place) -> None:
        team = founded()
        kill(team, place, "1.5.0-bad")
        if "watching" in states(team):
            pass_time(team)
        ended = team.run("settle")
        assert ended.status == 0, ended.stderr
        assert states(team) == ["released", "rolled-back"], ended.stderr
        assert (len(team.heads()), team.tag()) == (3, "1.4.2")
        team.backend.until(f"{team.service}-prod", "Healthy")
        again = team.run("settle").report["settled"]
        assert again == []

    everywhere(BAD, case)


def test_the_next_release_settles_what_a_killed_one_left_and_says_so(
    founded: Found,
) -> None:
    team = founded()
    kill(team, Place(1, "git push", "after"), "1.5.0-bad")
    (bad, *_) = team.heads()
    pass_time(team)
    ended = team.deploy(f"{team.service}=1.6.0")
    assert (ended.status, team.tag()) == (0, "1.6.0"), ended.stderr
    (told,) = [f for f in ended.report["findings"] if f["code"] == "settled-earlier"]
    assert bad[:12] in told["message"]
    assert "rolled-back" in told["message"]
    assert states(team) == ["released", "released", "rolled-back"]
    assert ended.service["before"] == "1.4.2"


def test_a_job_s_next_step_takes_back_what_its_killed_step_left(
    founded: Found,
) -> None:
    team = founded()
    mine = {"RUNNER_TEMP": str(team.work)}
    abandoned(team, f"{team.service}=1.5.0-slow", **mine)
    ended = team.run("settle", **mine)
    assert [one["outcome"] for one in ended.report["settled"]] == ["interrupted"], ended.stderr
    assert states(team) == ["released", "interrupted"]
    assert team.tag() == "1.4.2"
