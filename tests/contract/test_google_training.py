"""Training with ``google-cloud-aiplatform``, unmodified: scripts, packages, containers, and persistent resources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop

from .google_environment import storage_emulator, variables

PREBUILT = "europe-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
SCRIPT = """
import faulthandler, sys
from google.cloud import aiplatform, storage
faulthandler.dump_traceback_later(280, exit=True)
prebuilt, script = sys.argv[1:]
aiplatform.init(project="demo-project", location="europe-west1", staging_bucket="gs://staging")
storage.Client().create_bucket("staging")
account = "runner@demo-project.iam.gserviceaccount.com"

own = aiplatform.CustomJob.from_local_script("own", script, "quick", args=["--n", "1"])
own.run(service_account=account)
assert own.state.name == "JOB_STATE_SUCCEEDED", own.state
given = aiplatform.CustomJob.from_local_script("given", script, prebuilt, args=["--n", "2"],
                                               environment_variables={"RATE": "0.5"})
given.run(service_account=account)
assert given.state.name == "JOB_STATE_SUCCEEDED", given.state

training = aiplatform.CustomTrainingJob("script", script, prebuilt)
assert training.run(args=["--n", "3"], environment_variables={"RATE": "1"}, service_account=account) is None
assert training.state.name == "PIPELINE_STATE_SUCCEEDED", training.state
image = aiplatform.CustomContainerTrainingJob("image", "quick", labels={"team": "sdk"})
image.run(base_output_dir="gs://staging/out", machine_type="n2-standard-4", timeout=600)
failing = aiplatform.CustomContainerTrainingJob("failing", "failing")
try:
    failing.run(base_output_dir="gs://staging/out")
except RuntimeError as error:
    assert "non-zero status of 3" in str(error), error
stopped = aiplatform.CustomContainerTrainingJob("stopped", "endless")
stopped.submit(base_output_dir="gs://staging/out")
stopped.cancel()
stopped.wait()
names = lambda kind, **query: sorted(one.display_name for one in kind.list(**query))
assert names(aiplatform.CustomContainerTrainingJob, filter="labels.team=sdk") == ["image"]
assert "script" in names(aiplatform.CustomTrainingJob)
image.delete()
assert names(aiplatform.CustomContainerTrainingJob, filter="labels.team=sdk") == []

from google.cloud.aiplatform.persistent_resource import PersistentResource
from google.cloud.aiplatform_v1.types import MachineSpec, ResourcePool
pool = ResourcePool(machine_spec=MachineSpec(machine_type="n1-standard-4"), replica_count=1)
warm = PersistentResource.create("warm", [pool])
assert [one.name for one in PersistentResource.list()] == ["warm"]
warm.delete()
assert PersistentResource.list() == []
print("done")
"""
TRAINER = "import os, sys; print('trained', sys.argv[1:], os.environ['RATE'], 'AIP_MODEL_DIR' in os.environ)\n"


def test_scripts_packages_and_containers_are_trained(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINER)
    (tmp_path / "image").mkdir()
    images = {PREBUILT: tmp_path / "image", "quick": Noop(0), "failing": Noop(0, 3), "endless": Noop(3600)}
    with storage_emulator() as storage:
        # A script is packed as a source distribution, which pip builds with what the environment has.
        env = {"STORAGE_EMULATOR_HOST": storage, "PIP_NO_BUILD_ISOLATION": "0"}
        with VertexEmulator(images, data=tmp_path / "data", env=env, tls=True) as emulator:
            ended = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", SCRIPT, PREBUILT, str(tmp_path / "train.py")],
                capture_output=True,
                text=True,
                env=variables(emulator, storage),
                timeout=300,
            )
            logs = "".join(path.read_text() for path in (tmp_path / "data" / "logs").glob("*.log"))
            assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["done"]), ended.stderr + logs
    assert "trained ['--n', '2'] 0.5 True" in logs
    assert "trained ['--n', '3'] 1 True" in logs
