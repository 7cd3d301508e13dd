"""Charts that stand in a registry, which helm fetches."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest

from plate_release.charts import Helm
from plate_release.charts.inputs import RemoteChart
from plate_release.charts.layout import fetched
from plate_release.errors import ChartRefused

from .conftest import PASSWORD, ROOT, USER, certificate, registry

CHART = ROOT / "tests" / "charts" / "corpus" / "pair" / "chart"


def test_a_chart_of_a_private_registry_is_fetched_with_docker_s_login(tmp_path: Path) -> None:
    # helm 3 would ask what it takes for this machine without TLS.
    program = str(ROOT / ".tools" / "helm-4" / "helm")
    pair = certificate(tmp_path, "127.0.0.1")
    tls = {"certificate": str(pair.file), "key": str(pair.key_file)}
    secret = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    (tmp_path / "htpasswd").write_text(f"{USER}:{secret}\n")
    auth = {"htpasswd": {"realm": "plate", "path": str(tmp_path / "htpasswd")}}
    docker = tmp_path / "home" / ".docker"
    docker.mkdir(parents=True)
    environ = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(pair.file)}
    shutil.copytree(CHART, tmp_path / "shop")
    with registry(
        tmp_path, tmp_path / "data", auth=auth, http={"addr": "127.0.0.1:0", "tls": tls}
    ) as host:
        login = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        (docker / "config.json").write_text(json.dumps({"auths": {host: login}}))
        for command in (
            ["package", str(tmp_path / "shop"), "-d", str(tmp_path)],
            ["push", str(tmp_path / "shop-0.3.0.tgz"), f"oci://{host}/charts"],
        ):
            home = {"HOME": str(tmp_path / "home"), **environ}
            subprocess.run([program, *command], env=home, check=True, capture_output=True)
        chart = RemoteChart(f"oci://{host}/charts", "shop", "0.3.0")
        known = Helm(program, {**environ, "HOME": str(tmp_path / "home")})
        (tmp_path / "into").mkdir()
        folder = fetched(known, chart, tmp_path / "into")
        assert (folder / "Chart.yaml").is_file()
        (tmp_path / "nobody").mkdir()
        with pytest.raises(ChartRefused, match="cannot be fetched") as caught:
            fetched(Helm(program, environ), chart, tmp_path / "nobody")
        assert PASSWORD not in str(caught.value)
