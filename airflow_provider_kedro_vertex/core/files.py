"""Files are written whole or not at all, so that a reader never meets half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a UTF-8 text file that everybody may read: first under another name beside it, then renamed.

    :raises OSError: the folder is missing or not writable, or ``path`` is a folder; nothing is left behind.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)  # mkstemp keeps it private, and Airflow often runs as another user
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
