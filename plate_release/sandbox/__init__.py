"""An embedded Argo CD, cluster and git server to try and test against.

What it cannot follow it says, as a ComparisonError or an error of the API: kustomize, jsonnet,
config management plugins, charts from Helm or OCI repositories, the source hydrator, JSON patches
of Applications, writing to the cluster other than creating and deleting, and logs, since there is
no kubelet. What it leaves out silently: `ignoreDifferences`, SyncFail and PostDelete hooks, quotas
and admission policies, `minReadySeconds`, init containers (they always succeed), CronJobs (they
never fire).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plate_release.sandbox.faults import Fault
    from plate_release.sandbox.sandbox import Sandbox

__all__ = ["Fault", "Sandbox"]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: the git server needs no web framework."""
    if name == "Fault":
        from plate_release.sandbox.faults import Fault

        return Fault
    if name == "Sandbox":
        from plate_release.sandbox.sandbox import Sandbox

        return Sandbox
    raise AttributeError(name)
