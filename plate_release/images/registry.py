"""The registry's word that an image exists: its digest, its platforms, when it was made.

Source: OCI image and distribution specifications 1.1, and Docker's image manifest version 2,
schema 2.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import requests
from requests.utils import parse_header_links

from plate_release.errors import TagRefused
from plate_release.images.access import Access, Answer, NotAdmitted, RegistryUnavailable
from plate_release.images.credentials import Login, docker_login
from plate_release.images.reference import is_digest, locate
from plate_release.images.tags import nearest
from plate_release.model import FoundImage, Image

__all__ = ["ImageMissing", "NotAdmitted", "NotAnImage", "Registry", "RegistryUnavailable"]

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# What a store says that knows nothing of images.
_OF_ANYTHING = {
    "",
    "application/json",
    "application/octet-stream",
    "binary/octet-stream",
    "text/plain",
}
_CONFIGS = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/octet-stream",  # Docker 1.10
)
# Without the index types Debian's registry answers 404 for an index.
_ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS))
_DEADLINE = 60.0  # seconds for everything that is asked about one image
_LOOK = 0.2  # seconds between two looks at whether the run was interrupted
_PAGES = 20
_LONGEST_LIST = 32 * 1024 * 1024  # bytes of one page of tags


class ImageMissing(TagRefused):
    """The registry answered, and the image is not there."""

    code = "image-missing"


class NotAnImage(TagRefused):
    """The registry has something else under this name, such as a Helm chart."""

    code = "not-an-image"


@dataclass(frozen=True, slots=True)
class Registry:
    """The way to every registry.

    `logins` go before those of Docker's configuration; keys are hosts, as in `locate`. `environ`
    has REQUESTS_CA_BUNDLE or SSL_CERT_FILE for a private CA, DOCKER_CONFIG and HOME. `check` is
    called while an answer is awaited, and may raise.
    """

    environ: Mapping[str, str] = field(repr=False)
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    check: Callable[[], None] = lambda: None

    def find(self, image: Image) -> FoundImage:
        """Ask for an image, by its digest where it has one, as Kubernetes does.

        Raises ImageMissing, NotAnImage, or RegistryUnavailable where the registry does not say.
        """
        answers: SimpleQueue[FoundImage | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._find(image))
            except Exception as error:  # noqa: BLE001  # raised again by who waits for it
                answers.put(error)

        # A server may drip bytes for ever; the thread that waits for them is left behind.
        Thread(target=ask, daemon=True).start()
        until = time.monotonic() + _DEADLINE
        while time.monotonic() < until:
            self.check()
            try:
                answer = answers.get(timeout=_LOOK)
            except Empty:
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer
        raise RegistryUnavailable(f"{locate(image.repository).host} takes over {_DEADLINE:.0f} s")

    def _find(self, image: Image) -> FoundImage:
        where = locate(image.repository)
        login = self.logins.get(where.host) or docker_login(where, self.environ)
        names = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
        authorities = next((self.environ[name] for name in names if self.environ.get(name)), True)
        with closing(Access(where, login, authorities)) as access:
            return _found(access, image)


def _found(access: Access, image: Image) -> FoundImage:
    answer = access.ask(f"manifests/{image.digest or image.tag or 'latest'}", _ACCEPT)
    if answer.status == requests.codes.not_found:
        raise _missing(access, image, answer)
    manifest = _manifest(answer, image)
    digest = _digest(answer, image.digest or answer.headers.get("docker-content-digest") or "")
    if _type_of(manifest, answer) in _INDEXES:
        members = dict(_members(manifest))
        if not members:
            raise NotAnImage(f"{image} is an index without an image.", todo=_OTHER)
        created = _of_member(access, next(iter(members.values())))
        platforms = {name: member for name, member in members.items() if name}
        return FoundImage(digest, platforms, created)
    platform, created = _described(access, manifest)
    return FoundImage(digest, {platform: digest} if platform else {}, created)


_OTHER = "Release a tag that is a container image."


def _manifest(answer: Answer, image: Image) -> dict[str, Any]:
    """Return the manifest or index of an image. Raises NotAnImage where it is of something else."""
    manifest = _document(answer)
    media_type = _type_of(manifest, answer)
    if manifest.get("schemaVersion") == 1:
        why = "It has a manifest of Docker's old schema 1, which container runtimes do not pull."
        raise NotAnImage(f"{image} is no image of today.", why=why, todo="Push it anew.")
    if manifest.get("schemaVersion") != 2 or media_type not in (*_INDEXES, *_MANIFESTS):  # noqa: PLR2004
        raise RegistryUnavailable(f"what it has as {image} is no image manifest ({media_type})")
    config = manifest.get("config")
    kind = str(config.get("mediaType")) if isinstance(config, dict) else ""
    if media_type in _MANIFESTS and kind not in _CONFIGS:
        raise NotAnImage(f"{image} is no container image.", why=f"It is {kind}.", todo=_OTHER)
    return manifest


def _type_of(manifest: Mapping[str, Any], answer: Answer) -> str:
    """Return what it says to be, else what the registry says, else what its shape says."""
    said = manifest.get("mediaType") or answer.headers.get("content-type", "")
    media_type = str(said).partition(";")[0].strip()
    if media_type in _OF_ANYTHING:
        shape = ("manifests", _INDEXES[0]), ("config", _MANIFESTS[0])
        return next((kind for field, kind in shape if field in manifest), media_type)
    return media_type


def _digest(answer: Answer, claimed: str) -> str:
    """Compute the digest of what was sent, and refuse an answer that is not what it claims."""
    algorithm = claimed.partition(":")[0] if is_digest(claimed) else "sha256"
    digest = f"{algorithm}:{hashlib.new(algorithm, answer.body).hexdigest()}"
    if claimed and digest != claimed:
        raise RegistryUnavailable(f"what it sent does not have the digest {claimed}")
    return digest


def _members(index: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give an index's platforms, "" for one that is not said, and the digests of their manifests.

    Of two for one platform, the first counts; attestations are left out.
    """
    seen = set()
    for entry in _list(index.get("manifests")):
        name, digest = _platform(entry.get("platform") or {}), str(entry.get("digest"))
        if name is not None and name not in seen and is_digest(digest):
            seen.add(name)
            yield name, digest


