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
        (["linux/arm/v6"], "linux/arm/v7", True),
        (["linux/arm/v7"], "linux/arm/v6", False),
        (["linux/arm64/v9"], "linux/arm64/v8", False),
        (["linux/arm64/v8"], "linux/aarch64", True),
        ([], "linux/amd64", True),
    ],
)
def test_an_image_runs_on_a_node(platforms: list[str], wanted: str, fits: bool) -> None:
    assert runs_on(FoundImage(ONE, dict.fromkeys(platforms, TWO), None), wanted) is fits


def test_a_pod_may_run_the_index_or_its_platform_s_manifest_and_nothing_else() -> None:
    found = {"shop:1.5.0": FoundImage(ONE, {"linux/amd64": TWO}, None)}
    fine = [("a", "shop:1.5.0", ONE), ("b", "shop:1.5.0", TWO), ("b", "redis:7", OTHER)]
    assert list(strangers(found, fine)) == []
    (finding,) = strangers(found, [*fine, ("b", "shop:1.5.0", OTHER)])
    assert (finding.level, finding.code) == ("warning", "image-digest")
    assert finding.message.startswith(f"b runs {OTHER}, and shop:1.5.0 was {ONE} when")
