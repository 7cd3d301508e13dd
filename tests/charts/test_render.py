"""helm run as Argo CD runs it: what it is given, and what it may not see."""

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from plate_release.charts import Helm, applications, chart_inputs, find_helm, open_charts
from plate_release.errors import ChartRefused, PlanRefused, PreflightRefused

from .conftest import CORPUS, ROOT, DirectoryTree, opened

ECHO = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: echo}
data:
  release: {{ .Release.Name }}/{{ .Release.Namespace }}
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
  api: {{ .Capabilities.APIVersions.Has "example.com/v1/Shop" | quote }}
  values: {{ omit .Values "global" | toJson | quote }}
"""


def echoed(helm: Helm, tree: DirectoryTree) -> dict[str, str]:
    with opened(helm, tree) as chart:
        rendered = chart.render()
    (body,) = [one.body for one in rendered.objects if one.name == "echo"]
    data: dict[str, str] = body["data"]
    return data


def test_the_application_decides_names_and_versions(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    own = ["releaseName: shop-eu", "kubeVersion: 1.29.3", "apiVersions: [example.com/v1/Shop]"]
    files = {
        "environments/shop.yaml": manifest.replace("helm:", "\n      ".join(["helm:", *own])),
        "chart/templates/echo.yaml": ECHO,
    }
    data = echoed(helm, layout("pair", files))
    assert (data["release"], data["kubernetes"], data["api"]) == (
        "shop-eu/shop",
        "v1.29.3",
        "true",
    )


# From weakest to strongest: each row adds what beats the row before.
PRECEDENCE = [
    ("valueFiles: [values-prod.yaml, more.yaml]", "more.yaml"),
    ("valueFiles: [values-prod.yaml, more.yaml]\nvalues: 'a: values'", "values"),
    ("values: 'a: values'\nvaluesObject: {a: object}", "object"),
    ("valuesObject: {a: object}\nparameters: [{name: a, value: parameter}]", "parameter"),
    (
        "parameters: [{name: a, value: '1', forceString: true}, {name: a, value: parameter}]",
        "1",
    ),
    (
        "parameters: [{name: a, value: '1'}]\nfileParameters: [{name: a, path: a.txt}]",
        "from a file",
    ),
]


@pytest.mark.parametrize(("section", "winner"), PRECEDENCE)
def test_the_order_of_precedence(
    helm: Helm, layout: Callable[..., DirectoryTree], section: str, winner: str
) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    lines = "\n".join(f"      {line}" for line in section.splitlines())
    tree = layout(
        "pair",
        {
            "environments/shop.yaml": manifest.replace(
                "      valueFiles: [values-prod.yaml]", lines
            ),
            "chart/templates/echo.yaml": ECHO,
            "chart/values-prod.yaml": "a: values-prod.yaml\n",
            "chart/more.yaml": "a: more.yaml\n",
            "chart/a.txt": "from a file",
        },
    )
    assert f'"a":"{winner}"' in echoed(helm, tree)["values"]


def test_the_override_file_beside_the_chart_wins(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    files = {
        "chart/.argocd-source.yaml": "helm: {releaseName: all}\n",
        "chart/.argocd-source-shop-prod.yaml": "helm: {releaseName: one, valueFiles: null}\n",
        "chart/templates/echo.yaml": ECHO,
    }
    data = echoed(helm, layout("pair", files))
    assert data["release"] == "one/shop"
    assert '"tag":"latest"' in data["values"]


def test_charts_render_side_by_side(helm: Helm) -> None:
    tree = DirectoryTree(ROOT)
    found = applications(tree).services("prod")

    def render(name: str) -> list[str]:
        url = found[name].application.spec.all_sources[0].repo_url
        with open_charts(helm, chart_inputs(found[name], tree, url=url)) as (chart,):
            return [one.kind for one in chart.render().objects]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(render, [*found] * 2))
    assert together == [render(name) for name in found] * 2


def test_the_users_settings_of_helm_are_not_seen(
    helm: Helm, tmp_path: Path, layout: Callable[..., DirectoryTree]
) -> None:
    """A plugin of the user's would run, and a kubeconfig would be asked."""
    environ = dict(os.environ) | {
        "HELM_PLUGINS": str(tmp_path),
        "HELM_NAMESPACE": "elsewhere",
        "HELM_KUBETOKEN": "invented",
    }
    data = echoed(
        replace(helm, environ=environ), layout("pair", {"chart/templates/echo.yaml": ECHO})
    )
    assert data["release"] == "shop-prod/shop"


def test_charts_are_laid_out_where_the_environment_says(helm: Helm, tmp_path: Path) -> None:
    given = replace(helm, environ={**helm.environ, "TMPDIR": str(tmp_path)})
    with opened(given, DirectoryTree(CORPUS / "pair")) as chart:
        assert chart.home.is_relative_to(tmp_path)


def test_nothing_is_left_behind(helm: Helm) -> None:
    with opened(helm, DirectoryTree(CORPUS / "pair")) as chart:
        chart.render()
        folder = chart.home
        assert folder.exists()
    assert not folder.exists()


