"""Secrets among rendered objects: compared by their values, shown by fingerprints alone. Pure."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from plate_release.charts.objects import KubernetesObject

_OPEN = {"apiVersion", "kind", "type", "immutable", "metadata"}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_VALUES = {"data", "stringdata", "encrypteddata"}
_ROUNDS = 20_000  # so that a list of likely values cannot be tried fast


def is_secret(one: KubernetesObject) -> bool:
    """Whether an object's own fields are secret."""
    return one.kind.lower() == "secret"


def decoded(one: KubernetesObject) -> dict[str, Any]:
    """Return an object with a Secret's data as the text that it stands for, where it is one."""
    data = one.body.get("data")
    if not is_secret(one) or not isinstance(data, Mapping):
        return one.body
    return one.body | {"data": {key: _text(value) for key, value in data.items()}}


def _text(value: Any) -> Any:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return value


def masked(one: KubernetesObject, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body as it may be shown: equal values of one place have equal fingerprints."""
    salt = repr((one.api_version, one.kind, one.namespace, one.name))

    def hide(value: Any, path: str) -> Any:
        if isinstance(value, Mapping):
            return {key: hide(item, f"{path}\0{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [hide(item, f"{path}\0{index}") for index, item in enumerate(value)]
        return value if value is None else fingerprint(str(value), salt + path)

    if is_secret(one):
        shown = {key: value if key in _OPEN else hide(value, key) for key, value in body.items()}
        return _without_last_applied(shown, hide)
    if "secret" in one.kind.lower():
        return dict(_hidden_below(body, hide))
    return dict(body)


Hide = Callable[[Any, str], Any]


def _without_last_applied(body: dict[str, Any], hide: Hide) -> dict[str, Any]:
    """Hide kubectl's annotation, which repeats the whole object."""
    metadata = body.get("metadata") or {}
    notes = metadata.get("annotations")
    if not isinstance(notes, Mapping) or _LAST_APPLIED not in notes:
        return body
    hidden = {**notes, _LAST_APPLIED: hide(notes[_LAST_APPLIED], _LAST_APPLIED)}
    return body | {"metadata": {**metadata, "annotations": hidden}}


def _hidden_below(value: Any, hide: Hide) -> Any:
    """Hide what stands under `data` and the like in objects that make Secrets."""
    if isinstance(value, Mapping):
        return {
            key: hide(item, key) if str(key).lower() in _VALUES else _hidden_below(item, hide)
            for key, item in value.items()
        }
    return [_hidden_below(item, hide) for item in value] if isinstance(value, list) else value


@lru_cache(maxsize=4096)
def fingerprint(value: str, salt: str) -> str:
    """Return what stands in the place of a secret value; the same one for the same place."""
    digest = hashlib.pbkdf2_hmac("sha256", value.encode(), salt.encode(), _ROUNDS)
    return f"(secret, fingerprint {digest.hex()[:8]})"
