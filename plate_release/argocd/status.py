"""What Argo CD's API says of an Application: its status, its resource tree, its sync windows.

Parsed once, at the border, by `Model.model_validate_json(line)`. Fields that this tool does not
read are ignored, missing ones are empty. Values stay the strings that Argo CD writes, since new
ones may appear: sync `Synced OutOfSync Unknown`; health `Healthy Suspended Progressing Missing
Degraded Unknown`; phase `Running Terminating Failed Error Succeeded`.
Source: argo-cd v3.5.1 pkg/apis/application/v1alpha1/types.go, and recordings of v3.6.0.
"""

import re
from datetime import datetime

from pydantic import Field

from plate_release.application import Application, Many, Source, Wire

REFRESH_ANNOTATION = "argocd.argoproj.io/refresh"
_SHA = re.compile(r"[0-9a-f]{40}\Z")


class Revised(Wire):
    """Something that names the revision of each source, in the order of the spec."""

    revision: str = ""
    revisions: Many[str] = ()

    def at(self, source: int) -> str | None:
        """Return the commit of the source at index `source`, or None where no commit is named.

        A chart's version is no commit, nor is `main`, which stands there when rendering failed.
        """
        named = self.revisions or (self.revision,)
        text = named[source] if source < len(named) else ""
        return text if _SHA.match(text) else None


class Health(Wire):
    """The health of an Application or of a resource."""

    status: str = ""
    message: str = ""


class ComparedTo(Wire):
    """The spec that the sync status was computed against."""

    source: Source | None = None
    sources: Many[Source] = ()


class Sync(Revised):
    """`status.sync`: how the cluster compares with git, and with which revision of it."""

    status: str = ""
    compared_to: ComparedTo = ComparedTo()


class Condition(Wire):
    """One of `status.conditions`."""

    type: str = ""
    message: str = ""

    @property
    def is_error(self) -> bool:
        """Whether it reports an error; the others are warnings (types.go: IsError)."""
        return self.type.endswith("Error")


