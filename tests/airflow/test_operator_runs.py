"""The operator and the sensor, run by Airflow against the emulator; see `dags/operator_runs.py` for the tasks."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_kedro_vertex.core.jobs.parameters import from_json
from airflow_provider_kedro_vertex.core.settings.machines import choose
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.airflow.conftest import DAY, DagRun

pytestmark = [pytest.mark.airflow]

PARENT = "projects/demo-project/locations/europe-west1/pipelineJobs"


def job(vertex: VertexEmulator, run: DagRun, task_id: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{vertex.url}/v1/{run.xcom(task_id)['name']}", timeout=120).json()
    return found


def values(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The runtime parameters and the run context that a job was given."""
    given = body["runtimeConfig"]["parameterValues"]
    return json.loads(given["runtime_params"]), json.loads(given["run_context"])


@pytest.mark.parametrize("task_id", ["waits", "pokes", "group.wait"])
def test_a_wait_ends_with_a_small_summary(vertex: VertexEmulator, run: DagRun, task_id: str) -> None:
    assert run.state(task_id) == ("success", 1)
    result = run.xcom(task_id)

    job_id = result["id"]
    assert re.fullmatch(r"operator-runs-manual-[-0-9a-z]{1,100}-1", job_id)
    seconds = result["groups"]["make-rows"].pop("seconds")
    cost = result.pop("cost")
    origin = {key: result.pop(key) for key in ("data_scope", "images", "manifest", "run_key", "version")}
    assert result == {
        "name": f"{PARENT}/{job_id}",
        "id": job_id,
        "state": "SUCCEEDED",
        "url": f"{vertex.url}/vertex-ai/locations/europe-west1/pipelines/runs/{job_id}?project=demo-project",
        "groups": {"make-rows": {"state": "SUCCEEDED"}},
    }
    assert 0 <= seconds < 60
    assert cost["groups"] == {"make-rows": cost["dollars"]}
    assert (cost["unpriced"], cost["region"]) == (0, "us-central1")
    price = choose(Resources(), "us-central1", "x").dollars_an_hour
    assert price is not None
    assert cost["dollars"] == pytest.approx(seconds / 3600 * price, abs=2e-6)
    assert run.xcom(task_id, key="vertex_ai_job") == result["url"]
    body = job(vertex, run, task_id)
    _, context = values(body)
    assert origin == {
        "data_scope": context["data_scope"],
        "images": ["example/image:1"],
        "manifest": body["labels"]["kedro-manifest"],
        "run_key": context["run_key"],
        "version": context["save_version"],
    }


def test_one_node_group_is_one_custom_job(vertex: VertexEmulator, run: DagRun) -> None:
    assert run.state("one_group") == ("success", 1)
    result = run.xcom("one_group")
    assert (result["state"], "/customJobs/" in result["name"]) == ("SUCCEEDED", True)
    body = requests.get(f"{vertex.url}/v1/{result['name']}", timeout=120).json()
    assert body["displayName"].endswith(" make_rows")
    assert body["labels"]["kedro-group"] == "make-rows"
    (pool,) = body["jobSpec"]["workerPoolSpecs"]
    arguments = pool["containerSpec"]["args"]
    assert json.loads(arguments[arguments.index("--params") + 1])["day"] == DAY
    assert pool["machineSpec"]["machineType"]


def test_submitting_does_not_wait(run: DagRun) -> None:
    assert run.state("submits") == ("success", 1)
    assert run.xcom("submits")["state"] in ("PENDING", "QUEUED", "RUNNING")
    assert run.xcom("submits")["id"] == run.xcom("pokes")["id"]


def test_the_job_tells_who_made_it(vertex: VertexEmulator, run: DagRun) -> None:
    body = job(vertex, run, "waits")

    assert body["displayName"].startswith("tests first manual__")
    labels = body["labels"]
    assert labels["airflow-dag-id"] == "operator_runs"
    assert labels["airflow-task-id"] == "waits"
    assert labels["airflow-try"] == "1"
    assert labels["kedro-pipeline"] == "first"
    assert labels["kedro-project"] == "small-project"


def test_params_are_runtime_parameters_with_their_types(vertex: VertexEmulator, run: DagRun) -> None:
    params, context = values(job(vertex, run, "waits"))

    assert params == {
        "run_date": DAY,
        "threshold": 0.5,
        "model": {"depth": 3},
        "days": ["2013-06-01", 7],
        "quote": 'it\'s "$(X)"\n{{$}}',
        "typed": "{{ ds }}",  # dag_run.conf is data: whoever triggers a DAG writes no templates
    }
    assert isinstance(params["model"]["depth"], int)
    assert context["dag_id"] == "operator_runs"
    assert context["logical_date"].startswith(DAY)
    assert context["root"] == "gs://bucket/runs"
    assert re.fullmatch(rf"{DAY}T00\.00\.00\.000Z-[0-9a-f]{{10}}", context["save_version"])
    assert f"{context['run_key']}-waits-1" == context["job_id"]


