"""Real-world layouts of charts and Applications, each with what a plan makes of it."""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plate_release.charts import (
    ChartChange,
    Helm,
    Manifest,
    Sought,
    Wanted,
    chart_inputs,
    containers,
    image_keys,
    objects_of,
    open_charts,
    proven,
    written,
)
from plate_release.errors import ChartRefused, EditRefused, NoEffect, PlanRefused
from plate_release.model import Ask, Edit, Tree
from plate_release.values import Key, splice

from .conftest import CORPUS, REPOSITORY, DirectoryTree, opened, shop

SHOP = "registry.example.com/plate/shop"
BACKEND = "registry.example.com/plate/backend"
OLD = "sha256:" + "1" * 64
NEW = "sha256:" + "2" * 64


@dataclass(frozen=True)
class Released:
    """One edit, `after` at `key` of `file`, and the image that each changed container runs then."""

    layout: str
    key: str = "image.tag"
    line: int = 2
    file: str = "chart/values-prod.yaml"
    after: str = "1.5.0"
    images: tuple[str, ...] = (f"{SHOP}:1.5.0",)
    also: tuple[tuple[str, str], ...] = ()
    findings: tuple[str, ...] = ()
    tag_key: str | None = None
    values_file: str | None = None
    digest: str | None = None
    objects: tuple[str, ...] = ("Deployment shop",)

    def __str__(self) -> str:
        at = "@" if self.digest else ""
        return f"{self.layout}{at}{self.tag_key or ''}{self.values_file or ''}"


RELEASED = [
    Released("pair"),
    Released("only-chart-values", file="chart/values.yaml", line=4),
    Released("bitnami-global-registry", line=4, images=("harbor.example.com/plate/shop:1.5.0",)),
    Released(
        "umbrella-alias",
        key="backend.image.tag",
        line=3,
        tag_key="backend.image.tag",
        images=("registry.example.com/plate/backend:1.5.0",),
        objects=("Deployment backend-backend",),
    ),
    Released("library-chart"),
    Released(
        "single-string",
        key="image",
        line=1,
        after="registry.example.com:5000/plate/shop:1.5.0",
        images=("registry.example.com:5000/plate/shop:1.5.0",),
    ),
    Released(
        "single-string-digest",
        key="image",
        line=1,
        after="plate/shop:1.5.0",
        findings=("digest-dropped",),
    ),
    Released(
        "single-string-digest",
        key="image",
        line=1,
        digest=NEW,
        after=f"plate/shop:1.5.0@{NEW}",
        images=(f"{SHOP}:1.5.0@{NEW}",),
    ),
    Released("digest-split", also=(("image.digest", ""),), findings=("digest-dropped",)),
    Released(
        "digest-split",
        digest=NEW,
        also=(("image.digest", NEW),),
        images=(f"{SHOP}:1.5.0@{NEW}",),
    ),
    Released("digest-wins", also=(("image.digest", ""),), findings=("digest-dropped",)),
    Released("digest-wins", digest=NEW, also=(("image.digest", NEW),), images=(f"{SHOP}@{NEW}",)),
    Released(
        "digest-of-one-container",
        digest=NEW,
        also=(("image.digest", NEW),),
        images=(f"{SHOP}:1.5.0@{NEW}", "registry.example.com/plate/migrate:1.5.0"),
        findings=("several-images",),
    ),
    Released(
        "blank-digest-in-hex",
        digest=NEW,
        also=(("image.sha", NEW.removeprefix("sha256:")),),
        images=(f"{SHOP}:1.5.0@{NEW}",),
    ),
    Released("pair", digest=NEW, after=f"1.5.0@{NEW}", images=(f"{SHOP}:1.5.0@{NEW}",)),
    Released("tpl-in-values", key="version", line=1),
    Released(
        "sidecar-list",
        key="containers[name=shop].tag",
        tag_key="containers[name=shop].tag",
        line=4,
    ),
    Released("default-sidecar"),
    Released("two-value-files", file="regions/eu.yaml"),
    Released("first-of-two-value-files"),
    Released("multi-source-ref", file="environments/values/shop.yaml"),
    Released("other-parameters"),
    Released("noise", findings=("unstable-rendering",) * 3),
    Released("stateful-set", objects=("StatefulSet shop",)),
    Released(
        "cron-job",
        images=(f"{SHOP}:1.5.0",) * 2,
        objects=("Deployment shop", "CronJob shop-nightly"),
    ),
    Released("init-container", images=(f"{SHOP}:1.5.0",) * 2),
    Released("rollout", objects=("Rollout shop",)),
    Released("app-version-default"),
    Released(
        "job-named-by-tag",
        images=(f"{SHOP}:1.5.0",) * 2,
        objects=("Job migrate-1-5-0", "Deployment shop"),
    ),
    Released("label-beside", line=3),
    Released("config-checksum", objects=("ConfigMap shop", "Deployment shop")),
    Released("number"),
    Released(
        "two-workloads",
        key="worker.tag",
        tag_key="worker.tag",
        line=6,
        objects=("Deployment worker",),
        findings=("image-left-behind",),
    ),
    Released("two-charts", values_file="shop/values-prod.yaml", file="shop/values-prod.yaml"),
    Released(
        "chart-twice",
        values_file="chart/values-us.yaml",
        file="chart/values-us.yaml",
        objects=("Deployment shop-us",),
        findings=("image-left-behind",),
    ),
    Released(
        "charts-share-values",
        file="values/prod.yaml",
        images=(f"{SHOP}:1.5.0", "registry.example.com/plate/worker:1.5.0"),
        objects=("Deployment api", "Deployment worker"),
        findings=("several-images",),
    ),
    Released("chart-beside"),
    Released("prefixed", images=(f"{SHOP}:v1.5.0-alpine",)),
    Released("same-tag-beside"),
    Released("left-blank"),
    Released("blank-beside-a-prefix"),
    Released("word-in-a-tag-beside"),
    Released("values-yaml-named", file="chart/values.yaml"),
    Released("strict-version"),
    Released("two-documents", key="---[0].image.tag", tag_key="---[0].image.tag"),
]


