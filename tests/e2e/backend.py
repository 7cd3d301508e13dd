"""An Argo CD and a cluster to test against: the sandbox, or a real one named by the environment."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

_READY_SECONDS = 60


@dataclass(frozen=True)
class Backend:
    """How Argo CD and the cluster are reached, as the environment of a run has it."""

    environ: Mapping[str, str]

    @property
    def url(self) -> str:
        server = self.environ["ARGOCD_SERVER"]
        if "://" in server:
            return server
        plain = self.environ.get("ARGOCD_PLAINTEXT") == "true"
        return f"{'http' if plain else 'https'}://{server}"

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        return requests.request(
            method,
            f"{self.url}/api/v1/applications{path}",
            headers=self._headers,
            verify=self._verify,
            timeout=30,
            **more,
        )

    def create(self, manifest: dict[str, Any]) -> None:
        answer = self.call("POST", "", json=manifest)
        assert answer.ok, answer.text

    def until(self, name: str, health: str) -> dict[str, Any]:
        """Wait on the stream until the Application is Synced and has that health."""
        with requests.get(
            f"{self.url}/api/v1/stream/applications",
            params={"name": name},
            headers=self._headers,
            verify=self._verify,
            timeout=_READY_SECONDS,
            stream=True,
        ) as lines:
            for line in lines.iter_lines():
                application: dict[str, Any] = json.loads(line)["result"]["application"]
                status = application.get("status", {})
                synced = status.get("sync", {}).get("status") == "Synced"
                if synced and status.get("health", {}).get("status") == health:
                    return application
        raise AssertionError(f"{name} did not become {health}")

    def get(self, name: str) -> dict[str, Any]:
        answer = self.call("GET", f"/{name}", params={"refresh": "normal"})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def remove(self, name: str, namespace: str) -> None:
        self.call("DELETE", f"/{name}", params={"cascade": "true"})
        self._kubernetes("DELETE", f"/api/v1/namespaces/{namespace}")

    def images(self, namespace: str) -> set[str]:
        """Return the images of the namespace's pods that are not going."""
        pods = self._kubernetes("GET", f"/api/v1/namespaces/{namespace}/pods").json()["items"]
        return {
            container["image"]
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
            for container in pod["spec"]["containers"]
        }

    @property
    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.environ['ARGOCD_AUTH_TOKEN']}",
            "Content-Type": "application/json",
        }

    @property
    def _verify(self) -> bool:
        return self.environ.get("ARGOCD_INSECURE") != "true"

    def _kubernetes(self, method: str, path: str) -> requests.Response:
        from kubernetes import config

        api = config.new_client_from_config(self.environ["KUBECONFIG"])
        settings = api.configuration
        headers = dict(api.default_headers)
        authorization = settings.get_api_key_with_prefix("authorization")
        if authorization:
            headers["Authorization"] = authorization
        cert = (settings.cert_file, settings.key_file) if settings.cert_file else None
        verify = settings.ssl_ca_cert or settings.verify_ssl
        return requests.request(
            method, f"{settings.host}{path}", headers=headers, cert=cert, verify=verify, timeout=30
        )


@contextmanager
def backend() -> Iterator[Backend]:
    """Return the real one where PLATE_E2E_* names it, else a sandbox of our own."""
    server = os.environ.get("PLATE_E2E_ARGOCD_SERVER")
    if server:
        given = {
            "ARGOCD_SERVER": server,
            "ARGOCD_AUTH_TOKEN": os.environ["PLATE_E2E_ARGOCD_TOKEN"],
            "KUBECONFIG": os.environ["PLATE_E2E_KUBECONFIG"],
        }
        passed = ("ARGOCD_PLAINTEXT", "ARGOCD_INSECURE", "ARGOCD_CA_FILE")
        if server.startswith("http://"):
            given["ARGOCD_PLAINTEXT"] = "true"
        yield Backend(given | {name: os.environ[name] for name in passed if name in os.environ})
        return
    from plate_release.sandbox.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield Backend(sandbox.environment())
