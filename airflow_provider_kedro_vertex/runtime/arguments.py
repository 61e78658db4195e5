"""The arguments of the container's command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from airflow_provider_kedro_vertex.core.errors import ConfigError


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the arguments that follow the command's name.

    :raises ConfigError: an argument is unknown, missing or without a value.
    """
    return _parser().parse_args(_with_values_attached(argv))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(
            f"Wrong arguments: {message}.",
            "The submitting side writes them: give the image and Airflow the same version of this package.",
        )


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
    run.add_argument("--params", required=True, help="JSON object: runtime parameters, nested; or @URL of a file")
    run.add_argument("--context", required=True, help="JSON object: the Airflow run")
    return parser


def _with_values_attached(argv: Sequence[str]) -> list[str]:
    """Put each option and its value into one word: a value may begin with a dash, as the names of nodes may."""
    words, attached = iter(argv[1:]), list(argv[:1])
    for word in words:
        value = next(words, None) if word.startswith("--") and "=" not in word else None
        attached.append(word if value is None else f"{word}={value}")
    return attached