@dataclass(frozen=True)
class Refused:
    """The kind of refusal, and what its message says."""

    layout: str
    kind: type[PlanRefused]
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.layout


REFUSED = [
    Refused(
        "umbrella-alias",
        PlanRefused,
        (
            "backend.image.tag in chart/values-prod.yaml",
            "in environments/prod.yaml, such as `services: {shop: {tag-key: backend.image.tag}}`",
        ),
    ),
    Refused("sidecar-list", PlanRefused, ("containers[0].tag", "containers[1].tag")),
    Refused("two-workloads", PlanRefused, ("api.tag in", "worker.tag in", "tag-key: api.tag")),
    Refused(
        "two-charts",
        PlanRefused,
        (
            "image.tag in shop/values-prod.yaml: Deployment shop",
            "image.tag in cache/values-prod.yaml: Deployment cache",
            "{values-file: shop/values-prod.yaml}",
        ),
    ),
    Refused("chart-twice", PlanRefused, ("{values-file: chart/values-eu.yaml}",)),
    Refused(
        "subchart-default",
        PlanRefused,
        ("default values of a subchart", "Add service.image.tag to chart/values-prod.yaml"),
    ),
    Refused(
        "parameter",
        NoEffect,
        ("the edit has no effect: environments/shop.yaml sets image.tag as a parameter, line 17",),
    ),
    Refused(
        "values-object",
        NoEffect,
        ("environments/shop.yaml sets image.tag in valuesObject, line 17",),
    ),
    Refused(
        "inline-values", NoEffect, ("environments/shop.yaml sets image.tag in values, line 17",)
    ),
    Refused(
        "source-override-file",
        NoEffect,
        ("chart/.argocd-source-shop-prod.yaml sets image.tag as a parameter, line 3",),
    ),
    Refused("kustomize-beside-helm", PlanRefused, ("Kustomize", "kustomization.yaml")),
    Refused("kustomize-only", PlanRefused, ("Kustomize", "kustomization.yaml")),
    Refused("schema", ChartRefused, ("chart/values-prod.yaml, line 2: helm template", "pattern")),
    Refused("tag-decides-more", PlanRefused, ("Deployment shop: spec.replicas: 3 -> 1",)),
    Refused(
        "unvendored-dependency",
        ChartRefused,
        ("redis", "Run `helm dependency build chart` and commit chart/charts."),
    ),
    Refused(
        "hard-coded",
        PlanRefused,
        (f"Deployment shop, container shop: {SHOP}:1.3.0", "take the tag from its values"),
    ),
    Refused(
        "database-alone",
        PlanRefused,
        (
            "redis.tag holds the tag of Deployment redis, container redis, which may not be shop",
            f"Deployment backend, container backend: {BACKEND}:0.9.0",
            "{tag-key: redis.tag}",
        ),
    ),
    Refused(
        "first-container-alone",
        PlanRefused,
        (
            "wait.image holds the tag of",
            f"Deployment web, container web: {BACKEND}",
        ),
    ),
    Refused(
        "values-yaml-named-first",
        PlanRefused,
        ("stands in the chart's own defaults alone", "Add image.tag to chart/values-prod.yaml"),
    ),
    Refused("shared-anchor", EditRefused, ("chart/values-prod.yaml:5", "merge")),
    Refused(
        "parent-s-namesake",
        PlanRefused,
        ("default values of a subchart", "Add service.image.tag to chart/values-prod.yaml"),
    ),
    Refused("two-documents", EditRefused, ("chart/values-prod.yaml:5:1: a second document",)),
    Refused("nil-pointer", ChartRefused, ("chart/templates/deployment.yaml, line 13:", "nil")),
    Refused("broken-values", ChartRefused, ("chart/values-prod.yaml, line 2:",)),
    Refused("outside", PlanRefused, ("../../secrets/values.yaml leaves the repository",)),
    Refused("missing-value-file", ChartRefused, ("chart/values-production.yaml",)),
]


