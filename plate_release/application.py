"""The Argo CD Application's specification, as its manifest in git and its API have it.

Unknown fields are ignored and missing ones have Kubernetes' meaning of absent. The status half,
which only the API has, is in `plate_release.argocd.status`.
Source: argo-cd pkg/apis/application/v1alpha1/types.go.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

T = TypeVar("T")

_HOOKS = ("argocd.argoproj.io/hook", "helm.sh/hook")
_SYNC_OPTIONS = "argocd.argoproj.io/sync-options"

_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>(?!//).+)")
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^/@]*@)?(?P<host>[^/:]+)(?::(?P<port>\d+))?(?P<path>/.*)?",
    re.IGNORECASE,
)
_STANDARD_PORTS = {"", "22", "80", "443"}


class Wire(BaseModel):
    """A frozen model of an object as Kubernetes writes it: camelCase, open to new fields."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


def _absent_is_empty(value: Any) -> Any:
    return () if value is None else value


# Kubernetes writes an empty list as null or leaves it out.
Many = Annotated[tuple[T, ...], BeforeValidator(_absent_is_empty)]
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class HelmParameter(Wire):
    """One `--set` (or `--set-string`) of the Application."""

    name: Text = ""
    value: Text = ""
    force_string: bool = False


class HelmFileParameter(Wire):
    """One `--set-file` of the Application."""

    name: Text = ""
    path: Text = ""


class HelmOptions(Wire):
    """`source.helm`."""

    value_files: Many[str] = ()
    ignore_missing_value_files: bool = False
    values: Text = ""
    values_object: dict[str, Any] | None = None
    parameters: Many[HelmParameter] = ()
    file_parameters: Many[HelmFileParameter] = ()
    release_name: Text = ""
    namespace: Text = ""
    skip_crds: bool = False
    skip_schema_validation: bool = False
    skip_tests: bool = False
    kube_version: Text = ""
    api_versions: Many[str] = ()


Origin: TypeAlias = tuple[str, str]
"""A source's repoURL and targetRevision: what its files are read from."""


class Source(Wire):
    """One entry of `spec.source` / `spec.sources`."""

    repo_url: Text = Field(default="", alias="repoURL")
    path: Text = ""
    target_revision: Text = ""
    chart: Text = ""
    ref: Text = ""
    helm: HelmOptions | None = None
    kustomize: dict[str, Any] | None = None
    directory: dict[str, Any] | None = None
    plugin: dict[str, Any] | None = None

    @property
    def origin(self) -> Origin:
        """What its files are read from."""
        return self.repo_url, self.target_revision

    @property
    def is_remote(self) -> bool:
        """Whether it is a chart of a Helm repository or an OCI registry, not files of git."""
        return bool(self.chart) or self.repo_url.startswith("oci://")

    def follows(self, branch: str) -> bool:
        """Whether it follows a branch of its git repository; `HEAD` counts as the branch."""
        revision = (self.target_revision or "HEAD").removeprefix("refs/heads/")
        return not self.is_remote and revision in {branch, "HEAD"}


class SourceHydrator(Wire):
    """`spec.sourceHydrator`: people write to the dry source, Argo CD deploys what it becomes."""

    dry_source: Source = Source()


class Destination(Wire):
    """`spec.destination`."""

    server: Text = ""
    name: Text = ""
    namespace: Text = ""


class Automated(Wire):
    """`syncPolicy.automated`; present and not disabled means automated sync is on."""

    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False
    enabled: bool | None = None


class SyncPolicy(Wire):
    """`spec.syncPolicy`."""

    automated: Automated | None = None
    sync_options: Many[str] = ()


class ApplicationSpec(Wire):
    """`spec` of an Application."""

    project: Text = "default"
    source: Source | None = None
    sources: Many[Source] = ()
    source_hydrator: SourceHydrator | None = None
    destination: Destination = Destination()
    sync_policy: SyncPolicy = SyncPolicy()

    @property
    def all_sources(self) -> tuple[Source, ...]:
        """The sources that people write to in the order of the spec, whichever field holds them."""
        if self.source_hydrator:
            return (self.source_hydrator.dry_source,)
        if self.sources:
            return self.sources
        return (self.source,) if self.source else ()

    @property
    def automated(self) -> bool:
        """Whether Argo CD syncs a new revision by itself."""
        policy = self.sync_policy.automated
        return policy is not None and policy.enabled is not False


class ObjectMeta(Wire):
    """The metadata that this tool reads."""

    name: Text = ""
    namespace: Text = ""
    uid: Text = ""
    resource_version: Text = ""
    annotations: dict[str, str] | None = None
    creation_timestamp: Text = ""
    deletion_timestamp: Text = ""


class Application(Wire):
    """An Application's metadata and spec, wherever it was read."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ApplicationSpec = ApplicationSpec()

    @property
    def name(self) -> str:
        """The Application's name."""
        return self.metadata.name


def same_repository(one: str, other: str) -> bool:
    """Say whether two URLs or paths name one repository, whatever protocol they go by."""
    return _normal(one) == _normal(other)


@lru_cache(maxsize=1024)
def _normal(url: str) -> tuple[str, str, str]:
    """Host, port where it is not a standard one, path. As Argo CD, letter case is ignored."""
    text = url.strip().rstrip("/").removesuffix(".git").rstrip("/")
    if (match := _URL.fullmatch(text)) and match["scheme"].lower() != "file":
        port = match["port"] or ""
        port = "" if port in _STANDARD_PORTS else port
        return match["host"].lower(), port, (match["path"] or "").strip("/").lower()
    if (match := _SCP.fullmatch(text)) and "/" not in match["host"]:
        return match["host"].lower(), "", match["path"].strip("/").lower()
    return "", "", text.removeprefix("file://")


def is_created_anew(manifest: Mapping[str, Any]) -> bool:
    """Whether Argo CD deletes what stands there first, so that fields may change that cannot.

    Hooks are deleted before their creation unless they say otherwise, and so is what has the
    sync option Force. Replace alone updates what is there. Source: gitops-engine pkg/sync.
    """
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    options = str(annotations.get(_SYNC_OPTIONS, "")).replace(" ", "").split(",")
    return any(hook in annotations for hook in _HOOKS) or "Force=true" in options
