"""MetadataService over gRPC with Google's client, and over REST: nodes, filters, lineage, and what is refused."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from google.api_core import exceptions
from google.cloud.aiplatform_v1 import MetadataServiceClient, types
from google.cloud.location import locations_pb2
from google.longrunning import operations_pb2

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from tests.unit.emulator.specs import PARENT, body, container_spec

STORE = f"{PARENT}/metadataStores/default"
EVENT = types.Event.Type


@pytest.fixture
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator(noop=Noop(0)) as emulator:
        yield emulator


@pytest.fixture
def client(emulator: VertexEmulator) -> Iterator[MetadataServiceClient]:
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        client = MetadataServiceClient(transport=MetadataServiceClient.get_transport_class("grpc")(channel=channel))
        client.create_metadata_store(parent=PARENT, metadata_store={}, metadata_store_id="default").result(timeout=60)
        yield client


def context(client: MetadataServiceClient, context_id: str, **fields: Any) -> str:
    return client.create_context(parent=STORE, context=fields, context_id=context_id).name


def artifact(client: MetadataServiceClient, artifact_id: str, **fields: Any) -> str:
    return client.create_artifact(parent=STORE, artifact=fields, artifact_id=artifact_id).name


def execution(client: MetadataServiceClient, execution_id: str, **fields: Any) -> str:
    return client.create_execution(parent=STORE, execution=fields, execution_id=execution_id).name


def ids(nodes: Any) -> list[str]:
    return sorted(node.name.rpartition("/")[2] for node in nodes)


def test_the_life_of_a_store(client: MetadataServiceClient) -> None:
    assert [store.name for store in client.list_metadata_stores(parent=PARENT)] == [STORE]
    with pytest.raises(exceptions.AlreadyExists):
        client.create_metadata_store(parent=PARENT, metadata_store={}, metadata_store_id="default")
    name = artifact(client, "a-model")
    client.delete_metadata_store(name=STORE).result(timeout=60)
    for call in (client.get_metadata_store, client.delete_metadata_store):
        with pytest.raises(exceptions.NotFound):
            call(name=STORE)
    with pytest.raises(exceptions.NotFound):
        client.get_artifact(name=name)


def test_the_life_of_a_node(client: MetadataServiceClient) -> None:
    name = artifact(client, "a-model", display_name="model", uri="gs://bucket/m", metadata={"loss": 0.5}, state="LIVE")
    found = client.get_artifact(name=name)
    assert (found.display_name, found.uri, found.metadata["loss"], found.state.name) == (
        "model",
        "gs://bucket/m",
        0.5,
        "LIVE",
    )
    changed = client.update_artifact(artifact={"name": name, "display_name": "x", "uri": "gs://bucket/n"})
    assert (changed.display_name, changed.uri, dict(changed.metadata), changed.state.name) == (
        "x",
        "gs://bucket/n",
        {},
        "STATE_UNSPECIFIED",
    )
    masked = client.update_artifact(
        artifact={"name": name, "display_name": "y", "uri": ""}, update_mask={"paths": ["display_name"]}
    )
    assert (masked.display_name, masked.uri, masked.create_time) == ("y", "gs://bucket/n", found.create_time)
    with pytest.raises(exceptions.Aborted, match="changed by somebody else"):
        client.update_artifact(artifact={"name": name, "etag": found.etag})
    with pytest.raises(exceptions.AlreadyExists):
        artifact(client, "a-model")
    with pytest.raises(exceptions.NotFound):
        client.update_artifact(artifact={"name": f"{STORE}/artifacts/other"})
    made = client.update_artifact(
        request={"artifact": {"name": f"{STORE}/artifacts/other", "uri": "gs://b"}, "allow_missing": True}
    )
    assert (made.name.rpartition("/")[2], made.uri) == ("other", "gs://b")
    client.delete_artifact(name=name).result(timeout=60)
    assert ids(client.list_artifacts(parent=STORE)) == ["other"]


def test_rest_takes_and_gives_the_same(emulator: VertexEmulator, client: MetadataServiceClient) -> None:
    url = f"{emulator.url}/v1/{STORE}/contexts"
    made = requests.post(
        url, params={"contextId": "run-1"}, json={"displayName": "run", "metadata": {"n": 3}}, timeout=60
    )
    assert made.json()["name"] == f"{STORE}/contexts/run-1"
    path = f"{emulator.url}/v1/{STORE}/contexts/run-1"
    changed = requests.patch(path, params={"updateMask": "displayName"}, json={"displayName": "again"}, timeout=60)
    assert (changed.json()["displayName"], changed.json()["metadata"]) == ("again", {"n": 3})
    graph = requests.get(f"{path}:queryContextLineageSubgraph", timeout=60)
    assert (graph.status_code, graph.json()) == (200, {})
    assert requests.get(path.replace("/v1/", "/v1beta1/"), timeout=60).json()["displayName"] == "again"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ('schema_title="system.Run"', ["run-1", "run-2"]),
        ('(schema_title="system.Run" OR schema_title="system.Experiment") AND display_name="one"', ["run-1"]),
        (f'parent_contexts:"{STORE}/contexts/parent"', ["run-1"]),
        (f'parent_contexts:"{STORE}/contexts/parent","{STORE}/contexts/run-2"', []),
        (f'child_contexts:"{STORE}/contexts/run-1"', ["parent"]),
        ("metadata.loss.number_value < 0.5", ["run-1"]),
        ('metadata."the kind".string_value = "fast"', ["run-2"]),
        ("metadata.good.bool_value = true", ["run-1"]),
        ('metadata.loss.string_value = "0.25"', []),
    ],
)
def test_contexts_are_found(client: MetadataServiceClient, asked: str, found: list[str]) -> None:
    context(client, "parent", schema_title="system.Experiment")
    first = {"loss": 0.25, "good": True}
    context(client, "run-1", schema_title="system.Run", display_name="one", metadata=first)
    context(client, "run-2", schema_title="system.Run", metadata={"loss": 1, "the kind": "fast"})
    client.add_context_children(context=f"{STORE}/contexts/parent", child_contexts=[f"{STORE}/contexts/run-1"])
    assert ids(client.list_contexts(request={"parent": STORE, "filter": asked})) == found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("metadata.loss = 1", "needs a key and a type"),
        ("metadata.loss.number_value = x", "is no number"),
        ("metadata.loss.bool_value = 1", "neither true nor false"),
        ("parent_contexts = 1", "does not take ="),
        ('in_context("x")', 'unknown field "in_context"'),
        ('uri="x"', 'unknown field "uri"'),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(client: MetadataServiceClient, asked: str, said: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=said):
        client.list_contexts(request={"parent": STORE, "filter": asked})


def test_lineage(client: MetadataServiceClient) -> None:
    run, other = context(client, "run-1"), context(client, "run-2")
    rows, model, score, far = (artifact(client, name) for name in ("rows", "model", "score", "far-away"))
    train, evaluate = execution(client, "train", state="RUNNING"), execution(client, "evaluate")
    for one, given, made in ((train, rows, model), (evaluate, model, score)):
        events = [{"artifact": given, "type_": EVENT.INPUT}, {"artifact": made, "type_": EVENT.OUTPUT}]
        for _ in range(2):  # the second time they are skipped
            client.add_execution_events(execution=one, events=events)
    client.add_context_artifacts_and_executions(context=run, artifacts=[rows, model], executions=[train])
    client.add_context_artifacts_and_executions(context=other, artifacts=[far])

    graph = client.query_context_lineage_subgraph(context=run)
    assert (ids(graph.artifacts), ids(graph.executions)) == (["model", "rows"], ["train"])
    assert sorted((event.artifact.rpartition("/")[2], event.type_.name) for event in graph.events) == [
        ("model", "OUTPUT"),
        ("rows", "INPUT"),
    ]
    graph = client.query_execution_inputs_and_outputs(execution=evaluate)
    assert (ids(graph.artifacts), ids(graph.executions)) == (["model", "score"], ["evaluate"])
    for hops, artifacts, executions in ((1, ["rows"], ["train"]), (2, ["model", "rows"], ["train"])):
        graph = client.query_artifact_lineage_subgraph(request={"artifact": rows, "max_hops": hops})
        assert (ids(graph.artifacts), ids(graph.executions)) == (artifacts, executions)
    graph = client.query_artifact_lineage_subgraph(artifact=score)
    assert (ids(graph.artifacts), ids(graph.executions)) == (["model", "rows", "score"], ["evaluate", "train"])
    inside = {"parent": STORE, "filter": f'in_context("{other}")'}
    assert ids(client.list_artifacts(request=inside)) == ["far-away"]
    assert ids(client.list_executions(request={"parent": STORE, "filter": "state=RUNNING"})) == ["train"]
    client.delete_execution(name=train).result(timeout=60)
    assert ids(client.query_context_lineage_subgraph(context=run).executions) == []


def test_contexts_in_contexts(client: MetadataServiceClient) -> None:
    names = [context(client, f"level-{at}") for at in range(12)]
    for outer, inner in itertools.pairwise(names[:3]):
        client.add_context_children(context=outer, child_contexts=[inner, inner])
    with pytest.raises(exceptions.InvalidArgument, match="contains this context"):
        client.add_context_children(context=names[2], child_contexts=[names[0]])
    with pytest.raises(exceptions.InvalidArgument, match="or is it"):
        client.add_context_children(context=names[2], child_contexts=[names[2]])
    for outer in names[:10]:
        client.add_context_children(context=outer, child_contexts=[names[11]])
    with pytest.raises(exceptions.InvalidArgument, match="more than 10 parents"):
        client.add_context_children(context=names[10], child_contexts=[names[11]])
    client.remove_context_children(context=names[0], child_contexts=[names[11], names[5]])
    assert list(client.get_context(name=names[11]).parent_contexts) == names[1:10]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"parent": STORE, "context_id": "x"}, "context_id"),
        ({"parent": STORE, "context_id": "Capital"}, "context_id"),
        ({"parent": PARENT, "context_id": "right"}, "parent"),
        ({"parent": STORE, "context": {"labels": {"A": "b"}}}, "context.labels"),
        ({"parent": STORE, "context": {"display_name": "x" * 200}}, "context.display_name"),
    ],
)
def test_a_wrong_node_is_refused(client: MetadataServiceClient, request_: dict[str, Any], said: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match=said):
        client.create_context(request=request_)


def test_pages_and_orders(client: MetadataServiceClient) -> None:
    for at in range(5):
        context(client, f"run-{at}")
    request = {"parent": STORE, "page_size": 2, "order_by": "create_time"}
    assert [one.name[-1] for one in client.list_contexts(request=request)] == list("01234")
    with pytest.raises(exceptions.InvalidArgument, match="order_by"):
        client.list_contexts(request={"parent": STORE, "order_by": "display_name"})


def test_a_pipeline_leaves_contexts_executions_and_artifacts(emulator: VertexEmulator) -> None:
    spec = container_spec({"a": [], "b": ["a"]}, parameters={"n": {"parameterType": "NUMBER_INTEGER"}})
    for name in ("first", "second"):
        url = f"{emulator.url}/v1/{PARENT}/pipelineJobs"
        made = requests.post(url, params={"pipelineJobId": name}, json=body(spec, {"n": 7}), timeout=60).json()
        deadline = time.monotonic() + 60
        while (
            requests.get(f"{emulator.url}/v1/{made['name']}", timeout=60).json()["state"] != "PIPELINE_STATE_SUCCEEDED"
        ):
            assert time.monotonic() < deadline
    with grpc.insecure_channel(emulator.grpc_target) as channel:
        client = MetadataServiceClient(transport=MetadataServiceClient.get_transport_class("grpc")(channel=channel))
        assert ids(client.list_contexts(parent=STORE)) == ["a-pipeline", "first", "second"]
        graph = client.query_context_lineage_subgraph(context=f"{STORE}/contexts/first")
        shown = {one.display_name: (one.schema_title, one.state.name) for one in graph.executions}
        assert shown == {
            "first": ("system.Run", "COMPLETE"),
            "a": ("system.ContainerExecution", "COMPLETE"),
            "b": ("system.ContainerExecution", "COMPLETE"),
        }
        (run,) = (one for one in graph.executions if one.schema_title == "system.Run")
        assert dict(run.metadata) == {"input:n": 7}
        experiment = context(client, "experiment", schema_title="system.Experiment")
        client.add_context_children(context=experiment, child_contexts=[f"{STORE}/contexts/second"])
    job = requests.get(f"{emulator.url}/v1/{PARENT}/pipelineJobs/second", timeout=60).json()
    assert job["jobDetail"]["pipelineRunContext"]["parentContexts"] == [f"{STORE}/contexts/a-pipeline", experiment]


def test_operations_and_locations_are_listed(emulator: VertexEmulator, client: MetadataServiceClient) -> None:
    client.delete_context(name=context(client, "run-1")).result(timeout=60)
    found = client.list_operations(operations_pb2.ListOperationsRequest(name=PARENT))
    assert [(one.name.rpartition("/operations/")[0], one.done) for one in found.operations] == [
        (f"{STORE}/contexts/run-1", True),
        (STORE, True),
    ]
    url = f"{emulator.url}/v1/{STORE}/contexts/run-1/operations"
    first = requests.get(url, params={"pageSize": 1}, timeout=60).json()
    assert [one["name"] for one in first["operations"]] == [found.operations[0].name]
    with pytest.raises(exceptions.MethodNotImplemented, match="A filter of operations"):
        client.list_operations(operations_pb2.ListOperationsRequest(name=PARENT, filter="done=true"))

    regions = client.list_locations(locations_pb2.ListLocationsRequest(name="projects/demo-project")).locations
    assert "europe-west1" in [one.location_id for one in regions]
    assert client.get_location(locations_pb2.GetLocationRequest(name=PARENT)).name == PARENT
    with pytest.raises(exceptions.NotFound):
        client.get_location(locations_pb2.GetLocationRequest(name="projects/demo-project/locations/mars-north1"))
    assert len(requests.get(f"{emulator.url}/v1/projects/demo-project/locations", timeout=60).json()["locations"]) > 30