@dataclass(frozen=True)
class Planned:
    """What a plan comes to: the edits, the file that they are made in, and what is rendered.

    `images` are those that change, as they are then.
    """

    images: tuple[str, ...]
    file: str
    data: bytes
    edits: tuple[Edit, ...]
    change: ChartChange


def planned(
    helm: Helm,
    tree: DirectoryTree,
    ask: Ask,
    tag_key: str | None = None,
    values_file: str | None = None,
    others: Mapping[tuple[str, str], Tree] | None = None,
) -> Planned:
    manifest = shop(tree)
    with open_charts(helm, chart_inputs(manifest, tree, others=others)) as charts:
        before = [chart.render() for chart in charts]
        key = Key.parse(tag_key) if tag_key else None
        digest = ask.digest is not None
        sought = Sought("shop", key, values_file)
        keys = image_keys(charts, before, sought, digest_wanted=digest)
        ask = replace(ask, tag=keys.value(ask.tag))
        edit = splice(tree.read(keys.file), written(keys, ask), file=keys.file)
        files = {tree.real(keys.file): edit.data}
        change = proven(
            charts, before, [chart.edited(files) for chart in charts], [Wanted(keys, ask)]
        )
        was = {one.place: one.image for one in containers(objects_of(before))}
        images = (c.image for c in containers(change.after) if was[c.place] != c.image)
        return Planned(tuple(images), keys.file, edit.data, edit.edits, change)


