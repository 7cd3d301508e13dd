"""Whether the cluster is there, knows us, and lets us do what the release needs."""

import json
import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from plate_release.cluster import Cluster
from plate_release.errors import ClusterUnavailable, UsageError

ALL = ("patch deployments.apps", "get deployments.apps", "list pods")
NAMESPACE = "ns-k8s"


def ready(api: Any, *permissions: str, namespace: str = NAMESPACE) -> None:
    api.replay("version", "who am I")
    api.answer(
        method="GET",
        path=f"/api/v1/namespaces/{namespace}",
        status=200,
        response={"kind": "Namespace", "metadata": {"name": namespace}},
    )
    api.allow(*permissions, namespace=namespace)


def test_a_ready_cluster_says_which_it_is_and_who_we_are(api: Any, cluster: Cluster) -> None:
    ready(api, *ALL)
    (finding,) = cluster.preflight([NAMESPACE])
    assert finding.level == "info"
    assert finding.message == f"cluster {api.url}, v1.36.1, as viewer"
    assert api.tokens == {"Bearer t0ken"}


@pytest.mark.parametrize(
    ("lacking", "options", "refused"),
    [
        ("patch deployments.apps", {}, True),
        ("patch deployments.apps", {"dry_run": False}, False),
        ("get deployments.apps", {}, True),
        ("get deployments.apps", {"backup": False}, False),
    ],
)
def test_only_the_permissions_that_a_step_needs_refuse(
    api: Any, cluster: Cluster, lacking: str, options: dict[str, Any], refused: bool
) -> None:
    ready(api, *(permission for permission in ALL if permission != lacking))
    if not refused:
        assert [f.code for f in cluster.preflight([NAMESPACE], **options)] == ["cluster"]
        return
    with pytest.raises(ClusterUnavailable) as refusal:
        cluster.preflight([NAMESPACE], **options)
    assert refusal.value.what == f"viewer lacks permissions in namespace {NAMESPACE}: {lacking}."


def test_pods_that_we_may_not_see_are_only_warned_of(api: Any, cluster: Cluster) -> None:
    ready(api, *ALL[:2])
    findings = cluster.preflight([NAMESPACE])
    assert [(f.level, f.code) for f in findings[1:]] == [("warning", "permission-missing")]


def test_a_missing_namespace_that_argo_cd_creates(api: Any, cluster: Cluster) -> None:
    ready(api, *ALL, namespace="ns-missing")
    api.replay("namespace missing")
    findings = cluster.preflight(["ns-missing"], created=["ns-missing"])
    assert findings[1].message == "namespace ns-missing does not exist; Argo CD will create it"


def test_a_missing_namespace_that_nobody_creates(api: Any, cluster: Cluster) -> None:
    ready(api, *ALL)
    api.replay("namespace missing")
    names = {"items": [{"metadata": {"name": "default"}}, {"metadata": {"name": "ns-missin"}}]}
    api.answer(method="GET", path="/api/v1/namespaces", status=200, response=names)
    with pytest.raises(ClusterUnavailable) as refusal:
        cluster.preflight(["ns-missing"])
    assert refusal.value.why == "did you mean ns-missin?"


def test_a_namespace_that_is_going(api: Any, cluster: Cluster) -> None:
    ready(api, *ALL)
    going = {"kind": "Namespace", "status": {"phase": "Terminating"}}
    path = f"/api/v1/namespaces/{NAMESPACE}"
    api.answer(method="GET", path=path, status=200, response=going)
    with pytest.raises(ClusterUnavailable, match="being deleted"):
        cluster.preflight([NAMESPACE])


def test_a_namespace_that_we_may_not_read_is_a_warning(api: Any, cluster: Cluster) -> None:
    ready(api, *ALL)
    row = api.row("not permitted")
    api.answer(**row | {"path": f"/api/v1/namespaces/{NAMESPACE}"})
    findings = cluster.preflight([NAMESPACE])
    assert [(f.level, f.code) for f in findings[1:]] == [("warning", "permission-missing")]


@pytest.mark.parametrize(
    ("note", "what"),
    [
        ("no credentials", "was asked without credentials"),
        ("a wrong token", "does not accept our credentials"),
        ("not permitted", "forbids us asking who we are"),
    ],
)
def test_credentials_that_do_not_do(api: Any, cluster: Cluster, note: str, what: str) -> None:
    api.replay("version")
    review = api.row("who am I")
    recorded = api.row(note)
    api.answer(**review | {"status": recorded["status"], "response": recorded["response"]})
    with pytest.raises(ClusterUnavailable) as refusal:
        cluster.preflight([NAMESPACE])
    assert what in refusal.value.what
    assert recorded["response"]["message"] == refusal.value.why
    assert "t0ken" not in str(refusal.value)


