"""Imports point one way, and starting up loads nothing heavy."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    config = str(ROOT / "pyproject.toml")
    command = [
        str(Path(sys.executable).with_name("lint-imports")),
        "--no-cache",
        "--config",
        config,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_rules_are_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("argocd/__init__.py", "plate_release.sandbox"),
        ("argocd/__init__.py", "plate_release.gitops"),
        ("values/__init__.py", "plate_release.charts"),
        ("model.py", "plate_release.application"),
        ("report/__init__.py", "kubernetes"),
    ],
)
def test_a_broken_rule_is_told(tmp_path: Path, module: str, forbidden: str) -> None:
    package = tmp_path / "plate_release"
    shutil.copytree(ROOT / "plate_release", package)
    with (package / module).open("a") as file:
        file.write(f"\nimport {forbidden}\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    importer = "plate_release." + module.removesuffix("/__init__.py").removesuffix(".py")
    assert f"{importer} -> {forbidden} " in done.stdout


def test_starting_up_loads_nothing_heavy() -> None:
    code = "import sys, plate_release.__main__, plate_release.cli; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "plate_release.cli" in loaded
    assert not loaded & {"kubernetes", "plate_release.sandbox", "pydantic", "requests", "yaml"}
