"""The repository at one commit, read object by object: `plate_release.model.Tree` over git."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from plate_release.errors import PlanRefused
from plate_release.gitops.objects import Objects, TreeEntry
from plate_release.gitops.refusals import no_room
from plate_release.model import EntryKind

# As Linux: so many links in one path are a loop.
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Located:
    """Where a path leads once its symlinks are followed."""

    path: str
    entry: TreeEntry


@dataclass(frozen=True, slots=True)
class RepositoryTree:
    """A read-only view of the repository at one commit.

    repository: its address, without credentials. root: the commit's tree object.
    blobs: gives objects' contents by id, fetching in one round trip those that are missing.
    """

    repository: str
    commit: str
    root: str
    objects: Objects = field(repr=False)
    blobs: Callable[[Iterable[str]], Mapping[str, bytes]] = field(repr=False)

    def entries(self, folder: str = "", *, follow: bool = False) -> Iterator[tuple[str, EntryKind]]:
        """Every path below `folder`, recursively, directories left out, with what it is.

        follow: links to other folders are entered too, but for one that it is already in.
        """
        yield from self._entries(folder, (self.real(folder),) if follow else None)

    def _entries(
        self, folder: str, entered: tuple[str, ...] | None
    ) -> Iterator[tuple[str, EntryKind]]:
        for path, entry in self._walk(folder):
            yield path, entry.kind
            if entered is not None and entry.kind is EntryKind.SYMLINK:
                yield from self._linked(path, entered)

    def _linked(self, path: str, entered: tuple[str, ...]) -> Iterator[tuple[str, EntryKind]]:
        try:
            place = self._directory(path)
        except PlanRefused:
            return
        if place and not any(_is_below(folder, place.path) for folder in entered):
            yield from self._entries(path, (*entered, place.path))

    def read(self, path: str) -> bytes:
        """Return the blob at `path`, symlinks inside the repository followed.

        Raises FileNotFoundError, IsADirectoryError (a submodule is one too), and PlanRefused where
        a symlink leaves the repository or leads in a circle.
        """
        place = self.locate(path)
        if place is None:
            raise FileNotFoundError(f"{path} is not in {self.repository} at {self.commit[:12]}")
        if place.entry.kind in (EntryKind.DIRECTORY, EntryKind.SUBMODULE):
            raise IsADirectoryError(f"{path} is a {place.entry.kind} of {self.repository}")
        return self._blob(place.entry)

    def read_many(self, paths: list[str]) -> Mapping[str, bytes]:
        """Return those of `paths` that are files, in one round trip.

        One that leads out of the repository, or in a circle, is none.
        """
        found: dict[str, TreeEntry] = {}
        for path in paths:
            with suppress(PlanRefused):
                if place := self.locate(path):
                    found[path] = place.entry
        files = {
            path: entry.oid
            for path, entry in found.items()
            if entry.kind in (EntryKind.FILE, EntryKind.EXECUTABLE)
        }
        contents = self.blobs(files.values())
        return {path: contents[oid] for path, oid in files.items()}

    def locate(self, path: str) -> Located | None:
        """Return where `path` leads, symlinks followed, or None where nothing is.

        Raises PlanRefused where it leaves the repository or leads in a circle.
        """
        trail, left, links = [TreeEntry(0o040000, self.root)], _steps(path, path), 0
        names: list[str] = []
        while left:
            name = left.pop()
            if name == "..":
                _leave(trail, names, path)
                continue
            if trail[-1].kind is not EntryKind.DIRECTORY:
                return None
            entry = self.objects.tree(trail[-1].oid).get(name)
            if entry is None:
                return None
            if entry.kind is EntryKind.SYMLINK:
                links += 1
                target = self._blob(entry).decode(errors="surrogateescape")
                left += _steps(target, path)
            else:
                trail.append(entry)
                names.append(name)
            if links > _MOST_LINKS:
                raise PlanRefused(f"The symbolic links in {path} lead in a circle.")
        return Located("/".join(names), trail[-1])

    def has(self, path: str) -> bool:
        """Whether something stands at a path inside the repository."""
        try:
            return self.locate(path) is not None
        except PlanRefused:
            return False

    def real(self, path: str) -> str:
        """Return the path that `path` leads to, `path` itself where nothing is there.

        Raises as `locate` does.
        """
        place = self.locate(path)
        return place.path if place else path

    def export(self, folder: str, into: Path) -> None:
        """Write `folder` below `into` (as `into/folder/...`).

        A symlink inside the folder stays one; one to elsewhere in the repository becomes a copy.
        Raises PlanRefused for one that leaves the repository or leads in a circle,
        FileNotFoundError where there is no such folder, RepositoryUnavailable where it cannot be
        written.
        """
        if self._directory(folder) is None:
            raise FileNotFoundError(f"{folder} is not a folder of {self.repository}")
        try:
            self._export(folder, into / folder, ())
        except OSError as error:
            raise no_room(error) from error

    def _export(self, folder: str, into: Path, above: tuple[str, ...]) -> None:
        """Write a folder as `into`; `above` are the folders whose copy it becomes a part of."""
        root = self.real(folder)
        entries = dict(self._walk(root))
        contents = self.blobs(e.oid for e in entries.values() if e.kind is not EntryKind.SUBMODULE)
        start = len(root) + 1 if root else 0
        for parent in {into / path[start:].rpartition("/")[0] for path in entries}:
            parent.mkdir(parents=True, exist_ok=True)
        for path, entry in entries.items():
            target = into / path[start:]
            match entry.kind:
                case EntryKind.SYMLINK:
                    self._export_link(path, target, into, (*above, root))
                case EntryKind.SUBMODULE:
                    target.mkdir()
                case kind:
                    target.write_bytes(contents[entry.oid])
                    if kind is EntryKind.EXECUTABLE:
                        target.chmod(0o755)

    def _export_link(self, path: str, target: Path, into: Path, roots: tuple[str, ...]) -> None:
        place = self.locate(path)
        if place is None:
            # A dangling link is left out: on disk it might lead somewhere after all.
            return
        if _is_below(place.path, roots[-1]):
            # Straight to its end: what it passes on the way may not be there.
            end = into / place.path.removeprefix(roots[-1]).lstrip("/")
            target.symlink_to(os.path.relpath(end, target.parent))
        elif place.entry.kind is EntryKind.SUBMODULE:
            target.mkdir()
        elif place.entry.kind is EntryKind.DIRECTORY:
            if any(_is_below(root, place.path) for root in roots):
                raise PlanRefused(f"The symbolic link {path} leads in a circle.")
            self._export(place.path, target, roots)
        else:
            target.write_bytes(self._blob(place.entry))

    def _directory(self, folder: str) -> Located | None:
        place = self.locate(folder)
        return place if place and place.entry.kind is EntryKind.DIRECTORY else None

    def _blob(self, entry: TreeEntry) -> bytes:
        return self.blobs([entry.oid])[entry.oid]

    def _walk(self, folder: str) -> Iterator[tuple[str, TreeEntry]]:
        place = self._directory(folder)
        if place is None:
            return
        # Paths are named as asked for, though a link may have led there.
        prefix = "/".join(reversed(_steps(folder, folder)))
        stack = [(f"{prefix}/" if prefix else "", place.entry.oid)]
        while stack:
            above, oid = stack.pop()
            for name, entry in self.objects.tree(oid).items():
                if entry.kind is EntryKind.DIRECTORY:
                    stack.append((f"{above}{name}/", entry.oid))
                else:
                    yield above + name, entry


def _steps(target: str, asked: str) -> list[str]:
    """Return the parts of a path, the first one last."""
    if PurePosixPath(target).is_absolute():
        raise PlanRefused(f"{asked} leaves the repository.", why=f"It leads to {target!r}.")
    return [part for part in reversed(target.split("/")) if part not in ("", ".")]


def _is_below(path: str, folder: str) -> bool:
    return not folder or f"{path}/".startswith(f"{folder}/")


def _leave(trail: list[TreeEntry], names: list[str], asked: str) -> None:
    if not names:
        raise PlanRefused(f"{asked} leaves the repository.")
    trail.pop()
    names.pop()
