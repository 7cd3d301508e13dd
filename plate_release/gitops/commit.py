"""A commit made with plumbing: one `git fast-import`, no index, no working tree, no conversions."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from plate_release.gitops.git import Git

_REF = "refs/plate/new"


@dataclass(frozen=True, slots=True)
class Author:
    """Who a commit is by."""

    name: str
    email: str

    @property
    def identity(self) -> str:
        """`Name <email>`, with nothing in it that could end it early."""
        name, email = (_plain(part) for part in (self.name, self.email))
        return f"{name or 'plate-release'} <{email or 'plate-release@localhost'}>"


@dataclass(frozen=True, slots=True)
class Signing:
    """How commits are signed: `gpg.format` and `user.signingKey` as git has them."""

    form: str = "openpgp"
    key: str = ""

    @classmethod
    def configured(cls, settings: tuple[tuple[str, str], ...]) -> Self | None:
        """Return the signing that git's configuration asks for, if it does."""
        known = {key.lower(): value for key, value in settings}
        if known.get("commit.gpgsign", "").lower() not in ("true", "yes", "on", "1"):
            return None
        return cls(known.get("gpg.format", "openpgp"), known.get("user.signingkey", ""))


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit to be: upon `parent` (None: the first), `files` as mode and content (None: gone)."""

    parent: str | None
    files: Mapping[str, tuple[int, bytes | None]]
    message: str
    author: Author
    at: int


@dataclass(frozen=True, slots=True)
class Blob:
    """One path in which two commits differ."""

    path: str
    old_mode: int
    new_mode: int
    new: str


def write(git: Git, draft: Draft) -> str:
    """Write the commit and return its id. Raises GitFailed."""
    stream = b"".join(_stream(draft))
    answer = git.run("fast-import", "--quiet", "--force", "--done", stdin=stream)
    return answer.decode().strip()


def sign(git: Git, commit: str, draft: Draft, signing: Signing) -> str:
    """Write the same commit again, signed, and return its id. Raises GitFailed."""
    name, _, email = draft.author.identity.rstrip(">").partition(" <")
    who = {"NAME": name, "EMAIL": email, "DATE": f"{draft.at} +0000"}
    roles = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
    parent = ("-p", draft.parent) if draft.parent else ()
    command = ("-c", f"gpg.format={signing.form}", "commit-tree", f"-S{signing.key}", *parent)
    message = draft.message.encode()
    return git.run(*command, f"{commit}^{{tree}}", stdin=message, extra=roles).decode().strip()


def changed(git: Git, parent: str, commit: str) -> set[Blob]:
    """Return every path in which `commit` differs from `parent`, whatever it is."""
    raw = git.run("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", parent, commit)
    fields = raw.decode(errors="surrogateescape").split("\0")
    found = set()
    for meta, path in zip(fields[::2], fields[1::2], strict=False):
        old_mode, new_mode, _, new, _ = meta.removeprefix(":").split()
        found.add(Blob(path, int(old_mode, 8), int(new_mode, 8), new))
    return found


def blob_id(content: bytes) -> str:
    """Return the id that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


def _stream(draft: Draft) -> Iterator[bytes]:
    who = f"{draft.author.identity} {draft.at} +0000".encode()
    message = draft.message.encode()
    yield b"feature done\ncommit %b\nmark :1\n" % _REF.encode()
    yield b"author %b\ncommitter %b\ndata %d\n%b\n" % (who, who, len(message), message)
    yield b"from %b\n" % draft.parent.encode() if draft.parent else b""
    for path, (mode, content) in draft.files.items():
        name = _quoted(path)
        if content is None:
            yield b"D %b\n" % name
        else:
            yield b"M %o inline %b\ndata %d\n%b\n" % (mode, name, len(content), content)
    yield b"get-mark :1\ndone\n"


def _quoted(path: str) -> bytes:
    raw = path.encode(errors="surrogateescape")
    return b'"%b"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")


def _plain(text: str) -> str:
    kept = "".join(" " if c in "<>" or not c.isprintable() else c for c in text)
    return " ".join(kept.split()).strip(" .,:;\"'")
