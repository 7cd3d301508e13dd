"""The GitOps repository as a release needs it: views, commits, pushes, ancestry.

It is seen through a private bare repository, one commit deep and without blobs; what a question
needs is fetched when it is asked. Nobody's working tree is touched.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from plate_release.errors import PushRefused, ReleaseError, RepositoryUnavailable
from plate_release.gitops.commit import Author, Blob, Draft, blob_id, changed, sign, write
from plate_release.gitops.git import GitFailed
from plate_release.gitops.objects import Objects
from plate_release.gitops.private import Patience, Private, folder_for
from plate_release.gitops.refusals import BranchMissing, Moved, explain, neutral
from plate_release.gitops.remote import Credentials, Remote
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Clock, EntryKind, Finding

LEDGER = "refs/notes/plate-release"
_HEAD = "refs/plate/head"
_LEDGER_HERE = "refs/plate/notes"
# Said of --shallow-since where all is older; the second where the server's word was lost.
_ALL_OLDER = "no commits selected|error processing shallow info"
_NOT_THERE = f"{_ALL_OLDER}|not our ref|couldn't find remote ref"
# History is deepened by so many commits, and in the end wholly.
_DEPTHS = ("--deepen=100", "--deepen=1000", "--unshallow")


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One compare-and-swap: `ref` goes from `old` (None: it must not exist) to `new`."""

    ref: str
    old: str | None
    new: str


@dataclass(frozen=True, slots=True)
class Change:
    """Who last wrote a path."""

    commit: str
    author: str
    subject: str


