"""Plans of several services: what they write together, and whom else they reach."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HELM = str(Path(__file__).parents[1] / ".tools" / "helm-4" / "helm")
HOME = "https://git.example.com/plate.git"
CHART = "apiVersion: v2\nname: shop\nversion: 0.1.0\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: {name}, image: 'registry.example/{image}:{{{{ {tag} }}}}'}}]}}
"""
APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: {name}-prod, namespace: argocd}}
spec:
  source:
    repoURL: {url}
    path: charts/{chart}
    helm: {{valueFiles: [{files}]}}
  destination: {{server: https://kubernetes.default.svc, namespace: shop}}
"""


@dataclass(frozen=True)
class Repository:
    """A repository of a few files, whose charts are planned by the real command."""

    root: Path
    bare: Path

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def service(
        self, name: str, files: str, chart: str = "", tag: str = ".Values.tag", url: str = HOME
    ) -> None:
        """Add an Application, and the chart that it deploys unless that is another's."""
        folder = f"charts/{chart or name}"
        deployment = DEPLOYMENT.format(name=name, image=name, tag=tag)
        self.write(
            {
                f"environments/{name}.yaml": APPLICATION.format(
                    name=name, chart=chart or name, files=files, url=url
                ),
                f"{folder}/Chart.yaml": CHART,
                f"{folder}/templates/{name}.yaml": deployment,
            }
        )

    def push(self) -> None:
        """Commit what is there."""
        for command in (
            ["init", "--quiet", "--initial-branch=main"],
            ["add", "."],
            [
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "commit",
                "--quiet",
                "--allow-empty",
                "-m",
                "All",
            ],
            ["init", "--quiet", "--bare", "--initial-branch=main", str(self.bare)],
            ["push", "--quiet", str(self.bare), "main"],
        ):
            subprocess.run(["git", *command], cwd=self.root, check=True)

    def plan(self, *asks: str) -> tuple[int, dict[str, Any]]:
        """Commit and plan; returns the exit status and the report."""
        self.push()
        program = str(Path(sys.executable).with_name("plate-release"))
        command = [program, "--output=json", f"--repo={self.bare}", "plan", "--image-check=off"]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        kept["PLATE_RELEASE_HELM"] = HELM
        done = subprocess.run(
            [*command, *asks], env=kept, capture_output=True, text=True, check=False
        )
        report: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, report


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "work").mkdir()
    return Repository(tmp_path / "work", tmp_path / "bare.git")


def found(report: dict[str, Any], code: str) -> list[str]:
    return [one["message"] for one in report["findings"] if one["code"] == code]


@pytest.fixture
def both(repository: Repository) -> Repository:
    """Two services of one Application, the tags of both in one file."""
    repository.service("api", "values-prod.yaml", tag=".Values.api.tag")
    worker = DEPLOYMENT.format(name="worker", image="worker", tag=".Values.worker.tag")
    configured = (
        "services:\n"
        "  api: {tag-key: api.tag}\n"
        "  worker: {application: api-prod, tag-key: worker.tag}\n"
    )
    repository.write(
        {
            "charts/api/templates/worker.yaml": worker,
            "charts/api/values-prod.yaml": "api: {tag: 1.4.2}\nworker: {tag: 2.0.0}\n",
            "environments/prod.yaml": configured,
        }
    )
    return repository


def test_services_of_one_application_are_rendered_together(both: Repository) -> None:
    status, report = both.plan("api=1.5.0", "worker=2.1.0")
    assert status == 0, report
    edits = [(e["line"], e["before"], e["after"]) for e in report["edits"]]
    assert edits == [(1, "1.4.2", "1.5.0"), (2, "2.0.0", "2.1.0")]
    for line in ("api:1.4.2", "api:1.5.0", "worker:2.0.0", "worker:2.1.0"):
        assert report["diff"].count(f"image: registry.example/{line}") == 1


def test_edits_that_change_more_together_than_each_alone_are_refused(both: Repository) -> None:
    note = (
        "{{ if and (eq .Values.api.tag `1.5.0`) (eq .Values.worker.tag `2.1.0`) }}\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: both}\n{{ end }}\n"
    )
    both.write({"charts/api/templates/note.yaml": note})
    assert both.plan("api=1.5.0")[0] == 0
    status, report = both.plan("api=1.5.0", "worker=2.1.0")
    assert status == 3
    assert "ConfigMap both: the object appears" in str(report["findings"])


def test_two_tags_for_one_value_are_refused(repository: Repository) -> None:
    repository.service("api", "../../values/prod.yaml")
    repository.service("web", "../../values/prod.yaml")
    repository.write({"values/prod.yaml": "tag: 1.4.2\n"})
    status, report = repository.plan("api=1.5.0", "web=1.6.0")
    assert status == 3
    assert "values/prod.yaml cannot hold both 1.5.0 and 1.6.0 at tag" in str(report["findings"])
    status, report = repository.plan("api=1.5.0", "web=1.4.2")
    assert status == 3
    status, report = repository.plan("api=1.5.0", "web=1.5.0")
    assert status == 0, report
    (edit,) = report["edits"]
    assert (edit["file"], edit["line"]) == ("values/prod.yaml", 1)
    assert report["diff"].startswith("diff api-prod\n--- Deployment api (now)\n")
    assert "\ndiff web-prod\n--- Deployment web (now)\n" in report["diff"]


def test_two_links_to_one_file_are_one_file(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml", tag=".Values.api")
    repository.service("web", "values-prod.yaml", tag=".Values.web")
    repository.write({"values/prod.yaml": "api: 1.4.2\nweb: 2.0.0\n"})
    for name in ("api", "web"):
        link = repository.root / "charts" / name / "values-prod.yaml"
        link.symlink_to("../../values/prod.yaml")
    status, report = repository.plan("api=1.5.0", "web=2.1.0")
    assert status == 0, report
    assert [(e["file"], e["line"]) for e in report["edits"]] == [
        ("charts/api/values-prod.yaml", 1),
        ("charts/web/values-prod.yaml", 2),
    ]


@pytest.mark.parametrize(
    ("values", "prod", "image"),
    [
        ("tag: 1.4.2\n", "redis: {tag: 7.2.0}\n", "server:{{ .Values.tag }}"),
        ("", "redis: {tag: 7.2.0}\n", "server:1.4.2"),
        ("", "redis: {tag: 7.2.0}\n", "server:{{ .Values.sub.tag }}"),
    ],
)
def test_the_tag_of_another_image_is_not_the_service_s(
    repository: Repository, values: str, prod: str, image: str
) -> None:
    repository.service("api", "values-prod.yaml")
    pods = (
        "containers: [{name: main, image: 'registry.example/IMAGE'},\n"
        "  {name: redis, image: 'docker.io/library/redis:{{ .Values.redis.tag }}'}]"
    )
    deployment = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api}\n"
        f"spec: {{template: {{spec: {{{pods.replace('IMAGE', image)}}}}}}}\n"
    )
    repository.write(
        {
            "charts/api/values.yaml": values,
            "charts/api/values-prod.yaml": prod,
            "charts/api/templates/api.yaml": deployment,
            "charts/api/charts/sub/Chart.yaml": CHART.replace("shop", "sub"),
            "charts/api/charts/sub/values.yaml": "tag: 1.4.2\n",
        }
    )
    status, report = repository.plan("api=8.0.0")
    assert status == 3
    (message,) = [one["message"] for one in report["findings"] if one["level"] == "error"]
    assert "redis.tag holds the tag of" in message
    assert "Deployment api, container main: registry.example/server:1.4.2" in message
    repository.write({"environments/prod.yaml": "services: {api: {tag-key: redis.tag}}\n"})
    assert repository.plan("api=8.0.0")[0] == 0


