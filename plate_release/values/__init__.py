"""Find a scalar in YAML and splice it; nothing else in the file changes."""

from plate_release.values.edit import Spliced, splice
from plate_release.values.keys import Key
from plate_release.values.lookup import find, read, scalars

__all__ = ["Key", "Spliced", "find", "read", "scalars", "splice"]