@pytest.mark.parametrize("row", RELEASED, ids=str)
def test_layout_is_released(row: Released, helm: Helm) -> None:
    tree = DirectoryTree(CORPUS / row.layout)
    found = planned(helm, tree, Ask("shop", "1.5.0", row.digest), row.tag_key, row.values_file)
    edit, *others = found.edits
    change = found.change
    assert (found.file, edit.key, edit.line, edit.after) == (
        row.file,
        row.key,
        row.line,
        row.after,
    )
    assert tuple((other.key, other.after) for other in others) == row.also
    assert found.images == row.images
    assert tuple(str(one) for one in change.difference.objects) == row.objects
    assert tuple(finding.code for finding in change.findings) == row.findings


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_layout_is_refused(row: Refused, helm: Helm) -> None:
    with pytest.raises(row.kind) as caught:
        planned(helm, DirectoryTree(CORPUS / row.layout), Ask("shop", "1.5.0"))
    assert type(caught.value) is row.kind
    for text in row.says:
        assert text in str(caught.value)
    assert str(CORPUS) not in str(caught.value)
    assert "/tmp/" not in str(caught.value)


@pytest.fixture
def helm_repository(helm: Helm, tmp_path: Path) -> Iterator[str]:
    """Serve the layout's chart as a Helm repository over HTTP."""
    folder = tmp_path / "charts"
    folder.mkdir()
    chart = str(CORPUS / "helm-repository" / "chart")
    for arguments in (
        ["package", chart, "--destination", str(folder)],
        ["package", chart, "--destination", str(folder), "--version", "0.3.1"],
        ["repo", "index", str(folder)],
    ):
        assert helm.run(arguments, tmp_path).returncode == 0
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_chart_of_a_helm_repository_with_values_in_git(
    helm: Helm, helm_repository: str, layout: Callable[..., DirectoryTree]
) -> None:
    manifest = (CORPUS / "helm-repository" / "environments" / "shop.yaml").read_text()
    served = manifest.replace("http://charts.invalid", helm_repository)
    tree = layout("helm-repository", {"environments/shop.yaml": served})
    found = planned(helm, tree, Ask("shop", "1.5.0"))
    assert [(e.file, e.key, e.after) for e in found.edits] == [
        ("values/shop.yaml", "image.tag", "1.5.0")
    ]
    assert found.images == (f"{SHOP}:1.5.0",)


def test_chart_that_cannot_be_fetched_is_refused(
    helm: Helm, helm_repository: str, layout: Callable[..., DirectoryTree]
) -> None:
    manifest = (CORPUS / "helm-repository" / "environments" / "shop.yaml").read_text()
    served = manifest.replace("http://charts.invalid", helm_repository).replace("0.3.x", "9.9.9")
    tree = layout("helm-repository", {"environments/shop.yaml": served})
    with pytest.raises(ChartRefused, match=r"The chart shop 9\.9\.9 of http.* cannot be fetched"):
        planned(helm, tree, Ask("shop", "1.5.0"))


def _lock(chart: dict[str, str], asked: str, version: str, *, alias: str) -> str:
    """Write a Chart.lock as helm does: with the hash of what was asked for and what was found."""
    name, repository = chart["name"], chart["repository"]
    found = {"name": name, "version": version, "repository": repository}
    both = [[{"name": name, "version": asked, "repository": repository, "alias": alias}], [found]]
    digest = hashlib.sha256(json.dumps(both, separators=(",", ":")).encode()).hexdigest()
    return json.dumps({"dependencies": [found], "digest": f"sha256:{digest}"})