def test_the_edited_file_is_seen_by_the_chart_itself(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    template = '# {{ .Files.Get "values-prod.yaml" | fail }}\n'
    tree = layout("pair", {"chart/templates/echo.yaml": template})
    with opened(helm, tree) as chart, pytest.raises(ChartRefused, match=r"tag: new"):
        chart.edited({"chart/values-prod.yaml": b"image: {tag: new}\n"}).render()


def test_lint_gives_its_warnings_or_fails(helm: Helm, layout: Callable[..., DirectoryTree]) -> None:
    with opened(helm, layout("pair", {})) as chart:
        assert chart.lint(strict=True) == ()
    nil = layout("stateful-set", {"chart/templates/bad.yaml": "a: {{ .Values.x.y }}\n"})
    with opened(helm, nil) as chart, pytest.raises(ChartRefused) as caught:
        chart.lint(strict=True)
    assert caught.value.what.startswith("chart/templates/bad.yaml, line 1: helm lint")


def test_lint_s_warnings_are_told_and_only_strict_fails_for_them(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    named = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n"
    with opened(helm, layout("pair", {"chart/templates/odd.yaml": named})) as chart:
        (found,) = chart.lint()
        assert (found.level, found.code) == ("warning", "helm-lint")
        assert found.message.startswith("chart/templates/odd.yaml: object name does not conform")
        with pytest.raises(ChartRefused, match=r"^chart/templates/odd\.yaml: helm lint") as caught:
            chart.lint(strict=True)
    assert found.message.split("\n")[0] in caught.value.why


SCHEMA = {
    "type": "object",
    "required": ["owner"],
    "properties": {"image": {"properties": {"tag": {"pattern": "^9"}}}},
}


def test_an_application_may_leave_the_schema_out(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    schema = {"chart/values.schema.json": json.dumps(SCHEMA)}
    tree = layout("pair", schema)
    with opened(helm, tree) as chart:
        with pytest.raises(ChartRefused, match=r"^chart/values-prod\.yaml, line 2: ") as caught:
            chart.render()
        assert "1.4.2" not in caught.value.why
        assert any("owner" in found.message for found in chart.lint())
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    own = manifest.replace("helm:", "helm:\n      skipSchemaValidation: true")
    (tree.root / "environments/shop.yaml").write_text(own)
    with opened(helm, tree) as chart:
        assert chart.render().objects
        assert chart.lint(strict=True) == ()


def test_a_broken_value_inside_the_application_is_found_in_its_file(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    values = "helm:\n      values: |\n        a: 1\n        b: [\n        c: 2"
    text = manifest.replace("helm:", values)
    tree = layout("pair", {"environments/shop.yaml": text})
    with opened(helm, tree) as chart, pytest.raises(ChartRefused) as caught:
        chart.render()
    found = re.match(r"environments/shop\.yaml, line (\d+): ", caught.value.what)
    assert found
    assert text.splitlines()[int(found[1]) - 1].strip() in {"a: 1", "b: [", "c: 2"}


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ range .Values.auth.password }}{{ end }}", "iterate over (hidden)"),
        ("{{ fail .Values.auth.password }}", ": (hidden)"),
        ("{{ fail (printf `%d` .Values.auth.password) }}", "(hidden)"),
        ("{{ fail (index .Values.env 0).value }}", ": (hidden)"),
        ("{{ fail .Values.apiKey }}", ": (hidden)"),
        ("a: [{{ .Values.auth.password }}", "YAML parse error"),
        ("{{ tpl .Values.auth.password . }}", "parse template"),
    ],
)
def test_what_helm_says_tells_no_secret(
    helm: Helm, layout: Callable[..., DirectoryTree], template: str, says: str
) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    helms = "helm:\n      parameters: [{name: apiKey, value: hunter2-key}]"
    values = (
        "auth: {password: 'hunter2 {{ x', existingSecret: shop}\n"
        "env: [{name: DB_PASSWORD, value: hunter2-env}]\n"
    )
    files = {
        "environments/shop.yaml": manifest.replace("helm:", helms),
        "chart/values-prod.yaml": values,
        "chart/templates/a.yaml": template,
    }
    with opened(helm, layout("pair", files)) as chart, pytest.raises(ChartRefused) as caught:
        chart.render()
    assert "hunter2" not in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"chart/values.yaml": "a: 1\nb: [\n"}, r"^chart/values\.yaml, line \d: helm template"),
        ({"chart/templates/a.yaml": "a: {{ fail (repeat 90000 `long `) }}\n"}, "helm template"),
        ({"chart/templates/a.yaml": "a: b: c\n"}, r"^chart/templates/a\.yaml: helm template"),
        ({"chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: x\n"}, r"^chart/Chart\.yaml: "),
    ],
    ids=["own-values", "long", "rendered", "metadata"],
)
def test_the_file_to_blame_is_named(
    helm: Helm, layout: Callable[..., DirectoryTree], files: dict[str, str], what: str
) -> None:
    tree = layout("pair", files)
    with opened(helm, tree) as chart, pytest.raises(ChartRefused, match=what) as caught:
        chart.render()
    assert len(caught.value.why) < 4_500
    assert "plate-release-" not in str(caught.value)  # the temporary folder