class Resource(Wire):
    """One managed object of `status.resources`."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    status: str = ""
    health: Health | None = None
    requires_pruning: bool = False
    hook: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class ResourceResult(Wire):
    """What a sync did to one object; `hook_type` is set for hooks only."""

    group: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    status: str = ""
    message: str = ""
    hook_type: str = ""
    hook_phase: str = ""
    sync_phase: str = ""
    images: Many[str] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class SyncOperation(Revised):
    """What a sync was asked to do; `resources` is not empty where it is partial."""

    dry_run: bool = False
    resources: Many[dict[str, str]] = ()


class InitiatedBy(Wire):
    """Who asked for an operation."""

    username: str = ""
    automated: bool = False


class RetryLimit(Wire):
    """How often an operation is tried again."""

    limit: int = 0


class Operation(Wire):
    """An operation that was asked for."""

    sync: SyncOperation | None = None
    initiated_by: InitiatedBy = InitiatedBy()
    retry: RetryLimit = RetryLimit()


class SyncResult(Revised):
    """What a sync has done so far."""

    resources: Many[ResourceResult] = ()


class OperationState(Wire):
    """`status.operationState`: the operation that runs, or the last that ran.

    `phase` Running with `finished_at` set means that it waits to be tried again.
    """

    operation: Operation = Operation()
    phase: str = ""
    message: str = ""
    sync_result: SyncResult | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    retry_count: int = 0

    def revision(self, source: int) -> str | None:
        """Return the commit that it syncs: what it did, else what it was asked to do."""
        done = self.sync_result.at(source) if self.sync_result else None
        asked = self.operation.sync.at(source) if self.operation.sync else None
        return done or asked


class History(Revised):
    """One of `status.history`: a sync that succeeded."""

    id: int = 0
    deployed_at: datetime | None = None


class Hydration(Wire):
    """A run of the source hydrator: the dry commit, and the commit that it became."""

    dry_sha: str = Field(default="", alias="drySHA")
    hydrated_sha: str = Field(default="", alias="hydratedSHA")
    phase: str = ""
    message: str = ""


class HydratorStatus(Wire):
    """`status.sourceHydrator`."""

    current_operation: Hydration | None = None
    last_successful_operation: Hydration | None = None


class Summary(Wire):
    """`status.summary`; images of pods that are going linger in it for a second."""

    images: Many[str] = ()


class Status(Wire):
    """`status` of an Application; `reconciled_at` is the start of the last comparison."""

    sync: Sync = Sync()
    health: Health = Health()
    reconciled_at: datetime | None = None
    operation_state: OperationState | None = None
    resources: Many[Resource] = ()
    history: Many[History] = ()
    conditions: Many[Condition] = ()
    summary: Summary = Summary()
    source_type: str = ""
    source_hydrator: HydratorStatus = HydratorStatus()


class LiveApplication(Application):
    """An Application as the API has it. `operation` is set from the request to its end."""

    operation: Operation | None = None
    status: Status = Status()

    @property
    def refreshing(self) -> bool:
        """Whether a refresh was asked for and has not been done."""
        return REFRESH_ANNOTATION in (self.metadata.annotations or {})

    @property
    def version(self) -> int | None:
        """The resource version, which grows with every change; None where it is no number."""
        text = self.metadata.resource_version
        return int(text) if text.isdecimal() else None

    @property
    def compared_with_spec(self) -> bool:
        """Whether the sync status is about the sources that the spec has now, if it says so."""
        compared = self.status.sync.compared_to
        one = compared.source if compared.source != Source() else None
        sources = compared.sources or ((one,) if one else ())
        return not sources or sources == self.spec.all_sources


class ApplicationEvent(Wire):
    """One line of the stream; `type` is ADDED, MODIFIED or DELETED."""

    type: str = ""
    application: LiveApplication


class InfoItem(Wire):
    """One of a node's facts, such as `Status Reason`."""

    name: str = ""
    value: str = ""


class ParentRef(Wire):
    """The object that owns a node."""

    group: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""


class Node(Wire):
    """One object of the resource tree."""

    group: str = ""
    version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    parent_refs: Many[ParentRef] = ()
    info: Many[InfoItem] = ()
    images: Many[str] = ()
    health: Health = Health()
    created_at: datetime | None = None

    def fact(self, name: str) -> str:
        """Return the value of the fact `name`, empty where there is none."""
        return next((item.value for item in self.info if item.name == name), "")


class SystemInfo(Wire):
    """What a cluster's node is."""

    operating_system: str = ""
    architecture: str = ""

    @property
    def platform(self) -> str:
        """Such as `linux/arm64`, empty where it is not said."""
        parts = (self.operating_system, self.architecture)
        return "/".join(parts) if all(parts) else ""


class Host(Wire):
    """A node of the cluster that runs pods of the Application."""

    name: str = ""
    system_info: SystemInfo = SystemInfo()


class ResourceTree(Wire):
    """`GET .../resource-tree`."""

    nodes: Many[Node] = ()
    hosts: Many[Host] = ()


class SyncWindow(Wire):
    """One sync window; `schedule` is a cron expression, `duration` as Go writes it."""

    kind: str = ""
    schedule: str = ""
    duration: str = ""
    time_zone: str = ""
    manual_sync: bool = False


class SyncWindows(Wire):
    """`GET .../syncwindows`. `can_sync` is the verdict for a sync by hand."""

    active_windows: Many[SyncWindow] = ()
    assigned_windows: Many[SyncWindow] = ()
    can_sync: bool = False

    @property
    def can_auto_sync(self) -> bool:
        """Whether automated sync may run (types.go: SyncWindows.CanSync with isManual false)."""
        active = {window.kind for window in self.active_windows}
        if "deny" in active:
            return False
        return "allow" in active or all(w.kind != "allow" for w in self.assigned_windows)
