"""The command of a node group's container.

::

    python -m airflow_provider_kedro_vertex.runtime run
        --pipeline P [--pipeline P ...] [--env E] --node N [--node N ...] [--store D ...] [--given D ...]
        [--take D ...]
        [--settings JSON] [--final-status JSON] --params JSON|@URL --context JSON

The current folder is the Kedro project's root. Exit codes: 0 the nodes ran; 1 the user's code failed; 2 an argument or
the project's configuration is wrong; 3 an input that an earlier node should have stored is missing or damaged; 4
storage or another service could not be reached; 143 the process was asked to end (SIGTERM). After a failure the last
line of the log is one JSON object: ``{"node": ..., "error": ..., "seconds": ...}``, with the node that ran (or null)
and the seconds since the process began.

Environment, read: ``KEDRO_VERTEX_COMPRESSION``, how undeclared datasets are stored: zstd's level, or ``none``; and
glibc's settings of malloc, see :mod:`.process.allocator`. What is set for the nodes is in :mod:`.process.environment`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import threading
import traceback
from importlib.util import find_spec
from typing import NoReturn

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.identity import RunContext
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings
from airflow_provider_kedro_vertex.runtime.process import allocator, environment, hosts
from airflow_provider_kedro_vertex.runtime.progress import Progress

#: 128 and the signal's number, as a shell reports it.
TERMINATED = 128 + signal.SIGTERM
#: Seconds that a node has for its own end after SIGTERM; Vertex AI kills a container soon after.
_GRACE = 5.0
#: What is imported when a dataset is stored: too late to find that it is missing.
_USED_LATER = ("cloudpickle", "zstandard")
#: The last line is shown in Airflow's log and must not flood it.
_MESSAGE_LENGTH = 4000


class Terminated(BaseException):
    """SIGTERM came. Not an Exception, so that no ``except Exception`` of a node swallows it."""


def main() -> int:
    """Run the command that the process was started with.

    :return: the exit code; see the module.
    """
    progress = Progress()
    try:
        _end_on_sigterm(progress)
        return _run(progress)
    except ConfigError as error:
        _report(progress, str(error))
        return 2
    except Terminated:
        _end(progress)


def _run(progress: Progress) -> int:
    arguments = _parser().parse_args(_joined(sys.argv[1:]))
    context = RunContext.from_json(arguments.context)
    settings = RuntimeSettings.from_json(arguments.settings)
    environment.prepare(context, arguments.env)
    hosts.alias(settings.host_aliases)
    try:
        # Now, and not above: Kedro takes most of a second, and reads the environment when it is imported.
        from airflow_provider_kedro_vertex.runtime import outcome, parameters, run, store
        from airflow_provider_kedro_vertex.runtime.google import secret_manager
    except ModuleNotFoundError as error:
        raise _missing(error.name) from error
    for package in _USED_LATER:
        if find_spec(package) is None:
            raise _missing(package)
    try:
        secret_manager.set_variables(settings.secret_env)
        params = parameters.read(arguments.params)
        if arguments.final_status is not None:
            params = parameters.with_outcome(params, arguments.final_status)
        run.run(
            run.Request(
                pipelines=tuple(arguments.pipeline),
                nodes=tuple(arguments.node),
                store=tuple(arguments.store),
                given=tuple(arguments.given),
                take=tuple(arguments.take),
                env=arguments.env,
                params=params,
                context=context,
                settings=settings,
                level=store.compression_level(os.environ.get("KEDRO_VERTEX_COMPRESSION", "")),
            ),
            progress,
        )
    except SystemExit as error:
        # A node that ends the process has not saved its outputs, whatever code it gave.
        _report(progress, f"The project's code ended the process with sys.exit({error.code!r}).")
        return outcome.FAILED
    except Exception as error:
        judged = outcome.outcome(error, progress)
        if not judged.explained:
            sys.stdout.flush()
            traceback.print_exception(outcome.from_user_code(error))
        _report(progress, judged.message)
        return judged.code
    return 0


def _missing(package: str | None) -> ConfigError:
    return ConfigError(f"This image has no package {package!r}. Install airflow-provider-kedro-vertex[runtime] in it.")


def _joined(argv: list[str]) -> list[str]:
    """Put each option and its value into one word: a value may begin with a dash, as the names of nodes may."""
    words, joined = iter(argv[1:]), argv[:1]
    for word in words:
        value = next(words, None) if word.startswith("--") and "=" not in word else None
        joined.append(word if value is None else f"{word}={value}")
    return joined


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"Wrong arguments: {message}.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m airflow_provider_kedro_vertex.runtime", allow_abbrev=False)
    run = parser.add_subparsers(dest="command", required=True).add_parser(
        "run", help="run nodes of the Kedro project in the current folder", allow_abbrev=False
    )
    run.add_argument(
        "--pipeline", action="append", required=True, help="a registered pipeline; once for each that the run has"
    )
    run.add_argument("--env", help="the configuration environment")
    run.add_argument("--node", action="append", required=True, help="the name of a node; once for each")
    run.add_argument(
        "--store", action="append", default=[], metavar="DATASET", help="an undeclared output that also is for others"
    )
    run.add_argument(
        "--given", action="append", default=[], metavar="DATASET", help="an input that no node of this run makes"
    )
    run.add_argument(
        "--take",
        action="append",
        default=[],
        metavar="DATASET",
        help="an input that another job of the same data makes",
    )
    run.add_argument("--settings", default="{}", help="JSON object: runner, secret_env, host_aliases and the like")
    run.add_argument("--final-status", metavar="JSON", help="how the run ended, for an exit pipeline")
    run.add_argument("--params", required=True, help="JSON object: runtime parameters, nested; or @URL of a file")
    run.add_argument("--context", required=True, help="JSON object: the Airflow run")
    return parser


def _end_on_sigterm(progress: Progress) -> None:
    def terminate(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Nodes in threads do not hear of it, and a node may go on all the same.
        last = threading.Timer(_GRACE, _end, [progress])
        last.daemon = True
        last.start()
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)


def _end(progress: Progress) -> NoReturn:
    _report(progress, "The container was asked to end (SIGTERM).")
    # Not by way of the interpreter's own end, which would wait for threads that the node began.
    os._exit(TERMINATED)


def _report(progress: Progress, message: str) -> None:
    last_line = {"node": progress.place.node, "error": message[:_MESSAGE_LENGTH], "seconds": progress.seconds}
    sys.stdout.flush()
    print(json.dumps(last_line, ensure_ascii=False), file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Importing makes many objects and no garbage; looking for some takes a sixth of the start. See run.run.
    gc.disable()
    allocator.keep_freed_blocks()
    # What a node prints is in the log at once, also if the container is killed.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main())
