"""The sandbox as a program: serves until interrupted and prints how to use it."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

from plate_release.sandbox.git import GitServer
from plate_release.sandbox.sandbox import Sandbox


def serve(
    say: Callable[[str], object],
    *,
    repositories: Path,
    factor: float = 1.0,
    argocd_port: int = 0,
    kubernetes_port: int = 0,
) -> None:
    """Serve Argo CD, the cluster and the bare repositories below a folder, until interrupted.

    say: is given `KEY=VALUE` lines: the environment that uses them, and `GITOPS_REPOSITORY` for
    each repository.
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with (
        GitServer(repositories) as git,
        Sandbox(factor=factor, argocd_port=argocd_port, kubernetes_port=kubernetes_port) as sandbox,
    ):
        for key, value in sandbox.environment().items():
            say(f"{key}={value}")
        say(f"GITOPS_URL={git.base_url}")
        for repository in sorted(repositories.glob("*.git")):
            say(f"GITOPS_REPOSITORY={git.url(repository.name)}")
        stopped.wait()
