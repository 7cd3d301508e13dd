"""Objects of the private repository, read through one long-lived `git cat-file --batch`."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from threading import Lock
from typing import IO, Self, cast

from plate_release.errors import PlanRefused, RepositoryUnavailable
from plate_release.gitops.git import Git, ended
from plate_release.model import EntryKind

_KINDS = {
    0o040000: EntryKind.DIRECTORY,
    0o120000: EntryKind.SYMLINK,
    0o160000: EntryKind.SUBMODULE,
}
# So many questions fit into a pipe's buffer: writing them all first cannot block.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One name of a git tree: its mode and object."""

    mode: int
    oid: str

    @property
    def kind(self) -> EntryKind:
        """What the name stands for."""
        executable = EntryKind.EXECUTABLE if self.mode & 0o100 else EntryKind.FILE
        return _KINDS.get(self.mode, executable)


class Objects(AbstractContextManager["Objects"]):
    """Reads what is in the repository; what is not there is None, never fetched.

    Several threads may ask.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = Lock()
        self._stack = ExitStack()
        self._open: tuple[IO[bytes], IO[bytes]] | None = None
        self._trees: dict[str, dict[str, TreeEntry]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def get(self, name: str) -> tuple[str, bytes] | None:
        """Return the object's id and content, by its id or a ref's name."""
        return next(iter(self.get_many([name])))

    def get_many(self, names: list[str]) -> Iterator[tuple[str, bytes] | None]:
        """Yield what `get` returns for each name."""
        for start in range(0, len(names), _AT_ONCE):
            # The whole batch is read before anything is yielded: a caller may ask again meanwhile.
            yield from self._answers(names[start : start + _AT_ONCE])

    def _answers(self, names: list[str]) -> list[tuple[str, bytes] | None]:
        with self._lock:
            stdin, stdout = self._pipes()
            with suppress(BrokenPipeError):
                stdin.write("".join(f"{name}\n" for name in names).encode())
                stdin.flush()
            return [_answer(stdout) for _ in names]

    def tree(self, oid: str) -> dict[str, TreeEntry]:
        """Return the names in a tree object, in its order."""
        if oid not in self._trees:
            found = self.get(oid)
            if found is None:
                raise PlanRefused(
                    f"The repository lacks its tree {oid}.", todo="Run `git fsck` there."
                )
            self._trees[oid] = dict(_tree_entries(found[1]))
        return self._trees[oid]

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        # Started late: a repository that cannot be fetched needs none.
        if self._open is None:
            process = self._git.start("cat-file", "--batch")
            self._stack.enter_context(ended(process))
            self._open = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        return self._open


def _answer(stdout: IO[bytes]) -> tuple[str, bytes] | None:
    line = stdout.readline()
    if not line:
        raise RepositoryUnavailable(
            "git stopped answering questions about the repository.",
            why="Its process was ended, perhaps for want of memory.",
            todo="Run the same command again.",
        )
    header = line.split()
    if len(header) != 3 or not header[2].isdigit():  # noqa: PLR2004
        # "NAME missing"
        return None
    content = stdout.read(int(header[2]) + 1)
    return header[0].decode(), content[:-1]


def _tree_entries(data: bytes) -> Iterable[tuple[str, TreeEntry]]:
    position = 0
    while position < len(data):
        end = data.index(b"\0", position)
        mode, _, name = data[position:end].partition(b" ")
        if name in (b"", b".", b"..") or b"/" in name or name.lower() == b".git":
            # git itself makes no such tree; it would lead out of the folder it is exported to.
            raise PlanRefused(f"A folder of the repository holds the forbidden name {name!r}.")
        position = end + 21
        yield (
            name.decode(errors="surrogateescape"),
            TreeEntry(int(mode, 8), data[end + 1 : position].hex()),
        )
