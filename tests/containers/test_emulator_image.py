"""The emulator's own image: built as its Containerfile says, and asked by a client on this machine."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import requests

from tests.containers.conftest import ROOT
from tests.fresh_project import run
from tests.unit.emulator.command import JOBS
from tests.unit.emulator.specs import body, container_spec

IMAGE = "localhost/vertex-emulator-test:emulator"


def test_it_serves_as_a_user_who_is_not_root_and_ends_in_order(podman: dict[str, str], tmp_path: Path) -> None:
    run(tmp_path, "podman", "build", "--file", f"{ROOT / 'emulator.Containerfile'}", "--tag", IMAGE, ".", env=podman)
    assert run(tmp_path, "podman", "run", "--rm", "--entrypoint", "id", IMAGE, "-un", env=podman) == "emulator\n"

    # Free ports of this machine in place of published ones.
    flags = ("start", "--port", "0", "--data", "/data", "--noop", "0", "--json")
    command = ["podman", "run", "--rm", "--network", "host", IMAGE, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=podman) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            jobs = f"{told['url']}{JOBS}"
            spec = body(container_spec({"a": []}, image="any/image:1"))
            requests.post(jobs, params={"pipelineJobId": "one"}, json=spec, timeout=120).raise_for_status()
            deadline = time.monotonic() + 300
            while (job := requests.get(f"{jobs}/one", timeout=120).json())["state"] != "PIPELINE_STATE_SUCCEEDED":
                assert time.monotonic() < deadline, job
                time.sleep(0.1)
        finally:
            process.terminate()
        assert process.wait(120) == 0
