"""An Application's resource tree, as Argo CD shows it."""

from collections.abc import Iterable, Iterator

from plate_release.sandbox.health import health
from plate_release.sandbox.pods import NODE, millicpu
from plate_release.sandbox.world import Object, Ref, group_of

REVISION = "deployment.kubernetes.io/revision"
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9}


def images_of(obj: Object) -> list[str]:
    """Return the images that an object names, in order, each once."""
    spec = obj.get("spec", {})
    pod = spec if obj["kind"] == "Pod" else spec.get("template", {}).get("spec", {})
    containers = (*pod.get("initContainers", ()), *pod.get("containers", ()))
    return list(dict.fromkeys(c["image"] for c in containers if "image" in c))


def summary_images(family: Iterable[Object]) -> list[str]:
    """Return the images of all pods, sorted, each once."""
    return sorted({i for obj in family if obj["kind"] == "Pod" for i in images_of(obj)})


def resource_tree(family: Iterable[Object], missing: Iterable[tuple[Ref, str]]) -> Object:
    """Return the tree of live objects and of those that should be there (with their versions)."""
    objects = list(family)
    nodes = [_node(obj) for obj in objects] + [_absent(ref, version) for ref, version in missing]
    nodes.sort(key=lambda n: (n.get("group", ""), n["kind"], n.get("namespace", ""), n["name"]))
    pods = [obj for obj in objects if obj["kind"] == "Pod"]
    return {"nodes": nodes} | ({"hosts": [_host(pods)]} if pods else {})


def _absent(ref: Ref, version: str) -> Object:
    named = {
        "version": version,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "health": {"status": "Missing"},
    }
    return {"group": ref.group} | named if ref.group else named


def _node(obj: Object) -> Object:
    meta, group = obj["metadata"], group_of(obj)
    node: Object = {"group": group} if group else {}
    node |= {"version": obj["apiVersion"].rpartition("/")[2], "kind": obj["kind"]}
    if meta.get("namespace"):
        node["namespace"] = meta["namespace"]
    node |= {"name": meta["name"], "uid": meta["uid"]}
    parents = [_parent(owner, meta["namespace"]) for owner in meta.get("ownerReferences", ())]
    if parents:
        node["parentRefs"] = parents
    info = list(_info(obj))
    if info:
        node["info"] = info
    if obj["kind"] == "Pod":
        node["networkingInfo"] = {"labels": meta["labels"]}
    elif obj["kind"] == "Service" and obj["spec"].get("selector"):
        node["networkingInfo"] = {"targetLabels": obj["spec"]["selector"]}
    node["resourceVersion"] = meta["resourceVersion"]
    if obj["kind"] == "Pod":
        node["images"] = images_of(obj)
    state = health(obj)
    if state:
        node["health"] = state.wire()
    node["createdAt"] = meta["creationTimestamp"]
    return node


def _parent(owner: Object, namespace: str) -> Object:
    group, _, version = owner["apiVersion"].rpartition("/")
    return {
        "group": group,
        "version": version,
        "kind": owner["kind"],
        "namespace": namespace,
        "name": owner["name"],
        "uid": owner["uid"],
    }


def _info(obj: Object) -> Iterator[Object]:
    revision = (obj["metadata"].get("annotations") or {}).get(REVISION)
    if obj["kind"] in ("Deployment", "ReplicaSet") and revision:
        yield {"name": "Revision", "value": f"Rev:{revision}"}
    if obj["kind"] != "Pod":
        return
    containers = obj["status"].get("containerStatuses", ())
    yield {"name": "Status Reason", "value": _reason(obj)}
    if obj["spec"].get("nodeName"):
        yield {"name": "Node", "value": obj["spec"]["nodeName"]}
    ready = sum(c["ready"] for c in containers)
    yield {"name": "Containers", "value": f"{ready}/{len(obj['spec']['containers'])}"}
    restarts = sum(c["restartCount"] for c in containers)
    if restarts:
        yield {"name": "Restart Count", "value": str(restarts)}
    if obj["status"]["phase"] not in ("Succeeded", "Failed"):
        cpu, memory = _requests(obj)
        yield {"name": "cpu", "value": str(cpu)}
        yield {"name": "memory", "value": str(memory)}


def _reason(pod: Object) -> str:
    """Return what kubectl shows as a pod's status."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    reason = str(pod["status"]["phase"])
    for container in reversed(pod["status"].get("containerStatuses", ())):
        state = container["state"].get("waiting") or container["state"].get("terminated") or {}
        reason = state.get("reason", reason)
    return reason


def memory_bytes(quantity: str | int) -> int:
    """Return a memory quantity in bytes."""
    text = str(quantity)
    for unit, size in UNITS.items():
        if text.endswith(unit):
            return int(float(text[: -len(unit)]) * size)
    return int(float(text))


def _requests(pod: Object) -> tuple[int, int]:
    """Return the thousandths of CPUs and of bytes that a pod asks for."""
    asked = [c.get("resources", {}).get("requests", {}) for c in pod["spec"]["containers"]]
    cpu = sum(millicpu(each.get("cpu", 0)) for each in asked)
    return cpu, sum(memory_bytes(each.get("memory", 0)) * 1000 for each in asked)


def _host(pods: list[Object]) -> Object:
    asked = [_requests(pod) for pod in pods]
    cpu, memory = sum(c for c, _ in asked), sum(m for _, m in asked)
    return {
        "name": NODE,
        "resourcesInfo": [
            {"resourceName": "cpu", "requestedByApp": cpu, "capacity": 64000},
            {"resourceName": "memory", "requestedByApp": memory, "capacity": 274877906944000},
        ],
        "systemInfo": dict.fromkeys(
            (
                "machineID",
                "systemUUID",
                "bootID",
                "kernelVersion",
                "osImage",
                "containerRuntimeVersion",
                "kubeletVersion",
                "kubeProxyVersion",
            ),
            "",
        )
        | {"operatingSystem": "linux", "architecture": "amd64"},
    }
