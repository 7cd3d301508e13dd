"""What runs leave behind in a repository, and time going by for it, with plain git."""

import json
import uuid
from typing import Any

from tests.e2e.conftest import SHORT, Team, git, heard

NOTES = "refs/notes/plate-release"


def abandoned(team: Team, *asks: str, **environ: str) -> str:
    """Let a release be pushed and its run be killed. Return its commit."""
    process = team.start("deploy", *asks, *SHORT, **environ)
    heard(process, "release commit")
    process.kill()
    process.communicate()
    return team.heads()[0]


def notes(team: Team) -> dict[str, dict[str, Any]]:
    """Return the ledger's objects by their commits."""
    listed = team.at("for-each-ref", NOTES) and team.at("notes", "--ref=plate-release", "list")
    commits = [line.split()[1] for line in listed.splitlines()]
    return {c: json.loads(team.at("notes", "--ref=plate-release", "show", c)) for c in commits}


def states(team: Team) -> list[str]:
    """Return each commit's state in the ledger, newest first; all the branch's commits are there.

    The repository's first commits, which no release made, are left out.
    """
    known = notes(team)
    line = team.at("log", "--format=%H", "main").split()
    assert known.keys() <= set(line)
    return [known[commit]["state"] for commit in line if commit in known]


def rewrite(team: Team, change: "dict[str, Any]", commit: str | None = None) -> None:
    """Change fields of the notes of one commit, or of all, with tools that know nothing of us."""
    clone = team.work / f"ledger-{uuid.uuid4().hex[:6]}"
    clone.mkdir()
    git("init", "--quiet", ".", at=clone)
    git("fetch", "--quiet", team.url, NOTES, at=clone)
    git("checkout", "--quiet", "FETCH_HEAD", at=clone)
    for file in clone.rglob("*"):
        name = "".join(file.relative_to(clone).parts).removeprefix("unsettled")
        if len(name) == 40 and file.is_file() and name.startswith(commit or ""):
            file.write_text(json.dumps(json.loads(file.read_text()) | change, indent=2))
    git("commit", "--quiet", "--all", "--message=Somebody's edit", at=clone)
    git("push", "--quiet", team.url, f"HEAD:{NOTES}", at=clone)


def pass_time(team: Team, commit: str | None = None) -> None:
    """Let the time of every watcher be over, or of that of one commit."""
    rewrite(team, {"deadline": "2000-01-01T00:00:00Z"}, commit)
