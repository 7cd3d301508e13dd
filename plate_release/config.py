"""The environment's configuration file, validated; every key is optional."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from posixpath import normpath
from typing import Annotated, Any, Literal, TypeAlias, cast, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from plate_release.errors import UsageError
from plate_release.images.policy import TagPolicy
from plate_release.model import Check, Finding, ImageCheck, Policy, Switch
from plate_release.section import Section
from plate_release.values.keys import Key

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
        raise ValueError(f"{value!r} is not a duration. Write it like 90s, 15m or 1h30m.")  # noqa: TRY004  # pydantic's way
    try:
        return seconds(value)
    except UsageError as error:
        raise ValueError(str(error)) from error


Duration = Annotated[
    float,
    BeforeValidator(_duration, json_schema_input_type=str),
    Field(examples=["90s", "15m", "1h30m"]),
]


def _lasting(text: str) -> Any:
    """Return the field of a duration that is `text` by default."""
    return Field(default_factory=partial(seconds, text), json_schema_extra={"default": text})


def _switch(value: Any) -> Any:
    # YAML 1.1 reads a bare `on` as true.
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _inside(path: str) -> str:
    plain = normpath(path)
    if plain.startswith(("/", "../")) or plain == "..":
        raise ValueError(f"{path!r} leaves the repository")
    return plain


def _key(value: Any) -> Key | None:
    try:
        return None if value is None else Key.parse(str(value))
    except UsageError as error:
        raise ValueError(str(error)) from error


def _filled(value: Any) -> Any:
    """Take a name with nothing behind it as one with nothing to say."""
    if not isinstance(value, dict):
        return value
    return {name: {} if one is None else one for name, one in value.items()}


OnOff = Annotated[Switch, BeforeValidator(_switch)]
CheckLevel: TypeAlias = Literal["error", "warning", "info", "off"]


class Argo(Section):
    """Where Argo CD is; ARGOCD_SERVER beats it."""

    server: str = ""
    namespace: str = "argocd"


class Kubernetes(Section):
    """What the environment's cluster is; else Argo CD is asked, and then the cluster."""

    version: str = Field(default="", pattern=r"^(v?[0-9]+\.[0-9]+.*)?$", examples=["1.33"])
    api_versions: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _version_is_told(self) -> "Kubernetes":
        if self.api_versions and not self.version:
            raise ValueError("`api-versions` are those of a `version`")
        return self


class Service(Section):
    """What the repository itself does not say about a service."""

    application: str | None = None
    application_namespace: str | None = None
    tag_key: Annotated[Key | None, PlainValidator(_key, json_schema_input_type=str)] = None
    values_file: str | None = None
    tags: TagPolicy = TagPolicy()
    access: tuple[str, ...] = ()


class ReleaseDefaults(Section):
    """Defaults of the command line's options of the same names."""

    timeout: Duration = _lasting("15m")
    soak: Duration = _lasting("30s")
    grace: Duration = _lasting("20s")
    on_failure: Policy = "revert"
    on_unknown: Policy = "hold"
    on_cancel: Policy = "revert"
    image_check: Annotated[ImageCheck, BeforeValidator(_switch)] = "warn"
    cluster_dry_run: OnOff = "on"
    skip_ci: bool = False
    strict_lint: bool = False


