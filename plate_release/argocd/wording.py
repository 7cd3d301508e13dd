"""What a message of Argo CD speaks about: the release, or a part of Argo CD that cannot see.

The texts are those of argo-cd v3.5/v3.6 (reposerver, controller), its gRPC codes, Go's net and
net/http, git, helm, and the Kubernetes API server.
"""

import re
from enum import StrEnum


class About(StrEnum):
    """Whom a message accuses."""

    RELEASE = "release"
    BLIND = "blind"
    UNCLEAR = "unclear"


def _any(*texts: str) -> re.Pattern[str]:
    return re.compile("|".join(texts), re.IGNORECASE)


# Said by a template or its values, whatever else the message quotes.
_TEMPLATE = _any(
    r"execution error at \(",
    r"error calling include",
    r"YAML parse error on",
    r"values don't meet the specifications of the schema",
    r"parse error at \(",
)
_BLIND = _any(
    r"code = (?:Unavailable|DeadlineExceeded|Canceled|ResourceExhausted|Unauthenticated"
    r"|PermissionDenied)",
    r"connection (?:refused|reset|error|timed out)",
    r"dial (?:tcp|unix)",
    r"no such host",
    r"could not resolve host",
    r"no route to host",
    r"network is unreachable",
    r"i/o timeout",
    r"TLS handshake",
    r"x509:",
    r"context (?:deadline exceeded|canceled)",
    r"deadline exceeded",
    r"timed out|\btimeout (?:awaiting|exceeded|waiting|was)|Client\.Timeout",
    r"unexpected EOF|: EOF\b",
    r"broken pipe",
    r"failed to (?:list refs|fetch|initialize repository|checkout|get git client|clone)",
    r"unable to (?:resolve .* to a commit|checkout|access)",
    r"`?git (?:fetch|checkout|clone|ls-remote)\b",
    r"git-upload-pack",
    r"authentication (?:required|failed)|authorization failed|invalid credentials",
    r"repository not (?:found|accessible)|error testing repository",
    r"\b(?:401 Unauthorized|403 Forbidden|429 Too Many|50[0234] )",
    r"failed to get cluster info|synchronizing cache state|server is currently unable",
    r"no space left on device|cannot allocate memory|signal: killed",
)
_RENDERER = _any(
    r"failed to execute helm template|helm template .* failed|failed running helm",
    r"kustomize build .*failed|failed to (?:execute|run) kustomize",
    r"manifest generation error",
    r"app path does not exist",
    r"error converting YAML to JSON|failed to unmarshal|error unmarshaling JSON",
    r"failed to (?:evaluate|execute) jsonnet|plugin .*failed",
    r"server.?side diff.* is invalid",
)
_FOR_GOOD = _any(r"\bis invalid\b", r"field is immutable", r"\bforbidden\b", r"no matches for kind")
_MAY_HEAL = _any(
    r"failed calling webhook",
    r"connection refused|connection reset|no such host|i/o timeout|deadline exceeded|timed out",
    r"operation cannot be fulfilled|apply failed with \d+ conflict",
    r"being (?:deleted|terminated)",
)


def speaks_about(message: str) -> About:
    """Say whether `message`, of a condition or an operation, speaks about the release at all."""
    if _TEMPLATE.search(message):
        return About.RELEASE
    if _BLIND.search(message):
        return About.BLIND
    return About.RELEASE if _RENDERER.search(message) else About.UNCLEAR


def is_for_good(message: str) -> bool:
    """Whether the API server refused an object in a way that asking again cannot change."""
    return bool(_FOR_GOOD.search(message)) and not _MAY_HEAL.search(message)
