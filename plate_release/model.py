"""The frozen values that pass between the parts.

Paths are POSIX, relative to the repository's root. Times are seconds; a commit is 40 hex digits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

Level = Literal["error", "warning", "info"]
Policy = Literal["revert", "hold"]
ImageCheck = Literal["require", "warn", "off"]
Switch = Literal["on", "off"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should know; `code` is a stable slug."""

    level: Level
    code: str
    message: str


class Check(StrEnum):
    """The code of a finding whose level the configuration may set."""

    APPLICATION_SET = "application-set"
    DEPRECATED_API = "deprecated-api"
    DIGEST_DROPPED = "digest-dropped"
    HELM_LINT = "helm-lint"
    IMAGE = "image"
    IMAGE_DIGEST = "image-digest"
    IMAGE_LEFT_BEHIND = "image-left-behind"
    IMAGE_PLATFORM = "image-platform"
    IMAGE_UNCHECKED = "image-unchecked"
    IMMUTABLE_FIELD = "immutable-field"
    INVALID_ANNOTATION = "invalid-annotation"
    INVALID_LABEL = "invalid-label"
    KUBERNETES_SCHEMA = "kubernetes-schema"
    KUBERNETES_SCHEMA_UNKNOWN = "kubernetes-schema-unknown"
    MUTABLE_IMAGE = "mutable-image"
    MUTABLE_TAG = "mutable-tag"
    NO_PROBES = "no-probes"
    NO_RESOURCES = "no-resources"
    PRERELEASE = "prerelease"
    REMOVED_API = "removed-api"
    SEVERAL_IMAGES = "several-images"
    SHARED_VALUES = "shared-values"
    TAG_DIGEST = "tag-digest"
    TAG_NOT_COMPARED = "tag-not-compared"
    UNKNOWN_SERVICE = "unknown-service"
    UNSTABLE_RENDERING = "unstable-rendering"


class Judgement(StrEnum):
    """What a watch can conclude."""

    LIVE = "live"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    BLOCKED = "blocked"
    UNSETTLED = "unsettled"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How a run ended; the ledger's `state` is `watching` or one of these."""

    PLANNED = "planned"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    RELEASED = "released"
    ROLLED_BACK = "rolled-back"
    ROLLBACK_UNVERIFIED = "rollback-unverified"
    ROLLBACK_IMPOSSIBLE = "rollback-impossible"
    SUPERSEDED = "superseded"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    HELD = "held"
    INTERRUPTED = "interrupted"
    UNWATCHED = "unwatched"


@dataclass(frozen=True, slots=True)
class Ask:
    """One SERVICE=TAG[@DIGEST] of a request; `digest` is `sha256:...`."""

    service: str
    tag: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """One scalar that changes: `key` as written by the user, `line` from 1."""

    file: str
    key: str
    line: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference split into its parts; at least one of tag and digest as a rule."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image as its registry has it.

    `platforms` has the digest of each platform's manifest, such as of `linux/arm64/v8`; it is empty
    where that is not known. `created` is in ISO 8601.
    """

    digest: str
    platforms: Mapping[str, str]
    created: str | None

    @property
    def digests(self) -> frozenset[str]:
        """Every digest that a node may say it runs."""
        return frozenset((self.digest, *self.platforms.values()))


class EntryKind(StrEnum):
    """What a path of a git tree is."""

    FILE = "file"
    EXECUTABLE = "executable"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    DIRECTORY = "directory"


class Tree(Protocol):
    """A read-only view of the repository at one commit."""

    @property
    def repository(self) -> str:
        """The URL or path it was fetched from, without credentials."""
        ...

    @property
    def commit(self) -> str:
        """The commit it shows."""
        ...

    def entries(self, folder: str = "", *, follow: bool = False) -> Iterator[tuple[str, EntryKind]]:
        """Every path below `folder`, recursively, directories left out, with what it is.

        follow: links to other folders are entered too.
        """
        ...

    def read(self, path: str) -> bytes:
        """Return the blob at `path`, symlinks inside the repository followed.

        Raises FileNotFoundError where there is none, IsADirectoryError, and PlanRefused where a
        symlink leaves the repository.
        """
        ...

    def read_many(self, paths: list[str]) -> Mapping[str, bytes]:
        """Return those of `paths` that are files of the repository, in one round trip."""
        ...

    def real(self, path: str) -> str:
        """Return the path that `path` leads to, `path` itself where nothing is there."""
        ...

    def export(self, folder: str, into: Path) -> None:
        """Write `folder` below `into` (as `into/folder/...`), with what its symlinks lead to."""
        ...


class Clock(Protocol):
    """Time as something that is handed in."""

    def now(self) -> float:
        """Return seconds that never go back."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait; may return early where the process was asked to stop."""
        ...


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that never shows itself in a repr or a format."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "***"
