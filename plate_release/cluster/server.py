"""One API server: requests, answers, and what its failures mean."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from plate_release.errors import ClusterUnavailable

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_APPLY = "application/apply-patch+yaml"
_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `body` is {} where it is no JSON object, as an unknown path's is."""

    status: int
    body: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the API server did what was asked; what is no Kubernetes answer is not ok."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES and bool(self.body)

    @property
    def reason(self) -> str:
        """The Status' reason, such as Invalid; a 500 may have none."""
        return str(self.body.get("reason") or "")

    @property
    def message(self) -> str:
        """The API server's own words, or the bare status where it said nothing."""
        return str(self.body.get("message") or f"HTTP {self.status}")

    @property
    def details(self) -> Mapping[str, Any]:
        """The Status' details: kind, name, causes."""
        return self.body.get("details") or {}

    @property
    def anonymous(self) -> bool:
        """Whether we were refused as nobody in particular."""
        return '"system:anonymous"' in self.message

    @property
    def namespace_missing(self) -> bool:
        """Whether it is a namespace that was not found, whatever was asked for."""
        return self.reason == "NotFound" and self.details.get("kind") == "namespaces"


class Server:
    """Speaks with one API server through the kubernetes package's connections and credentials."""

    def __init__(self, configuration: "Configuration") -> None:
        from kubernetes.client.rest import RESTClientObject
        from urllib3 import Retry

        # Everything asked is a read or a dry run, so all of it may be asked again.
        configuration.retries = Retry(
            total=2,
            read=0,
            status_forcelist=(429,),
            allowed_methods=None,
            raise_on_status=False,
            backoff_factor=0.2,
            retry_after_max=5,
        )
        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager
        self.url = str(configuration.host)

    def get(self, path: str, *, accept: str = "application/json", **query: str) -> Answer:
        """Read."""
        return self._ask("GET", path, query, accept=accept)

    def post(self, path: str, body: Mapping[str, Any], **query: str) -> Answer:
        """Create; with `dryRun=All` only as a question."""
        return self._ask("POST", path, query, body, "application/json")

    def apply(self, path: str, body: Mapping[str, Any], **query: str) -> Answer:
        """Apply on the server's side; with `dryRun=All` only as a question."""
        return self._ask("PATCH", path, query, body, _APPLY)

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        accept: str = "application/json",
    ) -> Answer:
        from urllib3.exceptions import HTTPError

        headers = {"Accept": accept, "User-Agent": "plate-release"}
        headers |= {"Content-Type": content_type} if content_type else {}
        token = self._configuration.get_api_key_with_prefix("authorization")
        headers |= {"Authorization": token} if token else {}
        try:
            response = self._pool.request(
                method,
                f"{self.url}{path}{'?' + urlencode(query) if query else ''}",
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=_TIMEOUT,
                redirect=False,
            )
        except HTTPError as error:
            raise self._unreachable(error) from None
        return Answer(
            response.status, _object(response.data), _warnings(response.headers.getlist("Warning"))
        )

    def must(self, answer: Answer, doing: str) -> Answer:
        """Return the answer if it is ok; else raise `refused`."""
        if not answer.ok:
            raise self.refused(answer, doing)
        return answer

    def refused(self, answer: Answer, doing: str) -> ClusterUnavailable:
        """Return the error for an answer that ends the run; `doing` is such as `reading pods`."""
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return ClusterUnavailable(
                f"The cluster {self.url} does not accept our credentials.",
                why=answer.message,
                todo="Renew the token or certificate in the kubeconfig.",
            )
        if answer.status == HTTPStatus.FORBIDDEN:
            return self._forbidden(answer, doing)
        if not answer.body:
            return ClusterUnavailable(
                f"{self.url} does not answer as a Kubernetes API server does.",
                why=f"HTTP {answer.status} without JSON at {doing}",
                todo="Check the server in the kubeconfig, and the proxies on the way.",
            )
        return ClusterUnavailable(
            f"The cluster {self.url} failed at {doing}.",
            why=answer.message,
            todo="Try again; if it stays so, show this to whoever runs the cluster.",
        )

    def _forbidden(self, answer: Answer, doing: str) -> ClusterUnavailable:
        if answer.anonymous:
            return ClusterUnavailable(
                f"The cluster {self.url} was asked without credentials.",
                why=answer.message,
                todo="Give the kubeconfig's user a token, a certificate or a credential plugin.",
            )
        return ClusterUnavailable(
            f"The cluster {self.url} forbids us {doing}.",
            why=answer.message,
            todo="Grant this permission by a Role and a RoleBinding.",
        )

    def _unreachable(self, error: Exception) -> ClusterUnavailable:
        from urllib3.exceptions import SSLError

        cause = getattr(error, "reason", None) or error
        if isinstance(cause, SSLError):
            return ClusterUnavailable(
                f"The cluster {self.url} cannot be trusted.",
                why=str(cause),
                todo="Check certificate-authority-data and the server's name in the kubeconfig.",
            )
        return ClusterUnavailable(
            f"The cluster {self.url} cannot be reached.",
            why=str(cause),
            todo="Check the server in the kubeconfig, the network, and the proxies on the way.",
        )


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _warnings(headers: list[str]) -> tuple[str, ...]:
    # `299 - "policy/v1beta1 is deprecated"`, RFC 9111; only the quoted text says something.
    return tuple(header.split('"', 1)[-1].rstrip('"').replace('\\"', '"') for header in headers)
