"""What a DAG of node tasks with an asset each and a form of 40 fields costs, beside as much of Airflow's own.

Run by ``make bench``; prints a table. CPU milliseconds to build and serialize it in one process, the least of several
times: noise only adds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from tests.airflow.test_parsing import MANY_ASSETS, many_assets

COUNTS = (50, 400, 1000)
TELL = "print(json.dumps({name: least[name] * 1e3 for name in made}))\n"


def main() -> None:
    print(f"{'nodes':>6} {'':<12}{'ms':>8}{'x':>7}")
    with tempfile.TemporaryDirectory() as folder:
        script, manifest = Path(folder) / "measure.py", Path(folder) / "many.manifest.json"
        script.write_text(MANY_ASSETS.rpartition("print(")[0] + TELL)
        for count in COUNTS:
            manifests.write(many_assets(count), manifest)
            command = [sys.executable, "-W", "ignore", str(script), str(manifest), str(count)]
            done = subprocess.run(command, env={"AIRFLOW_HOME": folder}, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            for name, milliseconds in found.items():
                print(f"{count:>6} {name:<12}{milliseconds:>8.1f}{milliseconds / found['bare']:>7.2f}")


if __name__ == "__main__":
    main()
