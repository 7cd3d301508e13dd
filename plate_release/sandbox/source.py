"""Argo CD's repository server, first half: revisions and files, asked of git itself."""

import asyncio
import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from plate_release.sandbox.clock import Clock

SHA = re.compile(r"[0-9a-f]{40}")
LS_COST, FETCH_COST = 0.02, 0.1
ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


class SourceError(Exception):
    """A revision or a file that could not be had; the text is what Argo CD would show."""


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """What Argo CD tells of a commit."""

    author: str
    date: str
    message: str
    tags: tuple[str, ...]


async def run(*argv: str, cwd: Path | None = None) -> tuple[int, str, str]:
    """Run a program; return its status and what it wrote."""
    if shutil.which(argv[0]) is None:
        return 127, "", f'exec: "{argv[0]}": executable file not found in $PATH'
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env=os.environ | ENVIRONMENT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


class Repositories:
    """Bare mirrors of the repositories that Applications name."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._trees: dict[tuple[str, str], Path] = {}
        self._asked: dict[str, asyncio.Task[dict[str, str]]] = {}
        self._next: dict[str, asyncio.Task[dict[str, str]]] = {}

    async def resolve(self, url: str, revision: str) -> str:
        """Return the commit that a branch, a tag, HEAD or a commit means now."""
        if SHA.fullmatch(revision):
            return revision
        refs = await self._refs(url)
        name = revision or "HEAD"
        for candidate in (
            name,
            f"refs/tags/{name}^{{}}",
            f"refs/heads/{name}",
            f"refs/tags/{name}",
        ):
            if candidate in refs:
                return refs[candidate]
        raise SourceError(
            f"rpc error: code = Unknown desc = unable to resolve '{name}' to a commit SHA"
        )

    async def files(self, url: str, commit: str) -> Path:
        """Return a folder with all files of a commit."""
        async with self._lock(url):
            if (url, commit) not in self._trees:
                found = self._checked_out(url, commit)
                self._trees[url, commit] = await self._clock.outside(found, FETCH_COST)
        return self._trees[url, commit]

    async def _checked_out(self, url: str, commit: str) -> Path:
        mirror = self._mirror(url)
        await self._fetch(url, mirror, commit)
        tree = (await self._git(mirror, "rev-parse", f"{commit}^{{tree}}")).strip()
        target = self._folder / "trees" / tree
        if _prepared(target):
            await self._export(mirror, commit, target)
        return target

    async def info(self, url: str, commit: str) -> CommitInfo:
        """Return what git knows of a commit."""
        await self.files(url, commit)
        mirror = self._mirror(url)
        text = await self._git(mirror, "show", "-s", "--format=%an <%ae>%x00%cI%x00%B", commit)
        author, date, message = text.split("\0")
        tags = (await self._git(mirror, "tag", "--points-at", commit)).split()
        return CommitInfo(author, date.strip(), message.strip(), tuple(tags))

    async def _refs(self, url: str) -> dict[str, str]:
        """Ask for the refs; whoever comes while that goes on shares the *next* question."""
        running = self._asked.get(url)
        if running is None or running.done():
            task = asyncio.create_task(self._list_refs(url))
            self._asked[url] = task
            return await asyncio.shield(task)
        following = self._next.get(url)
        if following is None or following.done():
            following = asyncio.create_task(self._after(running, url))
            self._next[url] = following
        return await asyncio.shield(following)

    async def _after(self, running: "asyncio.Task[dict[str, str]]", url: str) -> dict[str, str]:
        await asyncio.wait([running])
        self._next.pop(url, None)
        task = asyncio.create_task(self._list_refs(url))
        self._asked[url] = task
        return await task

    async def _list_refs(self, url: str) -> dict[str, str]:
        code, out, err = await self._clock.outside(run("git", "ls-remote", "--", url), LS_COST)
        if code:
            raise SourceError(f"rpc error: code = Unknown desc = {_listing_failed(url, err)}")
        lines = (line.split("\t", 1) for line in out.splitlines())
        return {name: commit for commit, name in lines}

    async def _fetch(self, url: str, mirror: Path, commit: str) -> None:
        if _prepared(mirror):
            await run("git", "init", "-q", "--bare", str(mirror))
        code, _, _ = await run("git", "-C", str(mirror), "cat-file", "-e", f"{commit}^{{commit}}")
        if code == 0:
            return
        both = "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"
        fetch = "git", "-C", str(mirror), "fetch", "-q", "--prune", "--", url, *both
        code, _, err = await run(*fetch)
        if code:
            raise SourceError(f"rpc error: code = Unknown desc = {_listing_failed(url, err)}")
        code, _, _ = await run("git", "-C", str(mirror), "cat-file", "-e", f"{commit}^{{commit}}")
        if code:
            code, _, err = await run("git", "-C", str(mirror), "fetch", "-q", "--", url, commit)
        if code:
            raise SourceError(
                f"rpc error: code = Internal desc = Failed to checkout revision {commit}: "
                f"`git fetch origin {commit} --tags --force --prune` failed exit status 128: "
                f"{err.strip().rpartition(chr(10))[2]}"
            )

    async def _export(self, mirror: Path, commit: str, target: Path) -> None:
        with TemporaryDirectory(dir=self._folder) as scratch:
            new, index = Path(scratch, "tree"), Path(scratch, "index")
            _prepared(new / "in")
            work = ["git", f"--git-dir={mirror}", f"--work-tree={new}"]
            await self._checked([*work, "read-tree", f"--index-output={index}", commit])
            await self._checked(["env", f"GIT_INDEX_FILE={index}", *work, "checkout-index", "-aq"])
            if _prepared(target):
                shutil.move(new, target)

    async def _checked(self, argv: list[str]) -> str:
        code, out, err = await run(*argv)
        if code:
            raise SourceError(f"rpc error: code = Unknown desc = {err.strip()}")
        return out

    async def _git(self, mirror: Path, *args: str) -> str:
        return await self._checked(["git", "-C", str(mirror), *args])

    def _mirror(self, url: str) -> Path:
        return self._folder / "mirrors" / hashlib.sha256(url.encode()).hexdigest()[:16]

    def _lock(self, url: str) -> asyncio.Lock:
        return self._locks.setdefault(url, asyncio.Lock())


def _prepared(path: Path) -> bool:
    """Make the folder for a path; tell whether the path itself is still missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return not path.exists()


def _listing_failed(url: str, err: str) -> str:
    """Say a git failure as Argo CD's own git client says it."""
    reached = re.search(r"(?:connect to|connect to host) (\S+?) (?:port )?(\d+)", err)
    if "Connection refused" in err or "Failed to connect" in err or "Couldn't connect" in err:
        where = f"{reached[1]}:{reached[2]}" if reached else url
        return (
            f'failed to list refs: Get "{url}/info/refs?service=git-upload-pack": '
            f"dial tcp {where}: connect: connection refused"
        )
    return f"failed to list refs: {err.strip()}"
