"""The command line of the emulator; ``--help`` tells all of it."""

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
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_kedro_vertex.emulator.executors.images import ImageError, Noop, StandIn, parse_flag, parse_noop
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.emulator.server import VertexEmulator


DATA = ".vertex-emulator"
"""The data folder, if none is given."""


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM, or print the environment for clients if the first word is ``env``.

    :return: the exit code: 0 after a signal, 2 if a flag cannot be used.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["env"]:
        return _print_environment(given[1:])
    parser = _parser()
    options = parser.parse_args(given[1:] if given[:1] == ["start"] else given)
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
            faults=options.faults,
            grpc_port=options.grpc_port,
            tls=options.tls,
        )
    except ApiError as error:
        print(f"{parser.prog}: error: --faults: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    announced: list[Path] = []
    try:
        emulator.run(lambda: announced.extend(_announce(emulator)))
    except StartError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    finally:
        # Those that this emulator wrote: one that could not start may have met another in the same folder.
        for path in announced:
            path.unlink(missing_ok=True)
    return 0


def _print_environment(arguments: list[str]) -> int:
    """Print the variables that lead Google's clients to an emulator that serves, as lines for a shell's ``eval``.

    :return: the exit code: 0, or 1 if none serves.
    """
    parser = _Parser(
        prog="vertex-emulator env",
        description="Print shell lines after which google-cloud-aiplatform, kfp's client, Airflow's Google operators "
        'and gcloud reach the emulator: eval "$(vertex-emulator env)". The emulator must run with --tls.',
    )
    parser.add_argument("--data", default=DATA, metavar="DIR", help="its data folder (default: %(default)s)")
    parser.add_argument("--project", default="", help="the default project")
    parser.add_argument("--storage", default="", metavar="URL", help="the address of a storage emulator")
    options = parser.parse_args(arguments)
    from airflow_provider_kedro_vertex.emulator.api.client_environment import NotServedError, as_shell, variables

    try:
        found = variables(Path(options.data).resolve(), options.project, options.storage)
    except NotServedError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    print(as_shell(found), end="")
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m airflow_provider_kedro_vertex.emulator",
        description="A local Vertex AI: PipelineJobs and CustomJobs over REST and gRPC, run here as processes or in "
        "containers, and a page to look at.",
    )
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
        "--faults", type=_json_file, metavar="FILE",
        help="JSON file of faults to queue, in the form that POST /_emulator/faults takes",
    )  # fmt: skip
    return parser


def _announce(emulator: VertexEmulator) -> list[Path]:
    """Say where it serves. Returns the files that say so, which go when it ends."""
    # The URL comes last: whoever waits for it finds the other too.
    files = {emulator.data / "grpc": emulator.grpc_target, emulator.data / "url": emulator.url}
    for path, text in files.items():
        temporary = path.with_name(f"{path.name}.new")
        temporary.write_text(f"{text}\n", encoding="utf-8")
        temporary.replace(path)
    local = emulator.loopback
    reach = "this machine only" if local else "WARNING: whoever can reach it can run commands on this machine"
    known = ", ".join(f"{name} = {image}" for name, image in emulator.images.items()) or "none, see --image"
    trust = "" if emulator.ca is None else f"; TLS, trust {emulator.ca}"
    print(
        f"Vertex AI emulator at {emulator.url}, gRPC at {emulator.grpc_target} ({reach}){trust}; images: {known}; "
        f"data: {emulator.data}; end it with Ctrl-C.",
        flush=True,
    )
    return list(files)


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


def _json_file(text: str) -> Any:
    try:
        return json.loads(Path(text).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no JSON: {error}") from None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port (0 to 65535)')
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of 1 or more')
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