POD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec: {{template: {{spec: {{containers: [{containers}]}}}}}}
"""


BACKEND = "{name: backend, image: 'x/backend:{{ .Values.tag }}'}"
WEB = POD.format(name="web", containers="{name: web, image: x/web:2.0}")
JOB = WEB.replace("kind: Deployment", "kind: Job")


@pytest.mark.parametrize(
    ("service", "containers", "beside", "status"),
    [
        ("api", "BACKEND, {name: a, image: x/api-gateway:2.0}", "", 0),
        ("api", "BACKEND, {name: api, image: x/envoy:1.30}", "", 0),
        ("api", "BACKEND", JOB, 0),
        (
            "api",
            "BACKEND",
            WEB.replace("{name: web}", "{name: web, annotations: {helm.sh/hook: pre-upgrade}}"),
            0,
        ),
        ("api", "BACKEND", WEB, 3),
        ("api", "{name: gate, image: x/gate:2.0}, BACKEND", "", 3),
        ("backend", "BACKEND", WEB, 0),
        ("backend", "{name: gate, image: x/gate:2.0}, BACKEND", "", 0),
    ],
)
def test_the_only_key_is_believed_where_no_other_workload_may_be_the_service(
    repository: Repository, service: str, containers: str, beside: str, status: int
) -> None:
    repository.service(service, "values-prod.yaml")
    main = POD.format(name="main", containers=containers.replace("BACKEND", BACKEND))
    repository.write(
        {
            f"charts/{service}/values-prod.yaml": "tag: 1.4.2\n",
            f"charts/{service}/templates/{service}.yaml": main,
            f"charts/{service}/templates/beside.yaml": beside,
        }
    )
    found, report = repository.plan(f"{service}=1.5.0")
    assert found == status, report
    if status:
        said = report["findings"][-1]["message"]
        assert "`services: {api: {tag-key: tag}}` in environments/prod.yaml" in said
        repository.write({"environments/prod.yaml": "services: {api: {tag-key: tag}}\n"})
        assert repository.plan(f"{service}=1.5.0")[0] == 0


def test_what_a_subchart_runs_is_no_reason_to_doubt_the_only_key(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml")
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
            "charts/api/templates/api.yaml": POD.format(name="main", containers=BACKEND),
            "charts/api/charts/proxy/Chart.yaml": CHART.replace("shop", "proxy"),
            "charts/api/charts/proxy/templates/web.yaml": WEB,
        }
    )
    status, report = repository.plan("api=1.5.0")
    assert status == 0, report


def test_a_number_that_is_counted_by_too_is_marked_with_a_small_one(
    repository: Repository,
) -> None:
    repository.service("api", "values-prod.yaml", tag=".Values.tag")
    each = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: 'c-{{ . }}'}\n"
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 3\nreplicas: 3\n",
            "charts/api/templates/c.yaml": f"{{{{ range until (int .Values.replicas) }}}}\n{each}"
            "{{ end }}\n",
        }
    )
    status, report = repository.plan("api=4")
    assert (status, [edit["after"] for edit in report["edits"]]) == (0, ["4"]), report


TWO = "{name: web, image: 'x/web:{{ .Values.proxy.tag }}'}, {name: api, image: 'x/IMAGE'}"
DEFAULT = "IMAGE:{{ .Values.image.tag | default .Chart.AppVersion }}"


@pytest.mark.parametrize(("service", "status"), [("web", 0), ("other", 3)])
def test_a_blank_key_is_no_rival_of_the_service_s_own(
    repository: Repository, service: str, status: int
) -> None:
    repository.service(service, "values-prod.yaml")
    chart = "{apiVersion: v2, name: api, version: 0.1.0, appVersion: 1.0.0}"
    repository.write(
        {
            f"charts/{service}/Chart.yaml": chart,
            f"charts/{service}/values-prod.yaml": "image: {repository: x/api, tag: ''}\n"
            "proxy: {tag: 1.4.2}\n",
            f"charts/{service}/templates/{service}.yaml": POD.format(
                name="main", containers=TWO.replace("IMAGE", DEFAULT.replace("IMAGE", "api"))
            ),
        }
    )
    found, report = repository.plan(f"{service}=1.5.0")
    assert found == status, report


def test_values_that_happen_to_be_a_fixed_tag_hide_no_key(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml")
    containers = "{name: api, image: 'x/api:v{{ .Values.tag }}'}"
    first = "initContainers: [{name: first, image: 'alpine:3'}], containers"
    pod = POD.format(name="api", containers=containers).replace("containers", first, 1)
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 1.4.2\nreplicas: 3\nretries: 3\n",
            "charts/api/templates/api.yaml": pod,
        }
    )
    status, report = repository.plan("api=1.5.0")
    assert (status, [edit["after"] for edit in report["edits"]]) == (0, ["1.5.0"]), report


def test_a_folder_of_templates_called_charts_is_no_subchart(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml")
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
            "charts/api/templates/api.yaml": POD.format(name="main", containers=BACKEND),
            "charts/api/templates/charts/web.yaml": WEB,
        }
    )
    assert repository.plan("api=1.5.0")[0] == 3


def test_a_list_s_item_is_told_by_its_name(repository: Repository) -> None:
    repository.service("shop", "values-prod.yaml")
    pod = POD.format(name="X", containers="{name: c, image: Y}").replace("X", "{{ .name }}")
    repository.write(
        {
            "charts/shop/values-prod.yaml": "apps: [{name: cart, image: 'x/cart:1.0'},"
            " {name: pay, image: 'x/pay:1.0'}]\n",
            "charts/shop/templates/shop.yaml": "{{ range .Values.apps }}\n---\n"
            + pod.replace("Y", "{{ .image }}")
            + "{{ end }}\n",
        }
    )
    status, report = repository.plan("shop=1.1")
    assert status == 3
    assert "{tag-key: 'apps[name=cart].image'}" in report["findings"][-1]["message"]


def test_a_service_whose_tag_falls_back_to_another_s_is_released_beside_it(
    repository: Repository,
) -> None:
    image = "x/{0}:{{{{ {1} .Values.global.tag }}}}"
    containers = [
        f"{{name: {name}, image: '{image.format(name, tag)}'}}"
        for name, tag in (("api", ""), ("worker", ".Values.worker.tag | default"))
    ]
    repository.service("api", "values-prod.yaml")
    keys = "{{application: api-prod, tag-key: {}}}"
    repository.write(
        {
            "charts/api/values-prod.yaml": "global: {tag: 1.4.2}\nworker: {tag: ''}\n",
            "charts/api/templates/api.yaml": POD.format(name="api", containers=containers[0]),
            "charts/api/templates/worker.yaml": POD.format(name="w", containers=containers[1]),
            "environments/prod.yaml": f"services: {{api: {keys.format('global.tag')},"
            f" worker: {keys.format('worker.tag')}}}\n",
        }
    )
    status, report = repository.plan("api=1.5.0", "worker=1.6.0")
    assert status == 0, report
    assert "+        image: x/worker:1.6.0" in report["diff"]
    status, report = repository.plan("api=1.5.0")
    assert (status, "+        image: x/worker:1.5.0" in report["diff"]) == (0, True), report


def test_values_of_another_repository_s_chart_are_read_where_the_repository_is_a_path(
    repository: Repository, tmp_path: Path
) -> None:
    charts = Repository(tmp_path / "charts", tmp_path / "charts.git")
    repository.service("api", "$v/values/prod.yaml")
    for name in ("Chart.yaml", "templates/api.yaml"):
        file = repository.root / "charts/api" / name
        charts.write({f"api/{name}": file.read_text()})
        file.unlink()
    charts.push()
    sources = (
        f"sources:\n    - {{repoURL: {charts.bare}, targetRevision: main, path: api,"
        " helm: {valueFiles: [$v/values/prod.yaml]}}\n"
        f"    - {{repoURL: {HOME}, targetRevision: main, ref: v}}\n"
    )
    manifest = (repository.root / "environments/api.yaml").read_text()
    start, end = manifest.index("source:"), manifest.index("  destination:")
    repository.write(
        {
            "environments/api.yaml": f"{manifest[:start]}{sources}{manifest[end:]}",
            "values/prod.yaml": "tag: 1.4.2\n",
        }
    )
    status, report = repository.plan("api=1.5.0")
    assert (status, [edit["file"] for edit in report["edits"]]) == (0, ["values/prod.yaml"]), report


def test_a_tag_that_the_service_takes_as_it_is_is_written_as_it_is(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml")
    containers = (
        "{name: debug, image: 'x/debug:{{ .Values.tag }}-alpine'}, "
        "{name: api, image: 'x/api:{{ .Values.tag }}'}"
    )
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
            "charts/api/templates/api.yaml": POD.format(name="api", containers=containers),
        }
    )
    status, report = repository.plan("api=1.5.0-alpine")
    assert status == 0, report
    assert [edit["after"] for edit in report["edits"]] == ["1.5.0-alpine"]


def test_what_stands_in_for_an_empty_tag_is_the_tag_before(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml")
    image = "x/api:{{ .Values.image.tag | default .Chart.AppVersion }}"
    chart = "{apiVersion: v2, name: api, version: 0.1.0, appVersion: 1.16.0}"
    repository.write(
        {
            "charts/api/Chart.yaml": chart,
            "charts/api/values-prod.yaml": "image: {repository: x/api, tag: ''}\n",
            "charts/api/templates/api.yaml": POD.format(
                name="api", containers=f"{{name: api, image: '{image}'}}"
            ),
        }
    )
    status, report = repository.plan("api=1.17.0")
    assert status == 0, report
    assert report["services"][0]["before"] == "1.16.0"
    assert report["edits"][0]["before"] == ""
    status, report = repository.plan("api=1.3.0")
    assert status == 3
    assert "1.3.0 is older than 1.16.0" in str(report["findings"])


def test_what_is_asked_for_as_an_image_has_it_is_written_as_the_key_has_it(
    repository: Repository,
) -> None:
    repository.service("api", "values-prod.yaml")
    containers = "{name: api, image: 'x/api:v{{ .Values.tag }}'}"
    first = "initContainers: [{name: first, image: 'x/api-migrate:{{ .Values.tag }}'}], containers"
    text = POD.format(name="api", containers=containers).replace("containers", first, 1)
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
            "charts/api/templates/api.yaml": text,
            "environments/prod.yaml": "services: {api: {tag-key: tag}}\n",
        }
    )
    status, report = repository.plan("api=v1.5.0")
    assert status == 0, report
    assert [one["after"] for one in report["edits"]] == ["1.5.0"]


def test_images_are_shown_whatever_the_values_call_them(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml", tag="index .Values.tags `token-service`")
    repository.write({"charts/api/values-prod.yaml": "tags: {token-service: 1.4.2}\n"})
    status, report = repository.plan("api=1.5.0")
    assert status == 0, report
    assert "+        image: registry.example/api:1.5.0\n" in report["diff"]


def test_a_value_that_may_replace_the_whole_image_hides_no_tag(repository: Repository) -> None:
    """As in the chart of Gitea."""
    repository.service("gitea", "values-prod.yaml")
    image = (
        "{{ if .Values.image.fullOverride }}{{ .Values.image.fullOverride }}{{ else }}"
        "{{ .Values.image.repository }}:{{ .Values.image.tag }}-rootless{{ end }}"
    )
    containers = f"{{name: gitea, image: '{image}'}}"
    repository.write(
        {
            "charts/gitea/values.yaml": "image: {repository: x/gitea, tag: '', fullOverride: ''}\n",
            "charts/gitea/values-prod.yaml": "image:\n  tag: 1.22.3\n",
            "charts/gitea/templates/gitea.yaml": POD.format(name="g", containers=containers),
        }
    )
    status, report = repository.plan("gitea=1.22.4")
    assert status == 0, report
    assert [(one["line"], one["after"]) for one in report["edits"]] == [(2, "1.22.4")]


def test_two_applications_of_one_name_are_two(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml")
    repository.service("b", "../api/values-prod.yaml, values-prod.yaml", tag=".Values.b")
    text = (repository.root / "environments" / "b.yaml").read_text()
    other = text.replace("{name: b-prod, namespace: argocd}", "{name: api-prod, namespace: team-b}")
    configured = (
        "services:\n"
        "  api: {application: api-prod, application-namespace: argocd}\n"
        "  b: {application: api-prod, application-namespace: team-b}\n"
    )
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
            "charts/b/values-prod.yaml": "b: 2.0.0\n",
            "environments/b.yaml": other,
            "environments/prod.yaml": configured,
        }
    )
    status, report = repository.plan("api=1.5.0", "b=2.1.0")
    assert status == 0, report
    assert [(one["file"], one["after"]) for one in report["edits"]] == [
        ("charts/api/values-prod.yaml", "1.5.0"),
        ("charts/b/values-prod.yaml", "2.1.0"),
    ]
    uses = DEPLOYMENT.format(name="b", image="b", tag=".Values.tag")
    repository.write({"charts/b/templates/b.yaml": uses})
    status, report = repository.plan("api=1.5.0")
    assert status == 3
    assert found(report, "shared-values")


@pytest.mark.parametrize(
    ("asked", "written", "image"),
    [("v1.5.0", "v1.5.0", "1.5.0"), ("1.5.0", "1.5.0", "1.5.0")],
)
def test_a_chart_may_take_the_v_away(
    repository: Repository, asked: str, written: str, image: str
) -> None:
    repository.service("api", "values-prod.yaml", tag=".Values.tag | trimPrefix `v`")
    repository.write({"charts/api/values-prod.yaml": "tag: v1.4.2\n"})
    status, report = repository.plan(f"api={asked}")
    assert status == 0, report
    assert [one["after"] for one in report["edits"]] == [written]
    assert f"+        image: registry.example/api:{image}\n" in report["diff"]


@pytest.mark.parametrize(
    "spec",
    [
        "imageName: 'registry.example/api:{{ .Values.tag }}'",
        "image: {repository: registry.example/api, tag: '{{ .Values.tag }}'}",
        "image: {registry: registry.example, repository: api, tag: '{{ .Values.tag }}'}",
    ],
)
def test_a_custom_resource_may_say_its_image_otherwise(repository: Repository, spec: str) -> None:
    repository.service("api", "values-prod.yaml")
    cluster = "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: api}\n"
    repository.write(
        {
            "charts/api/templates/api.yaml": f"{cluster}spec: {{{spec}}}\n",
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
        }
    )
    status, report = repository.plan("api=1.5.0")
    assert status == 0, report
    assert report["services"][0]["key"] == "tag"


def test_a_dependency_is_vendored_by_its_own_name(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml")
    depends = (
        "dependencies: [{name: postgresql, version: 1.0.0, repository: 'https://127.0.0.1:1/'}]\n"
    )
    repository.write(
        {
            "charts/api/Chart.yaml": CHART + depends,
            "charts/api/charts/db/Chart.yaml": "apiVersion: v2\nname: postgresql\nversion: 1.0.0\n",
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
            "charts/api/.helmignore": "*-values.yaml\n",
        }
    )
    status, report = repository.plan("api=1.5.0")
    assert status == 0, report


def test_a_packed_chart_may_read_the_files_of_its_parent(
    repository: Repository, tmp_path: Path
) -> None:
    repository.service("api", "values-prod.yaml")
    helper = (
        "{{ define `lib.note` }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\n"
        "data: {size: {{ .Files.Get `values-prod.yaml` | len | quote }}}\n{{ end }}\n"
    )
    library = tmp_path / "lib"
    (library / "templates").mkdir(parents=True)
    (library / "Chart.yaml").write_text(
        "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n"
    )
    (library / "templates" / "_lib.tpl").write_text(helper)
    (repository.root / "charts" / "api" / "charts").mkdir()
    packed = str(repository.root / "charts" / "api" / "charts")
    subprocess.run([HELM, "package", str(library), "-d", packed], check=True, capture_output=True)
    repository.write(
        {
            "charts/api/templates/note.yaml": "{{ include `lib.note` . }}\n",
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
        }
    )
    status, report = repository.plan("api=1.50.0")
    assert status == 3
    assert "ConfigMap note: data.size: 11 -> 12" in str(report["findings"])


def test_a_glob_finds_the_values_behind_a_link(repository: Repository) -> None:
    repository.service("api", "'conf/*.yaml'", tag=".Values.tag")
    repository.write({"shared/prod.yaml": "tag: 1.4.2\n"})
    (repository.root / "charts" / "api" / "conf").symlink_to("../../shared")
    status, report = repository.plan("api=1.5.0")
    assert status == 0, report
    (edit,) = report["edits"]
    assert (edit["line"], edit["after"]) == (1, "1.5.0")


def test_a_file_that_is_read_in_several_ways_changes_in_all(repository: Repository) -> None:
    files = "values-prod.yaml], fileParameters: [{name: all, path: values-prod.yaml}"
    repository.service("api", files)
    note = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\ndata:\n"
        "  parameter: {{ .Values.all | quote }}\n"
        "  own: {{ .Files.Get `values-prod.yaml` | quote }}\n"
    )
    repository.write(
        {"charts/api/templates/note.yaml": note, "charts/api/values-prod.yaml": "tag: 1.4.2\n"}
    )
    status, report = repository.plan("api=1.5.0")
    assert status == 0, report
    assert report["diff"].count("\n-    tag: 1.4.2\n+    tag: 1.5.0\n") == 2


def test_the_defaults_of_a_chart_are_those_of_its_dependants_too(repository: Repository) -> None:
    depends = (
        "dependencies: [{name: shop, alias: api, version: 0.1.0, repository: 'file://../api'}]\n"
    )
    repository.service("api", "")
    repository.service("web", "", tag=".Values.api.tag")
    repository.write(
        {
            "charts/api/values.yaml": "tag: 1.4.2\n",
            "charts/web/Chart.yaml": CHART.replace("shop", "web") + depends,
        }
    )
    status, report = repository.plan("api=1.5.0")
    assert status == 3
    (message,) = found(report, "shared-values")
    assert message.startswith(
        "web-prod reads charts/api/values.yaml too, and would change unwatched: "
    )


def test_a_chart_behind_a_link_is_a_chart(repository: Repository) -> None:
    repository.service("api", "values-prod.yaml", tag=".Values.tag")
    repository.write({"charts/api/values-prod.yaml": "tag: 1.4.2\n"})
    (repository.root / "charts" / "api").rename(repository.root / "charts" / "v2")
    (repository.root / "charts" / "api").symlink_to("v2")
    (repository.root / "charts" / "v2" / "values.yaml").symlink_to("values-prod.yaml")
    status, report = repository.plan("api=1.5.0")
    assert status == 0, report
    assert report["edits"][0]["after"] == "1.5.0"


def test_an_application_that_nobody_releases_and_that_changes_refuses(
    repository: Repository,
) -> None:
    repository.service("api", "../../values/prod.yaml", tag=".Values.api")
    repository.service("web", "../../values/prod.yaml", tag=".Values.web")
    repository.write({"values/prod.yaml": "api: 1.4.2\nweb: 2.0.0\n"})
    status, report = repository.plan("api=1.5.0")
    assert (status, found(report, "shared-values")) == (0, [])
    repository.service("web", "../../values/*.yaml", tag=".Values.api")
    status, report = repository.plan("api=1.5.0")
    assert status == 3
    (message,) = found(report, "shared-values")
    assert message.startswith("web-prod reads values/prod.yaml too, and would change unwatched: ")
    assert "image: registry.example/web:1.4.2 -> registry.example/web:1.5.0" in message
    repository.write({"environments/prod.yaml": "checks: {shared-values: warning}\n"})
    status, report = repository.plan("api=1.5.0")
    assert (status, found(report, "shared-values")) == (0, [message])


OF_TWO = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: web-prod}}
spec:
  sources:
    - repoURL: {home}
      targetRevision: {revision}
      path: charts/web
      helm: {{valueFiles: [{file}]}}
    - {{repoURL: {values}, ref: values}}
"""


