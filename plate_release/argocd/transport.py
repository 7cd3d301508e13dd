"""HTTP to Argo CD: the token in headers alone, a limit on every wait and every size."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ContentDecodingError, RequestException, SSLError, Timeout

from plate_release.argocd.connection import Connection
from plate_release.argocd.failures import Answer, NotArgo, TimedOut, Unreachable
from plate_release.errors import UsageError

EVENTS = "text/event-stream"
Query = Sequence[tuple[str, str]]

_CONNECT_SECONDS = 10.0
_WHOLE_ANSWER_SECONDS = 60.0
_LARGEST_ANSWER = 64 * 1024 * 1024
_CHUNK = 64 * 1024
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    path: below the server's root, quoted. read_seconds: how long the server may stay silent.
    """

    method: str
    path: str
    query: Query = ()
    json: Mapping[str, Any] | None = None
    read_seconds: float = 30.0
    accept: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Transport:
    """A session with one Argo CD; may be used by several threads at once."""

    def __init__(self, connection: Connection) -> None:
        if connection.ca_file is not None and not connection.ca_file.is_file():
            raise UsageError(
                f"ARGOCD_CA_FILE names {connection.ca_file}, which is not a file",
                todo="Set it to a file of PEM certificates.",
            )
        if connection.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._url = connection.url
        # Given with each request: a session's own `verify` yields to REQUESTS_CA_BUNDLE.
        self._verify = False if connection.insecure else str(connection.ca_file or "") or None
        self._session = requests.Session()
        self._session.auth = _Bearer(connection)
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_AT_ONCE)
        self._session.mount(connection.url, adapter)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._session.close()

    def call(self, request: Request) -> Answer:
        """Return the whole answer, whatever its status. Raises CallFailed where none came."""
        with self.open(request) as response:
            return answer_of(request, response)

    @contextmanager
    def open(self, request: Request) -> Iterator[requests.Response]:
        """Yield the answer with its body unread. Raises CallFailed where none came."""
        with _explained(request, self._url):
            response = self._session.request(
                request.method,
                f"{self._url}{request.path}",
                params=list(request.query),
                json=request.json,
                headers=_headers(request),
                timeout=(_CONNECT_SECONDS, request.read_seconds),
                allow_redirects=False,
                stream=True,
                verify=self._verify,
            )
        with response, _explained(request, self._url):
            yield response


def _headers(request: Request) -> dict[str, str]:
    # Argo CD answers 415 to a changing request without exactly this content type, DELETE too.
    headers = {"Accept": request.accept, "Content-Type": "application/json"}
    if request.accept == EVENTS:
        headers["Accept-Encoding"] = "identity"  # compression holds lines back
    return headers


class _Bearer(AuthBase):
    """Sets the token and the extra headers; being there, it keeps ~/.netrc out."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._connection.token.value
        # The second beats the first, and remains where a proxy owns Authorization.
        request.headers["Authorization"] = f"Bearer {token}"
        request.headers["Grpc-Metadata-Token"] = token
        for name, value in self._connection.headers:
            request.headers[name] = value.value
        return request


def answer_of(request: Request, response: requests.Response) -> Answer:
    """Return the answer with its whole body, which has a largest size and a longest time."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, _body(request, response))


def _body(request: Request, response: requests.Response) -> bytes:
    body, until = bytearray(), monotonic() + _WHOLE_ANSWER_SECONDS
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise NotArgo(f"the answer to {request} is larger than {_LARGEST_ANSWER >> 20} MiB")
        if monotonic() > until:
            raise TimedOut(f"the answer to {request} took over {_WHOLE_ANSWER_SECONDS:.0f} s")
    return bytes(body)


@contextmanager
def _explained(request: Request, url: str) -> Iterator[None]:
    """Turn what requests and urllib3 raise into CallFailed; their texts can hold whole URLs."""
    try:
        yield
    except (Timeout, urllib3.exceptions.TimeoutError):
        raise TimedOut(
            f"{url} did not answer {request} in time", todo="Check ARGOCD_SERVER and the network."
        ) from None
    except SSLError as error:
        raise Unreachable(
            f"no trusted TLS connection to {url}",
            why=_root(error),
            todo="Set ARGOCD_CA_FILE to the certificate authority's file"
            " (or ARGOCD_PLAINTEXT=true where Argo CD speaks plain HTTP).",
        ) from None
    except ContentDecodingError:
        raise NotArgo(f"the answer to {request} cannot be decompressed") from None
    except (RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, NoConnection) and "Read timed out" in str(error):
            raise TimedOut(f"{url} stopped in the middle of its answer to {request}") from None
        raise Unreachable(
            f"{url} cannot be reached",
            why=_root(error),
            todo="Check ARGOCD_SERVER, the network and the proxy settings.",
        ) from None


def _root(error: BaseException) -> str:
    """Return the innermost reason: the system's own words, without the URL around them."""
    while True:
        inner = getattr(error, "reason", None) or next(
            (a for a in reversed(error.args) if isinstance(a, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            return f"{type(error).__name__}: {error}"[:300]
        error = inner
