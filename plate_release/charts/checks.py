"""What a release reviewer looks for in rendered objects: a short list, each with its code.

| code | level |
|---|---|
| `mutable-image` | warning: a container whose image is `latest`, or has neither tag nor digest |
| `no-probes` | warning: a long-running container without a readiness or liveness probe |
| `no-resources` | warning: a container without memory limit or CPU and memory requests |
| `invalid-label`, `invalid-annotation` | error: one that the API server will not take |
| `removed-api` | error: an API that the destination's version no longer has |
| `deprecated-api` | warning: an API that a later version no longer has |
| `kubernetes-schema` | error: an object that the destination's version will not take |
| `kubernetes-schema-unknown` | info: no schemas of that version at hand |
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from plate_release.charts.objects import KubernetesObject, Objects
from plate_release.charts.reading import Path, at, dotted, maps
from plate_release.charts.secrets import hides, is_secret
from plate_release.charts.telling import tells
from plate_release.charts.workloads import TESTS, containers, split_image
from plate_release.model import Check, Finding

_LONG_RUNNING = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Rollout"}
_TEMPLATE: Path = ("spec", "template")
_JOB: Path = ("spec", "jobTemplate")
_PODS: dict[str, Path] = {
    **dict.fromkeys([*_LONG_RUNNING, "Job"], (*_TEMPLATE, "spec")),
    "CronJob": (*_JOB, *_TEMPLATE, "spec"),
    "Pod": ("spec",),
}
_METADATA: tuple[Path, ...] = ((), _TEMPLATE, _JOB, (*_JOB, *_TEMPLATE))
_TEXTS = {"labels": Check.INVALID_LABEL, "annotations": Check.INVALID_ANNOTATION}
_PROBES: tuple[Path, ...] = (("readinessProbe",), ("livenessProbe",))
_SIZES = ("requests", "limits")
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")

# https://kubernetes.io/docs/reference/using-api/deprecation-guide/, by the version that drops it.
_REMOVED: dict[str, dict[str, str]] = {
    "1.16": {
        "extensions/v1beta1": "Deployment DaemonSet ReplicaSet NetworkPolicy PodSecurityPolicy",
        "apps/v1beta1": "Deployment StatefulSet",
        "apps/v1beta2": "Deployment StatefulSet DaemonSet ReplicaSet",
    },
    "1.21": {"batch/v2alpha1": "CronJob"},
    "1.22": {
        "admissionregistration.k8s.io/v1beta1": (
            "MutatingWebhookConfiguration ValidatingWebhookConfiguration"
        ),
        "apiextensions.k8s.io/v1beta1": "CustomResourceDefinition",
        "apiregistration.k8s.io/v1beta1": "APIService",
        "authentication.k8s.io/v1beta1": "TokenReview",
        "authorization.k8s.io/v1beta1": (
            "LocalSubjectAccessReview SelfSubjectAccessReview SubjectAccessReview"
        ),
        "certificates.k8s.io/v1beta1": "CertificateSigningRequest",
        "coordination.k8s.io/v1beta1": "Lease",
        "extensions/v1beta1": "Ingress",
        "networking.k8s.io/v1beta1": "Ingress IngressClass",
        "rbac.authorization.k8s.io/v1alpha1": "Role RoleBinding ClusterRole ClusterRoleBinding",
        "rbac.authorization.k8s.io/v1beta1": "Role RoleBinding ClusterRole ClusterRoleBinding",
        "scheduling.k8s.io/v1beta1": "PriorityClass",
        "storage.k8s.io/v1beta1": "StorageClass CSIDriver CSINode VolumeAttachment",
    },
    "1.25": {
        "autoscaling/v2beta1": "HorizontalPodAutoscaler",
        "batch/v1beta1": "CronJob",
        "discovery.k8s.io/v1beta1": "EndpointSlice",
        "events.k8s.io/v1beta1": "Event",
        "node.k8s.io/v1beta1": "RuntimeClass",
        "policy/v1beta1": "PodDisruptionBudget PodSecurityPolicy",
    },
    "1.26": {
        "autoscaling/v2beta2": "HorizontalPodAutoscaler",
        "flowcontrol.apiserver.k8s.io/v1beta1": "FlowSchema PriorityLevelConfiguration",
    },
    "1.27": {"storage.k8s.io/v1beta1": "CSIStorageCapacity"},
    "1.29": {"flowcontrol.apiserver.k8s.io/v1beta2": "FlowSchema PriorityLevelConfiguration"},
    "1.32": {"flowcontrol.apiserver.k8s.io/v1beta3": "FlowSchema PriorityLevelConfiguration"},
}


def review(
    objects: Objects, kube_version: str = "", changed: Sequence[KubernetesObject] | None = None
) -> tuple[Finding, ...]:
    """Look at objects; `kube_version` is the destination's, such as `1.31`, where known.

    Images, probes and resources are only looked at in those that are `changed`.
    """
    touched = objects if changed is None else tuple(changed)
    applied = _applied(objects)
    return (
        *_mutable_images(touched),
        *(finding for one in _applied(touched) for finding in _workload(one)),
        *(finding for one in applied for finding in _metadata(one)),
        *(finding for one in applied for finding in _api(one, kube_version)),
    )


def _applied(objects: Objects) -> list[KubernetesObject]:
    return [one for one in objects if not one.hooks & TESTS]


def validate(objects: Objects, kube_version: str) -> tuple[Finding, ...]:
    """Check every object against the schemas of a Kubernetes version, those it knows.

    Needs the extra `schemas`; without it, and for a version it does not know, one finding of
    level info says so.
    """
    if not kube_version:
        return (_unchecked("the destination's version is not known"),)
    try:
        import kubernetes_validate as schemas  # optional, and 0.1 s to import
        from kubernetes_validate.utils import all_versions
    except ImportError:
        return (_unchecked("install plate-release[schemas] to check them"),)
    known = sorted({_number(version) for version in all_versions()})
    usable = [version for version in known if version <= _number(kube_version)]
    if not usable:
        return (_unchecked(f"there are no schemas of {kube_version}"),)
    version = "{}.{}".format(*usable[-1])
    findings = [f for one in _applied(objects) for f in _refusals(one, version, schemas)]
    if usable[-1] != _number(kube_version):
        findings.append(_unchecked(f"those of {version} are the newest, and it is {kube_version}"))
    return tuple(findings)


def _refusals(one: KubernetesObject, version: str, schemas: Any) -> Iterator[Finding]:
    """Give what a Kubernetes of a version that has schemas would not take of an object."""
    if one.is_custom or not _NAME.fullmatch(one.kind):
        return
    try:
        schemas.validate(one.body, version)
    except schemas.ValidationError as error:
        where = dotted(error.path)
        # What a schema says of a value quotes it.
        hidden = is_secret(one) or hides(one, tuple(error.path))
        why = f"{where} is not as it must be" if hidden else f"{where}: {error.message}"
    except schemas.SchemaNotFoundError:
        if any(f.code == Check.REMOVED_API for f in _api(one, version)):
            return
        why = f"there is no {one.kind} in {one.api_version}"
    else:
        return
    text = f"{one}: {why} (Kubernetes {version}, {one.template})"
    yield Finding("error", Check.KUBERNETES_SCHEMA, text)


def _unchecked(why: str) -> Finding:
    text = f"Objects were not checked against the destination's schemas: {why}."
    return Finding("info", Check.KUBERNETES_SCHEMA_UNKNOWN, text)


def _mutable_images(objects: Objects) -> Iterator[Finding]:
    for container in containers(objects):
        image = split_image(container.image)
        if not image.digest and image.tag in {None, "latest"}:
            text = f"{container}: {container.image} may be another image tomorrow."
            yield Finding("warning", Check.MUTABLE_IMAGE, text)


def _workload(one: KubernetesObject) -> Iterator[Finding]:
    pods = at(one.body, _PODS[one.kind]) if one.kind in _PODS else None
    main, before = maps(at(pods, ("containers",))), maps(at(pods, ("initContainers",)))
    sidecars = [container for container in before if container.get("restartPolicy") == "Always"]
    for container in (*main, *sidecars) if one.kind in _LONG_RUNNING else ():
        if missing := _absent(container, _PROBES):
            yield _missing(Check.NO_PROBES, one, container, missing)
    for container in (*main, *before):
        if missing := list(_unsized(container, pods)):
            yield _missing(Check.NO_RESOURCES, one, container, missing)


def _unsized(container: Any, pod: Any) -> Iterator[str]:
    """Give the resources that neither container nor pod states; a limit is a request too."""
    for what in ("cpu", "memory"):
        if not any(_stated(container, pod, kind, what) for kind in _SIZES):
            yield f"resources.requests.{what}"
    if not _stated(container, pod, "limits", "memory"):
        yield "resources.limits.memory"


def _stated(container: Any, pod: Any, kind: str, what: str) -> bool:
    return any(at(one, ("resources", kind, what)) is not None for one in (container, pod))


def _missing(code: Check, one: KubernetesObject, container: Any, what: list[str]) -> Finding:
    who = f"{one}, container {container.get('name')}"
    return Finding("warning", code, f"{who}: no {' and no '.join(what)}.")


def _absent(container: Any, wanted: Iterable[Path]) -> list[str]:
    return [dotted(path) for path in wanted if not at(container, path)]


def _metadata(one: KubernetesObject) -> Iterator[Finding]:
    """Tell of labels and annotations that the API server does not take: they are texts."""
    claims = maps(at(one.body, ("spec", "volumeClaimTemplates")))
    for holder in (*(at(one.body, path) for path in _METADATA), *claims):
        for field, code in _TEXTS.items():
            found = at(holder, ("metadata", field))
            for key, value in found.items() if isinstance(found, dict) else ():
                fits = field == "annotations" or _LABEL.fullmatch(str(value))
                if value is not None and not (isinstance(value, str) and fits):
                    shown = "what it is" if tells(found, (key,)) else repr(value)
                    text = f"{one}: the {field[:-1]} {key} cannot be {shown} ({one.template})."
                    yield Finding("error", code, text)
            if not isinstance(found, dict | None):
                text = f"{one}: {field} are a map, not {found!r} ({one.template})."
                yield Finding("error", code, text)


def _api(one: KubernetesObject, kube_version: str) -> Iterator[Finding]:
    for removed, apis in _REMOVED.items():
        if one.kind in apis.get(one.api_version, "").split():
            gone = kube_version != "" and _number(kube_version) >= _number(removed)
            text = (
                f"{one}: {one.api_version} {'went' if gone else 'goes'} with Kubernetes {removed}"
            )
            yield Finding(
                "error" if gone else "warning",
                Check.REMOVED_API if gone else Check.DEPRECATED_API,
                f"{text} ({one.template}).",
            )


def _number(version: str) -> tuple[int, int]:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
