"""Which image fits which node, and which one is not what was planned."""

import pytest

from plate_release.model import FoundImage
from plate_release.provenance import runs_on, strangers

ONE, TWO, OTHER = (f"sha256:{digit * 64}" for digit in "123")


@pytest.mark.parametrize(
    ("platforms", "wanted", "fits"),
    [
        (["linux/amd64"], "linux/amd64", True),
        (["linux/amd64"], "linux/arm64", False),
        (["linux/amd64", "linux/arm64/v8"], "linux/arm64", True),
        (["linux/arm64"], "linux/arm64/v8", True),
        (["linux/arm"], "linux/arm64", False),
        (["windows/amd64"], "linux/amd64", False),
        ([], "linux/amd64", True),
    ],
)
def test_an_image_runs_on_a_node(platforms: list[str], wanted: str, fits: bool) -> None:
    assert runs_on(FoundImage(ONE, dict.fromkeys(platforms, TWO), None), wanted) is fits


def test_a_pod_may_run_the_index_or_its_platform_s_manifest_and_nothing_else() -> None:
    found = FoundImage(ONE, {"linux/amd64": TWO}, None)
    assert list(strangers("shop:1.5.0", found, [("a", ONE), ("b", TWO)])) == []
    (finding,) = strangers("shop:1.5.0", found, [("a", ONE), ("b", OTHER)])
    assert (finding.level, finding.code) == ("warning", "image-digest")
    assert finding.message.startswith(f"b runs {OTHER}, and shop:1.5.0 was {ONE} when")
