"""Secrets among values and rendered objects: compared, and shown by fingerprints alone. Pure."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus

import yaml

from plate_release.charts.inputs import ChartInputs
from plate_release.charts.objects import KubernetesObject
from plate_release.charts.reading import Path, at, leaves, load
from plate_release.charts.telling import secret_spans, tells

_OPEN = {(name,) for name in ("apiVersion", "kind", "type", "immutable", "metadata")}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_VALUES = {"data", "stringdata", "encrypteddata"}
# Kinds that name secrets which stand elsewhere.
_NAMING = {
    *("externalsecret", "clusterexternalsecret", "pushsecret", "secretstore", "clustersecretstore"),
    *("secretproviderclass", "vaultstaticsecret", "vaultdynamicsecret"),
}
_KEY = re.compile(r"\s*(?:export\s+)?[\"']?[\w.-]+[\"']?\s*[:=]\s*")
_UNBROKEN = re.compile(r"\S{16,}")
_WORDS = re.compile(r"[A-Z]?[a-z]{1,14}(?:[ ._/-][A-Z]?[a-z]{1,14})*")
_NO_SECRETS = {"false", "False"}
_SHORTEST = 5  # characters of a secret: what is shorter stands in too many words
_LEAST_HELD = 8  # of what a Secret holds: hosts and names of databases stand there too
_UNCHANGED = "(secret, unchanged)"
_ROUNDS = 20_000  # so that a list of likely values cannot be tried fast


def is_secret(one: KubernetesObject) -> bool:
    """Whether an object's own fields are secret."""
    return one.kind.lower() == "secret"


def hides(one: KubernetesObject, path: Path) -> bool:
    """Whether what stands at a path of an object must not be shown.

    That is all that a Secret says, what stands under `data` and the like in objects that make
    Secrets, and what a name says is one, such as an environment variable's. kubectl's annotation
    repeats the whole object.
    """
    if is_secret(one):
        return path[:1] not in _OPEN or _LAST_APPLIED in path
    kind = one.kind.lower()
    if kind in _NAMING:
        return "fake" in path or {"template", "data"} <= {*path}
    makes = "secret" in kind and any(str(part).lower() in _VALUES for part in path)
    return makes or (_may_be_secret(at(one.body, path)) and tells(one.body, path))


def _may_be_secret(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) or (number and len(str(value)) >= _SHORTEST)


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
    one: KubernetesObject,
    body: Mapping[str, Any],
    other: Mapping[str, Any] | None,
    secrets: Collection[str] = (),
) -> dict[str, Any]:
    """Return a body as it may be shown beside another one of the object.

    A secret that changes has a fingerprint: equal ones of one place have equal fingerprints. None
    of the `secrets` stands in any other text.
    """
    salt = repr((one.api_version, one.kind, one.namespace, one.name))

    def shown(value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            return {key: shown(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [shown(item, (*path, index)) for index, item in enumerate(value)]
        if value is None or not hides(one, path):
            return _without(value, secrets, salt) if isinstance(value, str) else value
        beside = at(other, path)
        if (type(beside), beside) == (type(value), value):
            return _UNCHANGED
        return fingerprint(str(value), f"{salt}{path}")

    return {key: shown(value, (key,)) for key, value in body.items()}


def _without(text: str, secrets: Collection[str], salt: str) -> str:
    """Put fingerprints in the place of secrets, and of what the text calls one."""
    shown, end = [], 0
    for start, until in secret_spans(text, secrets):
        shown += [text[end:start], fingerprint(text[start:until], salt)]
        end = until
    return "".join([*shown, text[end:]])


def holds_any(value: Any, secrets: Collection[str]) -> bool:
    """Whether any of the secrets stands in a text, or what the text itself calls one."""
    return isinstance(value, str) and bool(secret_spans(value, secrets))


@lru_cache(maxsize=4096)
def fingerprint(value: str, salt: str) -> str:
    """Return what stands in the place of a secret value; the same one for the same place."""
    digest = hashlib.pbkdf2_hmac("sha256", value.encode(), salt.encode(), _ROUNDS)
    return f"(secret, fingerprint {digest.hex()[:8]})"


def without_secrets(text: str, inputs: ChartInputs) -> str:
    """Return a message without the values of a chart whose keys say that they are secret."""
    found = {one.value for one in inputs.parameters if tells({}, (one.name.split(".")[-1],))}
    for layer in inputs.layers:
        with suppress(yaml.YAMLError):
            found |= secret_texts(load(layer.data))
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, "(hidden)")
    return text


def secret_texts(values: Any) -> frozenset[str]:
    """Return what must not be shown of values: the texts whose keys say that they are secret.

    They are there as they stand, and as templates write them into URLs, JSON and base64.
    """
    lines = {
        line
        for path, value in leaves(values)
        if isinstance(value, str | int) and not isinstance(value, bool) and tells(values, path)
        for line in str(value).splitlines()
        if len(line) >= _SHORTEST and line not in _NO_SECRETS
    }
    return frozenset(form(line) for line in lines for form in _FORMS)


def held_texts(one: KubernetesObject) -> frozenset[str]:
    """Return what must not be shown elsewhere either of what an object hides.

    Of a Secret that is no plain word, such as the name of a database; of a text of several lines it
    is what stands behind their keys.
    """
    hidden = (
        value for path, value in leaves(decoded(one)) if isinstance(value, str) and hides(one, path)
    )
    texts = {piece for value in hidden for piece in _pieces(value)} - _NO_SECRETS
    if is_secret(one):
        texts = {text for text in texts if len(text) >= _LEAST_HELD and not _WORDS.fullmatch(text)}
    long = (text for text in texts if len(text) >= _SHORTEST)
    return frozenset(form(text) for text in long for form in _FORMS)


def _pieces(value: str) -> Iterator[str]:
    first, *more = value.strip().splitlines() or [""]
    if not more:
        yield first
    for line in (first, *more) if more else ():
        if match := _KEY.match(line):
            yield line[match.end() :].strip(" \t\"',")
        elif _UNBROKEN.fullmatch(line.strip()):
            yield line.strip()


def in_base64(text: str) -> str:
    """Write a text as templates write it with `b64enc`."""
    return base64.b64encode(text.encode()).decode()


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


_FORMS: tuple[Callable[[str], str], ...] = (str, quote, quote_plus, _json, in_base64)
