"""What helm's messages point to, for the wordings of helm 3 and 4."""

from pathlib import Path

import pytest

from plate_release.charts.complaints import complaint

HOME = Path("/tmp/plate-release-x")
NAMES = {
    f"{HOME}/tree/charts/shop": "charts/shop",
    f"{HOME}/abc/values-0.yaml": "charts/shop/values-prod.yaml",
}


@pytest.mark.parametrize(
    ("said", "file", "line"),
    [
        (
            (
                "Error: template: shop/templates/a.yaml:3:8: executing "
                '"shop/templates/a.yaml" at <include "x" .>: error calling include: template: '
                'shop/templates/_helpers.tpl:17:4: executing "x" at <.Values.a.b>: nil pointer'
            ),
            "charts/shop/templates/_helpers.tpl",
            17,
        ),
        (
            'Error: parse error at (shop/templates/a.yaml:2): function "x" not defined',
            "charts/shop/templates/a.yaml",
            2,
        ),
        (
            "Error: execution error at (shop/charts/db/templates/a.yaml:5:4): a tag is required",
            "charts/shop/charts/db/templates/a.yaml",
            5,
        ),
        (
            (
                "Error: YAML parse error on shop/templates/a.yaml: error converting YAML to JSON: "
                "yaml: line 12: mapping values are not allowed in this context"
            ),
            "charts/shop/templates/a.yaml",
            12,
        ),
        (
            (
                f"Error: failed to parse {HOME}/abc/values-0.yaml: error converting YAML to JSON: "
                "yaml: line 4: did not find expected key"
            ),
            "charts/shop/values-prod.yaml",
            4,
        ),
        ("Error: chart requires kubeVersion: >=1.30.0 which is incompatible", "", 0),
    ],
)
def test_the_place_is_read(said: str, file: str, line: int) -> None:
    found = complaint(said, HOME, NAMES, "charts/shop")
    assert (found.file, found.line) == (file, line)
    assert str(HOME) not in found.text
    assert not found.text.startswith("Error")


def test_missing_dependencies_say_what_to_run() -> None:
    said = "Error: An error occurred: found in Chart.yaml, but missing in charts/ directory: redis"
    found = complaint(said, HOME, NAMES, "charts/shop")
    assert found.todo == "Run `helm dependency build charts/shop` and commit charts/shop/charts."
    assert found.file == "charts/shop/Chart.yaml"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("- image.tag: Does not match pattern '^1'", ("image", "tag")),
        ("- at '/image/tag': got number, want string", ("image", "tag")),
        ("- at '/containers/0/tag': got number", ("containers", 0, "tag")),
    ],
)
def test_the_value_that_a_schema_refuses(line: str, value: tuple[str | int, ...]) -> None:
    said = (
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\n"
        f"shop:\n{line}\n"
    )
    assert complaint(said, HOME, NAMES, "charts/shop").value == value