@pytest.mark.parametrize(
    ("revision", "told"),
    [("main", "web-prod reads values/prod.yaml too"), ("v1", "web-prod may read values/prod.yaml")],
)
def test_an_application_of_two_repositories_may_be_reached_too(
    repository: Repository, tmp_path: Path, revision: str, told: str
) -> None:
    (tmp_path / "values").mkdir()
    values = Repository(tmp_path / "values", tmp_path / "values.git")
    values.service("api", "../../values/prod.yaml")
    (values.root / "environments" / "api.yaml").unlink()
    values.write({"values/prod.yaml": "tag: 1.4.2\n"})
    values.push()
    repository.service("web", "")
    repository.service("api", "../../values/prod.yaml", url=str(values.bare))
    shutil.rmtree(repository.root / "charts" / "api")
    web = OF_TWO.format(
        home=HOME, revision=revision, file="$values/values/prod.yaml", values=values.bare
    )
    repository.write({"environments/web.yaml": web})
    status, report = repository.plan("api=1.5.0")
    (message,) = found(report, "shared-values")
    assert message.startswith(told)
    assert status == (3 if revision == "main" else 0)


SET = """\
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {{name: stages, namespace: argocd}}
spec:
  generators: [{{list: {{elements: [{{stage: test}}]}}}}]
  template:
    metadata: {{name: 'api-{{{{stage}}}}'}}
    spec: {{source: {{path: charts/api, helm: {{valueFiles: ['{file}']}}}}}}
"""


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("values-{{stage}}.yaml", True),
        ("../api/values-*.yaml", True),
        ("{{stage}}.yaml", True),
        ("test.yaml", False),
        ("{{path}}", False),
    ],
)
def test_an_application_set_that_may_read_the_file_is_told(
    repository: Repository, file: str, *, told: bool
) -> None:
    repository.service("api", "values-prod.yaml")
    repository.write(
        {
            "charts/api/values-prod.yaml": "tag: 1.4.2\n",
            "environments/set.yaml": SET.format(file=file),
        }
    )
    status, report = repository.plan("api=1.5.0")
    assert status == 0
    messages = found(report, "application-set")
    assert ["ApplicationSet stages (environments/set.yaml, line 1)" in one for one in messages] == (
        [True] if told else []
    )


