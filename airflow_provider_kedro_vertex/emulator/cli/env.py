"""``vertex-emulator env``: the variables that lead Google's clients to an emulator that serves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from airflow_provider_kedro_vertex.emulator.cli.parsing import add_data


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add this command's flags."""
    add_data(parser)
    parser.add_argument("--project", default="", help="the default project")
    parser.add_argument("--storage", default="", metavar="URL", help="the address of a storage emulator")


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Print the variables as lines for a shell's ``eval``.

    :return: the exit code: 0, or 1 if none serves with TLS.
    """
    from airflow_provider_kedro_vertex.emulator.api.client_environment import NotServedError, as_shell, variables

    try:
        found = variables(Path(options.data).resolve(), options.project, options.storage)
    except NotServedError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 1
    print(as_shell(found), end="")
    return 0
