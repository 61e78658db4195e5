"""Requests that are nearly right: valid ones, changed at a few random places. All from one seed, so they can be had
again."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from tests.unit.emulator.specs import PARENT, body, container_spec, nested_spec

STRANGE: tuple[Any, ...] = (
    None, True, 0, -1, 5, 2**31, 2**63, 1e308, 0.5, "", " ", "x", "a b", "\u0000", "\ud800", "\u202e\U0001f600",
    "../..", "%2e%2e", "{{$}}", "{{$.inputs.parameters['x']}}", "$(A)", "NaN", "gs://b/c", "2026-01-31T06:00:00Z", "5s",
    "-5s", "x" * 300, [], {}, [None], [[]], {"a": None}, {"": {}}, {"@type": "x"},
)  # fmt: skip
# What filters are made of, so that some of them can be read.
WORDS = (
    "state", "display_name", "labels", "labels.a", "create_time", "end_time", "pipeline_name", "nonsense", "AND", "OR",
    "NOT", "-", "(", ")", "=", "!=", "<", ">=", ":", ":*", ".", '"', "'", '"PIPELINE_STATE_FAILED"', "*a*", "\\", ",",
    '"2026-01-31T06:00:00Z"', "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "\u0000", "\U0001f600", "desc",
)  # fmt: skip
IDS = (
    *(f"job-{number}" for number in range(1, 9)), "none", "No_Id", "-", "", "..", "../../etc/passwd", "a" * 200,
    "\u00e9", "x:cancel", "1",
)  # fmt: skip
PARENTS = (*[PARENT] * 12, "projects/-/locations/-", "projects/p", "", "../..", f"{PARENT}/pipelineJobs/job-1")


def pipeline_jobs() -> list[dict[str, Any]]:
    """Bodies with every kind of thing that a spec may have."""
    parameters = {"x": {"parameterType": "STRING", "defaultValue": "y"}, "n": {"parameterType": "NUMBER_INTEGER"}}
    plain = container_spec(
        {"a": [], "b": ["a"]},
        args={"a": ["{{$.inputs.parameters['x']}}", "{{$}}"]},
        parameters=parameters,
        task_fields={
            "a": {
                "cachingOptions": {"enableCache": True},
                "retryPolicy": {"maxRetryCount": 2, "backoffDuration": "1s", "backoffFactor": 2.0},
            },
            "b": {
                "triggerPolicy": {
                    "condition": "inputs.parameter_values['x'] == 'y'",
                    "strategy": "ALL_UPSTREAM_TASKS_COMPLETED",
                }
            },
        },
        container_fields={
            "env": [{"name": "A", "value": "$(B)"}],
            "resources": {"cpuLimit": 1.0, "memoryLimit": 2.0, "accelerator": {"type": "T", "count": "1"}},
        },
    )
    return [
        body(plain, {"x": "1", "n": 3}, labels={"a": "b"}, serviceAccount="a@b.c"),
        body(nested_spec(plain), {"x": "1", "n": 3}),
        body(
            container_spec({"a": []}),
            runtimeConfig={"gcsOutputDirectory": "gs://bucket", "failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST"},
        ),
    ]


CUSTOM_JOB: Mapping[str, Any] = {
    "displayName": "a job",
    "labels": {"a": "b"},
    "jobSpec": {
        "workerPoolSpecs": [
            {
                "machineSpec": {
                    "machineType": "n2-standard-4",
                    "acceleratorType": "NVIDIA_TESLA_T4",
                    "acceleratorCount": 1,
                },
                "replicaCount": "1",
                "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100},
                "containerSpec": {
                    "imageUri": "image",
                    "command": ["python"],
                    "args": ["-c", "pass"],
                    "env": [{"name": "A", "value": "b"}],
                },
            }
        ],
        "scheduling": {"timeout": "100s", "restartJobOnWorkerRestart": True, "strategy": "SPOT"},
        "baseOutputDirectory": {"outputUriPrefix": "gs://bucket/x"},
    },
}


def schedule() -> dict[str, Any]:
    """A body with every kind of thing that a schedule may have."""
    return {
        "displayName": "daily",
        "cron": "TZ=Europe/Warsaw 0 4,5-6 1/2 jan *",
        "startTime": "2026-01-31T06:00:00Z",
        "endTime": "2100-01-31T06:00:00Z",
        "maxRunCount": "5",
        "maxConcurrentRunCount": "2",
        "allowQueueing": True,
        "createPipelineJobRequest": {"parent": PARENT, "pipelineJob": pipeline_jobs()[0]},
    }


def training_pipeline() -> dict[str, Any]:
    """A body that has a custom task."""
    return {
        "displayName": "training",
        "trainingTaskDefinition": "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml",
        "trainingTaskInputs": copy.deepcopy(CUSTOM_JOB["jobSpec"]),
    }


def changed(value: Any, chance: random.Random, changes: int) -> Any:
    """A copy of JSON data with some places changed: replaced, removed, doubled, renamed or nested."""
    result = copy.deepcopy(value)
    for _ in range(changes):
        places = list(_places(result))
        if not places:
            return result
        holder, key = chance.choice(places)
        kind = chance.randrange(6)
        if kind <= 2:
            holder[key] = copy.deepcopy(chance.choice(STRANGE))
        elif kind == 3:
            del holder[key]
        elif kind == 4:
            holder[key] = copy.deepcopy(chance.choice(([holder[key]] * 3, {"x": holder[key]})))
        elif isinstance(holder, dict):
            holder[chance.choice(("x", "", "a.b", "defaultValue", "dag", "__proto__", "a" * 200))] = holder.pop(key)
    return result


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def words(chance: random.Random) -> str:
    """Something like a filter."""
    return chance.choice(("", " ")).join(chance.choice(WORDS) for _ in range(chance.randrange(12)))


def noise(data: bytes, chance: random.Random) -> bytes:
    """Bytes with a few of them changed, cut or doubled."""
    found = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(found) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            found[at : at + chance.randrange(4)] = chance.randbytes(chance.randrange(6))
        elif kind == 1:
            del found[at : at + chance.randrange(1, 20)]
        elif kind == 2:
            found[at:at] = found[at : at + 30]
        elif found:
            found[at % len(found)] ^= 1 << chance.randrange(8)
    return bytes(found)


def as_json(value: Any) -> bytes:
    """JSON as a client may send it, with what Python writes for lone surrogates and for numbers that are none."""
    return json.dumps(value).encode()
