"""Writes what a watch saw as a recording that `plate-release replay` judges to the same verdict.

What is written is what the judge was fed, in the fields that this tool reads; the values of charts
and parameters are replaced, and so is whatever looks like a credential.
"""

import hmac
import json
import re
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Any, Generic, Self

from pydantic import BaseModel

from plate_release.argocd.events import (
    Blind,
    Event,
    Gone,
    RefreshUnanswered,
    Revision,
    Seen,
    Subject,
    SyncAnswer,
    TreeSeen,
    Via,
    Waiting,
    WindowsSeen,
)
from plate_release.argocd.sight import Judge, R_co
from plate_release.argocd.status import REFRESH_ANNOTATION
from plate_release.errors import UsageError
from plate_release.model import Secret

_CREDENTIALS = re.compile(
    r"(?<=://)[^/@\s\"]+(?=@)"  # of a URL
    r"|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|\b(?:gh[pousr]_|github_pat_|glpat-)\w{16,}"
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.+/=-]{8,}"
)
_HIDDEN = "***"
_OK = 200
_REFRESH = ("GET", "?refresh=normal")
# What holds values that people give to charts; equal ones stay equal, which a replay needs.
_VALUES = ("values", "valuesObject", "kustomize", "directory", "plugin")


def recording_file(file: Path, application: str, *, several: bool) -> Path:
    """Return where the recording of `application` goes: FILE, or one beside it for each."""
    name = re.sub(r"[^\w.-]", "_", application)
    return file.with_name(f"{file.stem}-{name}{file.suffix}") if several else file


