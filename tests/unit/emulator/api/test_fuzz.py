"""Nearly right requests over both protocols: each gets an answer in Google's shape, soon, and none breaks anything.

``EMULATOR_FUZZ`` sets how many there are of each protocol, and ``EMULATOR_FUZZ_SEED`` the seed.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import grpc
import pytest
from google.cloud.aiplatform_v1.types import (
    job_service,
    metadata_service,
    persistent_resource_service,
    pipeline_service,
    schedule_service,
)
from google.longrunning import operations_pb2
from google.protobuf import json_format
from google.rpc import status_pb2

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.api import locations, projects
from airflow_provider_kedro_vertex.emulator.api.methods import METHODS, SERVED, Method
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.fuzzing import (
    CUSTOM_JOB,
    IDS,
    PARENTS,
    as_json,
    changed,
    noise,
    pipeline_jobs,
    schedule,
    training_pipeline,
    words,
)
from tests.unit.emulator.specs import PARENT

REQUESTS = int(os.environ.get("EMULATOR_FUZZ", "600"))
SEED = int(os.environ.get("EMULATOR_FUZZ_SEED", "11"))
# Far more than any answer takes, and far less than a hang.
SECONDS = 120.0
STATUSES = {200: "OK", 400: "INVALID_ARGUMENT FAILED_PRECONDITION", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
            409: "ALREADY_EXISTS ABORTED", 501: "UNIMPLEMENTED"}  # fmt: skip
KNOWN = frozenset(" ".join(STATUSES.values()).split())


@pytest.fixture(scope="module")
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator({"image": Noop(0), "other": Noop(0, 1)}) as emulator:
        yield emulator


@pytest.fixture
def connection(emulator: VertexEmulator) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=SECONDS)) as connection:
        yield connection


def test_rest(connection: http.client.HTTPConnection) -> None:
    chance, seen = random.Random(SEED), Counter[str]()
    for number in range(REQUESTS):
        verb, path, data = rest_request(chance)
        connection.request(verb, path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        shown = f"request {number} of seed {SEED}: {verb} {path} {data!r} -> {response.status} {text!r}"
        assert response.status in STATUSES, shown
        # A path that is cut short enough is the page's.
        answer = json.loads(text) if response.getheader("content-type") == "application/json" else {}
        if response.status != 200:
            error = answer["error"]
            assert set(error) <= {"code", "message", "status", "details"}, shown
            assert (error["code"], error["status"] in STATUSES[response.status]) == (response.status, True), shown
            assert error["message"], shown
        seen[answer.get("error", {}).get("status", "OK")] += 1
    print(dict(seen))
    # Requests that are all refused for one reason would show little.
    assert min(seen["OK"], seen["INVALID_ARGUMENT"], seen["NOT_FOUND"]) > REQUESTS // 100


def test_grpc(emulator: VertexEmulator) -> None:
    chance, seen = random.Random(SEED), Counter[str]()
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        for number in range(REQUESTS):
            path, data = grpc_request(chance)
            call = channel.unary_unary(path).future(data, timeout=SECONDS)
            name = call.code().name
            shown = f"request {number} of seed {SEED}: {path} {data!r} -> {name} {call.details()}"
            assert name in KNOWN, shown
            if name != "OK":
                assert call.details(), shown
                for key, value in call.trailing_metadata():
                    if key == "grpc-status-details-bin":
                        status = status_pb2.Status.FromString(value)
                        assert (status.code, status.message) == (call.code().value[0], call.details()), shown
            seen[name] += 1
    print(dict(seen))
    assert min(seen["OK"], seen["INVALID_ARGUMENT"], seen["NOT_FOUND"]) > REQUESTS // 100


def test_after_all_of_it_every_job_has_ended_and_the_page_is_there(connection: http.client.HTTPConnection) -> None:
    for collection in ("pipelineJobs", "customJobs"):
        wanted = quote(" OR ".join(f'state="{prefix}_{state}"' for prefix, state in UNFINISHED[collection]))
        deadline = time.monotonic() + 60
        while True:
            connection.request("GET", f"/v1/{PARENT}/{collection}?filter={wanted}")
            if not json.loads(connection.getresponse().read()):
                break
            assert time.monotonic() < deadline, f"{collection} that never end"
    connection.request("GET", "/_emulator/health")
    assert json.loads(connection.getresponse().read())["status"] == "ok"


UNFINISHED = {
    collection: [(prefix, state) for state in ("PENDING", "RUNNING", "CANCELLING")]
    for collection, prefix in (("pipelineJobs", "PIPELINE_STATE"), ("customJobs", "JOB_STATE"))
}


def a_method(chance: random.Random) -> Method:
    """One that is served, as a rule."""
    return chance.choice([*[m for m in METHODS if m.name in SERVED] * 8, *METHODS])


PATTERN = "projects/*/locations/*"


def rest_request(chance: random.Random) -> tuple[str, str, bytes]:
    """A method of the table, mostly at its own path and with its own fields."""
    method = a_method(chance)
    parent, job_id = chance.choice(PARENTS), chance.choice(IDS) if chance.random() < 0.8 else str(chance.random())[2:]
    asked = job_id if "pipelineJobs" in method.template else chance.choice(("1", job_id))

    def filled(match: re.Match[str]) -> str:
        pattern = match[2].replace(PATTERN, quote(parent, safe="/:"), 1)
        return pattern.replace("*", quote(asked, safe=":" if chance.random() < 0.5 else ""))

    path = re.sub(r"{([a-z_.]+)=([^}]+)}", filled, method.template)
    if chance.random() < 0.03:
        path = noise(path.encode(), chance).decode("latin-1")
        path = "/" + quote(path, safe="/:%").lstrip("/")
    query = {}
    if method.verb == "GET" and chance.random() < 0.5:
        for name in chance.sample(["filter", "orderBy", "pageToken", "pageSize", "readMask", "alt", "x"], 2):
            query[name] = words(chance) if chance.random() < 0.7 else str(chance.choice((-1, 0, 5, 2**40, "name")))
    if method.short_name == "CreatePipelineJob" and chance.random() < 0.5:
        query["pipelineJobId"] = job_id
    text = "&".join(f"{name}={quote(value.encode(errors='replace'))}" for name, value in query.items())
    return method.verb, f"{path}?{text}" if text else path, rest_body(method.short_name, chance)


def rest_body(method: str, chance: random.Random) -> bytes:
    fields = nodes(chance, chance.choice(IDS))
    bodies = {
        "CreatePipelineJob": lambda: chance.choice(pipeline_jobs()),
        "CreateSchedule": schedule,
        "CreateTrainingPipeline": training_pipeline,
        "CreateArtifact": lambda: fields["artifact"],
        "UpdateContext": lambda: fields["context"],
        "AddExecutionEvents": lambda: {"events": fields["events"]},
        "AddContextChildren": lambda: {"childContexts": fields["childContexts"]},
    }
    if method in (*bodies, "CreateCustomJob"):
        whole: Any = bodies[method]() if method in bodies else CUSTOM_JOB
    elif method.startswith("Batch"):
        whole = {"names": [f"{chance.choice(PARENTS)}/pipelineJobs/{chance.choice(IDS)}"]}
    else:
        whole = {} if chance.random() < 0.8 else {"name": chance.choice(IDS)}
    if not whole:
        return as_json(whole) if chance.random() < 0.2 else b""
    data = as_json(changed(whole, chance, chance.randrange(4)))
    return noise(data, chance) if chance.random() < 0.1 else data


TYPES: dict[str, Any] = {
    name: type(wrapper.pb(wrapper()))
    for module in (pipeline_service, job_service, schedule_service, metadata_service, persistent_resource_service)
    for name, wrapper in vars(module).items()
    if name.endswith("Request")
} | {name: getattr(operations_pb2, name) for name in dir(operations_pb2) if name.endswith("Request")}
TYPES["GetProjectRequest"] = type(projects.request())
TYPES |= {"GetLocationRequest": locations.GetLocationRequest, "ListLocationsRequest": locations.ListLocationsRequest}
PACKAGES = {
    "Operations": "google.longrunning",
    "Locations": "google.cloud.location",
    "Projects": "google.cloud.resourcemanager.v3",
}


def nodes(chance: random.Random, node_id: str) -> dict[str, Any]:
    """The fields of requests of MetadataService."""
    store = f"{PARENT}/metadataStores/default"
    artifact, context, execution = (f"{store}/{kind}s/{node_id}" for kind in ("artifact", "context", "execution"))
    node = {"displayName": "n", "schemaTitle": "system.Model", "metadata": {"a": chance.choice((1, "x", [None]))}}
    return {
        "metadataStoreId": "default",
        "metadataStore": {"description": "all"},
        **{f"{kind}Id": node_id for kind in ("artifact", "context", "execution")},
        "artifact": chance.choice((artifact, {"name": artifact, "uri": "gs://bucket/x", **node})),
        "context": chance.choice((context, {"name": context, **node})),
        "execution": chance.choice((execution, {"name": execution, "state": "RUNNING", **node})),
        "artifacts": [artifact],
        "executions": [execution],
        "childContexts": [f"{store}/contexts/{chance.choice(IDS)}"],
        "events": [{"artifact": artifact, "type": chance.choice(("INPUT", "OUTPUT"))}],
        "maxHops": chance.choice((-1, 0, 3)),
        "updateMask": chance.choice(("displayName", "metadata", "metadata.a", "createTime", "x")),
        "allowMissing": chance.random() < 0.5,
    }


def grpc_request(chance: random.Random) -> tuple[str, bytes]:
    """A method of the table with a message of its type, or with bytes that are nearly one."""
    method = a_method(chance)
    message = TYPES[f"{method.short_name}Request"]()
    job_id = chance.choice(IDS)
    kinds = {
        "Custom": "customJobs",
        "Schedule": "schedules",
        "TrainingPipeline": "trainingPipelines",
        "PersistentResource": "persistentResources",
        "MetadataStore": "metadataStores",
        **{kind: f"metadataStores/default/{kind.lower()}s" for kind in ("Artifact", "Context", "Execution")},
    }
    collection = next((kind for word, kind in kinds.items() if word in method.short_name), "pipelineJobs")
    right: dict[str, Any] = {
        "parent": PARENT,
        "name": f"{PARENT}/{collection}/{job_id}",
        "pageSize": 5,
        "pipelineJob": chance.choice(pipeline_jobs()),
        "customJob": CUSTOM_JOB,
        "schedule": schedule(),
        "names": [f"{PARENT}/pipelineJobs/{job_id}"],
        "timeout": "0s",
        "pipelineJobId": job_id,
        "persistentResourceId": job_id,
        "persistentResource": {"resourcePools": [{"machineSpec": {"machineType": "n1-standard-4"}}]},
        "trainingPipeline": training_pipeline(),
        **nodes(chance, job_id),
    }
    if method.short_name.endswith(("Artifact", "Context", "Execution", "Artifacts", "Contexts", "Executions")):
        right["parent"] = f"{PARENT}/metadataStores/default"
    wrong: dict[str, Any] = {
        "parent": chance.choice(PARENTS),
        "name": f"{chance.choice(PARENTS)}/{chance.choice(('pipelineJobs', 'customJobs', 'x'))}/{job_id}",
        "filter": words(chance),
        "orderBy": words(chance),
        "pageToken": words(chance),
        "pageSize": chance.choice((-1, 0, 2**31 - 1)),
        "readMask": chance.choice(("name", "nonsense.x", "jobDetail.taskDetails")),
        "pipelineJob": changed(right["pipelineJob"], chance, 3),
        "customJob": changed(CUSTOM_JOB, chance, 3),
        "schedule": changed(schedule(), chance, 3),
        "trainingPipeline": changed(training_pipeline(), chance, 3),
        "names": [f"{chance.choice(PARENTS)}/pipelineJobs/{job_id}"],
        "timeout": "-1s",
    }
    for name, value in (right | dict(chance.sample(list(wrong.items()), chance.randrange(4)))).items():
        if chance.random() < 0.97:
            try:
                json_format.ParseDict({name: value}, message, ignore_unknown_fields=True)
            except (json_format.ParseError, ValueError, TypeError, AttributeError, SystemError):
                continue
    data = message.SerializeToString()
    service = method.name.partition(".")[0]
    path = f"/{PACKAGES.get(service, 'google.cloud.aiplatform.v1')}.{method.name.replace('.', '/')}"
    return path, noise(data, chance) if chance.random() < 0.2 else data
