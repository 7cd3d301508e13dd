"""What stands in an image's name."""

import pytest

from plate_release.charts import retagged, tag_of


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("1.4.2", "1.4.2"),
        ("shop:1.4.2", "1.4.2"),
        ("r.example.com:5000/shop", ""),
        ("r.example.com:5000/shop:1.4.2@sha256:00", "1.4.2"),
        ("1.4.2@sha256:00", "1.4.2"),
        ("", ""),
    ],
)
def test_the_tag_of_a_value(text: str, tag: str) -> None:
    assert tag_of(text) == tag


@pytest.mark.parametrize(
    ("text", "old", "becomes"),
    [
        ("1.4.2", "", "1.3.0"),
        ("r:5000/shop:1.4.2", "1.4.2", "r:5000/shop:1.3.0"),
        ("shop:v1.4.2-slim", "1.4.2", "shop:v1.3.0-slim"),
        ("shop:1.4.2@sha256:00", "1.4.2", "shop:1.3.0"),
        ("shop:latest", "", "shop:1.3.0"),
        ("x/shop@sha256:00", "1.4.2", "x/shop:1.3.0"),
        ("shop:1.4.2", "v1.4.2", "shop:1.3.0"),
        ("shop:1-alpine3.1", "1", "shop:1.3.0-alpine3.1"),
        ("shop:main-0a1b2c3", "0a1b2c3d4e5f", "shop:1.3.0"),
    ],
)
def test_another_tag_in_its_place(text: str, old: str, becomes: str) -> None:
    assert retagged(text, "1.3.0", old) == becomes
