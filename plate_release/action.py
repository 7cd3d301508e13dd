"""The GitHub Action: its inputs become a command line, its report becomes the step's outputs.

Called by action.yml as the console script `plate-release-action`; `python -m` would put the
job's checkout on the path that modules are imported from.
"""

import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Self

from plate_release.__main__ import main as command
from plate_release.errors import ExitCode, UsageError
from plate_release.github import Runner, annotations, masks, without_commands
from plate_release.images.reference import DOCKER_HUB
from plate_release.intent import INTENT
from plate_release.model import Finding, Judgement, Secret
from plate_release.report.summary import render
from plate_release.report.untrusted import terminal
from plate_release.result import refused

# action.yml maps the input argocd-server to PLATE_INPUT_ARGOCD_SERVER.
_PREFIX = "PLATE_INPUT_"

# The inputs that are an option of the same name.
_SHARED = ("environment", "branch", "config")
_DEPLOY = ("timeout", "soak", "on-failure", "on-unknown", "on-cancel", "image-check")
_SWITCHES = {
    "dry-run": ("--dry-run", "--no-dry-run"),
    "skip-backup": ("--skip-backup", "--backup"),
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """The action's inputs by name; one that was not given is ""."""

    values: Mapping[str, str] = field(repr=False)

    @classmethod
    def taken(cls, environ: MutableMapping[str, str]) -> Self:
        """Take the inputs out of the environment, where git and helm would get them too."""
        names = [name for name in environ if name.startswith(_PREFIX)]
        return cls({_input(name): environ.pop(name).strip() for name in names})

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")

    def switch(self, name: str) -> bool | None:
        """Return a true or false input, None where it was not given; a typo is refused."""
        value = self[name].lower()
        if value not in ("", "true", "false"):
            raise UsageError(f"{name}: {value!r} is neither true nor false.")
        return None if not value else value == "true"


def main() -> int:
    """Run one step of the action, named by the only argument; return the exit status."""
    runner = Runner.of(os.environ)
    if runner is None or runner.temp is None or sys.argv[1:] not in (["release"], ["settle"]):
        sys.stderr.write("plate-release-action is called by action.yml only.\n")
        return ExitCode.USAGE
    inputs = Inputs.taken(os.environ)
    _mask(inputs)
    with _credentials(inputs, runner.temp):
        if sys.argv[1] == "release":
            return _release(inputs, runner, runner.temp)
        return _settle(inputs, runner) if (runner.temp / INTENT).exists() else ExitCode.RELEASED


def deploy_command(inputs: Inputs, environ: Mapping[str, str]) -> list[str]:
    """Return the command line of a release. Raises UsageError for inputs that contradict."""
    options = [f"--{name}={inputs[name]}" for name in _DEPLOY if inputs[name]]
    for name, (on, off) in _SWITCHES.items():
        wanted = inputs.switch(name)
        options += [] if wanted is None else [on if wanted else off]
    options += ["--yes"] if _confirmed(inputs) else []
    return [*shared_options(inputs, environ), "deploy", *options, "--", *_asks(inputs)]


def shared_options(inputs: Inputs, environ: Mapping[str, str]) -> list[str]:
    """Return where to release to; OWNER/NAME is a repository of this GitHub."""
    where = inputs["repository"] or environ.get("GITHUB_REPOSITORY", "")
    if re.fullmatch(r"[\w.-]+/[\w.-]+", where):
        where = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{where}"
    options = [f"--{name}={inputs[name]}" for name in _SHARED if inputs[name]]
    return ["--output=json", f"--repo={where}", *options]


def given_environment(inputs: Inputs) -> dict[str, str]:
    """Return the environment that the inputs give; it beats the job's."""
    given = {
        "GITOPS_TOKEN": inputs["token"],
        "ARGOCD_SERVER": inputs["argocd-server"],
        "ARGOCD_AUTH_TOKEN": inputs["argocd-token"],
        "KUBECONFIG": inputs["kubeconfig"],
        "REGISTRY": inputs["registry"],
        "REGISTRY_USERNAME": inputs["registry-username"],
        "REGISTRY_PASSWORD": inputs["registry-password"],
    }
    if given["REGISTRY_PASSWORD"]:
        # A REGISTRY of the job is another one's.
        given["REGISTRY"] = inputs["registry"] or DOCKER_HUB
    return {name: value for name, value in given.items() if value}


def _asks(inputs: Inputs) -> list[str]:
    lines = [line.strip() for line in inputs["services"].splitlines() if line.strip()]
    service, tag = inputs["service"], inputs["tag"]
    if lines and (service or tag):
        raise UsageError("Both `services` and `service` or `tag` are given.", todo="Give either.")
    if not lines and not (service and tag):
        raise UsageError(
            "Nothing is asked for.",
            why="`services` is empty, and so is `service` or `tag`",
            todo="Give `services`, a line of SERVICE=TAG each, or both `service` and `tag`.",
        )
    return lines or [f"{service}={tag}"]


def _confirmed(inputs: Inputs) -> bool:
    typed, environment = inputs["confirm"], inputs["environment"] or "prod"
    if typed not in ("", "false", "true", environment):
        raise UsageError(
            f"confirm: {typed!r} does not confirm a release to {environment}.",
            todo=f"Type {environment}.",
        )
    return typed in ("true", environment)


def _release(inputs: Inputs, runner: Runner, temp: Path) -> int:
    try:
        arguments = deploy_command(inputs, os.environ)
    except UsageError as error:
        return _refused(error, runner)
    status, report = _run(arguments)
    handle, name = mkstemp(dir=temp, prefix="plate-release-report-", suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
    _publish(
        runner,
        {
            "outcome": report["outcome"],
            "commit": report["commit"] or "",
            "revert-commit": report["revert_commit"] or "",
            "report": name,
            "summary": headline(report),
        },
    )
    _annotate(_failures(report))
    return status


def _settle(inputs: Inputs, runner: Runner) -> int:
    status, report = _run([*shared_options(inputs, os.environ), "settle"])
    for settled in report.get("settled", ()):
        said = f"{settled['outcome']}: settled {settled['commit']}"
        _publish(runner, {"outcome": settled["outcome"], "commit": settled["commit"]})
        _publish(runner, {"summary": terminal(said)})
    return status


def headline(report: Mapping[str, Any]) -> str:
    """Return one line on how a release ended."""
    changes = [f"{s['name']} {s['before']} -> {s['after']}" for s in report["services"]]
    refusals = [f["message"] for f in report["findings"] if f["level"] == "error"]
    about = ", ".join(changes) or next(iter(refusals), "").partition("\n")[0]
    return terminal(f"{report['outcome']}: {about}").replace("\n", " ")


def _failures(report: Mapping[str, Any]) -> Iterator[Finding]:
    for service in report["services"]:
        if service["verdict"] not in (None, Judgement.LIVE):
            said = (
                f"{service['name']} {service['after']}: {service['verdict']}: {service['reason']}"
            )
            yield Finding("error", "verdict", said)
    for finding in report["findings"]:
        if finding["level"] != "info":
            yield Finding(finding["level"], finding["code"], finding["message"])


def _refused(error: UsageError, runner: Runner) -> int:
    _publish(runner, {"outcome": "refused", "summary": f"refused: {terminal(error.what)}"})
    runner.add_summary(render(refused(error)))
    _annotate([Finding("error", error.code, str(error))])
    return error.exit_code


def _run(arguments: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """Run a command line; return its exit status and the object that it printed."""
    printed = io.StringIO()
    with without_commands(_say), redirect_stdout(printed):
        status = command(arguments)
    report: dict[str, Any] = json.loads(printed.getvalue())
    return status, report


def _publish(runner: Runner, outputs: Mapping[str, str]) -> None:
    for name, value in outputs.items():
        runner.set_output(name, value)


def _annotate(findings: Iterable[Finding]) -> None:
    for line in annotations(findings, "plate-release"):
        _say(f"{line}\n")


def _mask(inputs: Inputs) -> None:
    for name in ("token", "argocd-token", "job-token"):
        for line in masks(Secret(inputs[name])):
            _say(f"{line}\n")
    for line in masks(Secret(inputs["registry-password"]), inputs["registry-username"]):
        _say(f"{line}\n")


def _say(text: str) -> None:
    # The runner obeys a line when it has it, and what follows must come after.
    sys.__stdout__.write(text)  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


@contextmanager
def _credentials(inputs: Inputs, temp: Path) -> Iterator[None]:
    """Put the inputs where the command line looks for them, a kubeconfig's content into a file."""
    os.environ.setdefault("GITHUB_TOKEN", inputs["job-token"])
    os.environ.update(given_environment(inputs))
    content = os.environ.get("KUBECONFIG", "")
    if "\n" not in content:
        yield
        return
    handle, name = mkstemp(dir=temp, prefix="kubeconfig-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
    os.environ["KUBECONFIG"] = name
    try:
        yield
    finally:
        Path(name).unlink()


def _input(variable: str) -> str:
    return variable.removeprefix(_PREFIX).lower().replace("_", "-")
