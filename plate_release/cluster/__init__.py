"""The cluster itself, where one is configured: preflight, dry run, status, backup."""

from plate_release.cluster.cluster import Cluster
from plate_release.cluster.objects import ObjectRef
from plate_release.cluster.workloads import Pod, Workload, Workloads

__all__ = ["Cluster", "ObjectRef", "Pod", "Workload", "Workloads"]
