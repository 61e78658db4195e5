"""The arguments of the container's command."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import NoReturn

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.identity import FINAL_STATUS, RUN_CONTEXT, RUNTIME_PARAMS


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the arguments that follow the command's name.

    :raises ConfigError: an argument is unknown, missing or without a value.
    """
    parser = _parser()
    given = parser.parse_args(_with_values_attached(argv))
    if given.executor_input is not None:
        _read_inputs(given, parser)
    if missing := [f"--{name}" for name in ("params", "context") if getattr(given, name) is None]:
        parser.error(f"the following arguments are required: {', '.join(missing)}")
    return given


def _read_inputs(given: argparse.Namespace, parser: _Parser) -> None:
    """Take from the executor input what a container of a PipelineJob gets in arguments of their own."""
    try:
        values = json.loads(given.executor_input)["inputs"]["parameterValues"]
        given.params, given.context = str(values[RUNTIME_PARAMS]), str(values[RUN_CONTEXT])
        status = values.get(FINAL_STATUS)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        parser.error(f"--executor-input has no such inputs ({error!r})")
    given.final_status = status if status is None or isinstance(status, str) else json.dumps(status)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(
            f"Wrong arguments: {message}.",
            "The submitting side writes them: give the image and Airflow the same version of this package.",
        )


def _parser() -> _Parser:
    parser = _Parser(prog="python -m airflow_provider_kedro_vertex.runtime", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_run(
        commands.add_parser("run", help="run nodes of the Kedro project in the current folder", allow_abbrev=False)
    )
    replay = commands.add_parser("replay", help="the same, and keep nothing of what they make", allow_abbrev=False)
    _add_run(replay)
    replay.add_argument("--up-to", metavar="NODE", help="of the nodes, this one and those that it takes data from")
    replay.add_argument("--debugger", choices=["pdb"], help="open it where a node fails")
    return parser


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--pipeline", action="append", required=True, help="a registered pipeline; once for each that the run has"
    )
    run.add_argument("--env", help="the configuration environment")
    run.add_argument("--node", action="append", required=True, help="the name of a node; once for each")
    run.add_argument(
        "--free-input", action="append", default=[], metavar="DATASET", help="an input that no node of this run makes"
    )
    run.add_argument(
        "--shared-input",
        action="append",
        default=[],
        metavar="DATASET",
        help="an input that another job makes",
    )
    run.add_argument(
        "--shared-output",
        action="append",
        default=[],
        metavar="DATASET",
        help="an output that another job takes",
    )
    run.add_argument("--settings", default="{}", help="JSON object: runner, secret_env, host_aliases and the like")
    run.add_argument("--final-status", metavar="JSON", help="how the run ended, for an exit pipeline")
    run.add_argument("--params", help="JSON object: runtime parameters, nested; or @URL of a file")
    run.add_argument("--context", help="JSON object: the Airflow run")
    run.add_argument(
        "--executor-input",
        metavar="JSON",
        help="KFP's ExecutorInput, which has params, context and final status, in the place of these",
    )


def _with_values_attached(argv: Sequence[str]) -> list[str]:
    """Put each option and its value into one word: a value may begin with a dash, as the names of nodes may."""
    words, attached = iter(argv[1:]), list(argv[:1])
    for word in words:
        value = next(words, None) if word.startswith("--") and "=" not in word else None
        attached.append(word if value is None else f"{word}={value}")
    return attached
