"""The GitOps repository as a release needs it: views, commits, pushes, ancestry.

It is seen through a private bare repository, one commit deep and without blobs; what a question
needs is fetched when it is asked. Nobody's working tree is touched.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from plate_release.errors import PushRefused
from plate_release.gitops.commit import Author, Blob, Draft, blob_id, changed, sign, write
from plate_release.gitops.git import GitFailed
from plate_release.gitops.lineage import Change, Lineage, Story
from plate_release.gitops.objects import Objects
from plate_release.gitops.private import Patience, Private, folder_for
from plate_release.gitops.remote import Credentials, Remote
from plate_release.gitops.store import LEDGER, LEDGER_HERE, Store
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Clock, EntryKind, Finding


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """One compare-and-swap: `ref` goes from `old` (None: it must not exist) to `new`."""

    ref: str
    old: str | None
    new: str


class Repository:
    """One branch of a GitOps repository: `with Repository.open(...) as repository`.

    Every method that asks the server may raise RepositoryUnavailable.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._lineage = store, Lineage(store)

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
                yield cls(Store(branch, private, objects))

    @property
    def url(self) -> str:
        """The address, without credentials."""
        return self._store.url

    @property
    def branch(self) -> str:
        """The branch's name."""
        return self._store.branch

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be known of the server."""
        return self._store.findings

    def head(self) -> RepositoryTree:
        """Fetch the branch's tip, and the ledger with it, and return its view.

        What was committed since the first call comes with its history, so that `contains` and
        `last_change` can be answered.
        """
        return self._store.view(*self._lineage.tip())

    def tree(self, commit: str) -> RepositoryTree:
        """Return the view of any commit of the repository."""
        return self._store.view(*self._lineage.get(commit))

    def at(self, revision: str) -> RepositoryTree:
        """Return the view of what a targetRevision names: a branch, a tag, a commit, or HEAD.

        Raises RepositoryUnavailable where there is no such thing.
        """
        return self._store.view(*self._lineage.named(revision))

    def story(self, commit: str) -> Story:
        """Return what a commit says, and upon what it was made."""
        return self._lineage.story(commit)

    def ledger(self) -> RepositoryTree | None:
        """Return the view of the ledger as the last `head()` found it, if there was one."""
        tip = self._store.get(LEDGER_HERE)
        return self._store.view(*tip) if tip else None

    def read_at(self, commit: str, path: str) -> bytes | None:
        """Return the file as `commit` has it, or None where it has none."""
        return self.tree(commit).read_many([path]).get(path)

    def contains(self, descendant: str, ancestor: str) -> bool | None:
        """Say whether `ancestor` is `descendant` or one of its ancestors; None: nobody knows."""
        return self._lineage.contains(descendant, ancestor)

    def landed(self, commit: str) -> bool | None:
        """Ask the server whether `commit` is on the branch now."""
        return self.contains(self.head().commit, commit)

    def last_change(self, path: str, since: str, until: str) -> Change | None:
        """Return the newest commit after `since`, up to `until`, that touched `path`."""
        return self._lineage.last_change(path, since, until)

    def commit(
        self, base: RepositoryTree, files: Mapping[str, bytes], message: str, author: Author
    ) -> str:
        """Write a commit upon `base` that gives `files` new contents, and return its id.

        Nothing is pushed. A path that is a symlink changes the file it leads to. Raises
        FileNotFoundError for a path that is no file, and PushRefused where the commit would
        differ from its parent in anything else.
        """
        planned, expected = {}, set()
        for path, content in files.items():
            place = base.locate(path)
            if place is None or place.entry.kind not in (EntryKind.FILE, EntryKind.EXECUTABLE):
                raise FileNotFoundError(f"{path} is no file of {self.url}")
            mode, new = place.entry.mode, blob_id(content)
            planned[place.path] = (mode, content)
            if new != place.entry.oid:
                expected.add(Blob(place.path, mode, mode, new))
        draft = Draft(base.commit, planned, message, author, self._now())
        try:
            sha = write(self._store.git, draft)
            if signing := self._store.private.signing:
                sha = sign(self._store.git, sha, draft, signing)
            differs = changed(self._store.git, base.commit, sha) != expected
        except GitFailed as failed:
            self._store.fail(failed)
        if differs:
            raise PushRefused("The release commit would change more than was planned.")
        self._store.keep(blob.new for blob in expected)
        return sha

    def note(self, files: Mapping[str, bytes | None], message: str, author: Author) -> RefUpdate:
        """Write a commit upon the ledger with `files` set (None: removed); nothing is pushed."""
        tip = self.ledger()
        old = tip.commit if tip else None
        planned = {path: (0o100644, content) for path, content in files.items()}
        try:
            sha = write(self._store.git, Draft(old, planned, message, author, self._now()))
        except GitFailed as failed:
            self._store.fail(failed)
        self._store.keep(blob_id(content) for content in files.values() if content is not None)
        return RefUpdate(LEDGER, old, sha)

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
        atomic = ["--atomic"] if len(updates) > 1 else []
        how = ("--porcelain", "--no-verify", *atomic)
        try:
            self._store.private.push(*how, *leases, "origin", *refspecs)
        except GitFailed as failed:
            self._store.fail(failed)

    def _now(self) -> int:
        return int(self._store.private.clock.wall())
