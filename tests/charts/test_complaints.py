"""What helm's messages point to, for the wordings of helm 3 and 4."""

from pathlib import Path

import pytest

from plate_release.charts.complaints import Name, complaint, linted

HOME = Path("/tmp/plate-release-x")
NAMES = {
    f"{HOME}/tree/charts/shop": Name("charts/shop"),
    f"{HOME}/abc/values-0.yaml": Name("charts/shop/values-prod.yaml"),
    f"{HOME}/abc/values-1.yaml": Name("apps/shop.yaml", 20),
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
            0,  # the line is one of what the template gives
        ),
        (
            (
                f"Error: failed to parse {HOME}/abc/values-0.yaml: error converting YAML to JSON: "
                "yaml: line 4: did not find expected key"
            ),
            "charts/shop/values-prod.yaml",
            4,
        ),
        (
            f"Error: failed to parse {HOME}/abc/values-1.yaml: error: yaml: line 4: no key",
            "apps/shop.yaml",
            23,
        ),
        (
            "Error: cannot load values.yaml: error converting YAML to JSON: yaml: line 7: no key",
            "charts/shop/values.yaml",
            7,
        ),
        (
            "Error: error unpacking subchart db in shop: validation: chart.metadata.version is bad",
            "charts/shop/charts/db/Chart.yaml",
            0,
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
    ("line", "values"),
    [
        ("- image.tag: Does not match pattern '^1'", [("image", "tag")]),
        ("- at '/image/tag': got number, want string", [("image", "tag")]),
        ("- at '/containers/0/tag': got number", [("containers", 0, "tag")]),
        ("- at '/notes/a~1b~0': got number", [("notes", "a/b~")]),
        ("- at '': missing property 'image'", [()]),
        ("- (root): image is required", [()]),
        (
            "- at '/a': got number\ndb:\n- at '/b': got number\nother:\n- c: bad",
            [("a",), ("db", "b"), ("c",)],
        ),
    ],
)
def test_the_values_that_schemas_refuse(line: str, values: list[tuple[str | int, ...]]) -> None:
    said = (
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\n"
        f"shop:\n{line}\n"
    )
    found = complaint(said, HOME, NAMES, "charts/shop", {"db"})
    assert list(found.values) == values


def test_a_value_that_a_schema_refuses_is_not_told() -> None:
    said = (
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\n"
        "shop:\n- at '/password': 'hunter2 isn't' does not match pattern '^[0-9]+$'\n"
    )
    text = complaint(said, HOME, NAMES, "charts/shop").text
    assert "hunter2" not in text
    assert "- at '/password': the value does not match pattern '^[0-9]+$'" in text


@pytest.mark.parametrize(
    "line",
    [
        "- at '/image/tag': got string, want integer",
        "- image.tag: Invalid type. Expected: integer, given: string",
    ],
)
def test_a_schema_that_wants_a_number_for_a_tag_is_told_what_to_change(line: str) -> None:
    said = (
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\n"
        f"shop:\n{line}\n"
    )
    assert "let values.schema.json take texts" in complaint(said, HOME, NAMES, "charts/shop").todo


def test_a_value_that_is_no_uri_is_not_told() -> None:
    said = (
        "Error: values don't meet the specifications of the schema(s) in the following chart(s):\n"
        "shop:\n- at '/dsn': 'db:hunter2' is not valid uri: parse \"db:hunter2\": no scheme\n"
    )
    text = complaint(said, HOME, NAMES, "charts/shop").text
    assert text.endswith("- at '/dsn': the value is not valid uri")


def test_the_login_in_a_url_is_not_told() -> None:
    said = "Error: looks like https://bot:hunter2@charts.example.com is not a chart repository"
    text = complaint(said, HOME, NAMES, "charts/shop").text
    assert text == "looks like https://(hidden)@charts.example.com is not a chart repository"


def test_a_long_message_is_cut() -> None:
    text = complaint("Error: " + "ab" * 1_000_000, HOME, NAMES, "charts/shop").text
    assert len(text) == 4_001
    assert text.endswith("b…")


def test_what_lint_says_stands_below_the_chart() -> None:
    said = (
        "==> Linting charts/shop\n[INFO] Chart.yaml: icon is recommended\n"
        "[WARNING] templates/a.yaml: object name does not conform\n"
        "[ERROR] templates/: cannot load\n\n1 chart(s) linted, 1 chart(s) failed\n"
    )
    assert list(linted(said, "charts/shop")) == [
        "charts/shop/templates/a.yaml: object name does not conform",
        "charts/shop/templates/: cannot load",
    ]
    assert next(linted(said, "")) == "templates/a.yaml: object name does not conform"
