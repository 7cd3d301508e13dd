"""Whom a message of Argo CD accuses."""

import pytest

from plate_release.argocd.wording import About, is_for_good, speaks_about

HELM = "code = Unknown desc = failed to execute helm template command: failed running helm: "


@pytest.mark.parametrize(
    "message",
    [
        HELM
        + "exit status 1: Error: execution error at (x/templates/d.yaml:19:21): tag is required",
        HELM + "exit status 1: Error: YAML parse error on x/templates/d.yaml: mapping values",
        HELM + "Error: execution error at (x/templates/d.yaml:3:4): connection refused must be set",
        HELM + "Error: values don't meet the specifications of the schema(s) in the following",
        HELM + "Error: parse error at (x/templates/d.yaml:1): unclosed action",
        HELM + "exit status 1: Error: open values-prod.yaml: no such file or directory",
        "`kustomize build <path>` failed exit status 1: Error: accumulating resources",
        "Manifest generation error (cached): plugin sidecar failed",
        "rpc error: code = Unknown desc = charts/x: app path does not exist",
        "error converting YAML to JSON: yaml: line 3: did not find expected key",
        'error calculating server side diff: Service "x" is invalid: spec.ports',
    ],
)
def test_the_renderer_speaks_about_the_release(message: str) -> None:
    assert speaks_about(message) is About.RELEASE


@pytest.mark.parametrize(
    "message",
    [
        "rpc error: code = Unavailable desc = connection error: desc = dial tcp: connect: refused",
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "rpc error: code = Canceled desc = context canceled",
        "code = Unknown desc = failed to list refs: Get http://g: dial tcp: connection refused",
        "code = Unknown desc = failed to fetch: exit status 128",
        "code = Internal desc = Failed to checkout revision abc: `git checkout` failed",
        "code = Unknown desc = Unable to resolve 'main' to a commit SHA",
        "code = Unknown desc = authentication required",
        "code = Unknown desc = repository not found",
        "code = Unknown desc = unexpected EOF",
        "Get https://x/index.yaml: net/http: TLS handshake timeout",
        "x509: certificate signed by unknown authority",
        "failed to get cluster info for https://k: error synchronizing cache state : i/o timeout",
        "the server is currently unable to handle the request",
        "Manifest generation error (cached): failed to list refs: dial tcp: no such host",
        HELM + "signal: killed",
        HELM + "Error: could not download https://c/x.tgz: dial tcp: no such host",
    ],
)
def test_what_cannot_see_does_not(message: str) -> None:
    assert speaks_about(message) is About.BLIND


def test_an_unknown_text_is_unclear() -> None:
    assert speaks_about("something nobody has ever said") is About.UNCLEAR


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('Service "x" is invalid: spec.ports[0].port: Invalid value: 99999', True),
        ("spec.selector: Invalid value: field is immutable", True),
        ('pods "x" is forbidden: exceeded quota', True),
        ('no matches for kind "Rollout" in version "argoproj.io/v1alpha1"', True),
        ('failed calling webhook "x": Post "https://x": context deadline exceeded', False),
        ('failed calling webhook "x": the certificate is invalid', False),
        (
            "forbidden: unable to create content in namespace x because it is being terminated",
            False,
        ),
        ('Operation cannot be fulfilled on deployments "x": is invalid', False),
        ("dial tcp 10.0.0.1:443: connect: connection refused", False),
        ("something else", False),
    ],
)
def test_a_refusal_for_good_is_one_that_asking_again_cannot_change(
    message: str, expected: bool
) -> None:
    assert is_for_good(message) is expected
