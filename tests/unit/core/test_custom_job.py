"""The bodies of CustomJobs; the types of Google's own client are the judge of their fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.cloud.aiplatform_v1.types import CustomJob
from google.protobuf import json_format

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.custom_job import custom_job
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.core.plan.plan import COMMAND, build_plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest

CONTEXT = RunContext(
    "key", "dag", "run", None, None, None, "gs://shop/runs", "version", "key-run-1", "p", "europe-west4"
)
#: What every container gets: the run's experiment, and the limits of malloc.
OF_ALL = [
    {"name": "KEDRO_VERTEX_EXPERIMENT", "value": "shop"},
    {"name": "MALLOC_MMAP_THRESHOLD_", "value": "33554432"},
    {"name": "MALLOC_TRIM_THRESHOLD_", "value": "67108864"},
]


def body(manifest: Manifest, name: str, config: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    plan = build_plan(manifest, config=manifest.config.overridden(config or {}))
    group = next(group for group in plan.groups if group.name == name)
    given = {"runtime_params": "{}", "display_name": "d", "labels": {}, **arguments}
    job = custom_job(plan, group, CONTEXT, **given)
    # Google's type takes every field, and loses none.
    message = json_format.ParseDict(job, CustomJob.pb(CustomJob()))
    again = json_format.ParseDict(json_format.MessageToDict(message), CustomJob.pb(CustomJob()))
    assert again == message
    return job


def test_a_plain_node(manifest: Manifest) -> None:
    job = body(manifest, "write_table", display_name="d" * 200, labels={"dag": "x"}, runtime_params='{"a": 1}')
    assert job == {
        "displayName": "d" * 128,
        "labels": {"dag": "x"},
        "jobSpec": {
            "workerPoolSpecs": [
                {
                    "containerSpec": {
                        "imageUri": "registry.test/shop:1.0.0",
                        "command": list(COMMAND),
                        "args": [
                            *("--pipeline", "__default__", "--node", "write_table"),
                            *("--params", '{"a": 1}', "--context", CONTEXT.to_json()),
                        ],
                        "env": OF_ALL,
                    },
                    "machineSpec": {"machineType": "e2-highmem-2"},
                    "replicaCount": 1,
                }
            ],
            "baseOutputDirectory": {"outputUriPrefix": "gs://shop/runs/key/write-table"},
        },
    }


EVERYTHING = {
    "labels": {"team": "shop", "dag": "loses"},
    "service_account": "runner@shop.test",
    "encryption_spec_key_name": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    "network": {
        "reserved_ip_ranges": ["range"],
        "psc_interface": {
            "network_attachment": "attachment",
            "dns_peering": [{"domain": "shop.internal.", "target_project": "p", "target_network": "n"}],
        },
    },
    "resources": {
        "gpu": {
            "gpu": 1,
            "accelerator_type": "NVIDIA_TESLA_A100",
            "gpu_partition_size": "1g.5gb",
            "disk": {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": 200},
            "reservation": {"type": "SPECIFIC_RESERVATION", "values": ["projects/p/zones/z/reservations/r"]},
        }
    },
    "nodes": {
        "gpu": {
            "image": "registry.test/gpu:1",
            "env": {"B": "cost $5 $(A) $$(A)", "A": "1"},
            "secret_env": {"TOKEN": "projects/p/secrets/s"},
            "scheduling": {
                "timeout": "2h",
                "strategy": "flex_start",
                "restart_job_on_worker_restart": False,
                "disable_retries": True,
                "max_wait_duration": "30m",
            },
            "persistent_resource_id": "pool",
            "nfs_mounts": [{"server": "10.0.0.2", "path": "/share", "mount_point": "share"}],
            "lustre_mounts": [
                {"instance_ip": "10.0.0.3", "volume_handle": "v", "filesystem": "fs", "mount_point": "fast"}
            ],
            "tensorboard": "projects/p/locations/l/tensorboards/t",
            "enable_web_access": True,
            "enable_dashboard_access": False,
            "replica_count": 3,
        }
    },
}


def test_the_machines_after_the_first_one_may_be_others(manifest: Manifest) -> None:
    node = {
        "replica_count": 3,
        "distributed": "torch",
        "worker_resources": {"cpu": "8", "disk": {"boot_disk_size_gb": 200}},
    }
    resources = {"cpu": "2", "memory": "8Gi", "disk": {"boot_disk_type": "pd-standard"}}
    config = {"nodes": {"write_table": node}, "resources": {"write_table": resources}}
    chief, workers = body(manifest, "write_table", config)["jobSpec"]["workerPoolSpecs"]
    assert [pool["replicaCount"] for pool in (chief, workers)] == [1, 2]
    assert chief["containerSpec"] == workers["containerSpec"]
    arguments = chief["containerSpec"]["args"]
    assert json.loads(arguments[arguments.index("--settings") + 1]) == {"distributed": "torch"}
    assert [pool["machineSpec"]["machineType"] for pool in (chief, workers)] == ["e2-highmem-2", "e2-standard-8"]
    assert chief["diskSpec"] == {"bootDiskType": "pd-standard"}
    assert workers["diskSpec"] == {"bootDiskType": "pd-standard", "bootDiskSizeGb": 200}


def test_everything_that_a_node_can_ask_for(manifest: Manifest) -> None:
    job = body(manifest, "Train Model", EVERYTHING, labels={"dag": "x"}, timeout_seconds=60)
    spec = job["jobSpec"]
    pools = spec.pop("workerPoolSpecs")
    assert [pool.pop("replicaCount") for pool in pools] == [1, 2]
    assert pools[0] == pools[1]
    container = pools[0].pop("containerSpec")
    arguments = container.pop("args")
    assert json.loads(arguments[arguments.index("--settings") + 1]) == {
        "secret_env": {"TOKEN": "projects/p/secrets/s/versions/latest"}
    }
    assert container == {
        "imageUri": "registry.test/gpu:1",
        "command": list(COMMAND),
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "cost $5 $$(A) $$$$(A)"}, *OF_ALL],
    }
    assert pools[0] == {
        "machineSpec": {
            "machineType": "a2-highgpu-1g",
            "acceleratorType": "NVIDIA_TESLA_A100",
            "acceleratorCount": 1,
            "gpuPartitionSize": "1g.5gb",
            "reservationAffinity": {
                "reservationAffinityType": "SPECIFIC_RESERVATION",
                "key": "compute.googleapis.com/reservation-name",
                "values": ["projects/p/zones/z/reservations/r"],
            },
        },
        "nfsMounts": [{"server": "10.0.0.2", "path": "/share", "mountPoint": "share"}],
        "lustreMounts": [
            {"instanceIp": "10.0.0.3", "volumeHandle": "v", "filesystem": "fs", "mountPoint": "fast"},
        ],
        "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200},
    }
    assert job == {
        "displayName": "d",
        "labels": {"team": "shop", "dag": "x"},
        "encryptionSpec": {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"},
        "jobSpec": {
            "serviceAccount": "runner@shop.test",
            "reservedIpRanges": ["range"],
            "pscInterfaceConfig": {
                "networkAttachment": "attachment",
                "dnsPeeringConfigs": [{"domain": "shop.internal.", "targetProject": "p", "targetNetwork": "n"}],
            },
            "baseOutputDirectory": {"outputUriPrefix": "gs://shop/runs/key/train-model"},
            "scheduling": {
                "timeout": "7200s",
                "strategy": "FLEX_START",
                "restartJobOnWorkerRestart": False,
                "disableRetries": True,
                "maxWaitDuration": "1800s",
            },
            "persistentResourceId": "pool",
            "tensorboard": "projects/p/locations/l/tensorboards/t",
            "enableWebAccess": True,
            "enableDashboardAccess": False,
        },
    }


def test_the_time_limit_of_the_task_counts_where_nothing_else_is_said(manifest: Manifest) -> None:
    assert body(manifest, "report", timeout_seconds=90.0)["jobSpec"]["scheduling"] == {"timeout": "90s"}
    assert "scheduling" not in body(manifest, "report")["jobSpec"]


def test_a_runs_persistent_resource_is_named_by_its_id(manifest: Manifest) -> None:
    config = {"persistent_resource": {"name": "projects/p/locations/l/persistentResources/pool"}}
    assert body(manifest, "report", config)["jobSpec"]["persistentResourceId"] == "pool"


def test_a_tpu_is_named_with_its_topology(manifest: Manifest) -> None:
    tpu = {"machine_type": "ct5lp-hightpu-4t", "gpu": 4, "accelerator_type": "TPU_V5_LITEPOD", "tpu_topology": "2x2"}
    spec = body(manifest, "report", {"resources": {"report": tpu}})["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]
    assert spec == {
        "machineType": "ct5lp-hightpu-4t",
        "acceleratorType": "TPU_V5_LITEPOD",
        "acceleratorCount": 4,
        "tpuTopology": "2x2",
    }


def test_no_parameter_is_read_as_a_variable(manifest: Manifest) -> None:
    params = {"price": "$(HOME) $$ $5"}
    arguments = body(manifest, "report", runtime_params=json.dumps(params))["jobSpec"]["workerPoolSpecs"][0][
        "containerSpec"
    ]["args"]
    text = arguments[arguments.index("--params") + 1]
    assert "$" not in text
    assert json.loads(text) == params
    stored = body(manifest, "report", runtime_params="@gs://a/$b.json")["jobSpec"]["workerPoolSpecs"][0]
    assert "@gs://a/$b.json" in stored["containerSpec"]["args"]


def test_two_networks_are_refused(manifest: Manifest) -> None:
    network = {"vpc": "projects/1/global/networks/n", "psc_interface": {"network_attachment": "a"}}
    with pytest.raises(ConfigError) as caught:
        body(manifest, "report", {"network": network})
    assert str(caught.value) == (
        "network.vpc and network.psc_interface are both set, but a job takes one of them: take one out of "
        "run_config.network."
    )


def test_a_machine_that_does_not_exist_names_the_node(manifest: Manifest) -> None:
    with pytest.raises(ConfigError, match=r"^Node 'report': No machine type of Vertex AI has cpu 1000"):
        body(manifest, "report", {"resources": {"report": {"cpu": 1000}}})
    config = {"grouping": "pipeline", "resources": {"report": {"cpu": 1000}}}
    with pytest.raises(ConfigError, match=r"^Group '__default__': No machine type of Vertex AI has cpu 1000"):
        body(manifest, "__default__", config)
