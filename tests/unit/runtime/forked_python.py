"""A Python for an image whose start costs little: it is forked from a process that has imported Kedro already.

Nearly all that a small node's container does is to import Kedro. Each process is otherwise what a cold start would
be: its own folder, variables, standard streams and exit status. Signals do not reach it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import atexit, importlib, json, os, runpy, signal, socket, sys, traceback

for name in ("kedro.framework.session", "kedro.framework.startup", "kedro.runner", "kedro_datasets.json", "gcsfs",
             "cloudpickle", "zstandard", "requests"):
    importlib.import_module(name)

listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen(1000)
print("ready", flush=True)


def serve(connection):
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    size, text = int.from_bytes(head, "big"), b""
    while len(text) < size:
        text += connection.recv(size - len(text))
    if pid := os.fork():
        connection.sendall(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]).to_bytes(4, "big", signed=True))
        return
    asked = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv, sys.path[0] = asked["argv"], asked["folder"]
    status = 0
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    connection, _ = listening.accept()
    if os.fork():
        connection.close()
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    serve(connection)
    os._exit(0)
"""

CLIENT = """#!{python} -SE
import json, os, socket, sys

assert sys.argv[1] == "-m", sys.argv
asked = {{"folder": os.getcwd(), "env": dict(os.environ), "argv": sys.argv[2:]}}
text = json.dumps(asked).encode()
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    socket.send_fds(connection, [len(text).to_bytes(8, "big")], [0, 1, 2])
    connection.sendall(text)
    sys.exit(int.from_bytes(connection.recv(4), "big", signed=True))
"""


@contextmanager
def forked_python(folder: Path) -> Iterator[Path]:
    """Serve a ``python`` that runs modules (``-m``) in processes that are forked.

    :param folder: an empty folder of a short name, where it is put.
    """
    address = str(folder / "s")
    client = folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, address=address))
    client.chmod(0o755)
    with subprocess.Popen([sys.executable, "-c", SERVER, address], stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert b"ready\n" in server.stdout  # after what Kedro logs
            yield client
        finally:
            server.terminate()
