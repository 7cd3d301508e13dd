"""Secrets among values and rendered objects: compared, and shown by fingerprints alone. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from plate_release.charts.inputs import ChartInputs
from plate_release.charts.objects import KubernetesObject
from plate_release.charts.reading import Path, at, leaves, load

_OPEN = {(name,) for name in ("apiVersion", "kind", "type", "immutable", "metadata")}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_VALUES = {"data", "stringdata", "encrypteddata"}
_TELLING = re.compile(
    r"passw|secret|token|credential|private|auth|dsn|(?:api|access|encryption|signing)[-_]?key",
    re.IGNORECASE,
)
_NAMES_ONE = re.compile(r"(?:name|ref|path|file|existing\w*)$", re.IGNORECASE)
_SHORTEST = 5  # characters of a secret: what is shorter stands in too many words
_UNCHANGED = "(secret, unchanged)"
_ROUNDS = 20_000  # so that a list of likely values cannot be tried fast


def is_secret(one: KubernetesObject) -> bool:
    """Whether an object's own fields are secret."""
    return one.kind.lower() == "secret"


def hides(one: KubernetesObject, path: Path) -> bool:
    """Whether what stands at a path of an object must not be shown.

    That is all that a Secret says, and what stands under `data` and the like in objects that make
    Secrets. kubectl's annotation repeats the whole object.
    """
    if is_secret(one):
        return path[:1] not in _OPEN or _LAST_APPLIED in path
    return "secret" in one.kind.lower() and any(str(part).lower() in _VALUES for part in path)


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


def masked(
    one: KubernetesObject, body: Mapping[str, Any], other: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a body as it may be shown beside another one of the object.

    A secret that changes has a fingerprint: equal ones of one place have equal fingerprints.
    """
    salt = repr((one.api_version, one.kind, one.namespace, one.name))

    def shown(value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            return {key: shown(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [shown(item, (*path, index)) for index, item in enumerate(value)]
        if value is None or not hides(one, path):
            return value
        return _UNCHANGED if at(other, path) == value else fingerprint(str(value), f"{salt}{path}")

    return {key: shown(value, (key,)) for key, value in body.items()}


@lru_cache(maxsize=4096)
def fingerprint(value: str, salt: str) -> str:
    """Return what stands in the place of a secret value; the same one for the same place."""
    digest = hashlib.pbkdf2_hmac("sha256", value.encode(), salt.encode(), _ROUNDS)
    return f"(secret, fingerprint {digest.hex()[:8]})"


def without_secrets(text: str, inputs: ChartInputs) -> str:
    """Return a message without the values of a chart whose keys say that they are secret."""
    for secret in sorted(set(_secrets(inputs)), key=len, reverse=True):
        text = text.replace(secret, "(hidden)")
    return text


def _secrets(inputs: ChartInputs) -> Iterator[str]:
    named: list[tuple[Path, Any]] = [((one.name,), one.value) for one in inputs.parameters]
    for layer in inputs.layers:
        try:
            values = load(layer.data)
        except yaml.YAMLError:
            continue
        for path, value in leaves(values):
            # `- {name: DB_PASSWORD, value: ...}`
            name = at(values, (*path[:-1], "name")) if path[-1:] == ("value",) else None
            named.append((path if name is None else (*path, str(name)), value))
    for path, value in named:
        if isinstance(value, str) and _tells(path):
            yield from (line for line in value.splitlines() if len(line) >= _SHORTEST)


def _tells(path: Path) -> bool:
    own = str(path[-1]) if path else ""
    return any(_TELLING.search(str(part)) for part in path) and not _NAMES_ONE.search(own)
