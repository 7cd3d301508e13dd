"""Application manifests in a folder of files, as a team keeps them in git."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from plate_release.sandbox.world import Object


def applications_in(folder: Path) -> Iterator[Object]:
    """Yield the Applications (and projects) of all YAML files below a folder."""
    for path in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.yml"))):
        try:
            documents = list(yaml.safe_load_all(path.read_text()))
        except yaml.YAMLError:
            continue  # a helm template, say
        for each in documents:
            if isinstance(each, dict) and each.get("kind") in ("Application", "AppProject"):
                yield each
