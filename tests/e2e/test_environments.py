"""Two environments in one repository and ledger: neither decides anything for the other."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from tests.e2e.aftermath import abandoned, notes, pass_time
from tests.e2e.conftest import QUICK, Team


@pytest.fixture
def staged(nobody: Team) -> Iterator[Team]:
    """A team whose service is live at 1.4.2 in two environments."""
    service = nobody.add()
    seed = nobody.work / "seed"
    chart = (seed / nobody.values_of(service)).parent
    shutil.copy(chart / "values-prod.yaml", chart / "values-staging.yaml")
    manifest = nobody.manifest(service)
    manifest["metadata"]["name"] = f"{service}-staging"
    manifest["spec"]["source"]["helm"] = {
        "releaseName": f"{service}-staging",
        "valueFiles": ["values-staging.yaml"],
    }
    apps = seed / "environments" / "argocd" / "apps"
    (apps / f"{service}-staging.yaml").write_text(yaml.safe_dump(manifest))
    nobody.configure(QUICK)
    nobody.found()
    nobody.backend.create(manifest)
    nobody.backend.until(f"{service}-staging", "Healthy")
    yield nobody
    nobody.backend.remove(f"{service}-staging", nobody.namespace)


def test_a_release_of_staging_is_none_of_prod(staged: Team) -> None:
    other = abandoned(staged, f"{staged.service}=1.5.0-bad", "--environment=staging")
    early = staged.run("watch")
    assert (early.status, "There is no release commit yet" in early.stderr) == (2, True), (
        early.stderr
    )
    released = staged.deploy(f"{staged.service}=1.6.0")
    assert (released.status, released.service["before"]) == (0, "1.4.2"), released.stderr
    pass_time(staged, other)
    after = staged.refs()
    with ThreadPoolExecutor(3) as pool:
        settled, watched, listed = pool.map(staged.run, ("settle", "watch", "history"))
    assert settled.report == {"settled": []}
    assert watched.report["commit"] == released.report["commit"], watched.stderr
    assert [one["commit"] for one in listed.report["releases"]] == [released.report["commit"]]
    assert staged.refs() == after
    assert notes(staged)[other]["state"] == "watching"
