"""The helm program: which one, and how it is run.

It gets no plugins, no settings of the user's, no cluster; only fetching a chart goes to the
network, with Docker's logins.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plate_release.errors import ChartRefused, PreflightRefused

HELM = "PLATE_RELEASE_HELM"
_PASSED_ON = ("PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


@dataclass(frozen=True, slots=True)
class Helm:
    """One helm; `environ` is what it may pass on of the caller's environment.

    It holds no state: it may be run several times at once.
    """

    program: str
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0

    def version(self) -> str:
        """Return its version, such as `v3.17.3`."""
        with tempfile.TemporaryDirectory(prefix="plate-release-") as home:
            return self.run(["version", "--template", "{{.Version}}"], Path(home)).stdout.strip()

    def run(self, arguments: list[str], home: Path) -> "subprocess.CompletedProcess[str]":
        """Run it with settings of its own below `home`.

        Raises PreflightRefused where there is no helm, ChartRefused where it takes too long.
        """
        passed = {key: self.environ[key] for key in _PASSED_ON + _PROXIES if key in self.environ}
        own = {f"HELM_{what}_HOME": str(home / what) for what in ("CONFIG", "CACHE", "DATA")}
        docker = self.environ.get("DOCKER_CONFIG") or f"{self.environ.get('HOME', home)}/.docker"
        rest = {
            "HOME": str(home),
            "DOCKER_CONFIG": docker,
            "HELM_PLUGINS": str(home / "none"),
            "KUBECONFIG": str(home / "none"),
            # It lives for a moment: its garbage may stay, up to a limit.
            "GOGC": "off",
            "GOMEMLIMIT": "256MiB",
        }
        try:
            return subprocess.run(
                [self.program, *arguments],
                env=passed | own | rest,
                cwd=home,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=self.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ChartRefused(
                f"helm {arguments[0]} did not end within {self.timeout:g} s.",
                todo="Look for a template that does not end.",
            ) from error
        except ValueError as error:  # a null byte
            raise ChartRefused(
                f"helm {arguments[0]} cannot be given what the Application says.", why=str(error)
            ) from error
        except OSError as error:
            raise no_helm(f"{self.program}: {error.strerror}") from error


def find_helm(environ: Mapping[str, str]) -> str:
    """Return the helm to run: `PLATE_RELEASE_HELM`, else the one on PATH.

    Raises PreflightRefused where there is none.
    """
    wanted = environ.get(HELM) or "helm"
    found = shutil.which(wanted, path=environ.get("PATH"))
    if found is None:
        raise no_helm(f"{wanted} is not on PATH" if wanted == "helm" else f"{wanted} does not run")
    return found


def no_helm(why: str) -> PreflightRefused:
    """Return the refusal that says why helm cannot be run."""
    return PreflightRefused(
        "helm cannot be run.",
        why=f"{why}.",
        todo=f"Install helm 3.16 or later, or name it in {HELM}.",
    )
