"""A dataset that registers what it saves, against a server that speaks MetadataService as its documents have it.

The contract is that of google/cloud/aiplatform/v1/metadata_service.proto: paths and verbs of its HTTP annotations, and
the fields of its messages, which Google's own types read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from google.cloud.aiplatform_v1.types import Artifact
from kedro.io import DataCatalog, DatasetError

from airflow_provider_kedro_vertex.core.exit_codes import ExitCode
from airflow_provider_kedro_vertex.runtime.failure import classify
from airflow_provider_kedro_vertex.runtime.google import auth as google_auth
from airflow_provider_kedro_vertex.runtime.google import metadata_store
from airflow_provider_kedro_vertex.runtime.metadata_dataset import KedroVertexAIMetadataDataset
from airflow_provider_kedro_vertex.runtime.node_group.versions import pin
from airflow_provider_kedro_vertex.runtime.progress import Progress
from tests.mlflow.google import Quiet, serving
from tests.unit.runtime.containers import Project

LOCATION = "projects/demo-project/locations/europe-west1"
STORE = f"{LOCATION}/metadataStores/default"


@dataclass
class Metadata:
    """The artifacts of one project, and what the server is to do wrong."""

    url: str = ""
    store: bool = True
    artifacts: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    polls: int = 0
    answers: list[tuple[int, str]] = field(default_factory=list)


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metadata]:
    state = Metadata()

    class Handler(Quiet):
        def _handle(self) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            body = json.loads(self.body() or b"{}")
            state.calls.append(f"{self.command} {url.path.rpartition('/')[2]}")
            status, value = state.answers.pop(0) if state.answers else self._answer(url.path, query, body)
            text = value if isinstance(value, str) else json.dumps(value)
            self.answer(status, text.encode(), {"Content-Type": "application/json"})

        def _answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
            if self.headers.get("Authorization"):
                return 500, "credentials over plain HTTP"
            artifact = re.fullmatch(rf"/v1/{STORE}/artifacts/([a-z0-9-]{{4,128}})", path)
            match self.command:
                case "POST" if path == f"/v1/{STORE}/artifacts" and set(query) == {"artifactId"}:
                    if not state.store:
                        return 404, {"error": {"message": "no store"}}
                    if not re.fullmatch(r"[a-z0-9-]{4,128}", query["artifactId"]):
                        return 400, {"error": {"message": "artifact_id"}}
                    if query["artifactId"] in state.artifacts:
                        return 409, {"error": {"message": "exists"}}
                    return self._put(query["artifactId"], body)
                case "PATCH" if artifact and artifact[1] in state.artifacts and not query:
                    return self._put(artifact[1], body)
                case "POST" if path == f"/v1/{LOCATION}/metadataStores" and query == {"metadataStoreId": "default"}:
                    return 200, {"name": f"{LOCATION}/operations/1"}
                case "GET" if path == f"/v1/{LOCATION}/operations/1":
                    state.polls += 1
                    state.store = state.polls == 2
                    return 200, {"name": f"{LOCATION}/operations/1", "done": state.store}
            return 404, {"error": {"message": f"no {self.command} {path}"}}

        def _put(self, name: str, body: dict[str, Any]) -> tuple[int, Any]:
            Artifact.from_json(json.dumps(body), ignore_unknown_fields=False)  # raises for what it does not know
            state.artifacts[name] = body
            return 200, {"name": f"{STORE}/artifacts/{name}", **body}

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815

    variables = {
        "GCP_PROJECT_ID": "demo-project",
        "GCP_REGION": "europe-west1",
        "KEDRO_CONFIG_RUN_ID": "shop-run-1-0123456789",
    }
    with serving(Handler) as address:
        state.url = f"http://{address}"
        for name, value in {**variables, metadata_store.ENDPOINT_VARIABLE: state.url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(metadata_store, "_STORE_POLL", 0.01)
        monkeypatch.setattr(google_auth, "_BACKOFF", 0.0)
        yield state


def dataset(folder: Path, **more: Any) -> KedroVertexAIMetadataDataset:
    """As a catalog of kedro-vertexai has it."""
    entry = {
        "type": "airflow_provider_kedro_vertex.runtime.metadata_dataset.KedroVertexAIMetadataDataset",
        "base_dataset": "json.JSONDataset",
        "display_name": "companies",
        "base_dataset_args": {"filepath": f"{folder}/companies.json"},
        "metadata": {"source": "crm", "rows": 3},
        **more,
    }
    made = DataCatalog.from_config({"companies": entry})["companies"]
    assert isinstance(made, KedroVertexAIMetadataDataset)
    return made


def test_what_is_saved_is_registered_once_for_each_run(metadata: Metadata, tmp_path: Path, monkeypatch: Any) -> None:
    companies = dataset(tmp_path)
    assert not companies.exists()
    companies.save([1, 2])
    companies.save([1, 2, 3])  # a retry
    assert companies.load() == [1, 2, 3]
    assert companies.exists()
    ((name, artifact),) = metadata.artifacts.items()
    assert name.startswith("kedro-shop-run-1-0123456789-")
    assert artifact == {
        "displayName": "companies",
        "uri": f"file://{tmp_path}/companies.json",
        "metadata": {"run_id": "shop-run-1-0123456789", "source": "crm", "rows": 3},
        "schemaTitle": "system.Dataset",
        "schemaVersion": "0.0.1",
        "state": "LIVE",
    }
    assert metadata.calls == ["POST artifacts", "POST artifacts", f"PATCH {name}"]
    monkeypatch.setenv("KEDRO_CONFIG_RUN_ID", "shop-run-2-0123456789")
    companies.save([4])
    assert len(metadata.artifacts) == 2


def test_another_schema_and_properties_of_ones_own(metadata: Metadata, tmp_path: Path) -> None:
    dataset(tmp_path, schema="system.Model", metadata={"run_id": "own"}).save([1])
    (artifact,) = metadata.artifacts.values()
    assert (artifact["schemaTitle"], artifact["metadata"]) == ("system.Model", {"run_id": "own"})


@pytest.mark.parametrize("where", ["beside type", "among the args"])
def test_a_version_is_part_of_the_address(metadata: Metadata, tmp_path: Path, where: str) -> None:
    args = {"filepath": f"{tmp_path}/companies.json", **({"versioned": True} if where == "among the args" else {})}
    more = {"versioned": True} if where == "beside type" else {}
    companies = dataset(tmp_path, base_dataset_args=args, **more)
    pin(companies, "2013-01-01T00.00.00.000Z-0123456789")
    companies.save([1])
    (artifact,) = metadata.artifacts.values()
    version = "companies.json/2013-01-01T00.00.00.000Z-0123456789/companies.json"
    assert artifact["uri"] == f"file://{tmp_path}/{version}"
    assert (tmp_path / version).exists()


def test_addresses_of_cloud_storage_begin_with_gs(metadata: Metadata, monkeypatch: Any) -> None:
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    args = {"filepath": "gcs://bucket/a/companies.json", "credentials": {"token": "anon"}}
    described = dataset(Path(), base_dataset_args=args)._describe()
    assert described["artifact_uri"] == "gs://bucket/a/companies.json"


def test_no_secret_of_an_address_is_told(metadata: Metadata) -> None:
    args = {"filepath": "https://u:hunter2@shop.test/a/companies.json?sig=hunter2"}
    assert dataset(Path(), base_dataset_args=args)._describe()["artifact_uri"] == "https://shop.test/a/companies.json"


def test_a_projects_first_store_is_made(metadata: Metadata, tmp_path: Path) -> None:
    metadata.store = False
    dataset(tmp_path).save([1])
    assert len(metadata.artifacts) == 1
    assert metadata.calls == [
        *("POST artifacts", "POST metadataStores", "GET 1", "GET 1", "POST artifacts"),
    ]


def test_a_store_that_another_container_makes_is_waited_for(metadata: Metadata, tmp_path: Path) -> None:
    metadata.answers = [(404, "{}"), (409, "{}"), (404, "{}"), (200, json.dumps({"name": STORE}))]
    dataset(tmp_path).save([1])
    assert len(metadata.artifacts) == 1
    assert metadata.calls == [
        *("POST artifacts", "POST metadataStores", "GET default", "GET default", "POST artifacts"),
    ]


def test_a_store_that_cannot_be_made_is_told(metadata: Metadata, tmp_path: Path) -> None:
    operation = {"name": f"{LOCATION}/operations/1"}
    failed = {**operation, "done": True, "error": {"code": 9, "message": "no key"}}
    metadata.answers = [(404, "{}"), (200, json.dumps(operation)), (200, json.dumps(failed))]
    with pytest.raises(DatasetError, match="The metadata store cannot be made: no key"):
        dataset(tmp_path).save([1])


def test_short_trouble_is_ridden_out_and_a_refusal_is_told(metadata: Metadata, tmp_path: Path) -> None:
    metadata.answers = [(503, "{}")]
    dataset(tmp_path).save([1])
    assert len(metadata.artifacts) == 1
    metadata.answers = [(403, '{"error": {"message": "no right"}}')]
    with pytest.raises(DatasetError, match=r"answered 403.*no right.*roles/aiplatform\.user"):
        dataset(tmp_path).save([1])


def test_lasting_trouble_is_infrastructure(metadata: Metadata, tmp_path: Path, monkeypatch: Any) -> None:
    metadata.answers = [(503, "busy")] * 5
    with pytest.raises(DatasetError, match=r"answered 503: busy$") as raised:
        dataset(tmp_path).save([1])
    assert classify(raised.value, Progress()).exit_code == ExitCode.SERVICE_UNREACHABLE
    monkeypatch.setenv(metadata_store.ENDPOINT_VARIABLE, "http://127.0.0.1:9")
    with pytest.raises(DatasetError, match="cannot be registered: ConnectionError") as raised:
        dataset(tmp_path).save([1])
    assert classify(raised.value, Progress()).exit_code == ExitCode.SERVICE_UNREACHABLE


@pytest.mark.parametrize("name", ["GCP_PROJECT_ID", "GCP_REGION"])
def test_outside_of_a_run_nothing_is_saved(metadata: Metadata, tmp_path: Path, monkeypatch: Any, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(DatasetError, match=f"{name} is not set"):
        dataset(tmp_path).save([1])
    assert list(tmp_path.iterdir()) == []


def test_in_a_container_under_the_name_it_has_in_kedro_vertexai(metadata: Metadata, shop: Project) -> None:
    with (shop.path / "conf/base/catalog.yml").open("a") as catalog:
        catalog.write(
            "\nnumbers:\n"
            "  type: kedro_vertexai.vertex_ai.datasets.KedroVertexAIMetadataDataset\n"
            "  base_dataset: json.JSONDataset\n"
            "  display_name: numbers\n"
            "  base_dataset_args: {filepath: data/numbers.json}\n"
        )
    shop.with_variables(KEDRO_VERTEX_API_ENDPOINT=metadata.url).succeed("numbers")
    (artifact,) = metadata.artifacts.values()
    assert artifact["displayName"] == "numbers"
    assert artifact["metadata"] == {"run_id": "shop-run-1-0123456789", "job_name": "shop-run-1-job-1"}
    assert artifact["uri"].endswith("/data/numbers.json")
