"""The cluster: may we, would it accept these objects, what runs, and a backup of it.

Asked of the API server, nothing else: `GET /version`, `GET /api/v1/namespaces[/NAME]`, `POST` of
SelfSubjectReviews and SelfSubjectAccessReviews, `GET /api`, `/apis`, `/api/v1` and
`/apis/GROUP/VERSION` (which kinds it knows), `GET` of objects and of pods by label, and `PATCH` or
`POST` with `dryRun=All`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from plate_release.application import is_created_anew
from plate_release.cluster import access, backup, discovery, dry_run, kubeconfig, workloads
from plate_release.cluster.objects import ObjectRef, Resource, segment
from plate_release.cluster.server import Answer, Server
from plate_release.cluster.workloads import Workload, Workloads
from plate_release.errors import PlanRefused
from plate_release.model import Finding

# Argo CD's own name as an owner of fields, so that no conflict is seen that it would not meet.
_AS_ARGO_CD = {"fieldManager": "argocd-controller", "dryRun": "All"}


@dataclass(slots=True)
class Cluster:
    """One cluster, with what was learned of its kinds."""

    server: Server
    _kinds: dict[str, Mapping[str, Resource]] = field(default_factory=dict)

    @classmethod
    def connect(cls, kubeconfig_file: str | None, environ: Mapping[str, str]) -> Self | None:
        """Return the configured cluster, or None where none is configured; asks it nothing yet.

        kubeconfig_file: beats KUBECONFIG, which beats ~/.kube/config and a pod's own account.
        Raises UsageError for an unusable kubeconfig, ClusterUnavailable for a failed plugin.
        """
        source = kubeconfig.find(kubeconfig_file, environ)
        return None if source is None else cls(Server(kubeconfig.load(source)))

    def capabilities(self) -> tuple[str, tuple[str, ...]]:
        """Return its version, and what it serves as `discovery.api_versions` has it.

        Raises ClusterUnavailable.
        """
        return discovery.version(self.server), discovery.api_versions(self.server)

    def preflight(
        self,
        namespaces: Iterable[str],
        *,
        created: Collection[str] = (),
        dry_run: bool = True,
        backup: bool = True,
    ) -> tuple[Finding, ...]:
        """Say which cluster it is, who we are there, and what is missing but not needed.

        created: the namespaces that Argo CD makes itself (CreateNamespace=true). dry_run, backup:
        whether these steps follow. Raises ClusterUnavailable where the cluster cannot be reached,
        does not know us, or lacks a namespace or a permission that a step needs.
        """
        version = discovery.version(self.server)
        who = access.whoami(self.server)
        here = f"cluster {self.server.url}, {version}, as {who}"
        findings = [Finding("info", "cluster", here)]
        needed = [access.APPLY_DEPLOYMENTS] * dry_run + [access.READ_DEPLOYMENTS] * backup
        for namespace in sorted(set(namespaces)):
            findings += access.namespace(self.server, namespace, created)
            findings += access.permissions(self.server, namespace, needed, who)
        return tuple(findings)

    def dry_run(
        self, objects: Iterable[Mapping[str, Any]], namespace: str, *, created: Collection[str] = ()
    ) -> tuple[Finding, ...]:
        """Ask the API server whether it would accept rendered objects, as Argo CD applies them.

        namespace: where objects go that name none. Raises PlanRefused with the API server's words
        on every object that it refuses, ClusterUnavailable where it cannot tell.
        """
        manifests = tuple(objects)
        made_here = _definitions(manifests)
        findings: list[Finding] = []
        refused: list[str] = []
        for manifest in manifests:
            ref = ObjectRef.of(manifest, namespace)
            resource = self._resource(ref)
            if resource is not None:
                answer = self._try(manifest, ref, resource)
                refused += self._refusal(ref, resource, answer, created)
                findings += _notes(ref, answer)
            elif (ref.group, ref.kind) in made_here:
                note = f"{ref}: its kind comes with this release and could not be checked"
                findings.append(Finding("info", "cluster-dry-run", note))
            else:
                refused.append(f"{ref}: the cluster knows no {ref.kind} of {ref.group_version}")
        if refused:
            raise PlanRefused(
                f"The cluster {self.server.url} would not accept what the chart renders.",
                why="\n".join(refused),
                todo="Mend the chart or its values; --cluster-dry-run off skips this question.",
            )
        return tuple(dict.fromkeys(findings))

    def status(self, refs: Iterable[ObjectRef]) -> Workloads:
        """Return what runs of the workloads among `refs`; those that do not exist are left out.

        Raises ClusterUnavailable.
        """
        wanted = (ref for ref in refs if ref.kind in workloads.KINDS)
        found = (self._workload(ref) for ref in wanted)
        return Workloads(tuple(item for item in found if item is not None))

    def backup(self, refs: Iterable[ObjectRef], file: Path) -> Path:
        """Write those of the live objects that exist to a new file, Secrets without their values.

        Raises ClusterUnavailable, and FileExistsError where `file` exists.
        """
        bodies = [body for ref in refs if (body := self._read(ref)) is not None]
        return backup.write(file, bodies)

    def _resource(self, ref: ObjectRef) -> Resource | None:
        if ref.group_version not in self._kinds:
            answer = self.server.get(ref.root)
            known: Iterable[Mapping[str, Any]] = ()
            # A group that the cluster does not know is answered in plain text.
            if answer.status != HTTPStatus.NOT_FOUND:
                self.server.must(answer, f"reading the kinds of {ref.group_version}")
                known = answer.body.get("resources") or ()
            self._kinds[ref.group_version] = {
                item["kind"]: Resource(item["name"], bool(item["namespaced"]))
                for item in known
                if "/" not in item["name"]
            }
        return self._kinds[ref.group_version].get(ref.kind)

    def _try(self, manifest: Mapping[str, Any], ref: ObjectRef, resource: Resource) -> Answer:
        if not ref.name or is_created_anew(manifest):
            body = dry_run.under_a_new_name(manifest)
            return self.server.post(resource.collection(ref), body, **_AS_ARGO_CD)
        return self.server.apply(resource.path(ref), manifest, force="true", **_AS_ARGO_CD)

    def _refusal(
        self, ref: ObjectRef, resource: Resource, answer: Answer, created: Collection[str]
    ) -> list[str]:
        if answer.ok or (answer.namespace_missing and ref.namespace in created):
            return []
        if dry_run.refuses_the_object(answer):
            return [dry_run.words(ref, answer)]
        # A quota and an admission plugin forbid with 403 as missing permissions do.
        applying = access.Permission("patch", ref.group, resource.plural)
        if answer.status == HTTPStatus.FORBIDDEN and access.may(
            self.server, applying, ref.namespace
        ):
            return [dry_run.words(ref, answer)]
        raise self.server.refused(answer, f"applying {ref} as a dry run")

    def _workload(self, ref: ObjectRef) -> Workload | None:
        body = self._read(ref)
        if body is None:
            return None
        path = f"/api/v1/namespaces/{segment(ref.namespace)}/pods"
        pods = self.server.get(path, labelSelector=workloads.selector(body))
        return workloads.workload(
            ref, body, self.server.must(pods, f"reading the pods of {ref}").body
        )

    def _read(self, ref: ObjectRef) -> Mapping[str, Any] | None:
        resource = self._resource(ref)
        if resource is None:
            return None
        answer = self.server.get(resource.path(ref))
        if answer.status == HTTPStatus.NOT_FOUND and answer.reason == "NotFound":
            return None
        return self.server.must(answer, f"reading {ref}").body


def _definitions(manifests: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    specs = (m.get("spec") or {} for m in manifests if m.get("kind") == "CustomResourceDefinition")
    return {(spec.get("group", ""), (spec.get("names") or {}).get("kind", "")) for spec in specs}


def _notes(ref: ObjectRef, answer: Answer) -> Iterator[Finding]:
    for warning in answer.warnings:
        yield Finding("warning", "cluster-dry-run", f"{ref}: {warning}")
    if answer.namespace_missing:
        note = f"{ref}: not checked, its namespace {ref.namespace} does not exist yet"
        yield Finding("info", "cluster-dry-run", note)
