"""The registry's word that an image exists: its digest, its platforms, when it was made.

Source: OCI distribution specification 1.1, and Docker's image manifest version 2, schema 2.
"""

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import requests
from requests.utils import parse_header_links

from plate_release.errors import TagRefused
from plate_release.images.access import Access, Answer, RegistryUnavailable
from plate_release.images.credentials import Login, docker_login
from plate_release.images.reference import is_digest, locate
from plate_release.model import Image

__all__ = ["Found", "ImageMissing", "Registry", "RegistryUnavailable"]

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# Without the index types Debian's registry answers 404 for an index.
_ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS))
_PAGES = 10


class ImageMissing(TagRefused):
    """The registry answered, and the image is not there."""

    code = "image-missing"


@dataclass(frozen=True, slots=True)
class Found:
    """An image as the registry has it; platforms as `linux/arm64/v8`, `created` in ISO 8601."""

    digest: str
    media_type: str
    platforms: tuple[str, ...]
    created: str | None


@dataclass(frozen=True, slots=True)
class Registry:
    """The way to every registry.

    `logins` go before those of Docker's configuration; keys are hosts, as in `locate`. `environ`
    has REQUESTS_CA_BUNDLE or SSL_CERT_FILE for a private CA, DOCKER_CONFIG and HOME.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    sessions: Callable[[], requests.Session] = requests.Session
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)
    sleep: Callable[[float], None] = time.sleep

    def find(self, image: Image) -> Found:
        """Ask for an image, by its digest where it has one, as Kubernetes does.

        Raises ImageMissing, or RegistryUnavailable where the registry does not say.
        """
        where = locate(image.repository)
        with self.sessions() as session:
            access = Access(
                where.host,
                where.path,
                self.logins.get(where.host) or docker_login(where.host, self.environ),
                session,
                self.sleep,
                verify=self.environ.get("REQUESTS_CA_BUNDLE")
                or self.environ.get("SSL_CERT_FILE")
                or True,
            )
            return _found(access, image)


def _found(access: Access, image: Image) -> Found:
    reference = image.digest or image.tag or "latest"
    head = access.ask("HEAD", f"manifests/{reference}", _ACCEPT)
    if head.status == requests.codes.not_found:  # a HEAD is not counted by Docker Hub's limit
        raise _missing(access, image)
    answer = access.ask("GET", f"manifests/{reference}", _ACCEPT)
    if answer.status == requests.codes.not_found:
        raise _missing(access, image)
    manifest = _document(answer)
    digest = _digest(answer, image)
    media_type = str(manifest.get("mediaType") or answer.headers.get("content-type", ""))
    if media_type in _INDEXES or "manifests" in manifest:
        platforms, first = _index(manifest)
        _, created = _config(access, first) if first else ((), None)
        return Found(digest, media_type, platforms, created)
    return Found(digest, media_type, *_described(access, manifest))


def _digest(answer: Answer, image: Image) -> str:
    """Compute the digest of what was sent, and refuse an answer that is not what it claims."""
    claimed = image.digest or answer.headers.get("docker-content-digest") or ""
    algorithm = claimed.partition(":")[0] if is_digest(claimed) else "sha256"
    digest = f"{algorithm}:{hashlib.new(algorithm, answer.body).hexdigest()}"
    if claimed and digest != claimed:
        raise RegistryUnavailable(f"the manifest of {image} does not have the digest {claimed}")
    return digest


def _index(index: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """Return an index's platforms, and the digest of the first one's manifest."""
    platforms: dict[str, str] = {}
    for entry in _list(index.get("manifests")):
        name = _platform(entry.get("platform"))
        if name and is_digest(str(entry.get("digest"))):
            platforms.setdefault(name, str(entry["digest"]))
    return tuple(platforms), next(iter(platforms.values()), None)


def _config(access: Access, digest: str) -> tuple[tuple[str, ...], str | None]:
    answer = access.ask("GET", f"manifests/{digest}", _ACCEPT)
    return _described(access, _document(answer))


def _described(access: Access, manifest: dict[str, Any]) -> tuple[tuple[str, ...], str | None]:
    """Return platform and creation time as the image's configuration has them."""
    config = manifest.get("config")
    digest = str(config.get("digest")) if isinstance(config, dict) else ""
    if not is_digest(digest):
        return (), None
    said = _document(access.ask("GET", f"blobs/{digest}", "*/*"))
    platform, created = _platform(said), said.get("created")
    return (platform,) if platform else (), created if isinstance(created, str) else None


def _platform(said: object) -> str | None:
    """Name a platform; attestations beside an image have `unknown/unknown`."""
    if not isinstance(said, dict) or "unknown" in (said.get("os"), said.get("architecture")):
        return None
    parts = (said.get("os"), said.get("architecture"), said.get("variant"))
    return "/".join(str(part) for part in parts if part) or None


def _document(answer: Answer) -> dict[str, Any]:
    if answer.status != requests.codes.ok:
        raise RegistryUnavailable(f"the registry answers with HTTP {answer.status}")
    document = answer.json()
    if not isinstance(document, dict):
        raise RegistryUnavailable("the registry's answer is not an object")
    return document


def _missing(access: Access, image: Image) -> ImageMissing:
    wanted = image.digest or image.tag or "latest"
    what = f"{access.name}/{access.path} has no {wanted}"
    if image.digest:
        return ImageMissing(what, todo="Push the image, or release the digest that was pushed.")
    tags = _tags(access)
    near = get_close_matches(wanted, tags, n=5, cutoff=0.4)
    why = f"The nearest tags are {', '.join(near)}." if near else "There is no tag like it."
    return ImageMissing(what, why=why, todo="Push the image, or release a tag that exists.")


def _tags(access: Access) -> list[str]:
    """Return the repository's tags, as far as they can be had; they only make a message better."""
    tags: list[str] = []
    route = "tags/list?n=1000"
    try:
        for _ in range(_PAGES):
            answer = access.ask("GET", route)
            tags += [tag for tag in _document(answer).get("tags") or () if isinstance(tag, str)]
            following = _next(answer)
            if following is None:
                break
            route = following
    except RegistryUnavailable:
        pass
    return tags


def _next(answer: Answer) -> str | None:
    """Return the next page's route; only its query is taken from the registry."""
    links = parse_header_links(answer.headers.get("link", ""))
    url = next((link["url"] for link in links if link.get("rel") == "next"), "")
    return f"tags/list?{url.partition('?')[2]}" if "?" in url else None


def _list(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
