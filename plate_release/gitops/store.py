"""What of the repository is here, and how more of it comes."""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import NoReturn

from plate_release.errors import RepositoryUnavailable
from plate_release.gitops.git import Git, GitFailed
from plate_release.gitops.objects import Objects
from plate_release.gitops.private import Private
from plate_release.gitops.refusals import BranchMissing, explain, neutral
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Finding

LEDGER = "refs/notes/plate-release"
LEDGER_HERE = "refs/plate/notes"
_NO_FILTER = Finding(
    "info",
    "no-partial-clone",
    "The git server does not send single files: all files of the commit are fetched.",
)


class Store:
    """The private repository's objects; blobs are fetched when they are asked for."""

    def __init__(self, branch: str, private: Private, objects: Objects) -> None:
        self.branch, self.private = branch, private
        self._filters = True  # the server sends single files
        self._objects = objects
        self._here: set[str] = set()
        self._fetching = Lock()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be known of the server."""
        return () if self._filters else (_NO_FILTER,)

    @property
    def git(self) -> Git:
        """Git, in the private repository."""
        return self.private.git

    @property
    def url(self) -> str:
        """The repository's address, without credentials."""
        return self.private.remote.url

    def get(self, name: str) -> tuple[str, bytes] | None:
        """Return an object that is here, by its id or a ref's name: its id and content."""
        return self._objects.get(name)

    def view(self, commit: str, content: bytes) -> RepositoryTree:
        """Return the view of a commit that is here."""
        root = content[5:45].decode()
        return RepositoryTree(self.url, commit, root, self._objects, self.blobs)

    def blobs(self, oids: Iterable[str]) -> Mapping[str, bytes]:
        """Return blobs' contents by id; those that are not here come in one fetch."""
        wanted = list(dict.fromkeys(oids))
        with self._fetching:
            missing = [oid for oid in wanted if oid not in self._here]
            if missing and self._filters:
                self._fetch_blobs(missing)
            self.keep(missing)
        found = dict(zip(wanted, self._objects.get_many(wanted), strict=True))
        return {oid: self._content(oid, blob) for oid, blob in found.items()}

    def _content(self, oid: str, found: tuple[str, bytes] | None) -> bytes:
        if found is None:
            raise RepositoryUnavailable(
                f"The repository lacks its file {oid} ({self.url}).", todo="Run `git fsck` there."
            )
        return found[1]

    def keep(self, oids: Iterable[str]) -> None:
        """Note blobs that are here, so that they are not fetched."""
        self._here.update(oids)

    def local(self, *arguments: str) -> str:
        """Run git on what is here and return what it prints."""
        try:
            return self.git.run(*arguments).decode(errors="replace").rstrip("\n")
        except GitFailed as failed:
            self.fail(failed)

    def fetch(self, *arguments: str, afresh: bool = False) -> None:
        """Fetch; `arguments` are options, then what to fetch. Raises RepositoryUnavailable."""
        try:
            self.ask(*arguments, afresh=afresh)
        except GitFailed as failed:
            self.fail(failed)

    def ask(self, *arguments: str, stdin: bytes = b"", afresh: bool = False) -> None:
        """Fetch as `fetch` does, but raise GitFailed.

        afresh: whether the server is not told of the commits that are here. It would think that
        their files are here too.
        """
        options = [argument for argument in arguments if argument.startswith("--")]
        names = [argument for argument in arguments if not argument.startswith("--")]
        mode = ("-c", "fetch.negotiationAlgorithm=noop") if afresh else ()
        some = "--filter=blob:none" if self._filters else "--no-filter"
        fixed = ("fetch", "--no-write-fetch-head", "--no-auto-gc", some)
        remarks = self.private.ask(*mode, *fixed, *options, "origin", *names, stdin=stdin)
        if "filtering not recognized" in remarks:
            self._filters = False

    def _fetch_blobs(self, oids: list[str]) -> None:
        names = "".join(f"{oid}\n" for oid in oids).encode()
        try:
            self.ask("--stdin", stdin=names, afresh=True)
        except GitFailed as failed:
            if "unadvertised object" not in failed.complaint:
                self.fail(failed)
            # Without protocol 2 (a proxy may drop it) objects cannot be asked for by name.
            self._filters = False
            self.fetch(
                "--depth=1", f"refs/heads/{self.branch}", f"{LEDGER}*:{LEDGER_HERE}*", afresh=True
            )

    def fail(self, failed: GitFailed) -> NoReturn:
        """Raise what git's failure means."""
        problem = explain(failed, self.private.remote)
        raise (
            self._branches(problem) if isinstance(problem, BranchMissing) else problem
        ) from failed

    def _branches(self, problem: BranchMissing) -> BranchMissing:
        """Name the branches there are, where ours is not."""
        try:
            listing = self.private.once("ls-remote", "--heads", "origin")[0]
        except GitFailed:
            return problem
        lines = listing.decode(errors="replace").splitlines()
        shown = neutral(", ".join(line.partition("refs/heads/")[2] for line in lines[:10]))
        return BranchMissing(
            f"The repository has no branch {self.branch} ({self.url}).",
            why=f"Its branches: {shown}." if shown else "It shows no branch: it may be empty.",
            todo="Check --branch." if shown else "Check --repo: is it a git server's address?",
        )
