"""The ledger: outcomes of releases as git notes in `refs/notes/plate-release`.

Beside the notes, a folder `unsettled/` names the releases that are still watched, so that a run
need not read thousands of notes to find them. git keeps such a folder when it edits notes.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from random import Random

from plate_release.errors import PushRefused
from plate_release.gitops.backoff import attempts
from plate_release.gitops.commit import Author
from plate_release.gitops.entry import Entry, Recorded, read, settle, write
from plate_release.gitops.refusals import Moved, Unanswered
from plate_release.gitops.repository import RefUpdate, Repository
from plate_release.gitops.tree import RepositoryTree
from plate_release.model import Clock, EntryKind, Outcome

_UNSETTLED = "unsettled"
_README = f"{_UNSETTLED}/README"
_ABOUT = b"Each other file here names a release that is still watched, as its note says.\n"
_HEX = frozenset("0123456789abcdef")
_SHA = 40


class Ledger:
    """The ledger of one repository, as the repository's last `head()` found it.

    environment: releases of another one are not seen; None sees them all.
    """

    def __init__(
        self, repository: Repository, author: Author, environment: str | None = None
    ) -> None:
        self._repository, self._author, self._environment = repository, author, environment

    def entries(self) -> tuple[Recorded, ...]:
        """Return every release, newest first; a note that is not ours is passed over."""
        tree = self._repository.ledger()
        found = _parsed(tree, _notes(tree)) if tree else ()
        return _newest_first(r for r in found if self._is_here(r))

    def get(self, commit: str) -> Entry | None:
        """Return what is known of one release commit."""
        return self._note(commit)[1]

    def unsettled(self, services: Collection[str] | None = None) -> tuple[Recorded, ...]:
        """Return the releases that are still watched, newest first; of `services`, or of all."""
        tree = self._repository.ledger()
        if tree is None:
            return ()
        listed = dict(tree.entries(_UNSETTLED))
        if _README in listed:
            prefix = f"{_UNSETTLED}/"
            paths = {p.removeprefix(prefix): p for p in listed if p != _README}
        else:
            # Somebody rewrote the ledger with other tools: the notes themselves still know.
            paths = _notes(tree)
        found = _parsed(tree, paths)
        return _newest_first(
            r
            for r in found
            if self._is_here(r)
            and not r.entry.settled
            and (services is None or r.entry.names() & set(services))
        )

    def _is_here(self, recorded: Recorded) -> bool:
        return self._environment in (None, recorded.entry.environment)

    def revert_of(self, commit: str) -> Recorded | None:
        """Return the release that took a commit back, if there was one."""
        return next((r for r in self.entries() if r.entry.reverts == commit), None)

    def record(self, commit: str, entry: Entry) -> RefUpdate:
        """Write `entry` as the note of `commit` upon the ledger, for a push of ours to carry.

        Whatever else stands in that note is kept.
        """
        path, _, foreign = self._note(commit)
        note = write(entry, foreign)
        index = None if entry.settled else note
        files: dict[str, bytes | None] = {path: note, f"{_UNSETTLED}/{commit}": index}
        files[_README] = _ABOUT
        message = f"Note {commit[:12]}: {entry.state}\n"
        return self._repository.note(files, message, self._author)

    def update(
        self,
        commit: str,
        change: Callable[[Entry | None], Entry],
        *,
        seconds: float,
        clock: Clock,
        rng: Random,
    ) -> Entry:
        """Write what `change` makes of the entry of `commit`, and return what stands there then.

        A settled entry stays as it is. Raises PushRefused as `compare_and_swap` does.
        """
        obstacle: Exception | None = None
        for _ in attempts(clock, seconds, rng):
            try:
                self._repository.head()
                current = self.get(commit)
                proposed = settle(current, change(current))
                if proposed is None:
                    assert current is not None  # noqa: S101
                    return current
                self._repository.push(self.record(commit, proposed))
            except (Moved, Unanswered) as error:
                obstacle = error
            else:
                return proposed
        raise PushRefused(
            f"The outcome of {commit[:12]} could not be written to the ledger.",
            why=str(obstacle),
            todo="Run `plate-release settle`.",
        )

    def _note(self, commit: str) -> tuple[str, Entry | None, str]:
        """Return where the note of `commit` is or will be, our entry, and the rest of it."""
        tree = self._repository.ledger()
        for path in _fan_outs(commit) if tree else ():
            if found := tree.read_many([path]) if tree and tree.locate(path) else None:
                return path, *read(found[path])
        return f"{commit[:2]}/{commit[2:]}", None, ""


def last_good(entries: Collection[Recorded], service: str) -> str | None:
    """Return the newest tag of `service` among `entries`, newest first, that was verified.

    A revert is a release too: what it went back to is good if its own entry says so.
    """
    verified = (
        one.after
        for recorded in entries
        if recorded.entry.state is Outcome.RELEASED
        for one in recorded.entry.services
        if one.name == service
    )
    return next(verified, None)


def _fan_outs(commit: str) -> tuple[str, ...]:
    """Return where git may keep a note, whichever way it has fanned them out."""
    return tuple(
        "/".join([commit[i : i + 2] for i in range(0, 2 * depth, 2)] + [commit[2 * depth :]])
        for depth in (1, 0, 2, 3)
    )


def _notes(tree: RepositoryTree) -> dict[str, str]:
    """Return the path of each note by the commit it is about."""
    files = (path for path, kind in tree.entries() if kind is EntryKind.FILE)
    named = ((path.replace("/", ""), path) for path in files)
    return {name: path for name, path in named if len(name) == _SHA and _HEX.issuperset(name)}


def _parsed(tree: RepositoryTree, paths: Mapping[str, str]) -> Iterator[Recorded]:
    contents = tree.read_many(list(paths.values()))
    for commit, path in paths.items():
        entry = read(contents[path])[0] if path in contents else None
        if entry is not None:
            yield Recorded(commit, entry)


def _newest_first(found: Iterator[Recorded]) -> tuple[Recorded, ...]:
    return tuple(sorted(found, key=lambda r: (r.entry.started, r.commit), reverse=True))
