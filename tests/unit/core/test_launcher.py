"""Node groups as CustomJobs inside of a PipelineJob; what google-cloud-pipeline-components compiles is the judge.

Two specs mean the same if the emulator, which does what Google's launcher does, makes the same CustomJob of them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs import parameters
from airflow_provider_kedro_vertex.core.jobs.containers import containers
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_job, pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.emulator.executors.base import Outcome, Work
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    from_json,
    to_json,
    vertex_message,
)
from airflow_provider_kedro_vertex.runtime import arguments
from tests.unit.emulator.scripted import Parts, run
from tests.unit.emulator.specs import PARENT

GOOGLE = Path(__file__).parents[2] / "golden" / "google"
NODE = "write_table"
#: As ``node`` of ``tests/golden/google/compile_components.py`` has it.
SETTINGS: dict[str, Any] = {
    "description": None,
    "labels": {"team": "shop"},
    "network": {"vpc": "projects/123/global/networks/shop", "reserved_ip_ranges": ["range"]},
    "encryption_spec_key_name": "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k",
    "resources": {
        NODE: {
            "machine_type": "n1-highmem-8",
            "gpu": 1,
            "accelerator_type": "NVIDIA_TESLA_T4",
            "disk": {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": 200},
            "reservation": {"type": "SPECIFIC_RESERVATION", "values": ["projects/p/zones/z/reservations/r"]},
        }
    },
    "nodes": {
        NODE: {
            "scheduling": {"strategy": "spot", "timeout": "1h", "restart_job_on_worker_restart": True},
            "replica_count": 3,
            "tensorboard": "projects/p/locations/europe-west1/tensorboards/1",
            "enable_web_access": True,
            "nfs_mounts": [{"server": "10.0.0.1", "path": "/data", "mount_point": "data"}],
            "persistent_resource_id": "machines",
            "env": {"PRICE": "$(A) $$ $5"},
        }
    },
}
SPOT = {"nodes": {NODE: {"scheduling": {"strategy": "spot"}}}}
TEXTS = {
    "quotes": 'it\'s "quoted" `x`',
    "backslashes": '\\ \\\\ \\n \\u0041 \\"',
    "lines": "a\nb\r\n\tc\u2028",
    "letters": "ü 日本 😀 \u200b </script> & %s {} {{x}}",
    "placeholders": "{{$}} {{$.inputs.parameters['run_context']}} {{$.json_escape[1]}} $(HOME) $$ ${x}",
    "long": "'\"\\x" * 2500,
    "nested": {"list": [1, 2.5, True, None, "\x00\x1f"], "": ""},
}


def planned(manifest: Manifest, config: dict[str, Any], pipeline: str = "__default__") -> Plan:
    return build_plan(manifest, pipeline, manifest.config.overridden(config))


def context_of(plan: Plan) -> RunContext:
    return RunContext("key", "dag", 'a "run"', None, None, None, plan.root, "version", "key-run-1")


class Containers:
    """An executor whose containers start and never end."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.begun = asyncio.Event()

    async def run(self, work: Work, started: Callable[[], None]) -> Outcome:
        started()
        self.works.append(work)
        self.begun.set()
        return await asyncio.get_running_loop().create_future()


def made(folder: Path, body: dict[str, Any], job_id: str = "run-1") -> tuple[dict[str, Any], list[str]]:
    """The CustomJob that the first task of a PipelineJob launches, and the command line of its container."""

    async def scenario() -> None:
        request = vertex_message("CreatePipelineJobRequest")(parent=PARENT, pipeline_job_id=job_id)
        from_json(request.pipeline_job, body, "pipeline_job")
        parts.service.create_pipeline_job(request)
        await executor.begun.wait()

    folder.mkdir()
    executor = Containers()
    parts = Parts(folder, executor)
    run(scenario())
    (job,) = parts.service.list_custom_jobs(vertex_message("ListCustomJobsRequest")(parent=PARENT)).custom_jobs
    return to_json(job), list(executor.works[0].argv)


def without_executor_input(job: dict[str, Any]) -> list[Any]:
    """Take the executor inputs out of the containers' arguments."""
    return [
        json.loads(pool["containerSpec"]["args"].pop(pool["containerSpec"]["args"].index("--executor-input") + 1))
        for pool in job["jobSpec"]["workerPoolSpecs"]
    ]


