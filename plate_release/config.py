"""The environment's configuration file, validated; every key is optional but the first two."""

import difflib
import re
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from plate_release.errors import UsageError
from plate_release.images.policy import TagPolicy
from plate_release.model import ImageCheck, Level, Policy, Switch

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
# The ledger holds a deadline as a date, and no release is watched for a month.
_LONGEST = 30 * 24 * 3600


def seconds(text: str) -> float:
    """Seconds of a duration such as `90s`, `15m` or `1h30m`, up to 30 days; else UsageError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise UsageError(f"{text!r} is not a duration.", todo="Write it like 90s, 15m or 1h30m.")
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + rest
    if total > _LONGEST:
        todo = f"Give at most {_LONGEST // 3600}h."
        raise UsageError(f"{text!r} is too long a duration.", todo=todo)
    return total


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return seconds(value)
    except UsageError as error:
        raise ValueError(str(error)) from error


Duration = Annotated[
    float,
    BeforeValidator(_duration, json_schema_input_type=str),
    Field(ge=0, le=_LONGEST, examples=["90s", "15m", "1h30m"]),
]
OnOff = Annotated[
    Switch,
    # YAML 1.1 reads a bare `on` as true.
    BeforeValidator(lambda value: {True: "on", False: "off"}.get(value, value)),
]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=_kebab, populate_by_name=True
    )


class Argo(_Section):
    """Where Argo CD is; ARGOCD_SERVER beats it."""

    server: str = ""
    namespace: str = "argocd"


class Kubernetes(_Section):
    """What the environment's cluster is; else Argo CD is asked, and then the cluster."""

    version: str = Field(default="", pattern=r"^(v?[0-9]+\.[0-9]+.*)?$", examples=["1.33"])
    api_versions: tuple[str, ...] = ()


class Service(_Section):
    """What the repository itself does not say about a service."""

    application: str | None = None
    application_namespace: str | None = None
    tag_key: str | None = None
    values_file: str | None = None
    tags: TagPolicy = TagPolicy()
    access: tuple[str, ...] = ()


class ReleaseDefaults(_Section):
    """Defaults of the command line's options of the same names."""

    timeout: Duration = 900
    soak: Duration = 30
    grace: Duration = 20
    on_failure: Policy = "revert"
    on_unknown: Policy = "hold"
    on_cancel: Policy = "revert"
    image_check: ImageCheck = "warn"
    cluster_dry_run: OnOff = "on"
    skip_ci: bool = False
    strict_lint: bool = False


class Config(_Section):
    """One `environments/ENVIRONMENT.yaml`."""

    api_version: Literal["plate-release/v1"] = Field(
        default="plate-release/v1", alias=to_camel("api_version")
    )
    environment: str = "prod"
    production: bool | None = Field(
        default=None, description="Whether tags that move are refused; by the environment's name."
    )
    confirm: bool = False
    argocd: Argo = Argo()
    kubernetes: Kubernetes = Kubernetes()
    applications: str = "environments"
    services: dict[str, Service] = {}
    release: ReleaseDefaults = ReleaseDefaults()
    platforms: tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$")], ...] = (
        Field(
            default=(),
            description="The nodes' platforms, such as linux/arm64; else those that Argo CD shows.",
        )
    )
    checks: dict[str, Level | Literal["off"]] = Field(
        default={}, description="The level at which a finding of this code is reported."
    )

    @property
    def is_production(self) -> bool:
        """Whether what is released here must stay what it is."""
        if self.production is not None:
            return self.production
        return self.environment.startswith(("prod", "prd", "live"))

    def service(self, name: str) -> Service:
        """Return what is configured for a service, or the defaults."""
        return self.services.get(name, Service())


def parse(text: bytes, *, file: str, environment: str) -> Config:
    """Read the configuration `file`; UsageError with every mistake by its path and near miss."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(
            f"{file} is not YAML.", why=str(error), todo="Correct the file."
        ) from error
    try:
        config = Config.model_validate({} if data is None else data)
    except ValidationError as error:
        raise UsageError(
            f"{file} is not a valid configuration.",
            why="\n".join(_mistake(dict(item)) for item in error.errors()),
            todo="`plate-release schema` prints what is allowed.",
        ) from error
    if config.environment != environment:
        raise UsageError(
            f"{file} is of environment {config.environment!r}, not {environment!r}.",
            todo=f"Pass --environment {config.environment}, or another --config.",
        )
    return config


def _mistake(item: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"]) or "(the file)"
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(item["loc"][-1]), _known_keys(), n=1)
        return f"{place}: no such key" + (f"; did you mean {near[0]}?" if near else "")
    return f"{place}: {item['msg']}"


def _known_keys() -> list[str]:
    models: tuple[type[_Section], ...] = (Config, Argo, Kubernetes, Service, ReleaseDefaults)
    return [field.alias or name for m in models for name, field in m.model_fields.items()]


def schema() -> dict[str, Any]:
    """JSON Schema of the configuration."""
    return Config.model_json_schema(by_alias=True) | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plate-release configuration",
    }
