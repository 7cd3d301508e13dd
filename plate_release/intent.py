"""What a step of a job pushes, noted beforehand for a later step that may have to end it."""

from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from plate_release.model import Policy
from plate_release.request import Options

INTENT = "plate-release-intent.json"


class Intent(BaseModel):
    """The ids of the releases, and the options to end them with as that step would have."""

    model_config = ConfigDict(frozen=True)

    ids: tuple[str, ...]
    timeout: float
    soak: float
    grace: float
    on_failure: Policy
    on_unknown: Policy
    on_cancel: Policy

    @classmethod
    def of(cls, options: Options, *ids: str) -> Self:
        """Return the intent of a run with these options."""
        return cls.model_validate({n: getattr(options, n) for n in _OPTIONS} | {"ids": ids})

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Return the intent, None where there is none that can be read."""
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, file: Path) -> None:
        """Write beside and move: a run that is killed leaves a whole file or none."""
        beside = file.with_suffix(".new")
        beside.write_text(self.model_dump_json())
        beside.replace(file)

    def over(self, options: Options) -> Options:
        """Return the options with this intent's in their place."""
        return replace(options, **self.model_dump(include=_OPTIONS))


_OPTIONS = Intent.model_fields.keys() - {"ids"}