def test_an_api_server_without_self_reviews_still_serves(api: Any, cluster: Cluster) -> None:
    ready(api, *ALL)
    review = api.row("who am I")
    api.answer(**review | {"status": 404, "response": "404 page not found\n"})
    assert cluster.preflight([NAMESPACE])[0].message.endswith("as unknown")


def test_what_is_no_api_server(api: Any, cluster: Cluster) -> None:
    api.answer(method="GET", path="/version", status=200, response="<html>Sign in</html>")
    with pytest.raises(ClusterUnavailable, match="does not answer as a Kubernetes API server"):
        cluster.preflight([NAMESPACE])


def test_nobody_listens(kubeconfig: Any, free_port: int) -> None:
    file = kubeconfig(f"http://127.0.0.1:{free_port}")
    found = Cluster.connect(str(file), {})
    assert found is not None
    with pytest.raises(ClusterUnavailable, match="cannot be reached"):
        found.preflight([NAMESPACE])


def test_a_certificate_that_nobody_vouches_for(kubeconfig: Any, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        found = Cluster.connect(str(kubeconfig(f"https://127.0.0.1:{server.server_port}")), {})
        assert found is not None
        with pytest.raises(ClusterUnavailable, match="cannot be trusted") as refusal:
            found.preflight([NAMESPACE])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert "CERTIFICATE_VERIFY_FAILED" in refusal.value.why


def test_no_cluster_is_configured(tmp_path: Path) -> None:
    assert Cluster.connect(None, {"HOME": str(tmp_path)}) is None
    assert Cluster.connect(None, {"KUBECONFIG": ""}) is None


def test_the_usual_place_is_found(api: Any, kubeconfig: Any, tmp_path: Path) -> None:
    folder = tmp_path / ".kube"
    folder.mkdir()
    kubeconfig(api.url).rename(folder / "config")
    found = Cluster.connect(None, {"HOME": str(tmp_path)})
    assert found is not None
    assert found.server.url == api.url


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No configuration found"),
        ("", "is empty"),
        ("just text", ""),
        ("{", ""),
        ('{"clusters": [{"name": "c"}], "current-context": "here"}', "here"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError) as refusal:
        Cluster.connect(None, {"KUBECONFIG": str(file)})
    assert str(file) in refusal.value.what
    assert refusal.value.why
    assert why in refusal.value.why


def test_a_broken_kubeconfig_does_not_show_its_token(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    broken = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "usr": {"token": "hush-hush"}}],
    }
    file.write_text(json.dumps(broken))
    with pytest.raises(UsageError) as refusal:
        Cluster.connect(None, {"KUBECONFIG": str(file)})
    assert "hush-hush" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def plugin(*command: str) -> dict[str, Any]:
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": command[0],
            "args": [*command[1:]],
            "interactiveMode": "Never",
        }
    }


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("no-such-plugin",), "no-such-plugin"),
        (("sh", "-c", "echo session expired >&2; exit 3"), "session expired"),
        (("echo", "{}"), "missing key"),
    ],
)
def test_a_credential_plugin_that_fails(
    kubeconfig: Any, capfd: pytest.CaptureFixture[str], command: tuple[str, ...], why: str
) -> None:
    file = kubeconfig("http://127.0.0.1:1", plugin(*command))
    with pytest.raises(ClusterUnavailable) as refusal:
        Cluster.connect(None, {"KUBECONFIG": str(file)})
    assert why in refusal.value.why
    assert capfd.readouterr() == ("", "")


def test_a_credential_plugin_that_works(api: Any, kubeconfig: Any) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin"},
    }
    ready(api, *ALL)
    file = kubeconfig(api.url, plugin("echo", json.dumps(credential)))
    found = Cluster.connect(None, {"KUBECONFIG": str(file)})
    assert found is not None
    found.preflight([NAMESPACE])
    assert api.tokens == {"Bearer from-plugin"}


def test_kubernetes_is_not_imported_where_no_cluster_is_asked(tmp_path: Path) -> None:
    code = (
        "import sys; from plate_release.cluster import Cluster;"
        f"assert Cluster.connect(None, {{'HOME': {str(tmp_path)!r}}}) is None;"
        "sys.exit('kubernetes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
