import pytest
from typer.main import get_command

from plate_release.__main__ import _SWITCHES, _VALUED, hoist
from plate_release.cli import app
from plate_release.config import ReleaseDefaults
from plate_release.errors import UsageError
from plate_release.request import Given, settle_options


def test_a_flag_beats_the_environment_and_that_beats_the_configuration() -> None:
    defaults = ReleaseDefaults.model_validate({"soak": "5s", "on-failure": "hold"})
    environ = {"DRY_RUN": "true", "SKIP_BACKUP": "1"}
    options = settle_options(Given(dry_run=False, soak=7), environ, defaults)
    assert (options.dry_run, options.skip_backup) == (False, True)
    assert (options.soak, options.on_failure, options.timeout) == (7, "hold", 900)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("true", True), ("True", True), ("1", True), ("yes", True), ("false", False), ("", False)],
)
def test_the_script_s_variables_are_read(text: str, expected: bool) -> None:
    options = settle_options(Given(), {"DRY_RUN": text}, ReleaseDefaults())
    assert options.dry_run is expected


def test_a_typo_in_dry_run_is_refused_rather_than_released() -> None:
    with pytest.raises(UsageError, match="DRY_RUN=ture is neither true nor false"):
        settle_options(Given(), {"DRY_RUN": "ture"}, ReleaseDefaults())


def test_watch_holds_unless_it_is_told_to_revert() -> None:
    options = settle_options(Given(), {}, ReleaseDefaults(), on_failure="hold")
    assert options.on_failure == "hold"
    options = settle_options(Given(on_failure="revert"), {}, ReleaseDefaults(), on_failure="hold")
    assert options.on_failure == "revert"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["deploy", "a=1", "--repo", "r"], ["--repo", "r", "deploy", "a=1"]),
        (["deploy", "--output=json", "a=1"], ["--output=json", "deploy", "a=1"]),
        (["-q", "plan", "a=1", "-o", "json"], ["-q", "-o", "json", "plan", "a=1"]),
        (["plan", "--", "--repo"], ["plan", "--", "--repo"]),
        (["plan", "--repo"], ["--repo", "plan"]),
        (["plan", "a=1", "-ojson"], ["-o", "json", "plan", "a=1"]),
        (["plan", "a=1", "-qv"], ["-q", "-v", "plan", "a=1"]),
        (["deploy", "a=1", "-yqojson"], ["-q", "-o", "json", "deploy", "a=1", "-y"]),
        (["deploy", "a=1", "-vo", "json"], ["-v", "-o", "json", "deploy", "a=1"]),
        (["rollback", "a", "--to", "-x"], ["rollback", "a", "--to", "-x"]),
        (["deploy", "--on-failure=hold", "-"], ["deploy", "--on-failure=hold", "-"]),
    ],
)
def test_shared_options_may_stand_anywhere(argv: list[str], expected: list[str]) -> None:
    assert hoist(argv) == expected


def test_every_option_that_stands_before_the_command_may_stand_behind_it() -> None:
    (parameters,) = [callback.params for callback in [get_command(app)]]
    names = {name for one in parameters for name in one.opts}
    assert names - {"--version"} == _VALUED | _SWITCHES
    assert {one.default for one in parameters if "--environment" in one.opts} == {"prod"}
