import json
import os
import signal
import socket
from pathlib import Path
from uuid import uuid4

from kedro.io import AbstractDataset
from kedro.pipeline import node, pipeline

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


def note(what, **more):
    """Writes down that something happened, in a folder that the test looks at."""
    (Path(os.environ["NOTES"]) / f"{what}-{uuid4()}").write_text(json.dumps({"rank": os.environ.get("RANK"), **more}))


class Noted(AbstractDataset):
    """Notes each use of it, and has twelve rows."""

    def __init__(self, title):
        self._title = title

    def _load(self):
        note(f"load-{self._title}")
        return list(range(12))

    def _save(self, data):
        note(f"save-{self._title}", data=data)

    def confirm(self):
        note(f"confirm-{self._title}")

    def _describe(self):
        return {"title": self._title}


def sum_of_all(own, rank, size, address):
    """What each of several processes has, added up by the first one, for all of them."""
    if rank == 0:
        with socket.create_server(address) as server:
            peers = [server.accept()[0] for _ in range(size - 1)]
        total = own + sum(json.loads(peer.makefile().readline()) for peer in peers)
        for peer in peers:
            peer.sendall(f"{total}\n".encode())
            peer.close()
        return total
    while True:
        try:
            peer = socket.create_connection(address, timeout=60)
        except ConnectionRefusedError:  # the first one is not there yet
            continue
        peer.sendall(f"{own}\n".encode())
        return json.loads(peer.makefile().readline())


def train(rows, dies):
    told = {name: os.environ[name] for name in NAMES}
    rank, size = int(told["RANK"]), int(told["WORLD_SIZE"])
    note("train", **told)
    if rank == dies:
        os.kill(os.getpid(), signal.SIGKILL)
    total = sum_of_all(sum(rows[rank::size]), rank, size, (told["MASTER_ADDR"], int(told["MASTER_PORT"])))
    return {"total": total}, {"made_by": rank}, {"total": total, "made_by": rank}


def answer(model, versioned):
    return {"model": model, "versioned": versioned}


def register_pipelines():
    made = ["model", "result", "versioned"]
    nodes = [
        node(train, ["rows", "params:dies"], made, name="train", confirms="rows"),
        node(answer, ["model", "versioned"], "answer", name="answer"),
    ]
    return {"__default__": pipeline(nodes)}
