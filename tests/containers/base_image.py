"""Makes the image that the tests of containers run, of Debian's packages alone. What is there already is left alone.

    python tests/containers/base_image.py    needs root, and Debian's podman, runc and debootstrap

No registry is asked: debootstrap takes the packages from the mirror that apt uses. The first time takes some minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASE = "localhost/vertex-emulator-test:base"
IMAGE = "localhost/vertex-emulator-test:image"
PACKAGES = ("podman", "runc", "debootstrap")

# crun and the usual limits on open files and processes do not work inside another container.
_CONFIGURATION = """[engine]
runtime = "runc"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""
# An image with what containers differ in: an entrypoint, a command, a user, a folder and a variable.
_CONTAINERFILE = f"""FROM {BASE}
RUN useradd --uid 1000 someone
ENV OF_IMAGE=yes
WORKDIR /work
ENTRYPOINT ["python3", "-c"]
CMD ["print('the own command of the image')"]
USER 1000
"""


def missing() -> str:
    """Tell why the image cannot be made here; empty if it can."""
    lacking = [name for name in PACKAGES if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if lacking:
        return f"needs {', '.join(lacking)}: apt-get install {' '.join(PACKAGES)}"
    if os.geteuid() != 0:
        return "needs root"
    return ""


def configure(folder: Path) -> dict[str, str]:
    """Write podman's configuration for these tests.

    :return: the environment that podman needs.
    """
    path = folder / "containers.conf"
    path.write_text(_CONFIGURATION)
    return {"CONTAINERS_CONF": str(path)}


def exists(name: str) -> bool:
    """Tell if podman has an image."""
    return subprocess.run(["podman", "image", "exists", name], check=False).returncode == 0


def make() -> None:
    """Make the image. What is there already is left alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, **configure(folder)}
        if not exists(BASE):
            _make_base(folder / "root")
        (folder / "Containerfile").write_text(_CONTAINERFILE)
        build = ["podman", "build", "--quiet", "--isolation=chroot", "--network=host", "--tag", IMAGE, str(folder)]
        subprocess.run(build, check=True, env=environment, stdout=subprocess.DEVNULL)


def _make_base(root: Path) -> None:
    strap = ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates", _suite(), str(root), _mirror()]
    subprocess.run(strap, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen(["tar", "--directory", str(root), "--create", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["podman", "import", "--quiet", "-", BASE], check=True, stdin=tar.stdout)


def _suite() -> str:
    release = Path("/etc/os-release").read_text()
    found = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
    return found[1] if found and re.search(r"^ID=debian$", release, re.MULTILINE) else "bookworm"


def _mirror() -> str:
    sources = [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    for path in sources:
        found = re.search(r"^(?:URIs:|deb(?: \[[^]]*\])?) *(\S+/debian)/?\s", path.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return "http://deb.debian.org/debian"


if __name__ == "__main__":
    if reason := missing():
        # Not a failure: the tests skip for the same reason.
        print(f"No image is made: {reason}")
        sys.exit()
    make()
