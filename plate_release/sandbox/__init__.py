"""An embedded Argo CD, cluster and git server to try and test against."""

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
