"""Ship an image tag through GitOps, know that it is live, and put it back if it is not."""

__version__ = "0.1.0"
