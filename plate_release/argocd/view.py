"""One snapshot of an Application, read with our commit in mind.

The rules are those of Argo CD's own order of events: Synced and Healthy mean nothing until the
revision beside them is ours, or a descendant of ours that still holds our value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from plate_release.argocd.events import Revision, Subject
from plate_release.argocd.pods import Pod, Pods, repository
from plate_release.argocd.sources import our_source
from plate_release.argocd.status import Condition, LiveApplication, OperationState
from plate_release.argocd.wording import About, speaks_about


@dataclass(frozen=True)
class View:
    """What one snapshot says about our commit.

    known: what git said of other commits. dry: the dry commit of each hydrated one.
    """

    subject: Subject
    application: LiveApplication
    pods: Pods | None
    pods_before: Pods | None
    known: Mapping[str, Revision]
    dry: Mapping[str, str]

    @cached_property
    def source(self) -> int | None:
        """The index of our source; the source hydrator has just one."""
        spec = self.application.spec
        if spec.source_hydrator is not None:
            return 0
        subject = self.subject
        return our_source(spec, subject.repository, subject.branch, subject.file)

    def commit_of(self, sha: str | None) -> str | None:
        """Return the commit people make: a hydrated one stands for its dry one."""
        hydrated = self.application.spec.source_hydrator is not None
        return self.dry.get(sha) if sha and hydrated else sha

    def relation(self, commit: str | None) -> Revision | None:
        """Return what `commit` is to ours, or None while that is not known."""
        if commit is None:
            return None
        if commit == self.subject.commit:
            return Revision(commit, contains=True, holds=True)
        return self.known.get(commit)

    def descends(self, commit: str | None) -> bool:
        """Whether `commit` certainly is ours or a descendant of it."""
        what = self.relation(commit)
        return bool(what and what.contains)

    def ours(self, commit: str | None) -> bool:
        """Whether `commit` certainly is ours, or a descendant that holds our value."""
        what = self.relation(commit)
        return bool(what and what.contains and what.holds)

    def replaced_by(self, commit: str | None) -> bool:
        """Whether `commit` is a descendant of ours that certainly holds another value."""
        what = self.relation(commit)
        return bool(what and what.contains and what.holds is False)

    @cached_property
    def commit(self) -> str | None:
        """The commit that Argo CD compares the cluster with."""
        if self.source is None:
            return None
        return self.commit_of(self.application.status.sync.at(self.source))

    @cached_property
    def operation(self) -> OperationState | None:
        """The operation that runs or ran last; a dry run is none."""
        state = self.application.status.operation_state
        dry_run = state and state.operation.sync and state.operation.sync.dry_run
        return None if dry_run else state

    @cached_property
    def operation_commit(self) -> str | None:
        """The commit of the operation that was asked for, runs, or ran last."""
        if self.source is None:
            return None
        asked = self.application.operation
        if self.operation is None:
            sha = asked.sync.at(self.source) if asked and asked.sync else None
        else:
            sha = self.operation.revision(self.source)
        return self.commit_of(sha)

    @property
    def made_by(self) -> str | None:
        """The commit that made what runs: a later one that changed nothing was never synced."""
        operation = self.operation_commit
        return operation if self.descends(operation) else self.commit

    @property
    def unknown(self) -> frozenset[str]:
        """The commits that it names and of which git has not said enough yet."""
        named = (self.commit, self.operation_commit)
        return frozenset(sha for sha in named if sha and not self._is_understood(sha))

    def _is_understood(self, sha: str) -> bool:
        what = self.relation(sha)
        if what is None or what.contains is None:
            return False
        return not what.contains or what.holds is not None

    @property
    def _is_answered(self) -> bool:
        """Whether git has said what it can about the last operation's commit."""
        commit = self.operation_commit
        return commit is None or self.relation(commit) is not None

    @cached_property
    def at_ours(self) -> bool:
        """Whether the cluster was compared with our commit, by the sources that the spec has."""
        return self.ours(self.commit) and (
            self.application.spec.source_hydrator is not None or self.application.compared_with_spec
        )

    @property
    def busy(self) -> bool:
        """Whether an operation was asked for or runs."""
        return self.application.operation is not None

    @cached_property
    def synced_by_operation(self) -> bool:
        """Whether the last operation brought our commit to the cluster."""
        operation = self.operation
        return bool(
            operation and operation.phase == "Succeeded" and self.ours(self.operation_commit)
        )

    @cached_property
    def prune_only(self) -> bool:
        """Whether nothing but objects that nobody prunes is out of sync."""
        off = [r for r in self.application.status.resources if r.status == "OutOfSync"]
        policy = self.application.spec.sync_policy.automated
        succeeded = self.operation is not None and self.operation.phase == "Succeeded"
        # Where pruning is on, a sync that prunes is still to come.
        done = self.synced_by_operation or (succeeded and not (policy and policy.prune))
        return done and bool(off) and all(r.requires_pruning for r in off)

    @cached_property
    def in_sync(self) -> bool:
        """Whether the cluster is as our commit wants it, as far as Argo CD is asked to make it."""
        status = self.application.status.sync.status
        return self.at_ours and (status == "Synced" or (status == "OutOfSync" and self.prune_only))

    @property
    def idle_out_of_sync(self) -> bool:
        """Whether our commit was found and nothing is being done about it."""
        return (
            self.at_ours
            and self.application.status.sync.status == "OutOfSync"
            and not self.prune_only
            and not self.busy
            and not self.application.refreshing
        )

    @cached_property
    def applied(self) -> bool:
        """Whether our commit is in the cluster, or on its way there."""
        return self.in_sync or self.ours(self.operation_commit)

    @cached_property
    def errors(self) -> tuple[Condition, ...]:
        """The conditions that report an error; of the source hydrator too, which sets none."""
        status = self.application.status
        errors = tuple(c for c in status.conditions if c.is_error)
        run = status.source_hydrator.current_operation
        if run and run.phase == "Failed" and self.ours(run.dry_sha):
            return (*errors, Condition(type="HydrateError", message=run.message))
        return errors

    @cached_property
    def blind(self) -> str:
        """Why Argo CD itself cannot see, empty if it can."""
        return next(
            (
                f"{c.type}: {c.message}"
                for c in self.errors
                if speaks_about(c.message) is About.BLIND
            ),
            "",
        )

    @property
    def health(self) -> str:
        """The Application's health."""
        return self.application.status.health.status

    @cached_property
    def reconciled(self) -> bool:
        """Whether status and health are from after the end of the last operation of our commit."""
        if not self.synced_by_operation:
            return not (self.operation and self.ours(self.operation_commit))
        finished = self.operation.finished_at if self.operation else None
        at = self.application.status.reconciled_at
        return finished is None or (at is not None and at >= finished)

    @cached_property
    def live(self) -> bool:
        """Whether this snapshot alone shows our commit live."""
        return self.settled and self.image_runs

    @cached_property
    def settled(self) -> bool:
        """Whether nothing more is to be done for our commit, whatever image runs."""
        return (
            self.in_sync
            and self.reconciled
            and self.health == "Healthy"
            and not self.busy
            and not self.application.refreshing
            and not self.errors
            and self._is_answered
            and not self.application.metadata.deletion_timestamp
        )

    @cached_property
    def release_pods(self) -> tuple[Pod, ...]:
        """The pods that our commit made or that run its images."""
        if self.pods is None or not self.applied:
            return ()
        return self.pods.of_release(self.subject.images, self.pods_before)

    @cached_property
    def running(self) -> frozenset[str]:
        """The images that run, or that were applied where no pod runs at all."""
        running = frozenset(self.application.status.summary.images)
        if self.pods is not None and not running:
            running = frozenset(image for pod in self.pods.current for image in pod.images)
        return running

    @cached_property
    def image_runs(self) -> bool:
        """Whether every expected image runs, on each pod of the release that has its repository."""
        return all(self.runs(image) for image in self.subject.images)

    def runs(self, image: str) -> bool:
        """Whether `image` is what runs of its repository."""
        name = repository(image)
        if any(self._runs_another(pod, name) for pod in self.release_pods):
            return False
        return image in self.running or (
            not any(repository(i) == name for i in self._lasting) and image in self._applied_images
        )

    @property
    def says(self) -> str:
        """What a live line shows."""
        status = self.application.status
        at = (self.commit or status.sync.revision or "-")[:7]
        parts = [f"{status.sync.status or '-'} at {at}", self.health or "-"]
        if self.operation and self.busy:
            parts.append(f"sync {self.operation.phase} {self.operation.message}".strip())
        return ", ".join((*parts, *(f"{c.type}: {c.message}" for c in self.errors)))

    def _runs_another(self, pod: Pod, name: str) -> bool:
        mine = [image for image in pod.images if repository(image) == name]
        return bool(mine) and not any(image in self.subject.images for image in mine)

    @property
    def _lasting(self) -> frozenset[str]:
        """The images that go on running: what a Job ran says nothing of what it runs next."""
        if self.pods is None:
            return self.running
        return frozenset(i for pod in self.pods.current if not pod.of_job for i in pod.images)

    @property
    def _applied_images(self) -> frozenset[str]:
        """The images of the objects that the last sync applied (argo-cd 3.6): no pod runs yet."""
        operation = self.operation
        if operation is None or operation.sync_result is None or operation.phase != "Succeeded":
            return frozenset()
        return frozenset(image for r in operation.sync_result.resources for image in r.images)
