"""The quickstart as it stands in the page, but for what installs packages and starts Airflow's own processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.code_blocks import ROOT, Block, blocks
from tools.demo.ports import Ports

PAGE = ROOT / "docs" / "quickstart.md"
#: What it starts in the background ends with the script.
HEAD = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"


def script(block: Block) -> str:
    """Write what a reader does with a block: run it, or put it into the file that it names."""
    if block.language == "bash":
        return block.text
    return f"cat > {block.title} <<'END OF FILE'\n{block.text}END OF FILE\n"


def test_the_quickstart(tmp_path: Path) -> None:
    text = "".join(script(block) for block in blocks(PAGE) if block.runs)
    ports = Ports()
    storage, vertex = ports.take(), ports.take()
    text = text.replace("9023", str(storage)).replace("8787", str(vertex))
    text = text.replace("kedro_vertex.emulator --data", f"kedro_vertex.emulator --port {vertex} --data")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    own = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "KEDRO", "STORAGE_"))}
    env = {**own, "PATH": path, "DO_NOT_TRACK": "1", "PYTHONWARNINGS": "ignore", "COLUMNS": "200"}

    done = subprocess.run(["bash", "-c", HEAD + text], cwd=tmp_path, env=env, capture_output=True, text=True)

    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown
    assert shown.count("Succeeded.") == 2
    assert "Passed: 0 errors" in shown
    logs = "".join(file.read_text() for file in (tmp_path / "vertex").rglob("*.log"))
    assert re.search(r"After 30 days, tomorrow's sales are \d", logs)
    assert re.search(r"After 60 days, tomorrow's sales are \d", logs)

    dags = tmp_path / "dags"
    read = (
        "import runpy; made = runpy.run_path('quickstart.py'); print(made['quickstart'], made['quickstart_forecast'])"
    )
    parsed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", read], cwd=dags, env=env, capture_output=True, text=True
    )
    assert parsed.returncode == 0, parsed.stderr


@pytest.mark.parametrize("word", ["pip install", "airflow standalone"])
def test_only_what_cannot_run_here_is_left_out(word: str) -> None:
    left_out = [block for block in blocks(PAGE) if not block.runs]
    assert any(word in block.text for block in left_out)
    assert all("pip install" in block.text or "airflow standalone" in block.text for block in left_out)
