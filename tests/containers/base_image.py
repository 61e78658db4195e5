"""Makes the images that the tests of containers run, of Debian's packages alone. What is there already is left alone.

    python tests/containers/base_image.py    needs root, and Debian's podman, runc and debootstrap

No registry is asked: debootstrap takes the packages from the mirror that apt uses. The first time takes some minutes.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASE = "localhost/vertex-emulator-test:base"
IMAGE = "localhost/vertex-emulator-test:image"
#: Stands for the official images of Python, whatever their tag: a Python with pip, which may install for everybody.
PYTHON = "localhost/vertex-emulator-test/python"
#: Artifact Registry of the region that the tests name.
REGISTRY = "europe-west1-docker.pkg.dev"
PYTHON_IMAGES = (f"{PYTHON}:3.11-slim", f"{PYTHON}:3.12-slim")
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
_PYTHON_CONTAINERFILE = f"""FROM {BASE}
RUN apt-get update --quiet=2 && \\
    apt-get install --quiet=2 --yes --no-install-recommends python3-pip python3-venv && \\
    rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED && ln -s python3 /usr/bin/python
"""
# What leads to packages, and the files of this machine that it names.
_CERTIFICATES = ("SSL_CERT_FILE",)
_PIP_SETTINGS = ("cert", "index-url", "proxy", "trusted-host")


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


def configure_builds(folder: Path, wheels: Path, registry: str) -> dict[str, str]:
    """Write a configuration of podman with which a Dockerfile is built as it is, and pushed under the name that it has.

    :data:`PYTHON` stands for ``python`` of Docker Hub, and pip finds packages as it does on this machine.

    :param wheels: a folder with wheels that are on no index.
    :param registry: host and port of what stands for :data:`REGISTRY`, as a proxy does.
    :return: the environment that podman needs.
    """
    pip = {**_pip_settings(), "find-links": "/wheels", "root-user-action": "ignore"}
    (folder / "pip.conf").write_text("\n".join(["[global]", *(f"{key} = {value}" for key, value in pip.items()), ""]))
    mounts = {wheels: "/wheels", folder / "pip.conf": "/etc/pip.conf"}
    variables = {name: os.environ[name] for name in _CERTIFICATES if name in os.environ}
    mounts |= {Path(value): value for value in (*pip.values(), *variables.values()) if Path(value).is_file()}
    volumes = json.dumps([f"{source}:{target}:ro" for source, target in mounts.items()])
    env = json.dumps([f"{name}={value}" for name, value in variables.items()])
    path = folder / "containers.conf"
    path.write_text(f'{_CONFIGURATION}netns = "host"\nvolumes = {volumes}\nenv = {env}\n')
    registries = folder / "registries.conf"
    registries.write_text(f'[aliases]\n"python" = "{PYTHON}"\n[[registry]]\nlocation = "{REGISTRY}"\ninsecure = true\n')
    return {
        "CONTAINERS_CONF": str(path),
        "CONTAINERS_REGISTRIES_CONF": str(registries),
        "BUILDAH_ISOLATION": "chroot",
        # podman tries https, which no proxy is for, and then http.
        "HTTP_PROXY": f"http://{registry}",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def remove_images() -> None:
    """Remove what tests have built under names of :data:`REGISTRY`, whose layers have an older wheel."""
    command = ["podman", "images", "--quiet", "--filter", f"reference={REGISTRY}/*/*/*"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if listed:
        subprocess.run(["podman", "rmi", "--force", *dict.fromkeys(listed)], check=True, stdout=subprocess.DEVNULL)


def _pip_settings() -> dict[str, str]:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    pairs = (line.partition("=") for line in listed.splitlines())
    settings = {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, _, value in pairs}
    return {key: value for key, value in settings.items() if key in _PIP_SETTINGS}


def exists(name: str) -> bool:
    """Tell if podman has an image."""
    return subprocess.run(["podman", "image", "exists", name], check=False).returncode == 0


def make() -> None:
    """Make the images. What is there already is left alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, **configure(folder)}
        if not exists(BASE):
            _make_base(folder / "root")
        _build(folder, environment, _CONTAINERFILE, IMAGE)
        if not all(map(exists, PYTHON_IMAGES)):
            _build(folder, environment, _PYTHON_CONTAINERFILE, *PYTHON_IMAGES)


def _build(folder: Path, environment: dict[str, str], containerfile: str, *tags: str) -> None:
    (folder / "Containerfile").write_text(containerfile)
    names = [f"--tag={tag}" for tag in tags]
    build = ["podman", "build", "--quiet", "--isolation=chroot", "--network=host", *names, str(folder)]
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
