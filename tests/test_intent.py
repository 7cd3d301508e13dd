"""What a step leaves for a later one of its job: read back whole, or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from plate_release.config import ReleaseDefaults
from plate_release.intent import Intent
from plate_release.request import Given, settle_options

STEP = settle_options(Given(on_cancel="hold", soak=7.0, queue=True), {}, ReleaseDefaults())
OTHER = settle_options(Given(on_failure="hold", timeout=9.0, yes=True), {}, ReleaseDefaults())


def test_a_later_step_has_the_policy_of_the_one_that_pushed_and_its_own_rest(
    tmp_path: Path,
) -> None:
    file = tmp_path / "intent.json"
    Intent.of(STEP, "a", "b").write(file)
    read = Intent.read(file)
    assert read is not None
    assert read.ids == ("a", "b")
    assert read.over(OTHER) == replace(STEP, yes=True, queue=False)
    assert [one.name for one in tmp_path.iterdir()] == ["intent.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"ids": ["a"]}', '{"ids": "a", "options": {}}', "\0\udcff"],
)
def test_what_cannot_be_read_is_no_intent(tmp_path: Path, text: str) -> None:
    file = tmp_path / "intent.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert Intent.read(file) is None


def test_what_is_absent_or_no_file_is_no_intent(tmp_path: Path) -> None:
    assert Intent.read(tmp_path / "intent.json") is None
    assert Intent.read(tmp_path) is None