class Config(Section):
    """One `environments/ENVIRONMENT.yaml`."""

    api_version: Literal["plate-release/v1"] = Field(default="plate-release/v1", alias="apiVersion")
    environment: str = "prod"
    production: bool | None = Field(
        default=None, description="Whether tags that move are refused; by the environment's name."
    )
    confirm: bool = False
    argocd: Argo = Argo()
    kubernetes: Kubernetes = Kubernetes()
    applications: Annotated[str, AfterValidator(_inside)] = "environments"
    services: Annotated[
        dict[str, Service],
        BeforeValidator(_filled, json_schema_input_type=dict[str, Service | None]),
    ] = Field(default={})
    release: ReleaseDefaults = ReleaseDefaults()
    platforms: tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$")], ...] = (
        Field(
            default=(),
            description="The nodes' platforms, such as linux/arm64; else those that Argo CD shows.",
        )
    )
    checks: dict[Check, Annotated[CheckLevel, BeforeValidator(_switch)]] = Field(
        default={}, description="The level at which a finding of this code is reported."
    )

    @property
    def is_production(self) -> bool:
        """Whether what is released here must stay what it is."""
        if self.production is not None:
            return self.production
        return self.environment.startswith(("prod", "prd", "live"))

    def levelled(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Return findings at the levels that `checks` gives them."""
        levels = {check.value: level for check, level in self.checks.items()}
        found = ((one, levels.get(one.code, one.level)) for one in findings)
        return tuple(replace(one, level=level) for one, level in found if level != "off")

    def service(self, name: str) -> Service:
        """Return what is configured for a service, or the defaults."""
        return self.services.get(name, Service())


def parse(text: bytes, *, file: str, environment: str) -> Config:
    """Read the configuration `file`; UsageError with every mistake by its path and near miss."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        lines = dict(_lines(node, (), set()))
        data = loader.construct_document(node) if node else {}
        if isinstance(data, dict) and data.get("environment") is None:
            data = {**data, "environment": environment}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{file} is not YAML.", why=str(error), todo="Correct the file."
        ) from error
    try:
        config = Config.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        raise UsageError(
            f"{file} is not a valid configuration.",
            why=_mistakes(error, lines),
            todo="`plate-release schema` prints what is allowed.",
        ) from error
    if config.environment != environment:
        raise UsageError(
            f"{file} is of environment {config.environment!r}, not {environment!r}.",
            todo=f"Pass --environment {config.environment}, or another --config.",
        )
    return config


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, for which each key is a text that stands once."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                problem = f"{key.value} stands twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(str(key.value))
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                key.tag = "tag:yaml.org,2002:str"  # `on` is no boolean here
        return node


KeyPath: TypeAlias = tuple[str | int, ...]


def _lines(
    node: yaml.Node | None, place: KeyPath, known: set[int]
) -> Iterator[tuple[KeyPath, int]]:
    """Give the line of each key, from 1; what aliases repeat is left out."""
    if isinstance(node, yaml.MappingNode) and id(node) not in known:
        known.add(id(node))
        for key, value in node.value:
            name = (*place, str(key.value))
            yield name, key.start_mark.line + 1
            yield from _lines(value, name, known)


def _mistakes(error: ValidationError, lines: Mapping[KeyPath, int]) -> str:
    """Name every mistake by its line and place, in the order of the file."""
    found = []
    for item in error.errors():
        place = tuple(part for part in item["loc"] if part != "[key]")
        above = (place[:end] for end in range(len(place), 0, -1))
        line = next((lines[one] for one in above if one in lines), 0)
        where = f"{f'line {line}: ' if line else ''}{'.'.join(map(str, place)) or '(the file)'}"
        found.append((line, f"{where}: {_problem(dict(item), place)}"))
    return "\n".join(text for _, text in sorted(found))


def _problem(item: dict[str, Any], place: KeyPath) -> str:
    if item["type"] == "extra_forbidden":
        known: Iterable[str] = _keys_of(_model_at(place[:-1]))
    elif item["loc"][-1:] == ("[key]",):
        known = Check
    else:
        return str(item["msg"]).removeprefix("Value error, ")
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return "no such key" + (f"; did you mean {near[0]}?" if near else "")


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(place: KeyPath) -> type[BaseModel]:
    """Return the part of the configuration that stands at a place."""
    model: type[BaseModel] = Config
    steps = iter(place)
    for step in steps:
        names = dict(zip(_keys_of(model), model.model_fields.values(), strict=True))
        of = names[str(step)].annotation
        if get_args(of):  # services, by their names
            of = get_args(of)[1]
            next(steps, None)
        model = cast("type[BaseModel]", of)
    return model


def schema() -> dict[str, Any]:
    """JSON Schema of the configuration."""
    return Config.model_json_schema(by_alias=True) | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plate-release configuration",
    }
