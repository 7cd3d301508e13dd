"""A tree that is a directory, real helm 3 and 4, and the corpus of chart layouts."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from plate_release.charts import (
    Helm,
    Manifest,
    Objects,
    OpenChart,
    applications,
    chart_inputs,
    find,
    open_charts,
)
from plate_release.charts.objects import ECHO, ECHO_TEMPLATE, read_rendered
from plate_release.errors import PlanRefused
from plate_release.model import EntryKind, Tree

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
REPOSITORY = "https://git.example.com/plate/platform.git"


@dataclass(frozen=True)
class DirectoryTree:
    """A directory as a `plate_release.model.Tree`."""

    root: Path
    repository: str = REPOSITORY
    commit: str = "c0ffee" * 6 + "0123"

    def entries(self, folder: str = "", *, follow: bool = False) -> Iterator[tuple[str, EntryKind]]:
        for place, folders, names in os.walk(self.root / folder, followlinks=follow):
            for name in (*names, *(one for one in folders if (Path(place) / one).is_symlink())):
                path = Path(place) / name
                kind = EntryKind.SYMLINK if path.is_symlink() else EntryKind.FILE
                yield path.relative_to(self.root).as_posix(), kind

    def read(self, path: str) -> bytes:
        return (self.root / self.real(path)).read_bytes()

    def real(self, path: str) -> str:
        real = os.path.relpath((self.root / path).resolve(), self.root.resolve())
        if real == ".." or real.startswith("../"):
            raise PlanRefused(f"{path} leaves the repository.")
        return "" if real == "." else real

    def read_many(self, paths: list[str]) -> Mapping[str, bytes]:
        found = {}
        for path in paths:
            with suppress(PlanRefused):
                if (self.root / self.real(path)).is_file():
                    found[path] = self.read(path)
        return found

    def export(self, folder: str, into: Path) -> None:
        if not (self.root / folder).is_dir():
            raise FileNotFoundError(folder)

        def dangling(place: str, names: list[str]) -> list[str]:
            return [name for name in names if not (Path(place) / name).exists()]

        shutil.copytree(self.root / folder, into / folder, ignore=dangling, dirs_exist_ok=True)


@pytest.fixture(params=["helm-3", "helm-4"])
def helm(request: pytest.FixtureRequest) -> Helm:
    return Helm(str(ROOT / ".tools" / str(request.param) / "helm"), os.environ)


def objects_in(text: str, chart: str | None = None) -> Objects:
    """Read documents as helm prints them, each perhaps below a comment with its template."""
    values = f"# Source: shop/{ECHO}\n{ECHO_TEMPLATE.replace('{{ .Values | toJson }}', '{}')}"
    return read_rendered(f"{text}\n---\n{values}", chart).objects


def shop(tree: Tree) -> Manifest:
    """Return the Application of a layout."""
    found = find(applications(tree), "shop-prod")
    assert found
    return found


@contextmanager
def opened(helm: Helm, tree: DirectoryTree) -> Iterator[OpenChart]:
    """Lay out the one chart of a layout."""
    inputs = chart_inputs(shop(tree), tree)
    with open_charts(helm, inputs) as (chart,):
        yield chart


@pytest.fixture
def layout(tmp_path: Path) -> Callable[..., DirectoryTree]:
    """Copy a layout of the corpus, with other text in some of its files (None: without it)."""

    def copy(name: str, files: Mapping[str, str | None] | None = None) -> DirectoryTree:
        root = tmp_path / name
        shutil.copytree(CORPUS / name, root)
        for path, text in (files or {}).items():
            if text is None:
                (root / path).unlink()
            else:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
        return DirectoryTree(root)

    return copy
