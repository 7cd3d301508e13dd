"""The release commit's message: a subject for people, trailers for machines. Pure."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shift:
    """One service's tag, before and after."""

    service: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.service} {self.before} -> {self.after}"


@dataclass(frozen=True, slots=True)
class Message:
    """What a release commit says; a rollback may be asked for, or revert a commit."""

    id: str
    environment: str
    services: tuple[Shift, ...]
    run: str = ""
    reverts: str | None = None
    reason: str = ""
    rollback: bool = False

    @property
    def subject(self) -> str:
        """The first line."""
        kind = "rollback" if self.rollback else "release"
        if len(self.services) == 1:
            return _line(f"{kind}({self.environment}): {self.services[0]}")
        listed = ", ".join(f"{shift.service} {shift.after}" for shift in self.services)
        return _line(f"{kind}({self.environment}): {listed}")

    def text(self, *, skip_ci: bool = False) -> str:
        """Return the whole message; every value stays on its own line."""
        trailers = [("Plate-Release-Id", self.id)]
        trailers += [("Plate-Service", str(shift)) for shift in self.services]
        trailers += [("Plate-Run", self.run)] if self.run else []
        trailers += [("Plate-Reverts", self.reverts)] if self.reverts else []
        trailers += [("Plate-Reason", self.reason)] if self.reason else []
        lines = [f"{name}: {_line(value)}" for name, value in trailers]
        subject = f"{self.subject} [skip ci]" if skip_ci else self.subject
        return "\n".join([subject, "", *lines, ""])


_SUBJECT = re.compile(r"(?:release|rollback)\(([^)]*)\): ")
_SHIFT = re.compile(r"(\S+) (?:(.*) )?-> ?(.*)")
_TRAILER = re.compile(r"(Plate-[A-Za-z-]+): (.*)")


def parse(text: str) -> Message | None:
    """Read a commit's message back, or return None where it is not a release commit's."""
    subject, _, body = text.partition("\n")
    head = _SUBJECT.match(subject)
    last = body.strip("\n").rpartition("\n\n")[2].split("\n")
    trailers = [(match[1], match[2]) for line in last if (match := _TRAILER.fullmatch(line))]
    one = dict(trailers)
    shifts = [_SHIFT.fullmatch(value) for name, value in trailers if name == "Plate-Service"]
    if head is None or "Plate-Release-Id" not in one or not shifts or None in shifts:
        return None
    return Message(
        one["Plate-Release-Id"],
        head[1],
        tuple(Shift(shift[1], shift[2] or "", shift[3]) for shift in shifts if shift),
        one.get("Plate-Run", ""),
        one.get("Plate-Reverts"),
        one.get("Plate-Reason", ""),
        rollback=subject.startswith("rollback"),
    )


def _line(value: str) -> str:
    """Return `value` on one line: a reason with a line feed must not forge a trailer."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())
