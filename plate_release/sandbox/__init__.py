"""An embedded Argo CD, cluster and git server to try and test against."""

from plate_release.sandbox.faults import Fault
from plate_release.sandbox.sandbox import Sandbox

__all__ = ["Fault", "Sandbox"]
