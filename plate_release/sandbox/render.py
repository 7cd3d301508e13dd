"""Argo CD's repository server, second half: an Application's sources, rendered by real helm."""

import asyncio
import os
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import yaml

from plate_release.application import Application, HelmOptions, Source
from plate_release.sandbox.applications import NAMESPACE
from plate_release.sandbox.cache import TRACKING
from plate_release.sandbox.clock import Clock
from plate_release.sandbox.helm import arguments, inside, rendering_key, value_files
from plate_release.sandbox.source import Repositories, SourceError, run
from plate_release.sandbox.world import Object, group_of

HELM_COST = 0.1
UNAVAILABLE = (
    'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while '
    'dialing: dial tcp 127.0.0.1:8081: connect: connection refused"'
)
KEPT = 2000
CLUSTER_WIDE = frozenset(
    {
        "Namespace",
        "ClusterRole",
        "ClusterRoleBinding",
        "StorageClass",
        "CustomResourceDefinition",
        "PriorityClass",
        "PersistentVolume",
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """What an Application should be: the commits of its sources, and its objects."""

    revisions: tuple[str, ...]
    objects: tuple[Object, ...]
    source_types: tuple[str, ...]


class Renderer:
    """Renders Applications; the same chart with the same values is rendered once."""

    def __init__(self, repositories: Repositories, clock: Clock) -> None:
        self.repositories, self._clock = repositories, clock
        self._helm = os.environ.get("PLATE_RELEASE_HELM") or shutil.which("helm") or "helm"
        self._cache: OrderedDict[str, str] = OrderedDict()
        self._at_once = asyncio.Semaphore(os.cpu_count() or 1)
        self.down = False

    async def resolve(self, app: Application) -> tuple[str, ...]:
        """Return the commit of each source, as git has them now."""
        await self._reachable(app)
        if app.spec.source_hydrator is not None:
            raise _unsupported("the source hydrator")
        found: dict[tuple[str, str], str] = {}
        for index, source in enumerate(app.spec.all_sources):
            named = source.origin
            if named in found:
                continue
            try:
                _followed(source)
                found[named] = await self.repositories.resolve(*named)
            except SourceError as error:
                raise _located(app, index, error) from None
        return tuple(found[s.origin] for s in app.spec.all_sources)

    async def render(self, app: Application, revisions: tuple[str, ...]) -> Target:
        """Return the objects of the Application at these commits.

        Raises SourceError with Argo CD's own text.
        """
        await self._reachable(app)
        objects: list[Object] = []
        types = []
        for index, source in enumerate(app.spec.all_sources):
            try:
                _followed(source)
                text, kind = await self._one(app, source, revisions, index)
            except SourceError as error:
                raise _located(app, index, error) from None
            types.append(kind)
            objects += [_owned(app, obj) for obj in _documents(text)]
        return Target(revisions, tuple(objects), tuple(types))

    async def _reachable(self, app: Application) -> None:
        if self.down:
            await self._clock.sleep(2.0)
            raise _located(app, 0, SourceError(UNAVAILABLE))

    async def _one(
        self, app: Application, source: Source, revisions: tuple[str, ...], index: int
    ) -> tuple[str, str]:
        if source.ref and not source.path:
            return "", ""
        tree = await self.repositories.files(source.repo_url, revisions[index])
        folder = inside(tree, source.path)
        if not folder.is_dir():
            raise SourceError(
                f"rpc error: code = Unknown desc = {source.path}: app path does not exist"
            )
        if (folder / "kustomization.yaml").exists():
            raise _unsupported("kustomize")
        if not (folder / "Chart.yaml").exists():
            return _plain(folder), "Directory"
        trees = {"": tree}
        for at, other in enumerate(app.spec.all_sources):
            if other.ref:
                trees[other.ref] = await self.repositories.files(other.repo_url, revisions[at])
        return await self._template(app, source, folder, trees), "Helm"

    async def _template(
        self, app: Application, source: Source, folder: Path, trees: dict[str, Path]
    ) -> str:
        options = source.helm or HelmOptions()
        files = value_files(options, folder, trees)
        argv, shown = arguments(app, options, files, trees[""])
        inline = options.values_object if options.values_object is not None else options.values
        key = rendering_key(folder, files, argv, inline)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        async with self._at_once:
            text = await self._clock.outside(self._call(folder, argv, inline, shown), HELM_COST)
        self._cache[key] = text
        if len(self._cache) > KEPT:
            self._cache.popitem(last=False)
        return text

    async def _call(
        self, folder: Path, argv: list[str], inline: Object | str, shown: list[str]
    ) -> str:
        with NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(inline if isinstance(inline, str) else yaml.safe_dump(inline))
            file.flush()
            extra = ["--values", file.name] if inline else []
            code, out, err = await run(self._helm, *argv, *extra, cwd=folder)
        if code:
            raise SourceError(
                "rpc error: code = Unknown desc = failed to execute helm template command: failed "
                f"running helm: `helm {' '.join(shown)} <api versions removed> --include-crds` "
                f"failed exit status {code}: {err.strip()}"
            )
        return out


def _located(app: Application, index: int, error: SourceError) -> SourceError:
    """Say which source an error is about."""
    count = len(app.spec.all_sources)
    return SourceError(f"failed to generate manifest for source {index + 1} of {count}: {error}")


def instance_name(app: Application) -> str:
    """Return what Argo CD marks the Application's objects with."""
    namespace = app.metadata.namespace
    return app.name if namespace in ("", NAMESPACE) else f"{namespace}_{app.name}"


def _followed(source: Source) -> None:
    """Refuse what this sandbox cannot follow, rather than answer falsely."""
    if source.chart:
        raise _unsupported(f"the chart {source.chart} from a Helm repository")
    if source.plugin is not None:
        raise _unsupported("config management plugins")
    if source.kustomize is not None:
        raise _unsupported("kustomize")
    if source.directory and source.directory.get("jsonnet"):
        raise _unsupported("jsonnet")


def _unsupported(what: str) -> SourceError:
    return SourceError(f"rpc error: code = Unimplemented desc = the sandbox cannot follow {what}")


def _plain(folder: Path) -> str:
    texts = [
        p.read_text() for p in sorted(folder.iterdir()) if p.suffix in (".yaml", ".yml", ".json")
    ]
    return "\n---\n".join(texts)


def _documents(text: str) -> list[Object]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = list(yaml.load_all(text, Loader=loader))
    except yaml.YAMLError as error:
        raise SourceError(
            f"rpc error: code = Unknown desc = Manifest generation error: {error}"
        ) from None
    flat: list[Object] = []
    for each in found:
        if isinstance(each, dict):
            flat += each["items"] if each.get("kind") == "List" else [each]
    return flat


def _owned(app: Application, obj: Object) -> Object:
    """Return the object in its namespace, marked as the Application's."""
    meta = obj.setdefault("metadata", {})
    namespace = (
        ""
        if obj["kind"] in CLUSTER_WIDE
        else meta.get("namespace") or (app.spec.destination.namespace)
    )
    if namespace:
        meta["namespace"] = namespace
    annotations = dict(meta.get("annotations") or {})
    name = meta.get("name", "")
    annotations[TRACKING] = f"{instance_name(app)}:{group_of(obj)}/{obj['kind']}:{namespace}/{name}"
    meta["annotations"] = annotations
    return obj
