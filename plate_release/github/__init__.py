"""GitHub's runner: its commands, files and facts."""

from plate_release.github.commands import (
    annotations,
    escape_data,
    escape_property,
    masks,
    without_commands,
)
from plate_release.github.runner import Runner

__all__ = [
    "Runner",
    "annotations",
    "escape_data",
    "escape_property",
    "masks",
    "without_commands",
]