class Repository:
    """One branch of a GitOps repository: `with Repository.open(...) as repository`.

    Every method that asks the server may raise RepositoryUnavailable.
    """

    def __init__(self, branch: str, private: Private, objects: Objects) -> None:
        self.branch = branch
        self.findings: tuple[Finding, ...] = ()
        self._private, self._git, self._objects = private, private.git, objects
        self._here: set[str] = set()
        self._since: int | None = None

    @classmethod
    @contextmanager
    def open(
        cls,
        url: str,
        branch: str,
        credentials: Credentials,
        *,
        clock: Clock,
        workspace: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        patience: Patience | None = None,
    ) -> Iterator[Self]:
        """Prepare a private repository below `workspace` (default: TMPDIR); asks nobody yet."""
        remote = Remote.parse(url, credentials)
        with folder_for(workspace) as folder:
            private = Private.prepare(folder, remote, environ, clock, patience or Patience())
            with Objects(private.git) as objects:
                yield cls(branch, private, objects)

    @property
    def url(self) -> str:
        """The address, without credentials."""
        return self._private.remote.url

    def head(self) -> RepositoryTree:
        """Fetch the branch's tip, and the ledger with it, and return its view.

        What was committed since the first call comes with its history, so that `contains` and
        `last_change` can be answered.
        """
        # The ledger as a pattern, since it may not exist yet.
        names = (f"+refs/heads/{self.branch}:{_HEAD}", f"+{LEDGER}*:{_LEDGER_HERE}*")
        depth = "--depth=1" if self._since is None else f"--shallow-since={self._since}"
        try:
            self._ask(depth, "--prune", *names)
        except GitFailed as failed:
            if not re.search(_ALL_OLDER, failed.complaint):
                raise self._explained(failed) from failed
            # The branch was set back to a commit older than the one that was seen first.
            self._fetch("--depth=1", "--prune", *names)
        tip = self._objects.get(_HEAD)
        if tip is None:
            raise RepositoryUnavailable(f"The branch {self.branch} is no commit ({self.url}).")
        if self._since is None:
            self._since = _committed(tip[1])
        return self._view(*tip)

    def tree(self, commit: str) -> RepositoryTree:
        """Return the view of any commit of the repository."""
        self._got(commit)
        found = self._objects.get(commit)
        if found is None:
            raise RepositoryUnavailable(f"There is no commit {commit} ({self.url}).")
        return self._view(*found)

    def ledger(self) -> RepositoryTree | None:
        """Return the view of the ledger as the last `head()` found it, if there was one."""
        tip = self._objects.get(_LEDGER_HERE)
        return self._view(*tip) if tip else None

    def read_at(self, commit: str, path: str) -> bytes | None:
        """Return the file as `commit` has it, or None where it has none."""
        return self.tree(commit).read_many([path]).get(path)

    def contains(self, descendant: str, ancestor: str) -> bool | None:
        """Say whether `ancestor` is `descendant` or one of its ancestors; None: nobody knows.

        A history that is cut off proves presence, never absence, so it is deepened until it does.
        """
        if descendant == ancestor:
            return True
        if not (self._got(ancestor) and self._got(descendant)):
            return None
        for deeper in (None, *_DEPTHS):
            if deeper:
                self._deepen(deeper, descendant)
            line = self._line(descendant)
            if ancestor in line:
                return True
            # Below a cut that is itself below the ancestor, the ancestor cannot be.
            if line & self._ends() <= self._line(ancestor):
                return False
        return None

    def landed(self, commit: str) -> bool | None:
        """Ask the server whether `commit` is on the branch now."""
        return self.contains(self.head().commit, commit)

    def last_change(self, path: str, since: str, until: str) -> Change | None:
        """Return the newest commit after `since`, up to `until`, that touched `path`."""
        if self.contains(until, since) is not True:
            return None
        arguments = ("-1", "--format=%H%x00%an%x00%s", f"{since}..{until}", "--", path)
        found = self._local("log", *arguments).decode(errors="replace").rstrip("\n")
        return Change(*map(neutral, found.split("\0"))) if found else None

    def commit(
        self, base: RepositoryTree, files: Mapping[str, bytes], message: str, author: Author
    ) -> str:
        """Write a commit upon `base` that gives `files` new contents, and return its id.

        Nothing is pushed. A path that is a symlink changes the file it leads to. Raises
        FileNotFoundError for a path that is no file, and PushRefused where the commit would
        differ from its parent in anything else.
        """
        places = {path: base.locate(path) for path in files}
        planned, expected = {}, set()
        for path, place in places.items():
            if place is None or place.entry.kind not in (EntryKind.FILE, EntryKind.EXECUTABLE):
                raise FileNotFoundError(f"{path} is no file of {self.url}")
            mode, content = place.entry.mode, files[path]
            planned[place.path] = (mode, content)
            if (new := blob_id(content)) != place.entry.oid:
                expected.add(Blob(place.path, mode, mode, new))
        sha = self._write(base.commit, planned, message, author, signed=True)
        if self._changed(base.commit, sha) != expected:
            raise PushRefused("The release commit would change more than was planned.")
        self._here |= {blob.new for blob in expected}
        return sha

    def note(self, files: Mapping[str, bytes | None], message: str, author: Author) -> RefUpdate:
        """Write a commit upon the ledger with `files` set (None: removed); nothing is pushed."""
        tip = self.ledger()
        old = tip.commit if tip else None
        planned = {path: (0o100644, content) for path, content in files.items()}
        self._here |= {blob_id(content) for content in files.values() if content is not None}
        return RefUpdate(LEDGER, old, self._write(old, planned, message, author, signed=False))

    def branch_update(self, base: RepositoryTree, commit: str) -> RefUpdate:
        """Return the move of the branch from `base` to `commit`."""
        return RefUpdate(f"refs/heads/{self.branch}", base.commit, commit)

    def push(self, *updates: RefUpdate) -> None:
        """Push all of `updates` or none, each only where its ref still is at `old`.

        Raises Moved where one is not (perhaps because ours landed: ask), PushRefused where the
        server does not want it, Unanswered where it is not known what became of it.
        """
        leases = [f"--force-with-lease={u.ref}:{u.old or ''}" for u in updates]
        refspecs = [f"{u.new}:{u.ref}" for u in updates]
        how = ["--porcelain", "--no-verify", *["--atomic"][: len(updates) - 1]]
        try:
            self._private.push(*how, *leases, "origin", *refspecs)
        except GitFailed as failed:
            raise self._explained(failed) from failed

    def _view(self, commit: str, content: bytes) -> RepositoryTree:
        root = content[5:45].decode()
        return RepositoryTree(self.url, commit, root, self._objects, self._blobs)

    def _blobs(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        wanted = list(dict.fromkeys(oids))
        missing = [oid for oid in wanted if oid not in self._here]
        # A server without partial clone has sent them all.
        if missing and not self.findings:
            self._fetch("--stdin", stdin="".join(f"{oid}\n" for oid in missing).encode())
        self._here.update(missing)
        contents = zip(wanted, self._objects.get_many(wanted), strict=True)
        return {oid: found[1] for oid, found in contents if found is not None}

    def _got(self, commit: str) -> bool:
        """Fetch a commit that is not here, joined to what is; say whether it is here now."""
        depths = [f"--shallow-since={self._since}", "--depth=1"][self._since is None :]
        while self._objects.get(commit) is None and depths:
            try:
                self._ask(depths.pop(0), commit)
            except GitFailed as failed:
                if not re.search(_NOT_THERE, failed.complaint):
                    raise self._explained(failed) from failed
        return self._objects.get(commit) is not None

    def _deepen(self, how: str, commit: str) -> None:
        # Of a whole history git would refuse to fetch more.
        if self._ends():
            self._fetch(how, commit, f"refs/heads/{self.branch}")

    def _line(self, commit: str) -> set[str]:
        """Return the commit and what is here of its ancestors."""
        return set(self._local("rev-list", commit).decode().split())

    def _ends(self) -> set[str]:
        shallow = self._git.directory / "shallow"
        return set(shallow.read_text().split()) if shallow.exists() else set()

    def _write(
        self,
        parent: str | None,
        files: Mapping[str, tuple[int, bytes | None]],
        message: str,
        author: Author,
        *,
        signed: bool,
    ) -> str:
        now = int(self._private.clock.wall())
        draft = Draft(parent, files, message, author, now)
        try:
            sha = write(self._git, draft)
            if signed and self._private.signing:
                return sign(self._git, sha, draft, self._private.signing)
        except GitFailed as failed:
            raise self._explained(failed) from failed
        return sha

    def _changed(self, parent: str, commit: str) -> set[Blob]:
        try:
            return changed(self._git, parent, commit)
        except GitFailed as failed:
            raise self._explained(failed) from failed

    def _local(self, *arguments: str) -> bytes:
        try:
            return self._git.run(*arguments)
        except GitFailed as failed:
            raise self._explained(failed) from failed

    def _fetch(self, *arguments: str, stdin: bytes = b"") -> None:
        try:
            self._ask(*arguments, stdin=stdin)
        except GitFailed as failed:
            raise self._explained(failed) from failed

    def _ask(self, *arguments: str, stdin: bytes = b"") -> None:
        options = [argument for argument in arguments if argument.startswith("--")]
        names = [argument for argument in arguments if not argument.startswith("--")]
        # Objects asked for by name: told of our commits, the server would think we have them.
        mode = ("-c", "fetch.negotiationAlgorithm=noop") if stdin else ()
        fixed = ("fetch", "--no-write-fetch-head", "--no-auto-gc", "--filter=blob:none")
        remarks = self._private.ask(*mode, *fixed, *options, "origin", *names, stdin=stdin)
        if "filtering not recognized" in remarks:
            text = "The git server has no partial clone: all files of the commit are fetched."
            self.findings = (Finding("info", "no-partial-clone", text),)

    def _explained(self, failed: GitFailed) -> ReleaseError | Moved:
        problem = explain(failed, self._private.remote)
        return self._branches(problem) if isinstance(problem, BranchMissing) else problem

    def _branches(self, problem: BranchMissing) -> BranchMissing:
        """Name the branches there are, where ours is not."""
        try:
            listing = self._private.once("ls-remote", "--heads", "origin")[0]
        except GitFailed:
            return problem
        names = [
            line.partition("refs/heads/")[2]
            for line in listing.decode(errors="replace").split("\n")
        ]
        shown = neutral(", ".join(filter(None, names[:10])))
        return BranchMissing(
            f"The repository has no branch {self.branch} ({self.url}).",
            why=f"Its branches: {shown}." if shown else "It shows no branch at all.",
            todo="Check --branch." if shown else "Check --repo: is it a git server's address?",
        )


def _committed(content: bytes) -> int:
    line = next(line for line in content.split(b"\n") if line.startswith(b"committer "))
    return int(line.split()[-2])
