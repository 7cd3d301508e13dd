"""The errors of plate-release, each kind with its exit code.

::

    ReleaseError
    ├── UsageError            2   arguments, configuration, an unknown service, a missing token
    ├── InternalError         2   a mistake of plate-release itself
    ├── PlanRefused           3   what is in the repository, or would come out of it
    │   ├── EditRefused           a values file that cannot be edited with certainty
    │   ├── ChartRefused          a chart that does not lint, render or validate
    │   ├── TagRefused            the tag policy, or an image that does not exist
    │   └── NoEffect              an edit that changes nothing that runs
    ├── PreflightRefused      4   the world is not ready
    │   ├── RepositoryUnavailable git out of reach or without permission
    │   ├── ArgoUnavailable       Argo CD out of reach or without permission
    │   ├── ClusterUnavailable    the cluster out of reach or without permission
    │   └── UnderWay              another release of the service is under way
    ├── PushRefused           5   the push was refused, nothing changed
    │   └── Overtaken             somebody else changed the service meanwhile
    └── Interrupted         130   somebody stopped the run before it changed anything

Every message says what happened, why, and what to do next. `plate_release.__main__.main` and
`plate_release.commands` tell them.
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process's exit status says."""

    RELEASED = 0
    USAGE = 2
    PLAN_REFUSED = 3
    PREFLIGHT_REFUSED = 4
    PUSH_REFUSED = 5
    ROLLED_BACK = 10
    ROLLBACK_UNVERIFIED = 11
    ROLLBACK_IMPOSSIBLE = 12
    SUPERSEDED = 13
    BLOCKED = 14
    UNKNOWN = 15
    HELD = 16
    INTERRUPTED = 130


class ReleaseError(Exception):
    """A refusal that a person can act on.

    what: what happened, one line. why: the reason, may have several lines. todo: what to do next.
    code: a stable slug of the kind, as it stands in the report's findings.
    """

    exit_code: ClassVar[ExitCode]
    code: ClassVar[str]

    def __init__(self, what: str, *, why: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.todo = what, why, todo

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.todo) if part)


class UsageError(ReleaseError):
    """Arguments, environment or configuration that cannot be understood."""

    exit_code = ExitCode.USAGE
    code = "usage"


class InternalError(ReleaseError):
    """A mistake of plate-release itself."""

    exit_code = ExitCode.USAGE
    code = "internal-error"


class PlanRefused(ReleaseError):
    """What is in the repository, or would come out of it, refuses the plan."""

    exit_code = ExitCode.PLAN_REFUSED
    code = "plan-refused"


class EditRefused(PlanRefused):
    """A values file that cannot be edited with certainty."""

    code = "edit-refused"


class ChartRefused(PlanRefused):
    """A chart that cannot be found, linted, rendered or validated."""

    code = "chart-refused"


class TagRefused(PlanRefused):
    """A tag that the policy forbids, or an image that does not exist."""

    code = "tag-refused"


class NoEffect(PlanRefused):
    """An edit that would not change what runs."""

    code = "no-effect"


class PreflightRefused(ReleaseError):
    """The world is not ready for a release; nothing was changed."""

    exit_code = ExitCode.PREFLIGHT_REFUSED
    code = "preflight-refused"


class RepositoryUnavailable(PreflightRefused):
    """The git repository cannot be reached, or does not let us in."""

    code = "repository-unavailable"


class ArgoUnavailable(PreflightRefused):
    """Argo CD cannot be reached, or does not let us in."""

    code = "argocd-unavailable"


class ClusterUnavailable(PreflightRefused):
    """The cluster cannot be reached, or does not let us in."""

    code = "cluster-unavailable"


class UnderWay(PreflightRefused):
    """Another release of a service is under way."""

    code = "under-way"


class PushRefused(ReleaseError):
    """The commit could not be pushed; the branch is as it was."""

    exit_code = ExitCode.PUSH_REFUSED
    code = "push-refused"


class Overtaken(PushRefused):
    """Somebody else changed the service between the plan and the push."""

    code = "overtaken"


NOTHING_CHANGED = "The run was interrupted; nothing was changed."


class Interrupted(ReleaseError):
    """The run was asked to stop before it changed anything."""

    exit_code = ExitCode.INTERRUPTED
    code = "interrupted"


def some_of(lines: list[str], most: int) -> list[str]:
    """Return the first lines, and how many there are more."""
    left = len(lines) - most
    return [*lines[:most], f"and {left} more"] if left > 0 else lines
