"""What starting costs: `plate-release --version` over a bare Python, and a cold installation."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
RUNS = 21
STARTUP_LIMIT = 0.150
INSTALL_LIMIT = 4.0
HEAVY = ("kubernetes", "plate_release.sandbox", "pydantic", "requests")
COMMAND = "from plate_release.__main__ import main; main()"
# An installation is compiled once: a variable that forbids it would measure the compiler.
ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(*command: str, env: dict[str, str] = ENVIRON) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    return time.perf_counter() - start


def startup() -> bool:
    script = str(Path(sys.executable).with_name("plate-release"))
    seconds(script, "--version")
    # Run in pairs: what else the machine does slows both of a pair.
    pairs = [
        (seconds(sys.executable, "-c", "pass"), seconds(script, "--version")) for _ in range(RUNS)
    ]
    bare = statistics.median(bare for bare, _ in pairs)
    over = statistics.median(version - bare for bare, version in pairs)
    print(f"python -c pass           {bare * 1000:6.0f} ms")
    print(
        f"plate-release --version  {over * 1000:6.0f} ms over it (limit {STARTUP_LIMIT * 1000:.0f})"
    )
    print(f"ratio                    {(bare + over) / bare:6.1f}")
    return over <= STARTUP_LIMIT


def imports() -> bool:
    command = [sys.executable, "-X", "importtime", "-c", COMMAND, "--version"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    print(f"modules loaded           {len(loaded):6}, heavy ones: {sorted(loaded & set(HEAVY))}")
    return not loaded & set(HEAVY)


def cold_install() -> bool:
    with TemporaryDirectory() as folder:
        env = ENVIRON | {"UV_PROJECT_ENVIRONMENT": folder}
        uv = [os.environ.get("UV", "uv"), "sync", "--frozen", "--no-dev", "--no-editable"]
        cold = seconds(*uv, "--no-cache", env=env)
    print(f"cold installation        {cold:6.1f} s (limit {INSTALL_LIMIT:.0f})")
    return cold <= INSTALL_LIMIT


if __name__ == "__main__":
    sys.exit(not all([startup(), imports(), cold_install()]))
