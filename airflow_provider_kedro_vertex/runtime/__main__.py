"""The command of a node's container.

::

    python -m airflow_provider_kedro_vertex.runtime run
        --pipeline P [--env E] --node N [--node N ...] [--settings JSON] --params JSON --context JSON

The current folder is the Kedro project's root. Exit codes: 0 the nodes ran; 1 the user's code failed; 2 an argument or
the project's configuration is wrong; 3 an input that an earlier node should have stored is missing or damaged; 4
storage or another service could not be reached; 143 the process was asked to end (SIGTERM). After a failure the last
line of the log is one JSON object: ``{"node": ..., "error": ..., "seconds": ...}``, with the node that ran (or null)
and the seconds since the process began.

Environment, read: ``KEDRO_VERTEX_COMPRESSION``, how undeclared datasets are stored: zstd's level, or ``none``.
Environment, set for the nodes: ``KEDRO_CONFIG_RUN_ID`` (the run key), ``KEDRO_CONFIG_JOB_NAME`` (the job's id),
``KEDRO_ENV`` if ``--env`` is given, and ``KEDRO_LOGGING_CONFIG`` (Kedro's plain format) if neither the image nor the
project configures logging. Kedro's telemetry is off, unless both ``DO_NOT_TRACK`` and
``KEDRO_DISABLE_TELEMETRY`` are set to nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.identity import RunContext
from airflow_provider_kedro_vertex.runtime.progress import Progress
from airflow_provider_kedro_vertex.runtime.settings import Settings

#: 128 and the signal's number, as a shell reports it.
TERMINATED = 128 + signal.SIGTERM
#: The last line is shown in Airflow's log and must not flood it.
_MESSAGE_LENGTH = 4000


class Terminated(BaseException):
    """SIGTERM came. Not an Exception, so that no ``except Exception`` of a node swallows it."""


def main(argv: list[str] | None = None) -> int:
    """Run the command.

    :return: the exit code; see the module.
    """
    progress = Progress()
    try:
        signal.signal(signal.SIGTERM, _terminate)
        return _run(argv, progress)
    except ConfigError as error:
        _report(progress, str(error))
        return 2
    except Terminated:
        _report(progress, "The container was asked to end (SIGTERM).")
        # Not by way of the interpreter's own end, which would wait for threads that the node began.
        os._exit(TERMINATED)


def _run(argv: list[str] | None, progress: Progress) -> int:
    arguments = _parser().parse_args(argv)
    context = RunContext.from_json(arguments.context)
    params = _params(arguments.params)
    settings = Settings.from_json(arguments.settings)
    _set_environment(context, arguments.env)
    try:
        # Now, and not above: Kedro takes most of a second, and reads the environment when it is imported.
        from airflow_provider_kedro_vertex.runtime import outcome, run, store
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"This image has no package {error.name!r}. Install airflow-provider-kedro-vertex[runtime] in it."
        ) from error
    level = store.compression(os.environ.get("KEDRO_VERTEX_COMPRESSION", ""))
    request = run.Request(arguments.pipeline, tuple(arguments.node), arguments.env, params, context, settings, level)
    try:
        run.run(request, progress)
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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"Wrong arguments: {message}.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m airflow_provider_kedro_vertex.runtime", allow_abbrev=False)
    run = parser.add_subparsers(dest="command", required=True).add_parser(
        "run", help="run nodes of the Kedro project in the current folder", allow_abbrev=False
    )
    run.add_argument("--pipeline", required=True, help="a registered pipeline")
    run.add_argument("--env", help="the configuration environment")
    run.add_argument("--node", action="append", required=True, help="the name of a node; once for each")
    run.add_argument("--settings", default="{}", help="JSON object: runner, secret_env, host_aliases and the like")
    run.add_argument("--params", required=True, help="JSON object: runtime parameters, nested")
    run.add_argument("--context", required=True, help="JSON object: the Airflow run")
    return parser


def _params(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--params is no JSON ({error}): {text[:200]!r}.") from None
    if not isinstance(value, dict):
        raise ConfigError(f"--params must be a JSON object, not {text[:200]!r}.")
    return value


def _set_environment(context: RunContext, env: str | None) -> None:
    os.environ["KEDRO_CONFIG_RUN_ID"] = context.run_key
    os.environ["KEDRO_CONFIG_JOB_NAME"] = context.job_id
    if env is not None:
        os.environ["KEDRO_ENV"] = env
    for name in ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    # Kedro's other default format is Rich's, which breaks lines after 80 characters and takes longer to import.
    kedro = importlib.util.find_spec("kedro")
    if kedro and kedro.origin and not any(Path("conf").glob("logging.y*ml")):
        plain = Path(kedro.origin).parent / "framework" / "project" / "default_logging.yml"
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(plain))


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def _report(progress: Progress, message: str) -> None:
    last_line = {"node": progress.node, "error": message[:_MESSAGE_LENGTH], "seconds": progress.seconds}
    sys.stdout.flush()
    print(json.dumps(last_line, ensure_ascii=False), file=sys.stderr, flush=True)


if __name__ == "__main__":
    # What a node prints is in the log at once, also if the container is killed.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main())
