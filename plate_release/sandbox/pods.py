"""How the sandbox's pods behave: a script of statuses, steered by words in an image's tag."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plate_release.sandbox.events import Events
from plate_release.sandbox.world import Object, Ref, World, ref_of

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = "node-0"
CAPACITY_MILLICPU = 64000
WORDS = ("bad", "crash", "slow", "never", "oom", "cfgerr", "fail")
READY, SLOW, CRASH, BACKOFF, GONE = 2.0, 32.0, 9.0, 4.0, 1.0
JOB_START, JOB_RUN = 1.5, 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """One status of a container: `after` seconds after the step before."""

    after: float
    phase: str
    state: dict[str, Any]
    ready: bool = False
    restarts: int = 0
    last: dict[str, Any] | None = None


def word_of(image: str) -> str:
    """Return the word in the image's tag that steers the pod, or nothing."""
    name, _, tag = image.partition("@")[0].lower().rpartition(":")
    if not name:
        return ""
    found = set(re.findall(r"[a-z]+", tag))
    return next((word for word in WORDS if word in found), "")


def _waiting(reason: str, message: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def script(word: str, *, job: bool, now: str) -> tuple[Step, ...]:
    """Return what a container with this word does from the moment it is scheduled."""
    running = {"running": {"startedAt": now}}
    died = {"exitCode": 1, "reason": "Error", "startedAt": now, "finishedAt": now}
    oom = died | {"exitCode": 137, "reason": "OOMKilled"}
    loop = _waiting("CrashLoopBackOff", "back-off 10s restarting failed container")
    if job and word in ("", "fail", "slow"):
        end = died if word == "fail" else died | {"exitCode": 0, "reason": "Completed"}
        phase = "Failed" if word == "fail" else "Succeeded"
        return (
            Step(SLOW if word == "slow" else JOB_START, "Running", running, ready=True),
            Step(JOB_RUN, phase, {"terminated": end}),
        )
    pull = "rpc error: code = NotFound desc = failed to pull and unpack image: not found"
    scripts = {
        "slow": (Step(SLOW, "Running", running, ready=True),),
        "never": (Step(READY, "Running", running),),
        "bad": (
            Step(READY, "Pending", _waiting("ErrImagePull", pull)),
            Step(BACKOFF, "Pending", _waiting("ImagePullBackOff", "Back-off pulling image")),
        ),
        "cfgerr": (
            Step(
                READY,
                "Pending",
                _waiting("CreateContainerConfigError", 'secret "plate-missing" not found'),
            ),
        ),
        "oom": (
            Step(READY, "Running", {"terminated": oom}),
            Step(BACKOFF, "Running", loop, restarts=1, last={"terminated": oom}),
        ),
        "crash": (
            Step(READY, "Running", running, ready=True),
            Step(CRASH, "Running", loop, restarts=1, last={"terminated": died}),
        ),
    }
    return scripts.get(word, (Step(READY, "Running", running, ready=True),))


class Kubelet:
    """Schedules pods and plays their scripts."""

    def __init__(self, world: World, events: Events) -> None:
        self._world = world
        self._events = events
        self._addresses: Iterator[int] = iter(range(1, 1 << 20))

    def start(self, pod: Object) -> None:
        """Schedule a pod that was just created, and play what its tags ask for."""
        ref = ref_of(pod)
        now = self._world.clock.stamp()
        if _millicpu(pod) > CAPACITY_MILLICPU:
            self._unschedulable(ref, now)
            return
        scheduled = self._world.change(ref, lambda obj: self._schedule(obj, now))
        if scheduled is None:
            return
        self._events.normal(
            scheduled, "Scheduled", f"Successfully assigned {ref.namespace}/{ref.name} to {NODE}"
        )
        words = {c["name"]: word_of(c["image"]) for c in pod["spec"]["containers"]}
        steered = next((name for name, word in words.items() if word), "")
        job = pod["spec"]["restartPolicy"] != "Always"
        self._play(ref, pod["metadata"]["uid"], steered, words.get(steered, ""), job, 0)

    def stop(self, pod: Object) -> None:
        """Terminate a pod: it says so for a second, then it is gone."""
        ref, uid = ref_of(pod), pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            return
        now = self._world.clock.stamp()

        def mark(obj: Object) -> None:
            obj["metadata"] |= {"deletionTimestamp": now, "deletionGracePeriodSeconds": 30}

        self._world.change(ref, mark)
        self._world.clock.later(GONE, self._remove, ref, uid)

    def _remove(self, ref: Ref, uid: str) -> None:
        pod = self._world.get(ref)
        if pod and pod["metadata"]["uid"] == uid:
            self._world.delete(ref)

    def _schedule(self, pod: Object, now: str) -> None:
        pod["spec"]["nodeName"] = NODE
        scheduled = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": now,
        }
        pod["status"] |= {"conditions": [scheduled]}

    def _unschedulable(self, ref: Ref, now: str) -> None:
        message = (
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
        condition = {
            "type": "PodScheduled",
            "observedGeneration": 1,
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": now,
            "reason": "Unschedulable",
            "message": message,
        }
        pod = self._world.change(ref, lambda obj: obj["status"].update(conditions=[condition]))
        if pod:
            self._events.warning(pod, "FailedScheduling", message)

    def _play(self, ref: Ref, uid: str, steered: str, word: str, job: bool, index: int) -> None:
        steps = script(word, job=job, now="")
        if index >= len(steps):
            return

        def act() -> None:
            pod = self._world.get(ref)
            if not pod or pod["metadata"]["uid"] != uid or "deletionTimestamp" in pod["metadata"]:
                return
            step = script(word, job=job, now=self._world.clock.stamp())[index]
            self._world.change(ref, lambda obj: self._show(obj, step, steered))
            self._play(ref, uid, steered, word, job, index + 1)

        self._world.clock.later(steps[index].after, act)

    def _show(self, pod: Object, step: Step, steered: str) -> None:
        now = self._world.clock.stamp()
        others = _others(step, now)
        containers = pod["spec"]["containers"]
        first = steered or containers[0]["name"]
        shown = [(c, step if c["name"] == first else others) for c in containers]
        ready = all(each.ready for _, each in shown)
        old = {c["type"]: c for c in pod["status"].get("conditions", ())}
        status = pod["status"]
        status["phase"] = step.phase
        status["conditions"] = [
            _condition(kind, value, old.get(kind), now)
            for kind, value in (
                ("Initialized", True),
                ("PodScheduled", True),
                ("Ready", ready),
                ("ContainersReady", ready),
            )
        ]
        if step.phase == "Running" and "podIP" not in status:
            address = f"10.0.0.{next(self._addresses) % 250 + 1}"
            status |= {"podIP": address, "podIPs": [{"ip": address}], "startTime": now}
        status["containerStatuses"] = [_container_status(c, each) for c, each in shown]


def _others(step: Step, now: str) -> Step:
    if step.phase in ("Succeeded", "Failed"):
        return step
    return Step(0, step.phase, {"running": {"startedAt": now}}, ready=True)


def _condition(kind: str, value: bool, old: Object | None, now: str) -> Object:
    status = "True" if value else "False"
    since = old["lastTransitionTime"] if old and old["status"] == status else now
    return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}


def _container_status(container: Object, step: Step) -> Object:
    return {
        "name": container["name"],
        "state": step.state,
        "lastState": step.last or {},
        "ready": step.ready,
        "restartCount": step.restarts,
        "image": container["image"],
        # A kubelet names the digest that it pulled by; nothing is pulled here.
        "imageID": container["image"] if "@sha256:" in container["image"] else "",
        "started": "running" in step.state,
    }


def millicpu(quantity: str | float) -> int:
    """Return a CPU quantity in thousandths."""
    text = str(quantity)
    return int(text[:-1]) if text.endswith("m") else int(float(text) * 1000)


def _millicpu(pod: Object) -> int:
    return sum(
        millicpu(c.get("resources", {}).get("requests", {}).get("cpu", 0))
        for c in pod["spec"]["containers"]
    )
