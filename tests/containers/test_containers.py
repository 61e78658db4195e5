"""Real containers: images run by podman, as Vertex AI would run them. ``make test-containers`` makes the image."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.container import find_runtime
from airflow_provider_kedro_vertex.emulator.executors.images import ContainerImage, ImageError
from tests.containers import base_image
from tests.containers.base_image import IMAGE
from tests.unit.emulator.command import Process
from tests.unit.emulator.specs import PARENT, body, container_spec

REASON = base_image.missing() or ("" if base_image.exists(IMAGE) else "needs its image: make test-containers")
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)

JOBS = f"/v1/{PARENT}/customJobs"
FINAL = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
WAITS = "import time; print('started', flush=True); time.sleep(3600)"


@pytest.fixture(autouse=True, scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in base_image.configure(tmp_path_factory.mktemp("podman")).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def emulator(podman: None) -> Iterator[VertexEmulator]:
    with VertexEmulator({"mine": ContainerImage(IMAGE)}, env={"OF_ALL": "1"}, max_parallel=2, grace=2) as emulator:
        yield emulator


def create(url: str, image: str = "mine", machine: Mapping[str, Any] | None = None, **container: Any) -> str:
    """Create a CustomJob; gives its name."""
    pool = {
        "machineSpec": {"machineType": "n1-standard-4", **(machine or {})},
        "replicaCount": 1,
        "containerSpec": {"imageUri": image, **container},
    }
    job = {"displayName": "a job", "jobSpec": {"workerPoolSpecs": [pool], "scheduling": {"disableRetries": True}}}
    response = requests.post(f"{url}{JOBS}", json=job, timeout=60)
    assert response.status_code == 200, response.text
    return str(response.json()["name"])


def get(url: str, name: str) -> Any:
    return requests.get(f"{url}/v1/{name}", timeout=60).json()


def ended(url: str, name: str, final: tuple[str, ...] = FINAL) -> Any:
    deadline = time.monotonic() + 120
    while (job := get(url, name))["state"] not in final:
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
    return job


def log(data: Path, name: str) -> list[str]:
    path = data / "logs" / f"{name.rpartition('/')[2]}.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [f"{line.split(' ', 3)[1]}: {line.split(' ', 3)[3]}" for line in lines]


def until_logged(data: Path, name: str, line: str) -> None:
    deadline = time.monotonic() + 60
    while line not in log(data, name):
        assert time.monotonic() < deadline, log(data, name)
        time.sleep(0.05)


def containers() -> list[str]:
    command = ["podman", "ps", "--all", "--format", "{{.Names}}", "--filter", "label=vertex-emulator.data"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_an_image_has_its_own_entrypoint_command_user_folder_and_variables(emulator: VertexEmulator) -> None:
    name = create(emulator.url)
    assert ended(emulator.url, name)["state"] == "JOB_STATE_SUCCEEDED"
    assert log(emulator.data, name) == ["stdout: the own command of the image"]
    program = "import os, sys; print(os.getuid(), os.getcwd(), *map(os.environ.get, ('OF_IMAGE', 'OF_ALL', 'MINE')))"
    program += "; print('to stderr', file=sys.stderr); sys.exit(7)"
    name = create(emulator.url, args=[program], env=[{"name": "MINE", "value": "$(OF_ALL) $(OF_IMAGE)"}])
    job = ended(emulator.url, name)
    assert job["state"] == "JOB_STATE_FAILED"
    assert "exited with a non-zero status of 7" in job["error"]["message"]
    # What the image sets is not known to $(..), as in Kubernetes.
    assert sorted(log(emulator.data, name)[:2]) == ["stderr: to stderr", "stdout: 1000 /work yes 1 1 $(OF_IMAGE)"]


def test_a_command_takes_the_place_of_the_entrypoint(emulator: VertexEmulator) -> None:
    name = create(emulator.url, command=["echo", "-n", "a b"], args=["$HOME", "c"])
    assert ended(emulator.url, name)["state"] == "JOB_STATE_SUCCEEDED"
    assert log(emulator.data, name) == ["stdout: a b $HOME c"]


def test_what_cannot_be_started_says_so(emulator: VertexEmulator) -> None:
    name = create(emulator.url, command=["not-in-the-image"])
    job = ended(emulator.url, name)
    assert job["state"] == "JOB_STATE_FAILED"
    assert "could not be started" in job["error"]["message"]
    assert any("not-in-the-image" in line for line in log(emulator.data, name))
    refused = ended(emulator.url, create(emulator.url, image="other"))
    assert 'The image "other" is not known' in refused["error"]["message"]


def test_an_accelerator_is_refused_by_name(emulator: VertexEmulator) -> None:
    name = create(emulator.url, machine={"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1})
    job = ended(emulator.url, name)
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 12)
    assert "NVIDIA_TESLA_T4" in job["error"]["message"]


def run_task(emulator: VertexEmulator, program: str, resources: Mapping[str, Any]) -> Any:
    spec = container_spec({"a": []}, image="mine", command=(), args={"a": [program]})
    spec["deploymentSpec"]["executors"]["exec-a"]["container"]["resources"] = resources
    response = requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", json=body(spec), timeout=60)
    assert response.status_code == 200, response.text
    job = ended(emulator.url, response.json()["name"], ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED"))
    return job["jobDetail"]["taskDetails"][1]


def test_a_container_over_its_memory_limit_is_killed(emulator: VertexEmulator) -> None:
    program = "held = [bytearray(1 << 20) for _ in range(500)]; print(len(held))"
    task = run_task(emulator, program, {"resourceMemoryLimit": "100M"})
    assert task["state"] == "FAILED"
    assert "ran out-of-memory and exited with a non-zero status of 137" in task["error"]["message"]
    assert "100000000 bytes" in task["error"]["message"]
    assert run_task(emulator, program, {"resourceMemoryLimit": "1G"})["state"] == "SUCCEEDED"


MEASURED = """
import json, pathlib, subprocess, sys
from airflow_provider_kedro_vertex.runtime.process.meter import Meter
meter = Meter()
held = bytearray(b"x") * 200_000_000
subprocess.run([sys.executable, "-c", "held = bytearray(b'x') * 200_000_000"], check=True)
del held
told = [meter.memory, meter.limit, meter.cpu_seconds]
old, new = pathlib.Path("/sys/fs/cgroup/memory/memory.max_usage_in_bytes"), pathlib.Path("/sys/fs/cgroup/memory.peak")
print(json.dumps([*told, int((new if new.exists() else old).read_text())]))
"""


def test_a_container_knows_its_peak_as_the_kernel_does() -> None:
    run = ["podman", "run", "--rm", "--network=host", "--memory=1g", "--memory-swap=1g", "--env=PYTHONPATH=/src"]
    mount = f"{Path(__file__).parents[2] / 'airflow_provider_kedro_vertex'}:/src/airflow_provider_kedro_vertex:ro"
    done = subprocess.run([*run, "--volume", mount, IMAGE, MEASURED], check=True, capture_output=True, text=True)
    memory, limit, cpu_seconds, kernel = json.loads(done.stdout)
    assert limit == 1 << 30
    assert 400_000_000 < kernel < 520_000_000, "the child's memory counts"
    assert 0.9 * kernel <= memory <= kernel
    assert cpu_seconds > 0


def test_a_container_has_its_cpus(emulator: VertexEmulator) -> None:
    program = """
