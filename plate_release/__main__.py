"""The entry point, and what is told of a command line that cannot be understood."""

import os
import re
import sys
from collections.abc import Sequence
from itertools import islice, pairwise

from plate_release.errors import ReleaseError

_VALUED = {"--repo", "--branch", "--config", "--environment", "--output", "-o"}
_SWITCHES = {"-q", "--quiet", "-v", "--verbose"}
# Short options behind one dash; the value of -o may be attached.
_SHORT = re.compile(r"-(?=.)[qvyh]*(?:o.*)?")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line (default: the process's) and return its exit status."""
    if argv is None and os.environ.get("GITHUB_ACTIONS") == "true":
        from plate_release.github import without_commands

        with without_commands(_say):
            return _main(sys.argv[1:])
    return _main(sys.argv[1:] if argv is None else argv)


def _main(argv: Sequence[str]) -> int:
    arguments = hoist(argv) or ["--help"]
    try:
        return _run(arguments)
    except ReleaseError as error:
        return _refuse(error, arguments)


def _say(line: str) -> None:
    # The runner reads both streams; standard output may be JSON.
    from plate_release.report.stream import Patient

    sys.stdout.flush()
    stream = Patient(sys.stderr)
    stream.write(line)
    stream.flush()


def hoist(argv: Sequence[str]) -> list[str]:
    """Move the shared options before the command, wherever and however short they stood."""
    shared: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for whole in words:
        if whole == "--":
            return [*shared, *rest, whole, *words]
        for word in _apart(whole):
            if word in _SWITCHES or word.partition("=")[0] in _VALUED - {word}:
                shared.append(word)
            elif word in _VALUED:
                shared += [word, *islice(words, 1)]
            elif word.startswith("-o"):
                shared += ["-o", word[2:]]
            else:
                rest.append(word)
    return shared + rest


def _apart(word: str) -> list[str]:
    """Return clustered short options one by one: `-qvojson` is `-q`, `-v` and `-ojson`."""
    if not _SHORT.fullmatch(word):
        return [word]
    switches, output, value = word[1:].partition("o")
    return [*(f"-{switch}" for switch in switches), *([f"-o{value}"] if output else [])]


def _run(arguments: list[str]) -> int:
    import typer.exceptions

    from plate_release.cli import app
    from plate_release.errors import UsageError

    try:
        status = app(arguments, prog_name="plate-release", standalone_mode=False)
    except typer.exceptions.TyperException as error:
        raise UsageError(
            error.format_message().replace("Value error, ", "")
            or "The command line cannot be understood.",
            todo="`plate-release --help` lists the commands, `COMMAND --help` one's options.",
        ) from error
    except typer.Abort:
        return 130
    return int(status or 0)


def _refuse(error: ReleaseError, arguments: Sequence[str]) -> int:
    from plate_release.report import console

    console.error(str(error))
    if _said(arguments, "--output", "-o") == "json":
        from plate_release.report.json import dump, report
        from plate_release.report.stream import say
        from plate_release.result import refused

        result = refused(error, _said(arguments, "--environment") or "prod")
        say(sys.stdout, dump(report(result)))
    return int(error.exit_code)


def _said(arguments: Sequence[str], *names: str) -> str:
    """Return the last value of a shared option, also where the rest cannot be understood."""
    value = ""
    for word, following in pairwise([*arguments, ""]):
        name, equals, attached = word.partition("=")
        if name in names:
            value = attached if equals else following
    return value


if __name__ == "__main__":
    sys.exit(main())
