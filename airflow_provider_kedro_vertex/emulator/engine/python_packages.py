"""How a ``python_package_spec`` is run: a program in the container gets and installs the packages, and runs the module.

Vertex AI does the same in its prebuilt images. A package is looked for among the buckets' files, then in the storage
emulator that ``STORAGE_EMULATOR_HOST`` of the container names, where Google's SDK uploads it. It is installed, with
what it requires, into a folder of this container alone, so that an image's Python that other tasks share stays as it
is.
"""

from __future__ import annotations

import json

from airflow_provider_kedro_vertex.emulator.resources.protos import Message
from airflow_provider_kedro_vertex.emulator.storage.buckets import MOUNT, Buckets

# It runs with the image's own Python, which need not be this one, and with the standard library alone.
_PROGRAM = r"""
import json, os, shutil, subprocess, sys, tempfile, urllib.error, urllib.parse, urllib.request

def fetch(uri, files, folder):
    bucket, _, name = uri[len("gs://"):].partition("/")
    found = os.path.join(folder, name.rpartition("/")[2])
    for file in files:
        if os.path.isfile(file):
            shutil.copy(file, found)
            return found
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    if not host:
        sys.exit("The package %s is not among the buckets' files, and no STORAGE_EMULATOR_HOST is set." % uri)
    path = "/download/storage/v1/b/%s/o/%s?alt=media" % (bucket, urllib.parse.quote(name, safe=""))
    # What is asked for is on this machine: no proxy in between.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(host + path) as answer, open(found, "wb") as target:
            shutil.copyfileobj(answer, target)
    except (OSError, ValueError) as error:
        sys.exit("The package %s cannot be had from %s: %s" % (uri, host, error))
    return found

packages, module = json.loads(sys.argv[1]), sys.argv[2]
folder = tempfile.mkdtemp()
files = [fetch(uri, files, tempfile.mkdtemp()) for uri, files in packages]
install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder] + files
if subprocess.call(install):
    sys.exit("The packages could not be installed; the lines above say why.")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
os.execv(sys.executable, [sys.executable, "-m", module] + sys.argv[3:])
"""


def command(spec: Message, buckets: Buckets) -> tuple[str, ...]:
    """The command of a container that runs a Python package, without the package's own arguments."""
    packages = [(uri, [MOUNT.path(uri), buckets.path(uri)]) for uri in spec.package_uris]
    return ("python3", "-c", _PROGRAM, json.dumps(packages), spec.python_module)
