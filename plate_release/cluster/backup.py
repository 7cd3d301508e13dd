"""The backup: live objects as YAML that can be applied again."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

# What the API server fills in by itself, and what would refuse the object when it is put back.
_SERVERS_OWN = (
    "managedFields",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "selfLink",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def cleaned(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a live object without its status, the server's own fields and a Secret's values.

    kubectl's annotation goes too: it repeats the object, a Secret's values among it.
    """
    kept = {key: value for key, value in body.items() if key != "status"}
    metadata = {k: v for k, v in body["metadata"].items() if k not in _SERVERS_OWN}
    annotations = {
        key: value
        for key, value in (metadata.pop("annotations", None) or {}).items()
        if key != _LAST_APPLIED
    }
    kept["metadata"] = metadata | ({"annotations": annotations} if annotations else {})
    if body.get("kind") == "Secret":
        kept = {key: value for key, value in kept.items() if key not in ("data", "stringData")}
    return kept


def document(body: Mapping[str, Any]) -> str:
    """Return one YAML document; a Secret's says which of its keys are left out."""
    text = yaml.safe_dump(cleaned(body), sort_keys=False, allow_unicode=True)
    if body.get("kind") != "Secret":
        return f"---\n{text}"
    keys = ", ".join(repr(key) for key in sorted(body.get("data") or {}))
    return f"---\n# The values are left out: {keys}\n{text}"


def write(file: Path, bodies: Iterable[Mapping[str, Any]]) -> Path:
    """Write the objects to a new file that only its owner can read; folders are made.

    Raises FileExistsError rather than overwrite an earlier backup.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.writelines(map(document, bodies))
    return file
