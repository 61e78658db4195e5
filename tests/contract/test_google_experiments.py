"""Experiments, runs and ML Metadata with ``google-cloud-aiplatform``, unmodified, over both of its transports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.unit.emulator.specs import container_spec

from .google_environment import google_environment

# With a table for an experiment's runs it needs pandas, which the tests have.
SCRIPT = """
import faulthandler, sys
from google.api_core.exceptions import NotFound
from google.cloud import aiplatform
faulthandler.dump_traceback_later(240, exit=True)
spec, transport, end = sys.argv[1:]
where = dict(project="demo-project", location="europe-west1", api_transport=transport)
aiplatform.init(**where, experiment="forecast", experiment_description="of demand", experiment_tensorboard=False)
for rate, run in ((0.1, "slow"), (0.9, "fast")):
    aiplatform.start_run(run)
    aiplatform.log_params({"rate": rate, "kind": "linear"})
    aiplatform.log_metrics({"loss": 1 - rate})
    aiplatform.log_metrics({"loss": 2 - rate, "steps": 3})
    aiplatform.end_run()
with aiplatform.start_run("fast", resume=True) as run:
    assert run.get_params() == {"rate": 0.9, "kind": "linear"}, run.get_params()
    with aiplatform.start_execution(schema_title="system.ContainerExecution", display_name="training") as execution:
        data = aiplatform.Artifact.create(schema_title="system.Dataset", uri="gs://bucket/rows.csv")
        model = aiplatform.Artifact.create(schema_title="system.Model", uri="gs://bucket/model")
        execution.assign_input_artifacts([data])
        execution.assign_output_artifacts([model])
    assert [one.uri for one in execution.get_input_artifacts()] == ["gs://bucket/rows.csv"]
    assert [one.uri for one in execution.get_output_artifacts()] == ["gs://bucket/model"]
assert sorted(run.name for run in aiplatform.ExperimentRun.list(experiment="forecast")) == ["fast", "slow"]
job = aiplatform.PipelineJob(display_name="piped", template_path=spec, job_id="piped", enable_caching=False,
                             pipeline_root="gs://bucket/root", parameter_values={"n": 5})
job.submit(experiment="forecast", service_account="runner@demo-project.iam.gserviceaccount.com")
open(end, "w").close()
job.wait()
assert job.get_associated_experiment().name == "forecast"
table = aiplatform.get_experiment_df("forecast").set_index("run_name")
assert dict(table["param.rate"].dropna()) == {"slow": 0.1, "fast": 0.9}, table
assert dict(table["metric.loss"].dropna()) == {"slow": 1.9, "fast": 1.1}, table
piped = table.loc["piped", ["run_type", "state", "param.n"]].to_list()
assert piped == ["system.PipelineRun", "COMPLETE", 5], piped
assert set(table["state"]) == {"COMPLETE"}, table
found = aiplatform.Artifact.list(filter='schema_title="system.Model" AND uri="gs://bucket/model"')
assert [one.resource_name for one in found] == [model.resource_name], found
assert [one.name for one in aiplatform.Experiment.list()] == ["forecast"]
aiplatform.ExperimentRun("slow", experiment="forecast").delete()
assert [run.name for run in aiplatform.ExperimentRun.list(experiment="forecast")] == ["fast"]
aiplatform.Experiment("forecast").delete()
assert aiplatform.Experiment.get("forecast") is None
print("done")
"""


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_experiments_with_runs_artifacts_and_a_pipeline(tmp_path: Path, transport: str) -> None:
    parameters: dict[str, dict[str, Any]] = {"n": {"parameterType": "NUMBER_INTEGER"}}
    # The SDK looks for the run's context while the job has not ended.
    args = {"a": ["-c", 'until [ -e "$1" ]; do sleep 0.05; done', "sh", str(tmp_path / "end")]}
    spec = container_spec({"a": []}, command=["sh"], args=args, parameters=parameters)
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    (tmp_path / "image").mkdir()
    with (
        VertexEmulator({"image": tmp_path / "image"}, data=tmp_path / "data", tls=True) as emulator,
        google_environment(emulator) as environment,
    ):
        ended = subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                SCRIPT,
                str(tmp_path / "spec.json"),
                transport,
                str(tmp_path / "end"),
            ],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
        )
    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["done"]), ended.stderr
