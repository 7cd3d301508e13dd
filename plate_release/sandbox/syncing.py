"""One attempt of a sync operation: applying, waiting for health, running hooks."""

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass

from plate_release.sandbox.admission import KINDS, refusal
from plate_release.sandbox.cache import ClusterCache
from plate_release.sandbox.compare import annotations, described, merged
from plate_release.sandbox.defaults import defaulted
from plate_release.sandbox.health import health
from plate_release.sandbox.tasks import Task, steps
from plate_release.sandbox.world import Object, Ref, World

WAVE_DELAY, HOOK_CHECK, STEP = 1.9, 9.7, 0.06
DELETE_POLICY = "argocd.argoproj.io/hook-delete-policy"
UNSUCCESSFUL = "one or more synchronization tasks completed unsuccessfully"


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended: a phase and Argo CD's message."""

    phase: str
    message: str


class Attempt:
    """Runs the tasks of a sync once.

    report: writes the progress (a message, or None where nothing is said yet). terminated: tells
    whether somebody ended the operation. stirred: set whenever something of the Application moved.
    """

    def __init__(
        self,
        world: World,
        cache: ClusterCache,
        tasks: list[Task],
        *,
        prune: bool,
        pace: float,
        report: Callable[[str, list[Task]], None],
        terminated: Callable[[], bool],
        stirred: asyncio.Event,
    ) -> None:
        self._world, self._cache, self._tasks = world, cache, tasks
        self._prune, self._report = prune, report
        self._terminated, self._stirred = terminated, stirred
        self._clock = world.clock
        self._pace = pace
        self.done: list[Task] = []

    async def run(self) -> Ended:
        """Go through phases and waves."""
        groups = list(steps(self._tasks))
        await self._clock.sleep(self._pace)
        for index, group in enumerate(groups):
            hooks = any(task.hook for task in group)
            if hooks:
                await self._clear(group)
            for task in group:
                self._apply(task)
            self.done += group
            if any(task.state == "Failed" for task in group):
                return await self._failed()
            if index == len(groups) - 1 and not hooks:
                return Ended("Succeeded", "successfully synced (all tasks run)")
            ended = await (self._hooks(group) if hooks else self._wave(group))
            if ended:
                return ended
        return Ended(
            "Succeeded",
            "successfully synced (no more tasks)"
            if groups
            else "successfully synced (all tasks run)",
        )

    def _apply(self, task: Task) -> None:
        if task.target is None:
            self._remove(task)
            return
        if (task.ref.group, task.ref.kind) not in KINDS:
            task.status, task.state = "SyncFailed", "Failed"
            task.message = (
                f"The Kubernetes API could not find {task.ref.group}/{task.ref.kind} for requested "
                f'resource {task.ref.namespace}/{task.ref.name}. Make sure the "{task.ref.kind}" '
                "CRD is installed on the destination cluster."
            )
            return
        refused = refusal(self._world, task.target)
        if refused:
            task.status, task.state, task.message = "SyncFailed", "Failed", refused.message
            return
        task.status = "Synced"
        task.message = f"{described(task.target)} {apply(self._world, task.ref, task.target)}"

    def _remove(self, task: Task) -> None:
        if not self._prune:
            task.status, task.message, task.state = (
                "PruneSkipped",
                "ignored (requires pruning)",
                "Succeeded",
            )
            return
        self._world.delete(task.ref)
        task.status, task.message, task.state = "Pruned", "pruned", "Succeeded"

    async def _failed(self) -> Ended:
        reasons = [t.message for t in self.done if t.status == "SyncFailed"]
        self._report(self._waiting([t for t in self.done if t.state == "Running"]), self.done)
        await self._clock.sleep(self._pace)
        self._judge(self.done)
        return Ended("Failed", f"{UNSUCCESSFUL}, reason: {','.join(reasons)}")

    async def _wave(self, group: list[Task]) -> Ended | None:
        """Wait until what was applied is healthy."""
        await self._clock.sleep(WAVE_DELAY)
        if self._terminated():
            return await self._end()
        self._report(self._waiting(group), self.done)
        await self._clock.sleep(STEP)
        while True:
            if self._terminated():
                return await self._end()
            self._stirred.clear()
            self._judge(group)
            if any(task.state == "Failed" for task in group):
                return Ended("Failed", UNSUCCESSFUL)
            waiting = [task for task in group if task.state == "Running"]
            if not waiting:
                return None
            self._report(self._waiting(waiting), self.done)
            await self._stirred.wait()
            await self._clock.sleep(STEP)

    async def _hooks(self, group: list[Task]) -> Ended | None:
        """Wait until the hooks are done; Argo CD looks at them only now and then."""
        while True:
            waiting = [task for task in group if task.state == "Running"]
            if not waiting:
                break
            more = f" and {len(waiting) - 1} more hooks" if len(waiting) > 1 else ""
            self._report(f"waiting for completion of hook {waiting[0].name}{more}", self.done)
            await self._pause(HOOK_CHECK)
            if self._terminated():
                for task in waiting:
                    self._world.delete(task.ref)
                return await self._end()
            self._judge(group, hooks=True)
        failed = any(task.state == "Failed" for task in group)
        for task in group:
            policy = annotations(task.target or {"metadata": {}}).get(DELETE_POLICY, "")
            if ("HookFailed" if failed else "HookSucceeded") in policy:
                self._world.delete(task.ref)
        return Ended("Failed", UNSUCCESSFUL) if failed else None

    async def _pause(self, seconds: float) -> None:
        """Wait that long, or until the operation is terminated."""
        timer = self._clock.later(seconds, self._stirred.set)
        due = self._clock.now() + seconds
        while self._clock.now() < due and not self._terminated():
            self._stirred.clear()
            await self._stirred.wait()
        timer.cancel()

    async def _clear(self, group: list[Task]) -> None:
        """Delete hooks of the same name that an earlier attempt left."""
        left = [task for task in group if self._world.get(task.ref)]
        if not left:
            return
        self._report(f"waiting for deletion of hook {left[0].name}", self.done)
        for task in left:
            self._world.delete(task.ref)
        while any(self._cache.get(task.ref) for task in left):
            self._stirred.clear()
            await self._stirred.wait()
        await self._clock.sleep(2 * STEP)

    async def _end(self) -> Ended:
        self._report("operation is terminating", self.done)
        await self._clock.sleep(STEP)
        return Ended("Failed", "Operation terminated")

    def _judge(self, group: list[Task], *, hooks: bool = False) -> None:
        for task in group:
            live = self._cache.get(task.ref)
            if task.state != "Running" or task.hook is not hooks or live is None:
                continue
            state = health(live)
            if state is None or state.status == "Healthy":
                task.state = "Succeeded"
            elif state.status == "Degraded":
                task.state = "Failed"
            if state and (hooks or task.state == "Failed") and task.state != "Running":
                task.message = state.message or task.message

    def _waiting(self, tasks: list[Task]) -> str:
        if not tasks:
            return ""
        more = f" and {len(tasks) - 1} more resources" if len(tasks) > 1 else ""
        return f"waiting for healthy state of {tasks[0].name}{more}"


def apply(world: World, ref: Ref, target: Object) -> str:
    """Apply an object; return what became of it, in kubectl's word."""
    live = world.get(ref)
    if live is None:
        world.create(merged(target, None))
        return "created"
    new = merged(target, live)

    def put(obj: Object) -> None:
        fresh = copy.deepcopy(new)
        obj["metadata"]["annotations"] = fresh["metadata"]["annotations"]
        obj["metadata"]["labels"] = fresh["metadata"].get("labels") or {}
        for key in fresh.keys() - {"metadata", "status"}:
            obj[key] = fresh[key]
        for key in obj.keys() - fresh.keys():
            del obj[key]
        if not obj["metadata"]["labels"]:
            del obj["metadata"]["labels"]

    before = world.revision
    world.change(ref, put)
    return "unchanged" if world.revision == before else "configured"


def ensure_namespace(world: World, name: str) -> bool:
    """Create a namespace where it is missing; tell whether it was."""
    ref = Ref("", "Namespace", "", name)
    if world.get(ref):
        return False
    world.create(
        defaulted(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            }
        )
    )
    return True
