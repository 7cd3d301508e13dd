"""What the ledger says of one release commit, and how that may change. Pure."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from plate_release.model import FoundImage, Judgement, Outcome

SCHEMA: Literal["plate-release/ledger/v1"] = "plate-release/ledger/v1"
WATCHING: Literal["watching"] = "watching"

_START = re.compile(r'\{\s*"schema":\s*"plate-release/ledger/v1"')


class _Kept(BaseModel):
    """Frozen; fields of a newer version are kept, so that an older one does not lose them."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)


class ServiceEntry(_Kept):
    """One service of a release: its tag before and after, where it stands, how it ended.

    images: what the registry had of the images that the tag decides, as far as it was asked.
    """

    name: str
    before: str
    after: str
    verdict: Judgement | None = None
    reason: str = ""
    application: str = ""
    file: str = ""
    key: str = ""
    images: dict[str, FoundImage] = {}


class Entry(_Kept):
    """One release commit's state; `by` is a person, `run` an address, `tool` a version.

    `reverts` is the commit that it takes back; a `rollback` goes back, by itself or as asked.
    """

    schema_: Literal["plate-release/ledger/v1"] = Field(default=SCHEMA, alias="schema")
    id: str
    state: Literal["watching"] | Outcome
    environment: str
    services: tuple[ServiceEntry, ...]
    started: AwareDatetime
    deadline: AwareDatetime | None = None
    finished: AwareDatetime | None = None
    by: str = ""
    run: str = ""
    tool: str = ""
    reverts: str | None = None
    rollback: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state != WATCHING

    def names(self) -> frozenset[str]:
        """Return the services' names."""
        return frozenset(service.name for service in self.services)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry and the release commit that it is about."""

    commit: str
    entry: Entry


def moment(seconds: float) -> datetime:
    """Return seconds since the epoch as the ledger writes them."""
    return datetime.fromtimestamp(seconds, UTC)


def settle(current: Entry | None, proposed: Entry) -> Entry | None:
    """Return what to write, or None where the ledger already has its last word.

    A settled state is final: of two that settle the same release, the first one's word stands.
    """
    if current is not None and (current.settled or current.id != proposed.id):
        return None
    return proposed


def read(note: bytes) -> tuple[Entry | None, str]:
    """Split a note into our entry, if it holds one, and whatever else people wrote into it."""
    text = note.decode(errors="replace")
    start = _START.search(text)
    if start is None:
        return None, text
    try:
        _, end = json.JSONDecoder().raw_decode(text, start.start())
        entry = Entry.model_validate_json(text[start.start() : end])
    except (ValueError, ValidationError):
        return None, text
    return entry, (text[: start.start()] + text[end:]).strip()


def write(entry: Entry, foreign: str = "") -> bytes:
    """Return the note: our entry, then what was there of others."""
    ours = entry.model_dump_json(indent=2, by_alias=True)
    return f"{ours}\n\n{foreign.strip()}\n".encode() if foreign.strip() else f"{ours}\n".encode()
