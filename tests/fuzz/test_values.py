"""A slice of the fuzzer of value edits; the whole of it is what `make fuzz` runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
HELMS = [ROOT / f".tools/helm-{version}/helm" for version in (3, 4)]


def run(*arguments: str) -> dict[str, int]:
    command = [sys.executable, str(HERE / "fuzz_values.py"), *arguments]
    for helm in HELMS:
        command += ["--helm", str(helm)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("seed", [1, 2])
def test_generated_files_are_edited_exactly_or_refused(seed: int) -> None:
    counts = run("--cases", "400", "--seed", str(seed))
    assert counts["cases"] == 400
    assert counts["edited"] > 250
    assert counts["checked by helm"] > 500


def test_each_scalar_of_yaml_test_suite_is_edited_exactly_or_refused() -> None:
    counts = run("--suite", str(ROOT / "tests/values/yaml-test-suite.json"))
    assert counts["cases"] == 944
    assert counts["edited"] > 680
    assert counts["checked by helm"] > 780
