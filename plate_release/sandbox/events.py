"""The cluster's events: what its controllers say about what they do."""

import itertools

from plate_release.sandbox.world import Object, World

REPORTERS = {
    "Pod": "default-scheduler",
    "ReplicaSet": "replicaset-controller",
    "Deployment": "deployment-controller",
    "Job": "job-controller",
    "Application": "argocd-application-controller",
}


class Events:
    """Writes Event objects beside the object that they are about."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._number = itertools.count(0x18EAB0A4EE459EEC, 0x1000)

    def normal(self, about: Object, reason: str, message: str) -> None:
        """Say what went as it should."""
        self._say("Normal", about, reason, message)

    def warning(self, about: Object, reason: str, message: str) -> None:
        """Say what did not."""
        self._say("Warning", about, reason, message)

    def _say(self, kind: str, about: Object, reason: str, message: str) -> None:
        meta, now = about["metadata"], self._world.clock.stamp()
        self._world.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {
                    "name": f"{meta['name']}.{next(self._number):x}",
                    "namespace": meta.get("namespace") or "default",
                },
                "involvedObject": {
                    "kind": about["kind"],
                    "namespace": meta.get("namespace", ""),
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "apiVersion": about["apiVersion"],
                    "resourceVersion": meta["resourceVersion"],
                },
                "reason": reason,
                "message": message,
                "source": {"component": REPORTERS.get(about["kind"], "controllermanager")},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
                "type": kind,
                "eventTime": None,
                "reportingComponent": REPORTERS.get(about["kind"], "controllermanager"),
                "reportingInstance": "",
            }
        )