@pytest.mark.parametrize(("locked", "fetched"), [("0.3.0", "0.3.0"), (None, "0.3.1")])
def test_a_dependency_that_is_not_vendored_is_fetched_as_it_is_locked(
    helm: Helm,
    helm_repository: str,
    layout: Callable[..., DirectoryTree],
    locked: str | None,
    fetched: str,
) -> None:
    asked = f"name: shop, alias: base, repository: {helm_repository}"
    metadata = "apiVersion: v2\nname: umbrella\nversion: 0.3.0\n"
    lock = _lock(
        {"name": "shop", "repository": helm_repository}, "0.3.x", str(locked), alias="base"
    )
    files = {
        "chart/Chart.yaml": f"{metadata}dependencies:\n  - {{{asked}, version: 0.3.x}}\n",
        "chart/values-prod.yaml": 'base: {image: {tag: "1.4.2"}}\n',
        "chart/templates/deployment.yaml": None,
        "chart/templates/note.yaml": "a: {{ fail .Subcharts.base.Chart.Version }}\n",
    }
    tree = layout("pair", files | ({"chart/Chart.lock": lock} if locked else {}))
    with pytest.raises(ChartRefused) as caught, opened(helm, tree) as chart:
        chart.render()
    assert caught.value.why.endswith(f": {fetched}")
    (tree.root / "chart/templates/note.yaml").unlink()
    found = planned(helm, tree, Ask("shop", "1.5.0"))
    assert found.images == (f"{SHOP}:1.5.0",)


def test_a_source_is_read_at_its_own_revision(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    manifest = (CORPUS / "multi-source-ref" / "environments" / "shop.yaml").read_text()
    of_chart, of_values = manifest.split("    - repoURL:")[1:]
    head = manifest.split("    - repoURL:")[0]
    join = "    - repoURL:".join
    ignoring = {"chart/templates/deployment.yaml": None}
    old = layout("pair", ignoring)
    old_chart = join([head, of_chart.replace("main", "v1"), of_values])
    tree = layout("multi-source-ref", {"environments/shop.yaml": old_chart})
    with pytest.raises(PlanRefused, match="The chart runs no container"):
        planned(helm, tree, Ask("shop", "1.5.0"), others={(REPOSITORY, "v1"): old})
    old_values = join([head, of_chart, of_values.replace("main", "v1")])
    (tree.root / "environments/shop.yaml").write_text(old_values)
    values = DirectoryTree(CORPUS / "multi-source-ref")
    with pytest.raises(PlanRefused, match=r"shop\.yaml of https://git\.example\.com/.* at c0ffee"):
        planned(helm, tree, Ask("shop", "1.5.0"), others={(REPOSITORY, "v1"): values})


@pytest.mark.parametrize("tag", ["v1.5.0-alpine", "1.5.0"])
def test_a_tag_may_be_asked_for_as_images_or_as_values_have_it(helm: Helm, tag: str) -> None:
    found = planned(helm, DirectoryTree(CORPUS / "prefixed"), Ask("shop", tag))
    assert [edit.after for edit in found.edits] == ["1.5.0"]
    assert found.images == (f"{SHOP}:v1.5.0-alpine",)


def test_a_document_that_this_helm_does_not_read_is_no_place_for_the_tag(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    files = {"chart/values-prod.yaml": "image: {tag: 1.4.2}\n---\nimage: {tag: 1.4.2}\n"}
    tree = layout("two-documents", files)
    chosen = {"3": "---[1].image.tag", "4": "---[0].image.tag"}[helm.version()[1]]
    with pytest.raises(NoEffect, match=rf"would run {SHOP}:1\.4\.2"):
        planned(helm, tree, Ask("shop", "1.5.0"), chosen)


def test_the_asked_tag_standing_there_already_is_no_edit(helm: Helm) -> None:
    found = planned(helm, DirectoryTree(CORPUS / "pair"), Ask("shop", "1.4.2"))
    assert (found.edits, found.change.difference.objects) == ((), ())


def test_every_layout_is_in_the_tables() -> None:
    rows = {row.layout for row in RELEASED} | {row.layout for row in REFUSED}
    assert rows | {"helm-repository"} == {path.name for path in CORPUS.iterdir()}


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ("parameter", "environments/shop.yaml sets image.tag as a parameter, line 17"),
        ("values-object", "environments/shop.yaml sets image.tag in valuesObject, line 17"),
        ("two-value-files", "regions/eu.yaml sets image.tag too"),
    ],
)
def test_what_overrides_the_configured_values_file_is_named(
    helm: Helm, layout: str, says: str
) -> None:
    tree = DirectoryTree(CORPUS / layout)
    with pytest.raises(NoEffect, match=re.escape(says)):
        planned(helm, tree, Ask("shop", "1.5.0"), values_file="chart/values-prod.yaml")