def test_what_another_task_chose_keeps_its_types(vertex: VertexEmulator, run: DagRun) -> None:
    params, _ = values(job(vertex, run, "chosen"))
    assert (params["rows"], type(params["rows"])) == (14, int)
    # The project has no such parameter: a template gives text. A key of the DAG file is a number.
    assert isinstance(params["lookup"], str)
    assert from_json(params["horizons"]) == {7: "week"}


def test_each_task_of_a_run_has_its_own_data_unless_it_shares_them(vertex: VertexEmulator, run: DagRun) -> None:
    alone, sharing = ("waits", "submits", "group.submit"), ("shares_0", "shares_1")
    jobs = {task_id: job(vertex, run, task_id) for task_id in (*alone, *sharing)}
    contexts = {task_id: values(body)[1] for task_id, body in jobs.items()}

    for own in ("run_key", "save_version", "data_scope"):
        assert len({contexts[task_id][own] for task_id in alone}) == 3
        assert contexts["shares_0"][own] == contexts["shares_1"][own] not in {contexts[one][own] for one in alone}
    assert len({context["job_id"] for context in contexts.values()}) == 5
    assert {task_id: context["data_scope"] for task_id, context in contexts.items()} == {
        "waits": "waits",
        "submits": "submits",
        "group.submit": "group",
        **dict.fromkeys(sharing, "both"),
    }
    # What ties them together.
    assert len({body["labels"]["airflow-dag-run-key"] for body in jobs.values()}) == 1
    assert all(jobs[one]["labels"]["airflow-run-key"] == contexts[one]["run_key"] for one in jobs)