def test_the_custom_job_is_the_one_of_googles_component(manifest: Manifest, tmp_path: Path) -> None:
    plan = planned(manifest, SETTINGS).only({NODE.replace("_", "-")})
    ours = pipeline_job(plan, context_of(plan), parameters.to_json(TEXTS), "d", {"dag": "x"})
    theirs = {**ours, "pipelineSpec": next(iter(yaml.safe_load_all((GOOGLE / "node.yaml").read_text())))}
    # A quote in a value breaks Google's component no more than ours: it reads the executor input too.
    ours["serviceAccount"] = theirs["serviceAccount"] = "runner@shop.iam.gserviceaccount.com"
    (job, _), (expected, _) = made(tmp_path / "ours", ours), made(tmp_path / "theirs", theirs)
    for given, wanted in zip(without_executor_input(job), without_executor_input(expected), strict=True):
        for name in ("run_context", "runtime_params"):
            assert given["inputs"]["parameterValues"][name] == wanted["inputs"]["parameterValues"][name]
    billing = "vertex-ai-pipelines-run-billing-id"
    assert job["labels"].pop(billing)
    assert expected["labels"].pop(billing)
    changing = ("name", "createTime", "startTime", "updateTime", "endTime")
    assert {k: v for k, v in job.items() if k not in changing} == {
        k: v for k, v in expected.items() if k not in changing
    }
    assert job["jobSpec"]["serviceAccount"] == "runner@shop.iam.gserviceaccount.com"
    assert [pool["replicaCount"] for pool in job["jobSpec"]["workerPoolSpecs"]] == ["1", "2"]


def test_the_task_has_the_form_of_googles_component(manifest: Manifest) -> None:
    spec = pipeline_spec(planned(manifest, SETTINGS).only({"write-table"}))
    google = next(iter(yaml.safe_load_all((GOOGLE / "node.yaml").read_text())))
    (ours,), (theirs,) = (each["deploymentSpec"]["executors"].values() for each in (spec, google))
    payloads = []
    for executor in (ours["container"], theirs["container"]):
        payloads.append(executor["args"].pop(3))
    assert ours == theirs
    assert set(json.loads(payloads[0])) <= {"display_name", "job_spec", "labels", "encryption_spec"}
    (component,), (expected,) = (each["components"].values() for each in (spec, google))
    inputs, known = component["inputDefinitions"]["parameters"], expected["inputDefinitions"]["parameters"]
    for name in ("project", "location", "run_context", "runtime_params", "service_account"):
        assert {"defaultValue": None, **inputs[name]} == {"defaultValue": None, **known[name]}, name
    assert component["outputDefinitions"] == expected["outputDefinitions"]


@pytest.mark.parametrize("config", [SPOT, SETTINGS, {**SPOT, "on_exit_pipeline": "orders"}])
def test_kfp_accepts_the_spec(manifest: Manifest, config: dict[str, Any]) -> None:
    spec = pipeline_spec(planned(manifest, config))
    message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    assert components.load_component_from_text(json.dumps(spec)).pipeline_spec == message


def test_other_groups_stay_plain_containers(manifest: Manifest) -> None:
    plain, mixed = pipeline_spec(planned(manifest, {})), pipeline_spec(planned(manifest, SPOT))
    assert mixed["deploymentSpec"]["executors"].pop("exec-write-table") != plain["deploymentSpec"]["executors"].pop(
        "exec-write-table"
    )
    assert mixed["components"].pop("comp-write-table") != plain["components"].pop("comp-write-table")
    assert mixed == plain  # tasks, edges and the inputs of the pipeline too


def test_every_value_arrives_as_it_was_given(manifest: Manifest, tmp_path: Path) -> None:
    plan = planned(manifest, SPOT).only({"write-table"})
    body = pipeline_job(plan, context_of(plan), parameters.to_json(TEXTS), "d", {})
    _, argv = made(tmp_path / "data", body)
    given = arguments.parse(argv[3:])
    assert parameters.from_json(json.loads(given.params)) == TEXTS
    assert RunContext.from_json(given.context) == context_of(plan)
    assert given.final_status is None
    assert given.node == [NODE]


