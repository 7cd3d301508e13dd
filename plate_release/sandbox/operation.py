"""Carrying out an Application's operation: attempts, retries, termination, history."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from plate_release.sandbox.applications import (
    Applications,
    revision_fields,
    revisions_in,
    source_fields,
)
from plate_release.sandbox.cache import ClusterCache
from plate_release.sandbox.clock import Clock, parse
from plate_release.sandbox.compare import match
from plate_release.sandbox.events import Events
from plate_release.sandbox.projects import Projects, duration
from plate_release.sandbox.render import Renderer, instance_name
from plate_release.sandbox.source import SourceError
from plate_release.sandbox.syncing import Attempt, Ended, ensure_namespace
from plate_release.sandbox.tasks import Task, plan
from plate_release.sandbox.world import Object, Ref

FIRST, WRITE, SHOWN_HISTORY = 0.02, 0.03, 10


@dataclass(frozen=True, slots=True)
class Parts:
    """What the controller's workers share."""

    apps: Applications
    cache: ClusterCache
    renderer: Renderer
    projects: Projects
    clock: Clock
    running: asyncio.Event
    events: Events


class Operation:
    """One operation of one Application, from Running to its end."""

    def __init__(self, parts: Parts, ref: Ref, stirred: asyncio.Event) -> None:
        self._parts, self._ref, self._stirred = parts, ref, stirred
        self._clock = parts.clock
        self._started = ""
        self._tasks: list[Task] = []

    async def run(self) -> None:
        """Carry it out."""
        await self._parts.running.wait()
        await self._clock.sleep(FIRST)
        obj = self._parts.apps.get(self._ref)
        if obj is None or "operation" not in obj:
            return
        operation = obj["operation"]
        self._started = self._clock.stamp()
        state: Object = {"operation": operation, "phase": "Running", "startedAt": self._started}
        self._write(state)
        retries = 0
        while True:
            ended = await self._attempt(operation)
            retry = operation.get("retry") or {}
            if ended.phase == "Succeeded" or self._terminated() or retries >= retry.get("limit", 0):
                break
            retries += 1
            if not await self._backoff(retry, retries, ended):
                ended = Ended("Failed", "Operation terminated")
                break
        await self._finish(operation, ended, retries)

    def _state(self) -> Object:
        obj = self._parts.apps.get(self._ref) or {}
        state: Object = obj.get("status", {}).get("operationState") or {}
        return state

    def _terminated(self) -> bool:
        return self._state().get("phase") == "Terminating"

    def _write(self, state: Object) -> None:
        self._parts.apps.status(self._ref, operationState=state)

    async def _attempt(self, operation: Object) -> Ended:
        obj = self._parts.apps.get(self._ref)
        app = self._parts.apps.typed(self._ref)
        if obj is None or app is None:
            return Ended("Error", "application was deleted")
        manual = "automated" not in operation.get("initiatedBy", {})
        await self._window(obj, manual)
        if self._terminated():
            return Ended("Failed", "Operation terminated")
        sync = operation["sync"]
        try:
            target = await self._parts.renderer.render(app, revisions_in(sync))
        except SourceError as error:
            return Ended("Error", f"ComparisonError: Failed to load target state: {error}")
        resources = match(target.objects, self._parts.cache.managed(instance_name(app)))
        suffix = f"{revisions_in(sync)[0][:7]}-{int(parse(self._started))}"
        tasks = plan(target.objects, resources, sync.get("resources"), suffix)
        if sync.get("dryRun"):
            return Ended("Succeeded", "successfully synced (all tasks run)")
        created = self._namespace(app.spec.destination.namespace, sync)
        attempt = Attempt(
            self._parts.apps.world,
            self._parts.cache,
            tasks,
            prune=bool(sync.get("prune")),
            pace=self._parts.cache.pace(app.spec.destination.namespace).apply,
            report=lambda message, done: self._report(message, [*created, *done]),
            terminated=self._terminated,
            stirred=self._stirred,
        )
        ended = await attempt.run()
        self._tasks = [*created, *attempt.done]
        return ended

    async def _window(self, obj: Object, manual: bool) -> None:
        while not self._parts.projects.can_sync(obj, self._clock.now(), manual=manual):
            if self._terminated():
                return
            self._write(self._state() | {"message": "Sync operation blocked by sync window"})
            self._stirred.clear()
            timer = self._clock.later(60.0, self._stirred.set)
            await self._stirred.wait()
            timer.cancel()

    def _namespace(self, name: str, sync: Object) -> list[Task]:
        asked = "CreateNamespace=true" in (sync.get("syncOptions") or ())
        if not asked or not ensure_namespace(self._parts.apps.world, name):
            return []
        ref = Ref("", "Namespace", "", name)
        message = f"namespace/{name} created"
        return [Task(ref, "v1", None, "PreSync", status="Synced", message=message)]

    def _result(self, tasks: list[Task]) -> Object:
        obj = self._parts.apps.get(self._ref) or {}
        sync = self._state()["operation"]["sync"]
        spec = obj["spec"]
        fields = revision_fields(spec, revisions_in(sync)) | source_fields(spec)
        if "revisions" in fields:
            fields |= {"revision": "", "source": {"repoURL": ""}}
        return {"resources": [task.wire() for task in tasks]} | fields

    def _report(self, message: str, tasks: list[Task]) -> None:
        self._write(self._state() | {"message": message, "syncResult": self._result(tasks)})

    async def _backoff(self, retry: Object, retries: int, ended: Ended) -> bool:
        """Wait for the next attempt; False where the operation was terminated meanwhile."""
        back = retry.get("backoff") or {}
        delay = duration(back.get("duration", "5s")) * float(back.get("factor") or 2) ** retries
        delay = min(delay, duration(back.get("maxDuration", "3m")))
        finished = self._clock.stamp()
        due = parse(finished) + delay
        when = datetime.fromtimestamp(due, UTC).strftime("%I:%M%p").lstrip("0")
        self._write(
            self._state()
            | {
                "message": f"{ended.message}. Retrying attempt #{retries} at {when}.",
                "syncResult": self._result(self._tasks),
                "finishedAt": finished,
                "retryCount": retries,
            }
        )
        timer = self._clock.later(due - self._clock.now() + WRITE, self._stirred.set)
        while self._clock.now() < due and not self._terminated():
            self._stirred.clear()
            await self._stirred.wait()
        timer.cancel()
        if self._terminated():
            return False
        state = {k: v for k, v in self._state().items() if k not in ("finishedAt", "syncResult")}
        self._write(state | {"message": f"Retrying operation. Attempt #{retries}"})
        return True

    async def _finish(self, operation: Object, ended: Ended, retries: int) -> None:
        finished = self._clock.stamp()
        sync = operation["sync"]
        if ended.phase == "Succeeded" and "resources" not in sync and not sync.get("dryRun"):
            self._remember(operation, finished)
            await self._clock.sleep(WRITE)
        retried = f" (retried {retries} times)." if retries else ""
        state = self._state() | {
            "phase": ended.phase,
            "message": ended.message + retried,
            "syncResult": self._result(self._tasks),
            "finishedAt": self._clock.stamp(),
        }

        def put(obj: Object) -> None:
            obj["status"]["operationState"] = state
            obj.pop("operation", None)

        done = self._parts.apps.edit(self._ref, put)
        if done:
            commits = ",".join(revisions_in(sync))
            partial = "Partial sync" if "resources" in sync else "Sync"
            if ended.phase == "Succeeded":
                message = f"{partial} operation to {commits} succeeded"
                self._parts.events.normal(done, "OperationCompleted", message)
            else:
                message = f"{partial} operation to {commits} failed: {ended.message}"
                self._parts.events.warning(done, "OperationCompleted", message)

    def _remember(self, operation: Object, finished: str) -> None:
        obj = self._parts.apps.get(self._ref) or {}
        history = obj["status"].get("history", [])
        fields = revision_fields(obj["spec"], revisions_in(operation["sync"]))
        if "revisions" in fields:
            fields["source"] = {"repoURL": ""}
        entry = (
            fields
            | source_fields(obj["spec"])
            | {
                "deployedAt": finished,
                "id": history[-1]["id"] + 1 if history else 0,
                "deployStartedAt": self._started,
                "initiatedBy": operation.get("initiatedBy", {}),
            }
        )
        self._parts.apps.status(self._ref, history=[*history, entry][-SHOWN_HISTORY:])
