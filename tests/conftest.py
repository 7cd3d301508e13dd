"""What every test can count on, whatever the machine: its git, its terminal, its speed."""

import os

from hypothesis import settings

# A stall is no mistake; the fuzzers look where no test has looked yet.
settings.register_profile("plate-release", deadline=None, derandomize=True, database=None)
settings.load_profile("plate-release")

os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES"):
    os.environ.pop(name, None)
