"""``google-cloud-aiplatform``, unmodified, over its own transport: gRPC with TLS to the region's host name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import requests

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.specs import PARENT, container_spec

from .google_environment import google_environment

SCRIPT = """
import faulthandler, sys
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
faulthandler.dump_traceback_later(240, exit=True)
aiplatform.init(project="demo-project", location="europe-west1", credentials=AnonymousCredentials(),
                staging_bucket="gs://staging", service_account="runner@demo-project.iam.gserviceaccount.com")

def submitted(name, spec):
    job = aiplatform.PipelineJob(display_name=name, template_path=spec, job_id=name, labels={"team": "sdk"},
                                 pipeline_root=f"gs://bucket-of-{name}/root", enable_caching=False)
    job.submit(service_account="runner@demo-project.iam.gserviceaccount.com")
    return job

quick, endless = sys.argv[1:]
stopped = submitted("stopped", endless)
done = submitted("done", quick)
stopped.cancel()
done.wait()
assert done.state.name == "PIPELINE_STATE_SUCCEEDED", done.state
try:
    stopped.wait()
except RuntimeError as error:
    assert "Cancelled by a request" in str(error), error
assert stopped.state.name == "PIPELINE_STATE_CANCELLED", stopped.state
named = lambda filter: [job.name for job in aiplatform.PipelineJob.list(filter=filter, order_by="create_time")]
assert named("labels.team=sdk") == ["stopped", "done"]
assert named('display_name="done" AND state="PIPELINE_STATE_SUCCEEDED"') == ["done"]
assert named('NOT state="PIPELINE_STATE_SUCCEEDED"') == ["stopped"]
simple = aiplatform.PipelineJob.list(filter='display_name="done"', enable_simple_view=True)
(only,) = (job.to_dict() for job in simple)
assert only["pipelineSpec"] == {"pipelineInfo": {"name": "a-pipeline"}}, only
assert sorted(only["jobDetail"]) == ["pipelineContext", "pipelineRunContext"], only
done.delete()
assert named("labels.team=sdk") == ["stopped"]

daily = stopped.create_schedule(cron="TZ=Europe/Warsaw 0 4 * * *", display_name="daily", max_run_count=3)
(listed,) = aiplatform.PipelineJobSchedule.list(filter='display_name="daily"')
assert (listed.name, listed.state.name, listed.max_run_count) == (daily.name, "ACTIVE", 3)
daily.pause()
assert daily.state.name == "PAUSED", daily.state
daily.resume(catch_up=False)
daily.delete()
assert aiplatform.PipelineJobSchedule.list(filter='display_name="daily"') == []

container = {"image_uri": "quick", "command": ["python"]}
pool = {"machine_spec": {"machine_type": "n2-standard-4"}, "replica_count": 1, "container_spec": container}
custom = aiplatform.CustomJob(display_name="custom", worker_pool_specs=[pool])
custom.run()
assert custom.state.name == "JOB_STATE_SUCCEEDED", custom.state
failing = aiplatform.CustomJob(display_name="failing", worker_pool_specs=[
    {**pool, "container_spec": {**container, "image_uri": "failing"}}])
try:
    failing.run()
except RuntimeError as error:
    assert "non-zero status of 3" in str(error), error
assert failing.state.name == "JOB_STATE_FAILED", failing.state
print("done")
"""


def test_pipeline_jobs_and_custom_jobs_from_submit_to_delete(tmp_path: Path) -> None:
    images = {"quick": Noop(0), "endless": Noop(3600), "failing": Noop(0, 3)}
    for image in ("quick", "endless"):
        (tmp_path / f"{image}.json").write_text(json.dumps(container_spec({"a": [], "b": ["a"]}, image=image)))
    with (
        VertexEmulator(images, data=tmp_path / "data", tls=True) as emulator,
        google_environment(emulator) as environment,
    ):
        specs = [str(tmp_path / f"{image}.json") for image in ("quick", "endless")]
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT, *specs],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
        )
        assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["done"]), ended.stderr
        left = requests.get(f"{emulator.url}/v1/{PARENT}/pipelineJobs", verify=str(emulator.ca), timeout=120).json()
    (job,) = left["pipelineJobs"]
    assert job["serviceAccount"] == "runner@demo-project.iam.gserviceaccount.com"
    assert job["labels"]["team"] == "sdk"


PLAIN = """
import faulthandler, json, sys
import google.auth
from google.auth.transport.requests import AuthorizedSession
from google.cloud import aiplatform
faulthandler.dump_traceback_later(240, exit=True)
aiplatform.init(project="demo-project", location="europe-west1")
# The first one makes the bucket, and the second one finds it and asks whose it is.
for name in ("first", "second"):
    # By itself the SDK names jobs by the second.
    job = aiplatform.PipelineJob(display_name=name, template_path=sys.argv[1], job_id=name, enable_caching=False)
    job.submit()
    job.wait()
    assert job.state.name == "PIPELINE_STATE_SUCCEEDED", job.state
aiplatform.init(project="demo-project", location="europe-west1", api_transport="rest")
assert [job.display_name for job in aiplatform.PipelineJob.list(order_by="create_time")] == ["first", "second"]
credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
assert project == "demo-project", project
session = AuthorizedSession(credentials)
listed = session.get("https://europe-west1-aiplatform.googleapis.com/v1/projects/demo-project/locations/europe-west1"
                     "/pipelineJobs").json()
assert len(listed["pipelineJobs"]) == 2, listed
asked = session.get("https://cloudresourcemanager.googleapis.com/v3/projects/demo-project").json()
assert asked["projectId"] == "demo-project", asked
try:
    session.get("https://storage.googleapis.com/storage/v1/b/bucket")
except OSError as error:
    assert "403" in str(error), error
else:
    raise AssertionError("the real Cloud Storage was reached")
print("done")
"""


def test_a_pipeline_job_runs_with_nothing_special(tmp_path: Path) -> None:
    (tmp_path / "quick.json").write_text(json.dumps(container_spec({"a": []}, image="quick")))
    with (
        VertexEmulator({"quick": Noop(0)}, data=tmp_path / "data", tls=True) as emulator,
        google_environment(emulator) as environment,
    ):
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PLAIN, str(tmp_path / "quick.json")],
            capture_output=True,
            text=True,
            env=environment,
            timeout=300,
        )
        assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["done"]), ended.stderr
    # Of no use, and no secret, when the emulator has ended.
    assert not (tmp_path / "data" / "credentials.json").exists()