def test_an_override_file_may_name_the_shared_values(repository: Repository) -> None:
    repository.service("api", "../../values/prod.yaml")
    repository.service("web", "")
    override = "helm: {valueFiles: [../../values/prod.yaml]}\n"
    repository.write(
        {"values/prod.yaml": "tag: 1.4.2\n", "charts/web/.argocd-source.yaml": override}
    )
    _, report = repository.plan("api=1.5.0")
    (message,) = found(report, "shared-values")
    assert message.startswith("web-prod reads values/prod.yaml too")


def test_an_application_that_cannot_be_rendered_is_a_warning(repository: Repository) -> None:
    repository.service("api", "../../values/prod.yaml", tag=".Values.api")
    repository.service("web", "../../values/prod.yaml", tag=".Values.web.none.at.all")
    repository.write({"values/prod.yaml": "api: 1.4.2\n"})
    status, report = repository.plan("api=1.5.0")
    assert status == 0
    (message,) = found(report, "shared-values")
    assert message.startswith("web-prod may read values/prod.yaml too, and cannot be rendered: ")


@pytest.mark.parametrize(
    ("kind", "body", "level"),
    [
        ("Deployment", "selector: {matchLabels: {app: a, version: '%'}}", "error"),
        ("StatefulSet", "volumeClaimTemplates: [{metadata: {labels: {v: '%'}}}]", "error"),
        ("Deployment", "revisionHistoryLimit: 3", None),
    ],
)
def test_a_field_that_kubernetes_does_not_change_is_told(
    repository: Repository, kind: str, body: str, level: str | None
) -> None:
    repository.service("api", "values-prod.yaml")
    tag = "{{ .Values.tag }}"
    template = (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: api}}\nspec:\n"
        f"  {body.replace('%', tag)}\n"
        f"  template: {{spec: {{containers: [{{name: api, image: 'x/api:{tag}'}}]}}}}\n"
    )
    repository.write(
        {"charts/api/templates/api.yaml": template, "charts/api/values-prod.yaml": "tag: 1.4.2\n"}
    )
    status, report = repository.plan("api=1.5.0")
    levels = [one["level"] for one in report["findings"] if one["code"] == "immutable-field"]
    assert levels == ([level] if level else [])
    assert status == (3 if level == "error" else 0)