def mapped_jobs(vertex: VertexEmulator, task_id: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The parameters and the context of the jobs of a mapped task's instances."""
    found = []
    for collection in ("pipelineJobs", "customJobs"):
        wanted = f'labels.airflow-task-id="{task_id}" AND labels.airflow-dag-id="operator_runs"'
        url = f"{vertex.url}/v1/{PARENT.replace('pipelineJobs', collection)}"
        answer = requests.get(url, params={"filter": wanted}, timeout=10).json()
        for body in answer.get(collection, []):
            if collection == "pipelineJobs":
                found.append(values(body))
            else:
                words = body["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"]
                params, context = (words[words.index(name) + 1] for name in ("--params", "--context"))
                found.append((json.loads(params), json.loads(context)))
    return found


@pytest.mark.parametrize(
    ("task_id", "expected"),
    [
        ("mapped", [("de", 3), (DAY, 4)]),
        ("mapped_later", [("{{ ds }}", None), ("fr", 5)]),
        ("mapped_jobs", [("{{ ds }}", None), ("fr", 5)]),
    ],
)
def test_mapped_tasks_take_their_own_parameters_and_data(
    vertex: VertexEmulator, run: DagRun, task_id: str, expected: list[tuple[str, Any]]
) -> None:
    assert run.mapped_states(task_id) == [(0, "success"), (1, "success")]
    jobs = mapped_jobs(vertex, task_id)

    assert {
        context["data_scope"]: (params["country"], params.get("model", {}).get("depth")) for params, context in jobs
    } == {f"{task_id}[{index}]": each for index, each in enumerate(expected)}
    assert len({context["run_key"] for _, context in jobs}) == 2


@pytest.mark.parametrize(
    ("group", "job_task", "last"),
    [
        ("each.job", "submit", "wait"),
        ("each.nodes", "submit", "make_rows"),
        ("each.custom", "make_rows", "make_rows"),
    ],
)
def test_a_task_group_in_a_mapped_one_has_its_own_parameters_and_data(
    vertex: VertexEmulator, run: DagRun, group: str, job_task: str, last: str
) -> None:
    assert run.mapped_states(f"{group}.{last}") == [(0, "success"), (1, "success")]
    jobs = mapped_jobs(vertex, f"{group}.{job_task}".replace(".", "-"))

    assert {context["data_scope"]: params["country"] for params, context in jobs} == {
        f"{group}[0]": "de",
        f"{group}[1]": "fr",
    }
    assert len({context["run_key"] for _, context in jobs}) == 2


@pytest.mark.parametrize(
    ("task_id", "state", "failed_nodes"),
    [
        ("tells_success", "SUCCEEDED", []),
        ("tells_failure", "FAILED", ["make-rows"]),
        ("tells_no_job", "FAILED", []),
        ("tells_nothing", "SUCCEEDED", []),
    ],
)
def test_an_exit_pipeline_is_told_of_each_instance_of_the_mapped_tasks_before_it(
    vertex: VertexEmulator, run: DagRun, task_id: str, state: str, failed_nodes: list[str]
) -> None:
    assert run.state(task_id) == ("success", 1)
    ((params, _),) = mapped_jobs(vertex, task_id)

    assert (params["run_outcome"]["state"], params["run_outcome"]["failed_nodes"]) == (state, failed_nodes)


@pytest.mark.parametrize("task_id", ["node_fails", "sees_failure"])
def test_a_failed_node_is_named(run: DagRun, task_id: str) -> None:
    assert run.state(task_id) == ("failed", 1)
    assert run.xcom(task_id) is None
    assert "exited with a non-zero status of 4" in run.output
    assert "Error of node make_rows after 1.5 s: ValueError: no rows" in run.output
    assert re.search(r"(?m)^    The end of its log \(\d+ lines\):$", run.output)
    assert "/logs/query;query=resource.type" in run.xcom(task_id, key="vertex_ai_logs")


def test_long_parameters_travel_as_an_object(vertex: VertexEmulator, run: DagRun, storage: str) -> None:
    given = job(vertex, run, "large")["runtimeConfig"]["parameterValues"]["runtime_params"]

    url = re.fullmatch(r"@gs://bucket/(runs/kedro-vertexai-temp/[-a-z0-9]+/params-([0-9a-f]{64})\.json)", given)
    assert url is not None
    data = requests.get(f"{storage}/storage/v1/b/bucket/o/{quote(url[1], safe='')}?alt=media", timeout=120).content
    assert hashlib.sha256(data).hexdigest() == url[2]
    assert json.loads(data)["text"] == "x" * 200_000


def test_every_field_of_the_job_can_be_set(vertex: VertexEmulator, run: DagRun) -> None:
    body = job(vertex, run, "overridden")

    assert body["displayName"] == f"overridden of {DAY}"
    assert body["network"] == f"projects/1/global/networks/day-{DAY}"
    assert body["labels"]["team"] == "operator_runs"
    assert body["runtimeConfig"]["failurePolicy"] == "PIPELINE_FAILURE_POLICY_FAIL_FAST"
    assert body["runtimeConfig"]["gcsOutputDirectory"].startswith("gs://bucket/runs")


@pytest.mark.parametrize(
    ("task_id", "message"),
    [
        (
            "no_manifest",
            r"There is no manifest at /\S+/none\.json\. "
            r"Make it in the Kedro project with: kedro vertex manifest -o none\.json",
        ),
        (
            "unknown_pipeline",
            r"Project 'Small Project' has no registered pipeline 'frist'\. Did you mean 'first'\?",
        ),
        ("unknown_setting", r"unknown key run_config\.imgae\. Did you mean 'image'\?"),
        ("no_json", r"Parameter 'a\.b' contradicts parameter 'a': one of them must go\."),
        ("checked", r"KV010 error: .+"),
        ("bad_param", r"Parameter 'day': its template '\{\{ nobody \}\}' fails: 'nobody' is undefined\."),
        ("bad_runtime_param", r"Parameter 'day': its template '\{\{ nobody \}\}' fails: 'nobody' is undefined\."),
        ("bad_mapped_param", r"Parameter 'country': its template '\{\{ nobody \}\}' fails: 'nobody' is undefined\."),
        ("bad_label", r"labels\.team: its template '\{\{ nobody \}\}' fails: 'nobody' is undefined\."),
        ("no_number", r"Parameter 'rows' is 3 in the project: give a number for it, not '2013-06-02'\."),
        ("output_only", r"job_overrides has 'state', which Vertex AI writes itself\. Take it out\."),
        (
            "refused",
            r"Vertex AI refused POST projects/demo-project/locations/nowhere!/pipelineJobs with status 400: .+",
        ),
        ("two_networks_pipeline", r".*network\.psc_interface goes neither with network\.vpc nor with .+"),
        ("two_networks_custom", r".*network\.psc_interface goes neither with network\.vpc nor with .+"),
        ("no_accelerator", r"Node 'make_rows': Region africa-south1 has no NVIDIA_H100_80GB, as of .+ have it\. .+"),
        ("no_group", r"Pipeline 'first' has no node group 'make_row'\. Did you mean 'make_rows'\?"),
        ("no_job", r"Vertex AI refused GET \S+/pipelineJobs/none with status 404: .+"),
        (
            "no_name",
            r"'job-1' is no job: projects/\.\./locations/\.\./pipelineJobs/\.\. or \.\./customJobs/\.\. is expected\.",
        ),
        (
            "nobody_answers",
            r"Vertex AI does not answer at http://127\.0\.0\.1:\d+ \(Connection refused\)\. "
            r"Check the network, and the address: api_endpoint in the connection's extra, "
            r"or --api-endpoint of a command\.",
        ),
        (
            "unknown_image",
            r"  make-rows: The image \"registry/2013-06-02:1\" is not known to this emulator\. .+",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_not_tried_again(run: DagRun, task_id: str, message: str) -> None:
    assert run.state(task_id) == ("failed", 1)
    assert re.search(rf"(?m)(^|Exception: ){message}$", run.output)
    # One cause, and no chain of inner errors before it.
    assert "During handling of the above exception" not in run.output
    assert "direct cause of the following exception" not in run.output
