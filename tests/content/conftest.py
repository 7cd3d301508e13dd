from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["helm-3", "helm-4"])
def helm(request: pytest.FixtureRequest) -> Path:
    binary = ROOT / ".tools" / str(request.param) / "helm"
    assert binary.is_file(), f"{binary} is missing: run `make setup`"
    return binary
