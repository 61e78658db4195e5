"""What the commands' flags have in common."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NoReturn

DATA = ".vertex-emulator"
"""The data folder, if none is given."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Print the line, and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add ``--data``, by which a command finds an emulator that serves."""
    parser.add_argument("--data", default=DATA, metavar="DIR", help="its data folder (default: %(default)s)")


def json_file(text: str) -> Any:
    """Read a flag that names a JSON file."""
    try:
        return json.loads(Path(text).read_bytes())
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no JSON: {error}") from None
