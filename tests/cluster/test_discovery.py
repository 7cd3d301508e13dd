"""What a chart may ask of the cluster that it is rendered for."""

from typing import Any

import pytest

from plate_release.cluster import Cluster
from plate_release.errors import ClusterUnavailable
from plate_release.sandbox.sandbox import Sandbox


def test_an_api_server_says_its_version_and_all_that_it_serves() -> None:
    with Sandbox(factor=20) as sandbox:
        cluster = Cluster.connect(None, sandbox.environment())
        assert cluster is not None
        version, served = cluster.capabilities()
    assert version == "v1.36.1"
    assert {"v1", "v1/Pod", "apps/v1", "apps/v1/Deployment"} <= set(served)
    assert all(one.count("/") <= 2 for one in served)


def test_an_old_api_server_says_its_version_alone(api: Any, cluster: Cluster) -> None:
    api.replay("version")
    groups = {"kind": "APIVersions", "versions": ["v1"]}
    api.answer(method="GET", path="/api", status=200, response=groups)
    assert cluster.capabilities() == ("v1.36.1", ())


def test_an_api_server_that_does_not_let_us_look_is_told(api: Any, cluster: Cluster) -> None:
    api.replay("version")
    row = api.row("no credentials")
    api.answer(**{**row, "method": "GET", "path": "/api", "body": None})
    with pytest.raises(ClusterUnavailable):
        cluster.capabilities()
