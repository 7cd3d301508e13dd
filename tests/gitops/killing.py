"""Kill a process with SIGKILL just before or after its n-th call of an external program.

Nothing in the tested program knows of it: `git` (and `helm`, or what else is named) on its PATH is
a script that counts the calls and kills whoever called it. ::

    killer = Killer(tmp_path / "bin", "git", "helm")
    killer.arm(3, "after")
    done = subprocess.run([sys.executable, ...], env={**os.environ, "PATH": killer.path})
    assert done.returncode == -signal.SIGKILL
    killer.disarm()
    killer.calls  # ["git config", "git --version", "git init"]: what was called, in order

`before`: the program is not run at all. `after`: it has ended, and its caller never hears of it.
A program that runs beside its caller (`git cat-file --batch`) can be armed `before` alone. The
caller has to be the process that is started: run Python itself, not through a shell or `uv run`.
What the program had started is not ended: as with a real SIGKILL.
"""

import os
import shutil
from pathlib import Path
from typing import Literal

When = Literal["before", "after"]

_SCRIPT = """#!/bin/sh
echo "{name} $1" >> '{folder}/calls'
read -r at when call < '{folder}/plan'
count=$(grep -c "^$call" '{folder}/calls')
case "{name} $1" in "$call"*) ;; *) at=none ;; esac
if [ "$count" != "$at" ]; then exec '{real}' "$@"; fi
if [ "$when" = after ]; then '{real}' "$@"; fi
kill -9 "$PPID"
exit 137
"""


class Killer:
    """Scripts for `programs` in `folder`, unarmed at first."""

    def __init__(self, folder: Path, *programs: str) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        for name in programs or ("git",):
            real = shutil.which(name)
            assert real is not None, f"{name} is not installed"
            script = folder / name
            script.write_text(_SCRIPT.format(name=name, folder=folder, real=real))
            script.chmod(0o755)
        self.disarm()

    @property
    def path(self) -> str:
        """PATH with the scripts before everything else."""
        return f"{self._folder}{os.pathsep}{os.environ['PATH']}"

    @property
    def calls(self) -> list[str]:
        """What was called since it was last armed or disarmed: program and first argument."""
        return (self._folder / "calls").read_text().splitlines()

    def arm(self, at: int, when: When, call: str = "") -> None:
        """Kill at the call with this number, from 1; of those alone that start with `call`."""
        self._plan(f"{at} {when} {call}")

    def disarm(self) -> None:
        """Only count."""
        self._plan("0 never")

    def _plan(self, text: str) -> None:
        (self._folder / "plan").write_text(f"{text}\n")
        (self._folder / "calls").write_text("")
