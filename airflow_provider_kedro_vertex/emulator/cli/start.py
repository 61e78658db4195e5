"""``vertex-emulator start``: serve until a signal."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_kedro_vertex.emulator.cli.parsing import DATA, json_file
from airflow_provider_kedro_vertex.emulator.executors.images import ImageError, Noop, StandIn, parse_flag, parse_noop
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.emulator.server import VertexEmulator

FASTEST = 1_000_000.0


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to bind (default: %(default)s, which this machine alone can reach)"
    )
    parser.add_argument("--port", type=_port, default=8787, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument(
        "--grpc-port", type=_port, default=0, metavar="PORT",
        help="port for gRPC, 0 for a free one (default: %(default)s); the data folder's file `grpc` says where it is",
    )  # fmt: skip
    parser.add_argument(
        "--tls", action="store_true",
        help="serve both protocols with TLS, and a proxy for Google's own clients; see `vertex-emulator env`",
    )  # fmt: skip
    parser.add_argument(
        "--data", default=DATA, metavar="DIR",
        help="folder for jobs and logs; its file `url` says where it serves (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--image", action="append", type=_image, default=[], metavar="NAME=FOLDER[,PYTHON]",
        help="run the image NAME in a copy of FOLDER with PYTHON (default: this Python); with "
        "NAME=container[:REFERENCE] run the image itself (REFERENCE instead of NAME) by docker or podman; with "
        "NAME=noop:... as --noop does; may be repeated",
    )  # fmt: skip
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--containers", action="store_true", help="run all other images themselves by docker or podman")
    others.add_argument(
        "--noop", type=_noop, metavar="SECONDS[:OUTCOME]",
        help="containers of all other images do nothing for so long and end as succeeded (the default), failed or "
        "with an exit status",
    )  # fmt: skip
    parser.add_argument(
        "--env", action="append", type=_variable, default=[], metavar="KEY=VALUE",
        help="environment variable of every container; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--max-parallel", type=_count, default=os.cpu_count() or 1, metavar="N",
        help="containers that run at the same time (default: the number of cores, %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N",
        help="the waits between the tries of a task, and the seconds of noop containers, pass N times as fast",
    )  # fmt: skip
    parser.add_argument(
        "--faults", type=json_file, metavar="FILE",
        help="JSON file of faults to queue; see `vertex-emulator faults`",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="say where it serves as one line of JSON")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM.

    :return: the exit code: 0 after a signal, 2 if a flag cannot be used.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _allow_many_connections()
    # Only now: this import takes about a second, and a bad flag has been refused before.
    from airflow_provider_kedro_vertex.emulator.server import StartError, VertexEmulator

    # What was imported stays for good: collections need not look at it again, which is a tenth of a create.
    gc.collect()
    gc.freeze()
    # uvicorn ends everything in order on a signal, and then passes the signal on to these.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        emulator = VertexEmulator(
            dict(options.image),
            noop=options.noop,
            containers=options.containers,
            env=dict(options.env),
            data=options.data,
            host=options.host,
            port=options.port,
            max_parallel=options.max_parallel,
            speed=options.speed,
            faults=options.faults,
            grpc_port=options.grpc_port,
            tls=options.tls,
        )
    except ApiError as error:
        print(f"{parser.prog}: error: --faults: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    announced: list[Path] = []
    try:
        emulator.run(lambda: announced.extend(_announce(emulator, options.json)))
    except StartError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    finally:
        # Those that this emulator wrote: one that could not start may have met another in the same folder.
        for path in announced:
            path.unlink(missing_ok=True)
    return 0


def _announce(emulator: VertexEmulator, as_json: bool) -> list[Path]:
    """Say where it serves. Returns the files that say so, which go when it ends."""
    # The URL comes last: whoever waits for it finds the other too.
    files = {emulator.data / "grpc": emulator.grpc_target, emulator.data / "url": emulator.url}
    for path, text in files.items():
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_text(f"{text}\n", encoding="utf-8")
        temporary.replace(path)
    print(_as_json(emulator) if as_json else _as_text(emulator), flush=True)
    return list(files)


def _as_json(emulator: VertexEmulator) -> str:
    ca = None if emulator.ca is None else str(emulator.ca)
    return json.dumps({"url": emulator.url, "grpc": emulator.grpc_target, "data": str(emulator.data), "ca": ca})


def _as_text(emulator: VertexEmulator) -> str:
    local = emulator.loopback
    reach = "this machine only" if local else "WARNING: whoever can reach it can run commands on this machine"
    known = ", ".join(f"{name} = {image}" for name, image in emulator.images.items()) or "none, see --image"
    trust = "" if emulator.ca is None else f"; TLS, trust {emulator.ca}"
    return (
        f"Vertex AI emulator at {emulator.url}, gRPC at {emulator.grpc_target} ({reach}){trust}; images: {known}; "
        f"data: {emulator.data}; end it with Ctrl-C."
    )


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _image(text: str) -> tuple[str, StandIn]:
    try:
        return parse_flag(text)
    except ImageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _noop(text: str) -> Noop:
    try:
        return parse_noop(text)
    except ImageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier() and name.isascii()):
        raise argparse.ArgumentTypeError(f'"{text}" is not of the form KEY=VALUE')
    return name, value


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port (0 to 65535)')
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of 1 or more')
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= FASTEST:  # no number is not in there either
        raise argparse.ArgumentTypeError(f'"{text}" is not a number above 0, up to {FASTEST:,.0f}')
    return speed