import pathlib
new, old = pathlib.Path("/sys/fs/cgroup/cpu.max"), pathlib.Path("/sys/fs/cgroup/cpu")
texts = new.read_text().split() if new.exists() else [
    (old / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]
print("cpus", int(texts[0]) / int(texts[1]))
"""
    task = run_task(emulator, program, {"resourceCpuLimit": "500m"})
    assert task["state"] == "SUCCEEDED"
    name = task["executorDetail"]["containerDetail"]["mainJob"]
    assert log(emulator.data, name) == ["stdout: cpus 0.5"]


WRITE = """
import json, os, sys
given = json.loads(sys.argv[1])
(rows,) = given["outputs"]["artifacts"]["rows"]["artifacts"]
path = rows["uri"].replace("gs://", "/gcs/")
os.makedirs(os.path.dirname(path), exist_ok=True)
open(path, "w").write("hello")
made = {"artifacts": {"rows": {"artifacts": [{"uri": rows["uri"], "metadata": {"by": "me"}}]}}}
open(given["outputs"]["outputFile"], "w").write(json.dumps(made))
print(rows["uri"].partition("/root/")[0], given["outputs"]["outputFile"].partition("/root/")[0])
"""
READ = """
import sys
path, uri, told = sys.argv[1:]
open(told, "w").write(open(path).read() + " of " + path.partition("/root/")[0] + " " + uri.partition("/root/")[0])
"""


def test_artifacts_are_handed_on_below_gcs(emulator: VertexEmulator) -> None:
    spec = container_spec({"a": [], "b": ["a"]}, image="mine", command=())
    artifact = {"artifacts": {"rows": {"artifactType": {"schemaTitle": "system.Dataset"}}}}
    spec["components"]["comp-a"]["outputDefinitions"] = artifact
    spec["components"]["comp-b"]["inputDefinitions"] = artifact
    spec["components"]["comp-b"]["outputDefinitions"] = {"parameters": {"told": {"parameterType": "STRING"}}}
    source = {"taskOutputArtifact": {"producerTask": "a", "outputArtifactKey": "rows"}}
    spec["root"]["dag"]["tasks"]["b"]["inputs"] = {"artifacts": {"rows": source}}
    executors = spec["deploymentSpec"]["executors"]
    executors["exec-a"]["container"]["args"] = [WRITE, "{{$}}"]
    rows = "{{$.inputs.artifacts['rows'].%s}}"
    told = "{{$.outputs.parameters['told'].output_file}}"
    # The folder of an output is its writer's to make; the executor output's folder is the same as this one's parent.
    program = f"import os, sys; os.makedirs(os.path.dirname(sys.argv[3]), exist_ok=True)\n{READ}"
    executors["exec-b"]["container"]["args"] = [program, rows % "path", rows % "uri", told]
    response = requests.post(f"{emulator.url}/v1/{PARENT}/pipelineJobs", json=body(spec), timeout=60)
    job = ended(emulator.url, response.json()["name"], ("PIPELINE_STATE_SUCCEEDED", "PIPELINE_STATE_FAILED"))
    assert job["state"] == "PIPELINE_STATE_SUCCEEDED", job
    first, second = job["jobDetail"]["taskDetails"][1:]
    name = first["executorDetail"]["containerDetail"]["mainJob"]
    assert log(emulator.data, name) == ["stdout: gs://bucket /gcs/bucket"]
    (made,) = first["outputs"]["rows"]["artifacts"]
    assert made["uri"].startswith("gs://bucket/root/")
    assert made["metadata"] == {"by": "me"}
    assert second["execution"]["metadata"]["output:told"] == "hello of /gcs/bucket gs://bucket"


def test_a_log_is_there_while_the_container_runs_and_cancelling_ends_it(emulator: VertexEmulator) -> None:
    name = create(emulator.url, args=[f"import signal; signal.signal(15, lambda *_: exit('told to end')); {WAITS}"])
    until_logged(emulator.data, name, "stdout: started")
    assert get(emulator.url, name)["state"] == "JOB_STATE_RUNNING"
    assert requests.post(f"{emulator.url}/v1/{name}:cancel", timeout=60).status_code == 200
    assert ended(emulator.url, name)["state"] == "JOB_STATE_CANCELLED"
    assert "stderr: told to end" in log(emulator.data, name)
    assert containers() == []


def test_a_container_that_does_not_end_is_killed_after_the_grace(emulator: VertexEmulator) -> None:
    name = create(emulator.url, args=[f"import signal; signal.signal(15, signal.SIG_IGN); {WAITS}"])
    until_logged(emulator.data, name, "stdout: started")
    before = time.monotonic()
    requests.post(f"{emulator.url}/v1/{name}:cancel", timeout=60)
    assert ended(emulator.url, name)["state"] == "JOB_STATE_CANCELLED"
    assert time.monotonic() - before >= 2
    assert containers() == []


def test_nothing_is_left_of_a_killed_emulators_containers(tmp_path: Path) -> None:
    flags = ("--containers", "--max-parallel", "2")
    first = Process(tmp_path, *flags)
    second = None
    try:
        names = [create(first.url, image=IMAGE, args=[WAITS]) for _ in range(3)]
        for name in names[:2]:
            until_logged(tmp_path, name, "stdout: started")
        first.end(signal.SIGKILL)
        assert len(containers()) == 2
        # A process of podman lives on without the emulator.
        second = Process(tmp_path, *flags)
        assert [get(second.url, name)["state"] for name in names[:2]] == ["JOB_STATE_FAILED"] * 2
        assert "killed while this container ran" in get(second.url, names[0])["error"]["message"]
        # What waited for its place is taken on.
        until_logged(tmp_path, names[2], "stdout: started")
        assert len(containers()) == 1
    finally:
        first.end(signal.SIGKILL)
        if second is not None:
            second.end()
    assert containers() == []


def test_without_docker_and_podman_the_emulator_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="docker is not installed, podman is not installed"):
        find_runtime()
    command = [sys.executable, "-m", "airflow_provider_kedro_vertex.emulator", "--port", "0", "--containers"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path)], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == 2
    assert "containers need docker or podman" in done.stderr
