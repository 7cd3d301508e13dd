"""Where a run says things: a stream that whoever reads it may leave before the run has ended."""

import io
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO, cast

from rich.console import Console

# In a log nothing is folded: whoever reads it searches for whole words.
_WIDE = 10_000


class Patient:
    """Standard output or error while somebody reads it; what comes after that is lost.

    A release that is pushed has to be seen through, whoever has left.
    """

    def __init__(self, stream: TextIO | None) -> None:
        # Python has None for a stream that was closed before it started.
        self._stream = stream or io.StringIO()
        if isinstance(stream, io.TextIOWrapper):
            # Whatever the locale can write: an unknown character is no reason to end.
            stream.reconfigure(errors="backslashreplace")

    @property
    def encoding(self) -> str:
        """How text becomes bytes."""
        return self._stream.encoding

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write, or lose it."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what is kept back, or lose it."""
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError:
            # What is kept back is written once more when Python ends: it needs somewhere to go.
            with suppress(OSError), open(os.devnull, "w") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), self._stream.fileno())


def console(stream: TextIO | None) -> Console:
    """Return a console on a stream, which folds lines for a terminal alone."""
    patient = Patient(stream)
    return Console(
        file=cast("TextIO", patient),
        highlight=False,
        soft_wrap=True,
        width=None if patient.isatty() else _WIDE,
    )


def say(stream: TextIO | None, text: str) -> None:
    """Write a line for a machine."""
    patient = Patient(stream)
    patient.write(f"{text}\n")
    patient.flush()
