"""Where the cluster is and who we are there, as kubectl would find it. Imports kubernetes."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plate_release.errors import ClusterUnavailable, UsageError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass(frozen=True, slots=True)
class Source:
    """Where credentials are to be read: files joined by `:`, or None for the pod's own."""

    files: str | None


def find(kubeconfig: str | None, environ: Mapping[str, str]) -> Source | None:
    """Return where a cluster is configured, in kubectl's order, or None. Imports nothing heavy."""
    named = kubeconfig or environ.get("KUBECONFIG")
    if named:
        return Source(named)
    usual = Path(environ.get("HOME") or "/nonexistent") / ".kube" / "config"
    if usual.is_file():
        return Source(str(usual))
    if environ.get("KUBERNETES_SERVICE_HOST") and SERVICE_ACCOUNT.is_file():
        return Source(None)
    return None


def load(source: Source) -> "Configuration":
    """Return the kubernetes package's configuration.

    Raises UsageError for a kubeconfig that cannot be used, and ClusterUnavailable where its
    credential plugin fails.
    """
    import yaml
    from kubernetes import config
    from kubernetes.client import Configuration

    configuration = Configuration()
    try:
        with _complaints() as complaints:
            if source.files is None:
                config.load_incluster_config(client_configuration=configuration)
            else:
                config.load_kube_config(
                    source.files, client_configuration=configuration, persist_config=False
                )
    # The loader lets whatever malformed content leads to pass.
    except (
        config.ConfigException,
        yaml.YAMLError,
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
    ) as error:
        raise _unusable(source, error) from None
    if complaints and not configuration.api_key and not configuration.cert_file:
        raise ClusterUnavailable(
            f"The credential plugin of the kubeconfig {source.files} failed.",
            why="\n".join(complaints),
            todo="Install the plugin and log in, so that `kubectl get pods` works here.",
        )
    return configuration


def _unusable(source: Source, error: Exception) -> UsageError:
    # The loader's messages quote whole entries, tokens and all, from the first brace on.
    why = str(error).partition("{")[0]
    return UsageError(
        f"The kubeconfig {source.files or 'of this pod'} cannot be used.",
        why=why or type(error).__name__,
        todo="Set KUBECONFIG to a file with which `kubectl get pods` works, or unset it.",
    )


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what the loader only logs: why a credential plugin gave nothing."""
    said: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Collect(logging.ERROR)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield said
    finally:
        root.removeHandler(handler)
