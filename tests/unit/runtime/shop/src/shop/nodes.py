"""Node functions: small work, and the ways in which nodes go wrong."""

import os
import sys
import threading
import time
from pathlib import Path


def numbers(size):
    return list(range(size))


def double(values, factor):
    return [value * factor for value in values]


def total(values):
    return {"total": sum(values)}


def report(result, values):
    return {"text": f"{result['total']} from {len(values)}"}


def keep(value):
    return value


def told(params):
    return {"params": params, "command": sys.argv[1:]}


def environment():
    told = ("KEDRO_ENV", "DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY")
    prefixes = ("KEDRO_CONFIG_", "AIRFLOW_CTX_", "GCP_")
    found = {name: value for name, value in os.environ.items() if name in told or name.startswith(prefixes)}
    return found | {"argv": sys.argv[1:2], "cwd": os.getcwd()}


def fail(values):
    raise ValueError(f"cannot work with {values}")


def unreachable(values):
    raise ConnectionError("the node's own service is away")


def leave(values):
    sys.exit(0)


def generate(values):
    return (value for value in values)


def pieces(values):
    for value in values:
        yield [value]


def lock(values):
    return {"lock": threading.Lock()}


def not_json(values):
    return {"total": object()} if Path("spoil").exists() else {"total": sum(values)}


def rest(values):
    Path("resting").touch()
    time.sleep(600)


def meet(own, other):
    """Wait for a node that runs at the same time."""
    Path(own).touch()
    while not Path(other).exists():
        time.sleep(0.02)
    return own


def fail_beside(size):
    Path("failing").touch()
    raise ValueError(f"fails beside another one, {size}")


def go_on(size):
    while not Path("failing").exists():
        time.sleep(0.02)
    return size


def rest_in_thread(size):
    Path("resting").touch()
    time.sleep(600)


class Pause:
    """A value that is being pickled for as long as a file is not there."""

    def __reduce__(self):
        Path("saving").touch()
        while not Path("go-on").exists():
            time.sleep(0.02)
        return (int, ())


def slow(values):
    return [os.urandom(40_000_000), Pause()]  # what comes first is written while the rest is waited for


def short(values):
    if len(values) > 10:
        raise ValueError(f"{len(values)} are too many")
    return values


WRONG = (fail, unreachable, leave, generate, pieces, lock, rest, slow)
