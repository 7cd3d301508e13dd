"""How commits follow one another, fetched only as deep as a question needs."""

import re
from dataclasses import dataclass
from pathlib import Path

from plate_release.errors import RepositoryUnavailable
from plate_release.gitops.git import GitFailed
from plate_release.gitops.refusals import neutral
from plate_release.gitops.store import LEDGER, LEDGER_HERE, Store

_HEAD = "refs/plate/head"
# Said of --shallow-since where all is older; the second where the server's word was lost.
_ALL_OLDER = "no commits selected|error processing shallow info"
_NOT_THERE = f"{_ALL_OLDER}|not our ref|unadvertised object|couldn't find remote ref"
_STRANGER = re.compile("error in object: unshallow ([0-9a-f]{40})")
_SHA = re.compile("[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9_][\w./@+-]*", re.ASCII)
_KINDS = ("heads", "tags")
_OTHER = "refs/plate/other"
# History is deepened by so many commits, and in the end wholly.
_DEPTHS = ("--deepen=100", "--deepen=1000", "--unshallow")


@dataclass(frozen=True, slots=True)
class Change:
    """Who last wrote a path."""

    commit: str
    author: str
    subject: str


@dataclass(frozen=True, slots=True)
class Story:
    """What a commit says, and its first parent."""

    parent: str | None
    message: str


class Lineage:
    """The history of one branch, from the first tip that was seen onwards, and before if asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since: int | None = None

    def tip(self) -> tuple[str, bytes]:
        """Fetch the tips of branch and ledger, joined to what came before; return the branch's."""
        branch = self._store.branch
        # The ledger as a pattern, since it may not exist yet.
        names = (f"+refs/heads/{branch}:{_HEAD}", f"+{LEDGER}*:{LEDGER_HERE}*")
        try:
            self._store.ask(self._depths()[0], "--prune", *names)
        except GitFailed as failed:
            if not re.search(_ALL_OLDER, failed.complaint):
                self._store.fail(failed)
            # The branch was set back to a commit older than the one that was seen first.
            self._store.fetch("--depth=1", "--prune", *names)
        tip = self._store.get(_HEAD)
        if tip is None:
            raise RepositoryUnavailable(f"The branch {branch} is no commit ({self._store.url}).")
        if self._since is None:
            self._since = _committed(tip[1])
        return tip

    def get(self, commit: str) -> tuple[str, bytes]:
        """Return a commit as `find` does. Raises RepositoryUnavailable where there is none."""
        found = self.find(commit)
        if found is None:
            raise RepositoryUnavailable(f"There is no commit {commit} ({self._store.url}).")
        return found

    def named(self, revision: str) -> tuple[str, bytes]:
        """Return the commit of a branch, a tag, a commit's id, or the server's HEAD."""
        if _SHA.fullmatch(revision):
            return self.get(revision)
        plain = re.sub("^refs/(heads|tags)/", "", revision) or "HEAD"
        if not _NAME.fullmatch(plain) or ".." in plain:
            raise self._no(revision)
        names = ["HEAD"] if plain == "HEAD" else [f"refs/{kind}/{plain}" for kind in _KINDS]
        for name in names:
            try:
                self._store.ask("--depth=1", f"+{name}:{_OTHER}")
            except GitFailed as failed:
                if "couldn't find remote ref" not in failed.complaint:
                    self._store.fail(failed)
            else:
                found = self._store.get(f"{_OTHER}^{{commit}}")
                if found is not None:
                    return found
        raise self._no(revision)

    def _no(self, revision: str) -> RepositoryUnavailable:
        return RepositoryUnavailable(
            f"{self._store.url} has no branch, tag or commit {revision}.",
            todo="Correct the Application's targetRevision.",
        )

    def story(self, commit: str) -> Story:
        """Return what a commit says, and upon what it was made."""
        head, _, body = self.get(commit)[1].decode(errors="replace").partition("\n\n")
        parents = re.findall(r"^parent (\w+)$", head, re.MULTILINE)
        return Story(parents[0] if parents else None, body)

    def find(self, commit: str) -> tuple[str, bytes] | None:
        """Return a commit; one that is not here is fetched, joined to what is."""
        # Argo CD's revisions come from outside: one must never be an option of git's.
        if not _SHA.fullmatch(commit):
            return None
        depths = self._depths()
        while (found := self._store.get(commit)) is None and depths:
            try:
                self._store.ask(depths.pop(0), commit)
            except GitFailed as failed:
                if not re.search(_NOT_THERE, failed.complaint):
                    self._store.fail(failed)
        return found

    def contains(self, descendant: str, ancestor: str) -> bool | None:
        """Say whether `ancestor` is `descendant` or one of its ancestors; None: nobody knows.

        A history that is cut off proves presence, never absence, so it is deepened until it does.
        """
        if descendant == ancestor:
            return True
        if self.find(ancestor) is None or self.find(descendant) is None:
            return None
        for deeper in (None, *_DEPTHS):
            if deeper and self._cuts():
                self._deepen(deeper, descendant)
            line = self._line(descendant)
            if ancestor in line:
                return True
            # Below a cut that is itself below the ancestor, the ancestor cannot be.
            if line & self._cuts() <= self._line(ancestor):
                return False
        return None

    def _deepen(self, depth: str, commit: str) -> None:
        while True:
            try:
                return self._store.ask(depth, commit, f"refs/heads/{self._store.branch}")
            except GitFailed as failed:
                # With --shallow-since a server may name a cut that it does not send.
                stranger = _STRANGER.search(failed.complaint)
                cuts = self._cuts()
                if stranger is None or stranger[1] not in cuts:
                    self._store.fail(failed)
                self._shallow.write_text("".join(f"{one}\n" for one in cuts - {stranger[1]}))

    def last_change(self, path: str, since: str, until: str) -> Change | None:
        """Return the newest commit after `since`, up to `until`, that touched `path`."""
        if self.contains(until, since) is not True:
            return None
        arguments = ("-1", "--format=%H%x00%an%x00%s", f"{since}..{until}", "--", path)
        found = self._store.local("log", *arguments)
        return Change(*map(neutral, found.split("\0"))) if found else None

    def _depths(self) -> list[str]:
        """Return how deep to fetch, the best way first."""
        since = [f"--shallow-since={self._since}"] if self._since is not None else []
        return [*since, "--depth=1"]

    def _line(self, commit: str) -> set[str]:
        """Return the commit and what is here of its ancestors."""
        return set(self._store.local("rev-list", commit).split())

    def _cuts(self) -> set[str]:
        """Return the commits whose parents are not here."""
        return set(self._shallow.read_text().split()) if self._shallow.exists() else set()

    @property
    def _shallow(self) -> Path:
        return self._store.git.directory / "shallow"


def _committed(content: bytes) -> int:
    line = next(line for line in content.split(b"\n") if line.startswith(b"committer "))
    return int(line.split()[-2])