def _of_member(access: Access, digest: str) -> str | None:
    """Return when the image of one platform was made; None where that cannot be had."""
    try:
        answer = access.ask(f"manifests/{digest}", _ACCEPT)
        _digest(answer, digest)
        return _described(access, _document(answer))[1]
    except RegistryUnavailable:
        return None  # mirrors keep some platforms only


def _described(access: Access, manifest: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return platform and creation time as the image's configuration has them, if it can be had."""
    config = manifest.get("config")
    digest = str(config.get("digest")) if isinstance(config, dict) else ""
    if not is_digest(digest):
        return None, None
    try:
        answer = access.ask(f"blobs/{digest}", "*/*")
        _digest(answer, digest)
        said = _document(answer)
    except RegistryUnavailable:
        return None, None
    created = said.get("created")
    return _platform(said), created if isinstance(created, str) else None


def _platform(said: object) -> str | None:
    """Name a platform, "" where none is said; None for an attestation, of `unknown/unknown`."""
    if not isinstance(said, dict) or "unknown" in (said.get("os"), said.get("architecture")):
        return None
    parts = (said.get("os"), said.get("architecture"), said.get("variant"))
    return "/".join(str(part) for part in parts if part)


def _document(answer: Answer) -> dict[str, Any]:
    if answer.status != requests.codes.ok:
        raise RegistryUnavailable(f"the registry answers with HTTP {answer.status}")
    document = answer.json()
    if not isinstance(document, dict):
        raise RegistryUnavailable("the registry's answer is not an object")
    return document


def _missing(access: Access, image: Image, answer: Answer) -> ImageMissing:
    """Say that an image is not there; raises RegistryUnavailable where no registry said so."""
    said = answer.json()
    if not isinstance(said, dict) or not isinstance(said.get("errors"), list):
        raise RegistryUnavailable(f"{access.where.host} does not answer as a registry (HTTP 404)")
    wanted = image.digest or image.tag or "latest"
    what = f"{access.where} has no {wanted}"
    if image.digest:
        return ImageMissing(what, todo="Push the image, or release the digest that was pushed.")
    try:
        near = nearest(wanted, list(_tags(access)))
        why = f"The nearest tags are {', '.join(near)}." if near else "There is no tag like it."
    except RegistryUnavailable as error:
        why = f"Its tags could not be listed: {error}."
    return ImageMissing(what, why=why, todo="Push the image, or release a tag that exists.")


def _tags(access: Access) -> Iterator[str]:
    """Give the repository's tags, as far as they can be had."""
    route: str | None = "tags/list?n=1000"
    asked: set[str] = set()
    while route and route not in asked and len(asked) < _PAGES:
        asked.add(route)
        answer = access.ask(route, limit=_LONGEST_LIST)
        if answer.status == requests.codes.not_found:
            return  # there is no such repository
        tags = _document(answer).get("tags")
        yield from (tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
        route = _next(answer)


def _next(answer: Answer) -> str | None:
    """Return the next page's route; only its query is taken from the registry."""
    links = parse_header_links(answer.headers.get("link", ""))
    url = next((link["url"] for link in links if link.get("rel") == "next"), "")
    return f"tags/list?{url.partition('?')[2]}" if "?" in url else None


def _list(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
