"""What a release reviewer looks for in rendered objects: a short list, each with its code. Pure.

| code | level |
|---|---|
| `mutable-image` | warning: a container whose image is `latest`, or has neither tag nor digest |
| `no-probes` | warning: a long-running container without a readiness or liveness probe |
| `no-resources` | warning: a container without memory limit or CPU and memory requests |
| `invalid-label` | error: a label that the API server will not take |
| `removed-api` | error: an API that the destination's version no longer has |
| `deprecated-api` | warning: an API that a later version no longer has |
| `kubernetes-schema` | error: an object that the destination's version will not take |
| `kubernetes-schema-unknown` | info: no schemas at hand |
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from plate_release.charts.objects import KubernetesObject, Objects
from plate_release.charts.reading import Path, at
from plate_release.charts.workloads import TESTS, containers, split_image
from plate_release.model import Finding

_LONG_RUNNING = {"Deployment", "StatefulSet", "DaemonSet", "Rollout"}
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_LABELS: tuple[Path, ...] = (("metadata", "labels"), ("spec", "template", "metadata", "labels"))

# https://kubernetes.io/docs/reference/using-api/deprecation-guide/, by the version that drops it.
_REMOVED: dict[str, dict[str, str]] = {
    "1.16": {
        "extensions/v1beta1": "Deployment DaemonSet ReplicaSet NetworkPolicy PodSecurityPolicy",
        "apps/v1beta1": "Deployment StatefulSet",
        "apps/v1beta2": "Deployment StatefulSet DaemonSet ReplicaSet",
    },
    "1.22": {
        "extensions/v1beta1": "Ingress",
        "networking.k8s.io/v1beta1": "Ingress IngressClass",
        "rbac.authorization.k8s.io/v1beta1": "Role RoleBinding ClusterRole ClusterRoleBinding",
        "apiextensions.k8s.io/v1beta1": "CustomResourceDefinition",
        "admissionregistration.k8s.io/v1beta1": (
            "MutatingWebhookConfiguration ValidatingWebhookConfiguration"
        ),
        "scheduling.k8s.io/v1beta1": "PriorityClass",
        "storage.k8s.io/v1beta1": "StorageClass CSIDriver CSINode VolumeAttachment",
    },
    "1.25": {
        "batch/v1beta1": "CronJob",
        "policy/v1beta1": "PodDisruptionBudget PodSecurityPolicy",
        "autoscaling/v2beta1": "HorizontalPodAutoscaler",
        "discovery.k8s.io/v1beta1": "EndpointSlice",
        "node.k8s.io/v1beta1": "RuntimeClass",
    },
    "1.26": {
        "autoscaling/v2beta2": "HorizontalPodAutoscaler",
        "flowcontrol.apiserver.k8s.io/v1beta1": "FlowSchema PriorityLevelConfiguration",
    },
    "1.27": {"storage.k8s.io/v1beta1": "CSIStorageCapacity"},
    "1.29": {"flowcontrol.apiserver.k8s.io/v1beta2": "FlowSchema PriorityLevelConfiguration"},
    "1.32": {"flowcontrol.apiserver.k8s.io/v1beta3": "FlowSchema PriorityLevelConfiguration"},
}


def review(objects: Objects, kube_version: str = "") -> tuple[Finding, ...]:
    """Look at every object; `kube_version` is the destination's, such as `1.31`, where known."""
    applied = [one for one in objects if not one.hooks & TESTS]
    return (
        *_mutable_images(objects),
        *(finding for one in applied for finding in _workload(one)),
        *(finding for one in applied for finding in _labels(one)),
        *(finding for one in applied for finding in _api(one, kube_version)),
    )


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
    if "{}.{}".format(*_number(kube_version)) not in {v.rpartition(".")[0] for v in all_versions()}:
        return (_unchecked(f"there are none of {kube_version}"),)
    findings = []
    for one in objects:
        try:
            schemas.validate(one.body, kube_version)
        except schemas.ValidationError as error:
            where = ".".join(map(str, error.path))
            text = f"{one}: {where}: {error.message} (Kubernetes {error.version}, {one.template})"
            findings.append(Finding("error", "kubernetes-schema", text))
        except schemas.SchemaNotFoundError:
            continue  # a custom resource
    return tuple(findings)


def _unchecked(why: str) -> Finding:
    text = f"Objects were not checked against Kubernetes' schemas: {why}."
    return Finding("info", "kubernetes-schema-unknown", text)


def _mutable_images(objects: Objects) -> Iterator[Finding]:
    for container in containers(objects):
        image = split_image(container.image)
        if not image.digest and image.tag in {None, "latest"}:
            text = f"{container}: {container.image} may be another image tomorrow."
            yield Finding("warning", "mutable-image", text)


def _workload(one: KubernetesObject) -> Iterator[Finding]:
    if one.kind not in _LONG_RUNNING:
        return
    for container in at(one.body, ("spec", "template", "spec", "containers")) or ():
        who = f"{one}, container {container.get('name')}"
        probes = _absent(container, (("readinessProbe",), ("livenessProbe",)))
        if probes:
            yield Finding("warning", "no-probes", f"{who}: no {' and no '.join(probes)}.")
        wanted: tuple[Path, ...] = (
            ("resources", "requests", "cpu"),
            ("resources", "requests", "memory"),
            ("resources", "limits", "memory"),
        )
        if missing := _absent(container, wanted):
            yield Finding("warning", "no-resources", f"{who}: no {' and no '.join(missing)}.")


def _absent(container: Any, wanted: Iterable[Path]) -> list[str]:
    return [".".join(map(str, path)) for path in wanted if at(container, path) is None]


def _labels(one: KubernetesObject) -> Iterator[Finding]:
    for path in _LABELS:
        for key, value in (at(one.body, path) or {}).items():
            if not isinstance(value, str) or not _LABEL.fullmatch(value):
                text = f"{one}: the label {key} cannot be {value!r} ({one.template})."
                yield Finding("error", "invalid-label", text)


def _api(one: KubernetesObject, kube_version: str) -> Iterator[Finding]:
    for removed, apis in _REMOVED.items():
        if one.kind in apis.get(one.api_version, "").split():
            gone = kube_version != "" and _number(kube_version) >= _number(removed)
            text = (
                f"{one}: {one.api_version} {'went' if gone else 'goes'} with Kubernetes {removed}"
            )
            yield Finding(
                "error" if gone else "warning",
                "removed-api" if gone else "deprecated-api",
                f"{text} ({one.template}).",
            )


def _number(version: str) -> tuple[int, int]:
    match = _VERSION.match(version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
