"""The cluster, through the kubernetes package."""