def test_a_chart_whose_templates_are_a_file_is_refused(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    tree = layout("pair", {"chart/templates/deployment.yaml": None})
    (tree.root / "chart/templates").rmdir()
    (tree.root / "chart/templates").write_text("a: 1\n")
    with pytest.raises(ChartRefused, match="chart/templates is no folder"), opened(helm, tree):
        pass


@pytest.mark.parametrize(
    ("repository", "says"),
    [
        ("file://../missing", "chart/charts lacks base, and helm cannot bring it"),
        ("file://.", "chart/charts lacks base, and helm cannot bring it"),
        ("file://../../..", r"\.\./\.\./\.\. leaves the repository"),
    ],
)
def test_a_neighbour_that_is_not_there_is_refused(
    helm: Helm, layout: Callable[..., DirectoryTree], repository: str, says: str
) -> None:
    asked = f"dependencies:\n  - {{name: base, version: 1.x, repository: '{repository}'}}\n"
    metadata = f"apiVersion: v2\nname: shop\nversion: 0.3.0\n{asked}"
    tree = layout("pair", {"chart/Chart.yaml": metadata})
    with pytest.raises(PlanRefused, match=says), opened(helm, tree):
        pass


def test_a_folder_named_as_an_option_is_a_folder(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    manifest = (CORPUS / "pair" / "environments" / "shop.yaml").read_text()
    tree = layout(
        "pair", {"environments/shop.yaml": manifest.replace("path: chart", "path: --help")}
    )
    (tree.root / "chart").rename(tree.root / "--help")
    with opened(helm, tree) as chart:
        assert [one.kind for one in chart.render().objects] == ["Deployment"]
        assert chart.lint(strict=True) == ()


def test_a_template_without_end_is_stopped(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    endless = "{{ range until 1000000000 }}{{ range until 1000000000 }}{{ end }}{{ end }}\n"
    tree = layout("pair", {"chart/templates/endless.yaml": endless})
    with (
        opened(replace(helm, timeout=0.5), tree) as chart,
        pytest.raises(ChartRefused, match=r"did not end within 0\.5 s"),
    ):
        chart.render()


def test_helm_missing(tmp_path: Path) -> None:
    with pytest.raises(PreflightRefused, match="not on PATH") as caught:
        find_helm({"PATH": str(tmp_path)})
    assert "Install helm" in caught.value.todo
    with pytest.raises(PreflightRefused, match=r"/no/such/helm"):
        find_helm({"PATH": str(tmp_path), "PLATE_RELEASE_HELM": "/no/such/helm"})


def test_helm_that_is_named_is_taken(helm: Helm) -> None:
    assert find_helm({"PLATE_RELEASE_HELM": helm.program, "PATH": ""}) == helm.program


def test_helm_too_old(tmp_path: Path) -> None:
    """An old helm knows neither the flags nor the chart's apiVersion."""
    old = tmp_path / "helm"
    old.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = version ]; then echo v2.17.0; exit; fi\n'
        "echo 'Error: unknown flag: --name-template' >&2; exit 1\n"
    )
    old.chmod(0o755)
    with (
        opened(Helm(str(old), os.environ), DirectoryTree(CORPUS / "pair")) as chart,
        pytest.raises(PreflightRefused, match=r"v2\.17\.0 has an unknown flag: --name-template"),
    ):
        chart.render()


def test_a_symlink_to_outside_is_refused(helm: Helm, layout: Callable[..., DirectoryTree]) -> None:
    tree = layout("pair", {"chart/values-prod.yaml": None})
    (tree.root / "chart/values-prod.yaml").symlink_to("/etc/hostname")
    with pytest.raises(PlanRefused, match="leaves the repository"), opened(helm, tree):
        pass


def test_a_version_of_kubernetes_that_is_not_known_is_to_be_said(
    helm: Helm, layout: Callable[..., DirectoryTree]
) -> None:
    chart = "apiVersion: v2\nname: shop\nversion: 0.1.0\nkubeVersion: '< 1.20.0'\n"
    tree = layout("pair", {"chart/Chart.yaml": chart})
    with opened(helm, tree) as one, pytest.raises(ChartRefused) as caught:
        one.render()
    assert "`kubernetes: {version: ...}`" in caught.value.todo


def test_a_folder_that_cannot_be_made_is_no_mistake_of_ours(
    layout: Callable[..., DirectoryTree],
) -> None:
    tree = layout("pair")
    lost = Helm(str(ROOT / ".tools" / "helm-4" / "helm"), os.environ | {"TMPDIR": "/nonexistent"})
    with (
        pytest.raises(PreflightRefused, match="No temporary folder") as caught,
        opened(lost, tree),
    ):
        pass
    assert "TMPDIR" in caught.value.todo
