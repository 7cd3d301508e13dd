"""Image references and the SERVICE=TAG of a request, by the OCI distribution grammar."""

import re
from dataclasses import dataclass

from plate_release.errors import UsageError
from plate_release.model import Ask

DOCKER_HUB = "docker.io"

_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_WORDS = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?:{_HOST}/)?{_WORDS}(?:/{_WORDS})*"
_LONGEST = 255
_ASK = re.compile(r"(?P<service>[^=\s]+)=(?P<tag>[^@]*)(?:@(?P<digest>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a repository is: `host` with its port, docker.io if none is named, and `path`."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


def is_tag(text: str) -> bool:
    """Whether it is a tag."""
    return re.fullmatch(_TAG, text) is not None


def is_digest(text: str) -> bool:
    """Whether it is a digest of an algorithm that registries take."""
    return re.fullmatch(_DIGEST, text) is not None


def is_repository(text: str) -> bool:
    """Whether it is an image's name, perhaps with a registry's host before it."""
    return len(text) <= _LONGEST and re.fullmatch(_REPOSITORY, text) is not None


def locate(repository: str) -> Location:
    """Say which registry has a repository; `nginx` is docker.io/library/nginx, as for Docker."""
    host, slash, path = repository.partition("/")
    if not slash or not (set(host) & set(".:[") or host == "localhost" or host != host.lower()):
        host, path = DOCKER_HUB, repository
    host = host_of(host)
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return Location(host, path)


def host_of(name: str) -> str:
    """Return a registry's host in the one way that it is written here."""
    host = name.lower().removesuffix(":443")
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def parse_ask(text: str) -> Ask:
    """Read one SERVICE=TAG[@DIGEST]; raises UsageError where the tag or the digest is none."""
    match = _ASK.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} names no service and tag", todo="Write it as SERVICE=TAG.")
    service, tag, digest = match["service"], match["tag"], match["digest"]
    if not is_tag(tag):
        raise UsageError(
            f"{tag!r} is not an image tag",
            why="A tag has up to 128 letters, digits, _, . and -, and starts with neither . nor -.",
            todo=f"Write it as {service}=TAG.",
        )
    if digest is not None and not is_digest(digest):
        why = "A digest is sha256: and 64 hexadecimal digits in lower case."
        raise UsageError(f"{digest!r} is not a digest", why=why)
    return Ask(service, tag, digest)