class Recorder:
    """One recording, written line by line. Its second 0 is `start` of the watch's clock.

    secret: values that never appear in it. Raises UsageError where the file cannot be written.
    """

    def __init__(self, file: Path, start: float, secret: Collection[Secret] = ()) -> None:
        self._start, self._key = start, secrets.token_bytes(16)
        self._secret = [json.dumps(s.value)[1:-1] for s in secret if s.value]
        self._name = self._before = self._ours = ""
        self._last: dict[str, Any] = {}
        try:
            self._file = file.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"The recording {file} cannot be written.", why=str(error.strerror)
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def scenario(self, subject: Subject, before: str) -> None:
        """Write what is watched, and how it was before the push; before: the commit then."""
        self._name, self._before = subject.application, before
        manifest: dict[str, Any] = {"metadata": {"name": subject.application}}
        if subject.before:
            manifest["spec"] = self._clean(subject.before)["spec"]
        data = {"name": subject.application, "application": manifest, "commit_before": before}
        self._write(self._start, "scenario", data)
        if subject.before:
            self.saw(self._start, Seen(subject.before, Via.STREAM))
        if subject.tree_before:
            self.saw(self._start, TreeSeen(subject.tree_before))

    def pushed(self, t: float, subject: Subject, tag: str) -> None:
        """Write our push: a release, or the revert of the last one."""
        role, parent = ("revert", self._ours) if subject.reverts else ("release", self._before)
        self._ours = subject.commit
        push = _push(subject.commit, parent, role, {"tag": tag})
        self._write(t, "push", {**push, "diff": [f"{subject.file} | 2 +-"]})

    def saw(self, t: float, event: Event) -> None:
        """Write what a judge was fed, unless it only repeats what stands there."""
        match event:
            case Seen(application, via):
                self._saw_application(t, self._clean(application), via)
            case Gone() | Blind():
                self._saw_nothing(t, event)
            case TreeSeen(tree):
                self._changed(t, "tree", _plain(tree))
            case RefreshUnanswered():
                self._call(t, _REFRESH, "timeout", None)
            case WindowsSeen(windows):
                self._call(t, ("GET", "/syncwindows"), _OK, _plain(windows))
            case SyncAnswer(refusal, status):
                self._call(t, ("POST", "/sync"), status, {"message": refusal} if refusal else {})
            case Revision():
                self._learned(t, event)

    def concluded(self, t: float, says: str) -> None:
        """Write the verdict, as a note: a replay finds its own."""
        self._write(t, "note", says)

    def _saw_application(self, t: float, data: dict[str, Any], via: Via) -> None:
        match via:
            case Via.STREAM:
                self._write(t, "stream", {"result": {"type": "MODIFIED", "application": data}})
            case Via.GET:
                self._changed(t, "get", data)
            case Via.REFRESH:
                self._call(t, _REFRESH, _OK, data)

    def _saw_nothing(self, t: float, event: Gone | Blind) -> None:
        match event:
            case Gone():
                self._changed(t, "get", {"code": 5, "message": "not found"})
            case Blind(why, status):
                self._changed(t, "get", {"refused": why, "http_code": status})

    def _learned(self, t: float, revision: Revision) -> None:
        """Write somebody else's commit as the push that git says it was."""
        if revision.contains is not None:
            parent = self._ours if revision.contains else self._before
            values = {} if revision.holds else {"tag": "another"}
            self._write(t, "push", _push(revision.sha, parent, "other", values))

    def _call(self, t: float, what: tuple[str, str], status: object, data: object) -> None:
        method, ending = what
        path = f"/applications/{self._name}{ending}"
        self._write(t, "call", data, method=method, path=path, status=status)

    def _changed(self, t: float, kind: str, data: object) -> None:
        if self._last.get(kind) != data:
            self._last[kind] = data
            self._write(t, kind, data)

    def _write(self, t: float, kind: str, data: object, **more: object) -> None:
        row = {"t": round(max(0.0, t - self._start), 3), "kind": kind, **more, "data": data}
        text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
        for value in self._secret:
            text = text.replace(value, _HIDDEN)
        self._file.write(_CREDENTIALS.sub(_HIDDEN, text) + "\n")
        self._file.flush()

    def _clean(self, application: BaseModel) -> dict[str, Any]:
        data = _plain(application)
        metadata = data.get("metadata", {})
        notes = metadata.pop("annotations", None) or {}
        metadata.pop("labels", None)
        metadata["annotations"] = {k: v for k, v in notes.items() if k == REFRESH_ANNOTATION}
        self._hide(data)
        return data

    def _hide(self, data: Any) -> None:
        """Replace the values of charts by fingerprints, wherever a source stands."""
        if isinstance(data, list):
            for item in data:
                self._hide(item)
        elif isinstance(data, dict):
            for name, value in data.items():
                if name in _VALUES and value:
                    hidden = self._fingerprint(value)
                    data[name] = {"": hidden} if isinstance(value, dict) else hidden
                elif name in ("parameters", "fileParameters"):
                    data[name] = [{**p, "value": self._fingerprint(p.get("value"))} for p in value]
                else:
                    self._hide(value)

    def _fingerprint(self, value: object) -> str:
        """Return what is equal for equal values, and tells nothing without this run's key."""
        text = json.dumps(value, sort_keys=True).encode()
        return f"hidden {hmac.digest(self._key, text, 'sha256').hex()[:16]}"


class Recorded(Generic[R_co]):
    """A judge whose events, and verdict, are written to a recording."""

    def __init__(self, judge: Judge[R_co], recorder: Recorder) -> None:
        self._judge, self._recorder = judge, recorder

    def feed(self, t: float, event: Event) -> R_co | Waiting:
        """Write the event, and hand it on."""
        self._recorder.saw(t, event)
        return self._noted(t, self._judge.feed(t, event))

    def tick(self, t: float) -> R_co | Waiting:
        """Hand the time on."""
        return self._noted(t, self._judge.tick(t))

    def _noted(self, t: float, step: R_co | Waiting) -> R_co | Waiting:
        if not isinstance(step, Waiting):
            self._recorder.concluded(t, str(step))
        return step


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _push(commit: str, parent: str, role: str, values: dict[str, str]) -> dict[str, Any]:
    return {"commit": commit, "parent": parent, "role": role, "set": values}