def test_a_live_application_has_no_lines(helm: Helm) -> None:
    tree = DirectoryTree(CORPUS / "parameter")
    live = Manifest(shop(tree).application)
    with open_charts(helm, chart_inputs(live, tree)) as charts, pytest.raises(NoEffect) as caught:
        image_keys(
            charts, [chart.render() for chart in charts], Sought("shop"), digest_wanted=False
        )
    assert caught.value.what == (
        "the edit has no effect: the live Application shop-prod sets image.tag as a parameter"
    )


def test_a_schema_does_not_hinder_the_search(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    """The search for the key tries values that the schema would not allow."""
    schema = (CORPUS / "schema" / "chart" / "values.schema.json").read_text()
    tree = layout("label-beside", {"chart/values.schema.json": schema})
    assert planned(helm, tree, Ask("shop", "1.4.3")).edits[0].key == "image.tag"


def test_a_key_that_cannot_be_told_is_asked_for(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    fixed = '(ne .Values.version "1.4.2") (ne .Values.image.tag "1.4.2")'
    template = f'{{{{ if or {fixed} }}}}{{{{ fail "no such version" }}}}{{{{ end }}}}\n'
    tree = layout("label-beside", {"chart/templates/check.yaml": template})
    with pytest.raises(PlanRefused, match="cannot be told") as caught:
        planned(helm, tree, Ask("shop", "1.5.0"))
    for text in ("image.tag, version", "no such version", "`tag-key`"):
        assert text in str(caught.value)


def test_a_configured_key_that_is_none_names_the_near_miss(helm: Helm) -> None:
    tree = DirectoryTree(CORPUS / "pair")
    with pytest.raises(PlanRefused, match=r"(?s)tag-key image\.tga is no.*mean image\.tag\?"):
        planned(helm, tree, Ask("shop", "1.5.0"), "image.tga")


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("chart/values-prd.yaml", "Did you mean chart/values-prod.yaml?"),
        ("x", "It reads chart/values.yaml, chart/values-prod.yaml."),
    ],
)
def test_a_configured_file_that_is_not_read_is_refused(helm: Helm, named: str, why: str) -> None:
    with pytest.raises(PlanRefused, match=f"{named} is no values file of shop-prod") as caught:
        planned(helm, DirectoryTree(CORPUS / "pair"), Ask("shop", "1.5.0"), values_file=named)
    assert caught.value.why == why


def test_a_configured_key_that_no_image_takes_is_refused(helm: Helm) -> None:
    tree = DirectoryTree(CORPUS / "label-beside")
    with pytest.raises(PlanRefused, match="No values key of shop-prod decides"):
        planned(helm, tree, Ask("shop", "1.5.0"), "version")


def test_the_chart_stands_in_another_repository(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    """The values that both have at one path are not mixed up."""
    manifest = (CORPUS / "multi-source-ref" / "environments" / "shop.yaml").read_text()
    first = manifest.split("  - repoURL:")[1]
    charts = "https://git.example.com/charts.git"
    text = manifest.replace(first, first.replace(REPOSITORY, charts), 1)
    text = text.replace("$config/environments/values/shop.yaml", "$config/chart/values.yaml")
    values = {"chart/values.yaml": "image: {tag: 1.4.2}\n", "environments/shop.yaml": text}
    ours = layout("multi-source-ref", values)
    other = DirectoryTree(CORPUS / "pair", charts)
    found = planned(helm, ours, Ask("shop", "1.5.0"), others={(charts, "main"): other})
    assert found.data == b"image: {tag: 1.5.0}\n"
    assert found.images == (f"{SHOP}:1.5.0",)
    with pytest.raises(ChartRefused, match=r"charts\.git, which is not at hand"):
        planned(helm, ours, Ask("shop", "1.5.0"))
