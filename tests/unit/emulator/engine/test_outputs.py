"""Outputs and conditions in the engine, with an executor whose containers write what the test says."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator.engine.container_io import LARGEST_OUTPUT
from airflow_provider_kedro_vertex.emulator.executors.base import Outcome
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from airflow_provider_kedro_vertex.emulator.resources.protos import to_json
from tests.unit.emulator.engine.test_pipeline_jobs import AFTER_FAILURES, NAME, Crash, Emulator
from tests.unit.emulator.scripted import run
from tests.unit.emulator.specs import container_spec

OUTPUT_FILES = [
    "{{$.outputs.parameters['x'].output_file}}",
    "{{$.outputs.artifacts['rows'].path}}",
    "{{$.outputs.output_file}}",
]
GIVEN = ["{{$.inputs.parameters['x']}}", "{{$.inputs.artifacts['rows'].path}}", "{{$.inputs.artifacts['rows'].uri}}"]
DATASET = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}


def two_tasks(kind: str = "STRING", condition: str = "", **task_fields: Any) -> dict[str, Any]:
    """``a`` makes the parameter ``x`` and the artifact ``rows``, and ``b`` is given both."""
    spec = container_spec({"a": [], "b": ["a"]}, args={"a": ["a", *OUTPUT_FILES], "b": ["b", *GIVEN]})
    interface = {"parameters": {"x": {"parameterType": kind}}, "artifacts": {"rows": DATASET}}
    spec["components"]["comp-a"]["outputDefinitions"] = interface
    spec["components"]["comp-b"]["inputDefinitions"] = interface
    tasks = spec["root"]["dag"]["tasks"]
    tasks["a"].update(task_fields)
    tasks["b"]["inputs"] = {
        "parameters": {"x": {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "x"}}},
        "artifacts": {"rows": {"taskOutputArtifact": {"producerTask": "a", "outputArtifactKey": "rows"}}},
    }
    if condition:
        tasks["b"]["triggerPolicy"] = {"condition": condition}
    return spec


def files(emulator: Emulator) -> tuple[Path, Path, Path]:
    """Where ``a`` is to write ``x``, ``rows`` and its executor output."""
    work = next(work for work in emulator.script.works if work.argv[1] == "a")
    x, rows, output = (Path(path) for path in [*work.argv[2:5], "", ""][:3])
    x.parent.mkdir(parents=True, exist_ok=True)
    return x, rows, output


def after(emulator: Emulator, spec: dict[str, Any], write: Callable[[Path, Path, Path], object]) -> Emulator:
    """Run both tasks, if ``b`` runs at all; ``a`` has written something before it ends."""

    async def scenario() -> None:
        emulator.create(spec)
        await emulator.until("a")
        write(*files(emulator))
        await emulator.end("a")
        if emulator.states["b"] in ("PENDING", "RUNNING"):
            await emulator.until("b")
            await emulator.end("b")
        await emulator.done()

    run(scenario())
    return emulator


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:
    return Emulator(tmp_path)


def test_no_folder_is_made_for_an_output(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(two_tasks())
        await emulator.until("a")
        x = Path(emulator.script.works[0].argv[2])
        assert x.parts[-5:-2] == ("root", "demo-project", "run-1")
        assert x.parts[-2] == f"a_{emulator.task('a').task_id}"
        assert not x.parent.exists()
        emulator.cancel()
        await emulator.done()

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "text", "value", "given"),
    [
        ("STRING", 'a "b"\n', 'a "b"\n', 'a "b"\n'),
        ("STRING", "5", "5", "5"),
        ("NUMBER_INTEGER", "5\n", 5, "5"),
        ("NUMBER_DOUBLE", "5", 5, "5.0"),
        ("BOOLEAN", "True", True, "true"),
        ("LIST", '[1, "a", null]', [1, "a", None], '[1, "a", null]'),
        ("STRUCT", '{"b": {}, "a": 0.5}', {"a": 0.5, "b": {}}, '{"a": 0.5, "b": {}}'),
    ],
)
def test_an_output_parameter_is_read_by_its_type_and_given_on(
    emulator: Emulator, kind: str, text: str, value: Any, given: str
) -> None:
    after(emulator, two_tasks(kind), lambda x, rows, output: x.write_text(text))
    assert emulator.state == "SUCCEEDED"
    assert to_json(emulator.task("a").execution.metadata) == {"output:x": value}
    assert emulator.script.works[1].argv[2] == given


def test_an_artifact_has_its_uri_and_its_metadata(emulator: Emulator) -> None:
    written = {"parameterValues": {"x": "1"}, "artifacts": {"rows": {"artifacts": [{"metadata": {"n": 3}}]}}}
    after(emulator, two_tasks(), lambda x, rows, output: output.write_text(json.dumps(written)))
    (artifact,) = emulator.task("a").outputs["rows"].artifacts
    uri = f"gs://bucket/root/demo-project/run-1/a_{emulator.task('a').task_id}/rows"
    assert (artifact.uri, artifact.schema_title, to_json(artifact.metadata)) == (uri, "system.Dataset", {"n": 3})
    path = str(files(emulator)[1])
    assert emulator.script.works[1].argv[2:] == ("1", path, uri)
    (given,) = emulator.task("b").inputs["rows"].artifacts
    assert given == artifact


def test_a_file_goes_before_the_executor_output(emulator: Emulator) -> None:
    def write(x: Path, rows: Path, output: Path) -> None:
        x.write_text("file")
        output.write_text('{"parameterValues": {"x": "output"}}')

    after(emulator, two_tasks(), write)
    assert emulator.script.works[1].argv[2] == "file"


@pytest.mark.parametrize(
    ("kind", "write", "said"),
    [
        ("NUMBER_INTEGER", lambda x, rows, output: x.write_text("five"), "must be a NUMBER_INTEGER in JSON"),
        ("NUMBER_INTEGER", lambda x, rows, output: x.write_text("5.5"), "must be a NUMBER_INTEGER"),
        ("NUMBER_DOUBLE", lambda x, rows, output: x.write_text("NaN"), "must be a NUMBER_DOUBLE in JSON"),
        ("STRUCT", lambda x, rows, output: x.write_text("[]"), "must be a STRUCT, not list"),
        ("LIST", lambda x, rows, output: x.write_text("[" * 100_000), "must be a LIST in JSON"),
        ("LIST", lambda x, rows, output: x.write_text("[" * 40 + "]" * 40), "more than 30 objects and lists"),
        ("LIST", lambda x, rows, output: x.write_text("[1e999]"), "too large"),
        ("LIST", lambda x, rows, output: x.write_text(r'["\ud800"]'), "surrogates not allowed"),
        ("NUMBER_INTEGER", lambda x, rows, output: x.write_text("9" * 400), "too large"),
        ("STRING", lambda x, rows, output: x.write_bytes(b"\xff"), "no UTF-8"),
        ("STRING", lambda x, rows, output: x.write_text("x" * (LARGEST_OUTPUT + 1)), "larger than"),
        ("STRING", lambda x, rows, output: x.mkdir(), "no regular file"),
        ("STRING", lambda x, rows, output: os.mkfifo(x), "no regular file"),
        ("STRING", lambda x, rows, output: x.symlink_to(x), "cannot be read"),
        ("STRING", lambda x, rows, output: output.write_text("{"), "no JSON"),
        ("STRING", lambda x, rows, output: output.write_text("[]"), "no ExecutorOutput"),
        ("STRING", lambda x, rows, output: output.write_text('{"parameterValues": {"y": 1e999}}'), "too large"),
        ("STRING", lambda x, rows, output: output.write_text('{"parameterValues": []}'), "no ExecutorOutput"),
        ("STRING", lambda x, rows, output: output.write_text('{"artifacts": {"rows": 5}}'), "of another form"),
        (
            "STRING",
            lambda x, rows, output: output.write_text('{"artifacts": {"rows": {"artifacts": [{"metadata": 5}]}}}'),
            "of another form",
        ),
    ],
)
def test_outputs_that_cannot_be_read_fail_the_task(
    emulator: Emulator, kind: str, write: Callable[[Path, Path, Path], object], said: str
) -> None:
    retry = {"retryPolicy": {"maxRetryCount": 3, "backoffDuration": "0.01s"}}
    after(emulator, two_tasks(kind, **retry), write)
    assert emulator.states == {"a": "FAILED", "b": "NOT_TRIGGERED"}
    assert said in emulator.task("a").error.message
    assert len(emulator.script.works) == 1


def test_an_output_that_is_not_written_fails_the_task_that_needs_it(emulator: Emulator) -> None:
    after(emulator, two_tasks(), lambda x, rows, output: None)
    assert emulator.states == {"a": "SUCCEEDED", "b": "FAILED"}
    assert 'parameter "x" is required and has no value. The task "a" has none' in emulator.task("b").error.message


def test_a_default_stands_for_an_output_of_a_task_that_failed(emulator: Emulator) -> None:
    spec = two_tasks()
    spec["components"]["comp-b"]["inputDefinitions"] = {
        "parameters": {"x": {"parameterType": "STRING", "defaultValue": "none", "isOptional": True}},
        "artifacts": {"rows": {**DATASET, "isOptional": True}},
    }
    spec["deploymentSpec"]["executors"]["exec-b"]["container"]["args"][2:] = [
        '{"IfPresent": {"InputName": "rows", "Then": ["rows"], "Else": ["no rows"]}}'
    ]
    spec["root"]["dag"]["tasks"]["b"].update(AFTER_FAILURES)

    async def scenario() -> None:
        emulator.create(spec)
        await emulator.until("a")
        await emulator.end("a", Outcome(Code.INVALID_ARGUMENT, "exited with 1"))
        await emulator.until("b")
        await emulator.end("b")
        await emulator.done()

    run(scenario())
    assert emulator.states == {"a": "FAILED", "b": "SUCCEEDED"}
    assert emulator.script.works[1].argv[2:] == ("none", "no rows")


@pytest.mark.parametrize(("text", "state"), [("heads", "SUCCEEDED"), ("tails", "NOT_TRIGGERED")])
def test_a_condition_decides(emulator: Emulator, text: str, state: str) -> None:
    spec = two_tasks(condition="inputs.parameter_values['x'] == 'heads'")
    after(emulator, spec, lambda x, rows, output: x.write_text(text))
    assert (emulator.state, emulator.states["b"]) == ("SUCCEEDED", state)


def test_a_condition_without_a_value_fails_the_task(emulator: Emulator) -> None:
    spec = two_tasks(condition="inputs.parameter_values['x'] < 5")
    after(emulator, spec, lambda x, rows, output: x.write_text("heads"))
    assert (emulator.state, emulator.states["b"]) == ("FAILED", "FAILED")
    assert "a str and a number have no order" in emulator.task("b").error.message


def test_a_restarted_emulator_has_the_outputs(tmp_path: Path) -> None:
    crash = Crash(tmp_path)

    async def scenario() -> None:
        crash.first.create(two_tasks())
        await crash.first.until("a")
        x, _, _ = files(crash.first)
        x.write_text("before")
        await crash.first.end("a")
        await crash.first.until("b")
        spec_of_b = crash.first.script.works[1].argv
        second = crash.restarted()
        # Its own container had been running, and this job has no retry: what it would have been given is what counts.
        second.recover()
        await second.done()
        assert second.states == {"a": "SUCCEEDED", "b": "FAILED"}
        assert spec_of_b[2] == "before"
        assert to_json(second.task("a").execution.metadata) == {"output:x": "before"}
        await crash.first.engine.close()

    run(scenario())


def test_a_retried_task_is_given_the_same_after_a_restart(tmp_path: Path) -> None:
    crash = Crash(tmp_path)
    spec = two_tasks()
    spec["root"]["dag"]["tasks"]["b"]["retryPolicy"] = {"maxRetryCount": 1, "backoffDuration": "0.01s"}

    async def scenario() -> None:
        crash.first.create(spec)
        await crash.first.until("a")
        files(crash.first)[0].write_text("before")
        await crash.first.end("a")
        await crash.first.until("b")
        second = crash.restarted()
        second.recover()
        await second.until("b")
        assert second.script.works[0].argv[2] == crash.first.script.works[1].argv[2] == "before"
        await second.end("b")
        await second.done()
        assert second.state == "SUCCEEDED"
        await crash.first.engine.close()

    run(scenario())


CACHED = {"cachingOptions": {"enableCache": True}}


def again(emulator: Emulator, spec: dict[str, Any], **values: Any) -> None:
    """Delete the job and run it anew; its containers end well, and write the output ``x`` if they have one."""

    async def scenario() -> None:
        emulator.store.delete(NAME)
        emulator.create(spec, values)
        while emulator.state not in ("SUCCEEDED", "FAILED"):
            for name in list(emulator.script.running):
                if "outputDefinitions" in spec["components"][f"comp-{name}"]:
                    files(emulator)[0].write_text("made")
                await emulator.end(name)
            await asyncio.sleep(0.001)

    emulator.script.works.clear()
    run(scenario())


def test_a_task_is_found_in_the_cache_by_what_it_is_given(emulator: Emulator) -> None:
    parameters = {"p": {"parameterType": "STRING"}}
    spec = container_spec(
        {"a": []}, args={"a": ["a", OUTPUT_FILES[0]]}, parameters=parameters, task_fields={"a": CACHED}
    )
    spec["components"]["comp-a"]["outputDefinitions"] = {"parameters": {"x": {"parameterType": "STRING"}}}
    again(emulator, spec, p="1")
    assert emulator.states == {"a": "SUCCEEDED"}
    again(emulator, spec, p="1")
    assert (emulator.state, emulator.states, emulator.script.works) == ("SUCCEEDED", {"a": "SKIPPED"}, [])
    assert to_json(emulator.task("a").execution.metadata) == {"input:p": "1", "output:x": "made"}
    assert emulator.task("a").execution.state == 5  # CACHED
    assert not emulator.task("a").executor_detail.container_detail.main_job
    again(emulator, spec, p="2")
    assert emulator.states == {"a": "SUCCEEDED"}
    spec["deploymentSpec"]["executors"]["exec-a"]["container"]["env"] = [{"name": "X", "value": "1"}]
    again(emulator, spec, p="2")
    assert emulator.states == {"a": "SUCCEEDED"}
    spec["pipelineInfo"]["name"] = "another-pipeline"
    again(emulator, spec, p="2")
    assert emulator.states == {"a": "SUCCEEDED"}


def test_a_key_of_its_own_replaces_inputs_and_command(emulator: Emulator) -> None:
    parameters = {"p": {"parameterType": "STRING"}}
    options = {"cachingOptions": {"enableCache": True, "cacheKey": "k"}}
    spec = container_spec({"a": []}, args={"a": ["a"]}, parameters=parameters, task_fields={"a": options})
    spec["deploymentSpec"]["executors"]["exec-a"]["container"]["args"].append("{{$.inputs.parameters['p']}}")
    for p, state in (("1", "SUCCEEDED"), ("2", "SKIPPED")):
        again(emulator, spec, p=p)
        assert emulator.states == {"a": state}


def test_a_failure_is_not_kept(emulator: Emulator) -> None:
    spec = container_spec({"a": []}, args={"a": ["a"]}, task_fields={"a": CACHED})

    async def failing() -> None:
        emulator.create(spec)
        await emulator.until("a")
        await emulator.end("a", Outcome(Code.INVALID_ARGUMENT, "exited with 1"))
        await emulator.done()

    run(failing())
    again(emulator, spec)
    assert emulator.states == {"a": "SUCCEEDED"}