def test_an_application_that_leads_out_of_the_repository_is_a_warning(
    repository: Repository,
) -> None:
    repository.service("api", "../../values/prod.yaml")
    repository.service("web", "../../values/prod.yaml, out.yaml")
    repository.write({"values/prod.yaml": "tag: 1.4.2\n"})
    (repository.root / "charts" / "web" / "out.yaml").symlink_to("../../../secret.yaml")
    status, report = repository.plan("api=1.5.0")
    assert status == 0
    (message,) = found(report, "shared-values")
    assert message.startswith("web-prod may read values/prod.yaml too, and cannot be rendered: ")


def test_what_helm_cannot_be_given_is_refused(repository: Repository) -> None:
    repository.service("api", 'values-prod.yaml], parameters: [{name: a, value: "a\\0b"}')
    repository.write({"charts/api/values-prod.yaml": "tag: 1.4.2\n"})
    status, report = repository.plan("api=1.5.0")
    assert status == 3
    assert "cannot be given what the Application says" in str(report["findings"])


def test_findings_of_several_services_say_whose_they_are(repository: Repository) -> None:
    for name in ("api", "web"):
        repository.service(name, "values-prod.yaml")
        repository.write({f"charts/{name}/values-prod.yaml": "tag: 1.4.2\n"})
    _, report = repository.plan("api=1.5.0", "web=1.5.0")
    whose = {message.partition(":")[0] for message in found(report, "no-resources")}
    assert whose == {"api-prod", "web-prod"}


def test_a_service_of_the_configuration_that_nothing_deploys_is_told(
    repository: Repository,
) -> None:
    repository.service("api", "values-prod.yaml")
    configured = "services: {apii: {tag-key: tag}, other: {application: api-prod}, api: }\n"
    repository.write(
        {"charts/api/values-prod.yaml": "tag: 1.4.2\n", "environments/prod.yaml": configured}
    )
    _, report = repository.plan("api=1.5.0")
    (message,) = found(report, "unknown-service")
    assert message.startswith("The configuration names a service apii")
    assert message.endswith("did you mean api?")
