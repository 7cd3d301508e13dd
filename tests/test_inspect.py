"""What the commands that look find out."""

from datetime import UTC, datetime

import pytest

from plate_release.gitops.entry import Entry, Recorded, ServiceEntry
from plate_release.inspect import InCluster, other_images
from plate_release.model import FoundImage, Outcome

ONE, TWO, OTHER = (f"sha256:{digit * 64}" for digit in "123")
IMAGE = "registry.example/api:1.5.0"
LAST = Recorded(
    "c0ffee",
    Entry(
        id="1",
        state=Outcome.RELEASED,
        environment="prod",
        started=datetime(2026, 11, 26, tzinfo=UTC),
        services=(
            ServiceEntry(
                name="api",
                before="1.4.2",
                after="1.5.0",
                images={IMAGE: FoundImage(ONE, {"linux/amd64": TWO}, None)},
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("tag", "digests", "told"),
    [
        ("1.5.0", {IMAGE: (ONE, TWO)}, False),
        ("1.5.0", {IMAGE: (ONE, OTHER)}, True),
        ("1.5.0", {"registry.example/worker:1.5.0": (OTHER,)}, False),
        ("1.6.0", {IMAGE: (OTHER,)}, False),
    ],
)
def test_another_image_under_a_released_tag_is_told(
    tag: str, digests: dict[str, tuple[str, ...]], *, told: bool
) -> None:
    runs = InCluster((IMAGE,), digests, 1, 1)
    said = f"{OTHER} runs, and {IMAGE} was released as {ONE}"
    assert list(other_images("api", tag, runs, LAST)) == ([said] if told else [])
    assert list(other_images("api", tag, None, LAST)) == []
    assert list(other_images("api", tag, runs, None)) == []
