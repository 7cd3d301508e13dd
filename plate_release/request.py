"""A request: what a run was asked, with every option settled. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from plate_release.config import ReleaseDefaults
from plate_release.errors import UsageError
from plate_release.model import ImageCheck, Policy, Switch

T = TypeVar("T")

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line said; None where it said nothing."""

    dry_run: bool | None = None
    yes: bool = False
    skip_backup: bool | None = None
    wait: bool = True
    timeout: float | None = None
    soak: float | None = None
    grace: float | None = None
    on_failure: Policy | None = None
    on_unknown: Policy | None = None
    on_cancel: Policy | None = None
    image_check: ImageCheck | None = None
    cluster_dry_run: Switch | None = None
    reason: str = ""
    record: str | None = None
    queue: bool = False
    allow_downgrade: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """Every option of a release, settled; durations in seconds."""

    dry_run: bool
    yes: bool
    skip_backup: bool
    wait: bool
    timeout: float
    soak: float
    grace: float
    on_failure: Policy
    on_unknown: Policy
    on_cancel: Policy
    image_check: ImageCheck
    cluster_dry_run: Switch
    reason: str
    record: str | None
    queue: bool
    allow_downgrade: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Which repository, branch, environment and configuration file."""

    repo: str
    branch: str = "main"
    environment: str = "prod"
    config: str | None = None

    @property
    def config_path(self) -> str:
        """The configuration file, inside the repository."""
        return self.config or f"environments/{self.environment}.yaml"


@dataclass(frozen=True, slots=True)
class Request:
    """Where a run works, and how; `by` and `run` name who asks and where to read about it."""

    place: Place
    given: Given
    by: str = ""
    run: str = ""


def settle_options(
    given: Given, environ: Mapping[str, str], defaults: ReleaseDefaults, **fallback: Policy
) -> Options:
    """Settle each option: the command line, else the environment, else the configuration.

    `fallback` replaces a configured policy's default, such as on_failure for `watch`.
    """

    def of(value: T | None, name: str) -> T:
        if value is not None:
            return value
        settled: T = fallback.get(name, getattr(defaults, name))
        return settled

    return Options(
        dry_run=_flag(given.dry_run, environ, "DRY_RUN"),
        yes=given.yes,
        skip_backup=_flag(given.skip_backup, environ, "SKIP_BACKUP"),
        wait=given.wait,
        timeout=of(given.timeout, "timeout"),
        soak=of(given.soak, "soak"),
        grace=of(given.grace, "grace"),
        on_failure=of(given.on_failure, "on_failure"),
        on_unknown=of(given.on_unknown, "on_unknown"),
        on_cancel=of(given.on_cancel, "on_cancel"),
        image_check=of(given.image_check, "image_check"),
        cluster_dry_run=of(given.cluster_dry_run, "cluster_dry_run"),
        reason=given.reason,
        record=given.record,
        queue=given.queue,
        allow_downgrade=given.allow_downgrade,
    )


def _flag(given: bool | None, environ: Mapping[str, str], name: str) -> bool:
    if given is not None:
        return given
    text = environ.get(name, "").strip().lower()
    if text not in _TRUE | _FALSE:
        # A typo in DRY_RUN must never turn into a release.
        raise UsageError(
            f"{name}={text} is neither true nor false.", todo="Set it to true or false."
        )
    return text in _TRUE