def test_its_container_is_read_back_from_the_pipeline_job_and_from_the_custom_job(
    manifest: Manifest, tmp_path: Path
) -> None:
    plan = planned(manifest, SETTINGS).only({"write-table"})
    body = pipeline_job(plan, context_of(plan), parameters.to_json(TEXTS), "d", {})
    job, _ = made(tmp_path / "data", body)
    (in_pipeline,) = containers({**body, "name": f"{PARENT}/pipelineJobs/run-1"}).items()
    (alone,) = containers(job).items()
    assert in_pipeline == alone
    name, container = alone
    assert (name, container.image, container.nodes) == ("write-table", "registry.test/shop:1.0.0", (NODE,))
    assert container.env["PRICE"] == "$(A) $$ $5"
    assert list(container.arguments[4:]) == [
        *("--params", parameters.to_json(TEXTS)),
        *("--context", context_of(plan).to_json()),
    ]
    # A launcher of somebody else has no container of ours.
    google = yaml.safe_load((GOOGLE / "op.yaml").read_text())
    assert containers({"name": f"{PARENT}/pipelineJobs/other", "pipelineSpec": google}) == {}


def test_an_exit_pipeline_on_a_machine_of_its_own_gets_the_outcome(manifest: Manifest, tmp_path: Path) -> None:
    settings = {"on_exit_pipeline": "orders", "nodes": {"__default__": {"scheduling": {"strategy": "spot"}}}}
    plan = planned(manifest, settings)
    assert plan.exit_group is not None
    assert plan.exit_group.needs_custom_job
    spec = pipeline_spec(plan)
    last = spec["root"]["dag"]["tasks"][plan.exit_group.task_id]
    assert last["inputs"]["parameters"]["final_status"] == {"taskFinalStatus": {"producerTask": "exit-handler-1"}}
    text = json.dumps(
        {
            "inputs": {
                "parameterValues": {
                    "run_context": context_of(plan).to_json(),
                    "runtime_params": "{}",
                    "final_status": {"state": "FAILED"},
                }
            }
        }
    )
    given = arguments.parse(["run", "--pipeline", "orders", "--node", "n", "--executor-input", text])
    assert json.loads(given.final_status) == {"state": "FAILED"}


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"inputs": {}}', '{"inputs": {"parameterValues": {}}}', "null"])
def test_an_executor_input_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="Wrong arguments: --executor-input has no such inputs"):
        arguments.parse(["run", "--pipeline", "p", "--node", "n", "--executor-input", text])


@pytest.mark.parametrize(
    ("settings", "resources", "needs"),
    [
        ({}, {"cpu": "8", "memory": "32Gi", "gpu": 1, "accelerator_type": "NVIDIA_TESLA_T4"}, False),
        ({"scheduling": {"strategy": "standard"}, "replica_count": 1, "enable_web_access": False}, {}, False),
        ({"scheduling": {"strategy": "flex_start"}}, {}, True),
        ({"scheduling": {"timeout": "1h"}}, {}, True),
        ({"scheduling": {"disable_retries": True}}, {}, True),
        ({"replica_count": 2}, {}, True),
        ({"persistent_resource_id": "r"}, {}, True),
        ({"tensorboard": "projects/p/locations/l/tensorboards/1"}, {}, True),
        ({"enable_dashboard_access": True}, {}, True),
        (
            {
                "lustre_mounts": [
                    {"instance_ip": "1.1.1.1", "volume_handle": "v", "filesystem": "f", "mount_point": "m"}
                ]
            },
            {},
            True,
        ),
        ({}, {"machine_type": "n1-highmem-8"}, True),
        ({}, {"disk": {"boot_disk_size_gb": 200}}, True),
        ({}, {"reservation": {"type": "ANY_RESERVATION"}}, True),
    ],
)
def test_what_needs_a_custom_job(
    manifest: Manifest, settings: dict[str, Any], resources: dict[str, Any], needs: bool
) -> None:
    plan = planned(manifest, {"nodes": {NODE: settings}, "resources": {NODE: resources}})
    assert {group.name for group in plan.groups if group.needs_custom_job} == ({NODE} if needs else set())
    assert ("gcp_resources" in json.dumps(pipeline_spec(plan))) is needs
