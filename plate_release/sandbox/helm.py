"""How Argo CD calls helm for a source: its value files, its arguments, what tells calls apart."""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from plate_release.application import Application, HelmOptions
from plate_release.sandbox.source import SourceError
from plate_release.sandbox.world import Object

KUBE_VERSION = "1.36.1"


def inside(tree: Path, path: str) -> Path:
    """Return a folder of the tree, which it may not leave."""
    folder = (tree / path).resolve()
    if not folder.is_relative_to(tree.resolve()):
        raise SourceError(
            f"rpc error: code = Unknown desc = {path}: app path is outside of repository root"
        )
    return folder


def value_files(options: HelmOptions, folder: Path, trees: dict[str, Path]) -> list[Path]:
    """Return the files of `valueFiles`, in their order."""
    found = []
    for name in options.value_files:
        first, _, rest = name.partition("/")
        if first.startswith("$"):
            if first[1:] not in trees:
                raise SourceError(
                    "rpc error: code = Unknown desc = error getting helm value files: "
                    f"source referenced {first!r}, but no source has a 'ref' field defined"
                )
            path = trees[first[1:]] / rest
            root = trees[first[1:]]
        else:
            path, root = (
                (trees[""] / name.lstrip("/") if name[:1] == "/" else folder / name),
                trees[""],
            )
        path = Path(os.path.normpath(path))
        if not path.is_relative_to(root):
            raise SourceError(
                "rpc error: code = Unknown desc = error getting helm value files: "
                f'value file "{name}" points to outside of repository root'
            )
        if path.exists() or not options.ignore_missing_value_files:
            found.append(path)
    return found


def arguments(
    app: Application, options: HelmOptions, files: list[Path], tree: Path
) -> tuple[list[str], list[str]]:
    """Return helm's arguments, and those as Argo CD shows them in its errors."""
    name = options.release_name or app.name
    namespace = options.namespace or app.spec.destination.namespace
    version = options.kube_version or KUBE_VERSION
    argv = [
        "template",
        ".",
        "--name-template",
        name,
        "--namespace",
        namespace,
        "--kube-version",
        version,
    ]
    for parameter in options.parameters:
        flag = "--set-string" if parameter.force_string else "--set"
        argv += [flag, f"{parameter.name}={parameter.value.replace(',', chr(92) + ',')}"]
    for file in options.file_parameters:
        argv += ["--set-file", f"{file.name}={file.path}"]
    shown = list(argv)
    for path in files:
        inner = path.relative_to(tree) if path.is_relative_to(tree) else path.name
        argv += ["--values", str(path)]
        shown += ["--values", f"<path to cached source>/{inner}"]
    for each in options.api_versions:
        argv += ["--api-versions", each]
    if not options.skip_crds:
        argv.append("--include-crds")
    if options.skip_schema_validation:
        argv.append("--skip-schema-validation")
    if options.skip_tests:
        argv.append("--skip-tests")
    return argv, shown


def rendering_key(folder: Path, files: list[Path], argv: list[str], inline: Object | str) -> str:
    """Name a rendering by all that goes into it.

    A chart that nowhere says `Release` renders the same for every release name and namespace.
    """
    chart, speaks_of_release = _chart(folder)
    values = [p.read_text(errors="replace") if p.is_file() else "" for p in files]
    plain = [a for a in argv if a not in {str(p) for p in files}]
    if not speaks_of_release:
        plain = [a for a in plain if a not in (argv[3], argv[5])]
    text = json.dumps([chart, values, plain, inline], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1000)
def _chart(folder: Path) -> tuple[str, bool]:
    """Return a digest of a folder of a commit, which never changes, and whether it says Release."""
    data = b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())
    return hashlib.sha256(data).hexdigest(), b"Release" in data
