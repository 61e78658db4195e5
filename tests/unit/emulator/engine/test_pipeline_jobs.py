"""The engine against an executor whose containers end when the test says so; the store is a real one."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator.engine.custom_jobs import INTERRUPTED
from airflow_provider_kedro_vertex.emulator.engine.pipeline_jobs import RUN_LABELS
from airflow_provider_kedro_vertex.emulator.executors.base import Outcome
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.emulator.executors.noop import NoopExecutor
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    Message,
    from_json,
    to_json,
    vertex_message,
)
from airflow_provider_kedro_vertex.emulator.resources.states import PIPELINE_FINAL, JobState, PipelineState, TaskState
from tests.unit.emulator.scripted import Parts, Script, run
from tests.unit.emulator.specs import PARENT, body, container_spec, nested_spec

NAME = f"{PARENT}/pipelineJobs/run-1"
FAILED = Outcome(Code.INVALID_ARGUMENT, "exited with 1")
DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
AFTER_FAILURES = {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}


class Emulator(Parts):
    """The parts around the engine, on one data folder."""

    def __init__(self, folder: Path, places: int = 100) -> None:
        self.script = Script(places)
        super().__init__(folder, self.script)

    def create(self, spec: dict[str, Any], values: dict[str, Any] | None = None, **config: Any) -> Message:
        data = body(spec, values)
        data["runtimeConfig"].update(config)
        request = vertex_message("CreatePipelineJobRequest")(parent=PARENT, pipeline_job_id="run-1")
        from_json(request.pipeline_job, data, "pipeline_job")
        return self.service.create_pipeline_job(request)

    def cancel(self) -> None:
        self.service.cancel_pipeline_job(vertex_message("CancelPipelineJobRequest")(name=NAME))

    def recover(self) -> None:
        self.custom_jobs.recover()
        self.engine.recover()

    @property
    def job(self) -> Message:
        return self.service.get_pipeline_job(vertex_message("GetPipelineJobRequest")(name=NAME))

    @property
    def state(self) -> str:
        return PipelineState(self.job.state).name.removeprefix("PIPELINE_STATE_")

    def task(self, name: str) -> Message:
        (found,) = (detail for detail in self.job.job_detail.task_details if detail.task_name == name)
        return found

    def custom_job(self, name: str) -> Message:
        return self.service.get_custom_job(vertex_message("GetCustomJobRequest")(name=name))

    @property
    def states(self) -> dict[str, str]:
        return {
            d.task_name: TaskState(d.state).name for d in self.job.job_detail.task_details if d.task_name != "run-1"
        }

    async def until(self, *running: str) -> None:
        """Wait until exactly these containers run, and the store says so."""
        while sorted(self.script.running) != sorted(running) or any(
            detail.state != TaskState.RUNNING
            for detail in self.job.job_detail.task_details
            if detail.task_name in running
        ):
            await asyncio.sleep(0.001)

    async def end(self, name: str, outcome: Outcome = Outcome()) -> None:  # noqa: B008 - frozen
        before = len(self.task(name).pipeline_task_status)
        self.script.running[name].set_result(outcome)
        while len(self.task(name).pipeline_task_status) == before:
            await asyncio.sleep(0.001)

    async def done(self) -> None:
        while self.state not in ("SUCCEEDED", "FAILED", "CANCELLED"):
            await asyncio.sleep(0.001)


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:
    return Emulator(tmp_path)


def spec(tasks: dict[str, list[str]], **options: Any) -> dict[str, Any]:
    return container_spec(tasks, args={name: [name] for name in tasks}, **options)


def test_tasks_run_when_those_before_them_have_succeeded(emulator: Emulator) -> None:
    async def scenario() -> None:
        created = emulator.create(spec(DIAMOND))
        assert (created.state, created.HasField("job_detail")) == (PipelineState.PIPELINE_STATE_PENDING, False)
        await emulator.until("a")
        assert emulator.states == {"a": "RUNNING", "b": "PENDING", "c": "PENDING", "d": "PENDING"}
        await emulator.end("a")
        await emulator.until("b", "c")
        await emulator.end("c")
        await emulator.until("b")
        assert emulator.states == {"a": "SUCCEEDED", "b": "RUNNING", "c": "SUCCEEDED", "d": "PENDING"}
        await emulator.end("b")
        await emulator.until("d")
        await emulator.end("d")
        await emulator.done()

    run(scenario())
    job = emulator.job
    assert emulator.state == "SUCCEEDED"
    assert set(emulator.states.values()) == {"SUCCEEDED"}
    assert not job.HasField("error")
    times = [getattr(job, f"{name}_time").ToNanoseconds() for name in ("create", "start", "end", "update")]
    assert times == sorted(times)


def test_details_are_filled_as_vertex_fills_them(emulator: Emulator) -> None:
    parameters = {"p": {"parameterType": "STRING"}}

    async def scenario() -> None:
        emulator.create(spec({"a": []}, parameters=parameters), {"p": "x" * 5000})
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    root, detail = emulator.job.job_detail.task_details
    assert (root.task_name, root.parent_task_id, detail.parent_task_id) == ("run-1", 0, root.task_id)
    assert detail.task_unique_name == "a"
    assert [TaskState(status.state).name for status in detail.pipeline_task_status] == [
        "PENDING",
        "RUNNING",
        "SUCCEEDED",
    ]
    assert to_json(detail.execution.metadata) == {"input:p": "x" * 1000 + "..."}
    moments = [getattr(detail, f"{name}_time").ToNanoseconds() for name in ("create", "start", "end")]
    assert moments == sorted(moments)
    custom = emulator.custom_job(detail.executor_detail.container_detail.main_job)
    assert (custom.display_name, custom.state) == ("run-1-a", JobState.JOB_STATE_SUCCEEDED)
    container = custom.job_spec.worker_pool_specs[0].container_spec
    assert (container.image_uri, list(container.command), list(container.args)) == ("image", ["python"], ["a"])


def test_a_container_gets_its_placeholders_filled_and_values_untouched(emulator: Emulator) -> None:
    parameters = {
        "text": {"parameterType": "STRING"},
        "struct": {"parameterType": "STRUCT", "defaultValue": {"b": [1, 2.5], "a": None}},
        "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 1},
    }
    args = [
        "a",
        "--t={{$.inputs.parameters['text']}}",
        "{{$.inputs.parameters['struct']}}",
        "{{$.inputs.parameters['rate']}}",
    ]
    args.append("{{$.pipeline_job_name}}/{{$.pipeline_task_name}}")
    value = "{{$.inputs.parameters['struct']}} {{$.nonsense}} 'q' \"d\" \n \u00e9 $(X)"
    env = {"env": [{"name": "X", "value": "{{$.inputs.parameters['text']}}"}]}

    async def scenario() -> None:
        emulator.create(
            container_spec({"a": []}, parameters=parameters, args={"a": args}, container_fields=env), {"text": value}
        )
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    (work,) = emulator.script.works
    assert work.argv == ("python", "a", f"--t={value}", '{"a": null, "b": [1, 2.5]}', "1.0", "run-1/a")
    labels, own = work.env
    assert own == ("X", value)
    assert labels[0] == RUN_LABELS
    assert json.loads(labels[1]) == dict(emulator.job.labels)


def nested_value(deep: int, kind: type) -> Any:
    value: Any = kind()
    for _ in range(deep - 1):
        value = {"a": value} if kind is dict else [value]
    return value


@pytest.mark.parametrize(("kind", "name"), [(dict, "STRUCT"), (list, "LIST")])
def test_a_value_is_refused_if_its_job_could_not_be_read_again(emulator: Emulator, kind: type, name: str) -> None:
    made = spec({"a": []}, parameters={"p": {"parameterType": name}})

    async def scenario() -> None:
        with pytest.raises(ApiError, match="more than 30 objects and lists inside each other"):
            emulator.create(made, {"p": nested_value(31, kind)})
        emulator.create(made, {"p": nested_value(30, kind)})
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    assert to_json(emulator.task("a").execution.metadata) == {"input:p": nested_value(30, kind)}


def test_constants_may_hold_placeholders_over_other_arguments(emulator: Emulator) -> None:
    made = spec({"a": []}, parameters={"text": {"parameterType": "STRING"}})
    made["root"]["inputDefinitions"] = {"parameters": {"who": {"parameterType": "STRING"}}}
    made["root"]["dag"]["tasks"]["a"]["inputs"] = {
        "parameters": {
            "pipelinechannel--who": {"componentInputParameter": "who"},
            "text": {"runtimeValue": {"constant": "hello {{$.inputs.parameters['pipelinechannel--who']}}"}},
        }
    }
    made["deploymentSpec"]["executors"]["exec-a"]["container"]["args"].append("{{$.inputs.parameters['text']}}")

    async def scenario() -> None:
        emulator.create(made, {"who": "{{$.x}}"})
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    assert emulator.script.works[0].argv == ("python", "a", "hello {{$.x}}")


def test_an_optional_input_without_a_value_is_null(emulator: Emulator) -> None:
    made = spec({"a": []}, parameters={"p": {"parameterType": "STRUCT", "isOptional": True}})
    payload = """{"labels": {{$.inputs.parameters['p']}}, "n": 1}"""
    made["deploymentSpec"]["executors"]["exec-a"]["container"]["args"].append(payload)

    async def scenario() -> None:
        emulator.create(made)
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    assert json.loads(emulator.script.works[0].argv[2]) == {"labels": None, "n": 1}


def test_the_executor_input_in_a_default_is_filled(emulator: Emulator) -> None:
    """As Google's ``create_custom_training_job_from_component`` has it: escaped, in a list that becomes JSON."""
    words = ["{{$.json_escape[1]}}", "{{$.inputs.parameters['r']}}", "{{$.other}}"]
    parameters = {
        "pools": {"parameterType": "LIST", "defaultValue": [{"args": words}]},
        "r": {"parameterType": "STRING"},
    }
    made = spec({"a": []}, parameters=parameters)
    args = made["deploymentSpec"]["executors"]["exec-a"]["container"]["args"]
    args += ["{{$.inputs.parameters['pools']}}", "{{$.inputs.parameters['r']}}"]
    del made["root"]["dag"]["tasks"]["a"]["inputs"]["parameters"]["pools"]

    async def scenario() -> None:
        emulator.create(made, {"r": "{{$}}"})
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    pools, given = emulator.script.works[0].argv[2:]
    ((executor_input, *rest),) = (pool["args"] for pool in json.loads(pools))
    assert json.loads(executor_input)["inputs"]["parameterValues"]["r"] == "{{$}}"
    # What a client gives passes through untouched.
    assert (rest, given) == (["{{$}}", "{{$.other}}"], "{{$}}")


def test_the_jobs_own_names_are_filled_in_arguments_and_defaults_and_not_in_values(emulator: Emulator) -> None:
    names_ = ("google_cloud_project_id", "google_cloud_location", "service_account", "network")
    text = " ".join(f"{{{{$.pipeline_{name}}}}}" for name in names_)
    parameters = {
        "p": {"parameterType": "STRING", "defaultValue": text},
        "q": {"parameterType": "STRUCT", "defaultValue": {"key": [f"<{text}>", "{{$.other}}"]}},
        "r": {"parameterType": "STRING"},
    }
    made = spec({"a": []}, parameters=parameters)
    args = [f"{{{{$.inputs.parameters['{name}']}}}}" for name in parameters]
    made["deploymentSpec"]["executors"]["exec-a"]["container"]["args"] += [text, *args]
    # One default stands in the component alone.
    del made["root"]["dag"]["tasks"]["a"]["inputs"]["parameters"]["q"]

    async def scenario() -> None:
        emulator.create(made, {"r": text})
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    filled = "demo-project europe-west1  "
    struct = json.dumps({"key": [f"<{filled}>", "{{$.other}}"]})
    assert emulator.script.works[0].argv[2:] == (filled, filled, struct, text)


def test_with_slow_failure_all_that_can_runs(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({**DIAMOND, "other": [], "more": ["other"]}))
        await emulator.until("a", "other")
        await emulator.end("a")
        await emulator.until("b", "c", "other")
        await emulator.end("b", FAILED)
        await emulator.end("other")
        await emulator.until("c", "more")
        await emulator.end("c")
        await emulator.end("more")
        await emulator.done()

    run(scenario())
    assert emulator.state == "FAILED"
    good = dict.fromkeys(["a", "c", "other", "more"], "SUCCEEDED")
    assert emulator.states == {**good, "b": "FAILED", "d": "NOT_TRIGGERED"}
    job = emulator.job
    said = (
        "The DAG failed because some tasks failed. The failed tasks are: [b].; Job (project_id = demo-project, job_id ="
    )
    assert (job.error.code, job.error.message[: len(said)]) == (9, said)
    assert (emulator.task("b").error.code, emulator.task("b").error.message) == (3, "exited with 1")


def test_with_fast_failure_nothing_new_starts_but_what_runs_goes_on(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(
            spec({"bad": [], "long": [], "next": ["long"], "exit": ["next"]}, task_fields={"exit": AFTER_FAILURES}),
            failurePolicy="PIPELINE_FAILURE_POLICY_FAIL_FAST",
        )
        await emulator.until("bad", "long")
        await emulator.end("bad", FAILED)
        await emulator.until("long", "exit")
        await emulator.end("exit")
        await emulator.end("long")
        await emulator.done()

    run(scenario())
    assert emulator.states == {"bad": "FAILED", "long": "SUCCEEDED", "next": "NOT_TRIGGERED", "exit": "SUCCEEDED"}
    assert emulator.state == "FAILED"


def test_a_task_may_run_whatever_became_of_the_others(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": [], "b": ["a"], "clean": ["b"]}, task_fields={"clean": AFTER_FAILURES}))
        await emulator.until("a")
        await emulator.end("a", FAILED)
        await emulator.until("clean")
        await emulator.end("clean")
        await emulator.done()

    run(scenario())
    assert emulator.states == {"a": "FAILED", "b": "NOT_TRIGGERED", "clean": "SUCCEEDED"}
    assert emulator.state == "FAILED"


@pytest.mark.parametrize("good", [True, False])
def test_nested_dags_succeed_and_fail_as_one_task(emulator: Emulator, good: bool) -> None:
    inner = spec({"a": [], "b": ["a"]}, parameters={"p": {"parameterType": "STRING"}})

    async def scenario() -> None:
        emulator.create(nested_spec(inner, AFTER_FAILURES), {"p": "x"})
        await emulator.until("a")
        await emulator.end("a")
        await emulator.until("b")
        await emulator.end("b", Outcome() if good else FAILED)
        await emulator.until("last")
        await emulator.end("last")
        await emulator.done()

    run(scenario())
    assert emulator.states["group"] == ("SUCCEEDED" if good else "FAILED")
    assert emulator.state == ("SUCCEEDED" if good else "FAILED")
    assert emulator.task("b").task_unique_name == "group.b"
    assert emulator.task("b").parent_task_id == emulator.task("group").task_id
    assert to_json(emulator.task("b").execution.metadata) == {"input:p": "x"}


@pytest.mark.parametrize("good", [True, False])
def test_an_exit_task_learns_how_the_others_ended(emulator: Emulator, good: bool) -> None:
    made = nested_spec(spec({"a": []}), AFTER_FAILURES)
    made["components"]["comp-last"]["inputDefinitions"] = {
        "parameters": {"status": {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}}
    }
    made["root"]["dag"]["tasks"]["last"]["inputs"] = {
        "parameters": {"status": {"taskFinalStatus": {"producerTask": "group"}}}
    }
    made["deploymentSpec"]["executors"]["exec-last"]["container"]["args"].append("{{$.inputs.parameters['status']}}")

    async def scenario() -> None:
        emulator.create(made)
        await emulator.until("a")
        await emulator.end("a", Outcome() if good else FAILED)
        await emulator.until("last")
        await emulator.end("last")
        await emulator.done()

    run(scenario())
    status = json.loads(emulator.script.works[1].argv[2])
    shape = {"pipelineJobResourceName": NAME, "pipelineTaskName": "group"}
    message = "The DAG failed because some tasks failed. The failed tasks are: [a]."
    if good:
        assert status == {**shape, "state": "SUCCEEDED"}
    else:
        assert status == {**shape, "state": "FAILED", "error": {"code": 9, "message": message}}
    assert emulator.state == ("SUCCEEDED" if good else "FAILED")


RETRY = {"a": {"retryPolicy": {"maxRetryCount": 2, "backoffDuration": "0.01s"}}}


def test_a_failed_task_is_tried_again_as_its_policy_says(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": []}, task_fields=RETRY))
        for _ in range(2):
            await emulator.until("a")
            await emulator.end("a", FAILED)
        await emulator.until("a")
        await emulator.end("a")
        await emulator.done()

    run(scenario())
    detail = emulator.task("a")
    container = detail.executor_detail.container_detail
    assert emulator.state == "SUCCEEDED"
    assert [emulator.custom_job(name).state for name in container.failed_main_jobs] == [JobState.JOB_STATE_FAILED] * 2
    assert emulator.custom_job(container.main_job).state == JobState.JOB_STATE_SUCCEEDED
    history = [(TaskState(status.state).name, status.error.message) for status in detail.pipeline_task_status]
    again = [("PENDING", "exited with 1"), ("RUNNING", "")]
    assert history == [("PENDING", ""), ("RUNNING", ""), *again, *again, ("SUCCEEDED", "")]
    assert not detail.HasField("error")


def test_tries_come_to_an_end(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": []}, task_fields=RETRY))
        for _ in range(3):
            await emulator.until("a")
            await emulator.end("a", FAILED)
        await emulator.done()

    run(scenario())
    assert emulator.state == "FAILED"
    assert len(emulator.script.works) == 3


def test_a_tasks_custom_job_that_is_cancelled_fails_the_task_for_good(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": []}, task_fields=RETRY))
        await emulator.until("a")
        name = emulator.task("a").executor_detail.container_detail.main_job
        emulator.service.cancel_custom_job(vertex_message("CancelCustomJobRequest")(name=name))
        assert emulator.custom_job(name).state == JobState.JOB_STATE_CANCELLING
        await emulator.done()
        assert emulator.custom_job(name).state == JobState.JOB_STATE_CANCELLED

    run(scenario())
    assert (emulator.state, emulator.task("a").error.code) == ("FAILED", Code.CANCELLED)
    assert len(emulator.script.works) == 1


def test_a_tasks_custom_job_and_its_pipeline_are_cancelled_together(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": []}))
        await emulator.until("a")
        name = emulator.task("a").executor_detail.container_detail.main_job
        emulator.service.cancel_custom_job(vertex_message("CancelCustomJobRequest")(name=name))
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert (emulator.state, emulator.states) == ("CANCELLED", {"a": "CANCELLED"})


def test_what_no_try_can_mend_is_not_tried_again(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": []}, task_fields=RETRY))
        await emulator.until("a")
        await emulator.end("a", Outcome(Code.NOT_FOUND, "no image", retry=False))
        await emulator.done()

    run(scenario())
    assert len(emulator.script.works) == 1


def test_an_executor_that_breaks_fails_its_task_alone(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": [], "b": []}))
        await emulator.until("a", "b")
        emulator.script.running["a"].set_exception(RuntimeError("broken"))
        await emulator.until("b")
        await emulator.end("b")
        await emulator.done()

    run(scenario())
    assert emulator.states == {"a": "FAILED", "b": "SUCCEEDED"}
    assert emulator.task("a").error.code == Code.INTERNAL
    assert "could not be run" in caplog.text


def test_cancelling_ends_what_runs_and_starts_nothing(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": [], "b": ["a"], "clean": ["b"]}, task_fields={"clean": AFTER_FAILURES}))
        await emulator.until("a")
        emulator.cancel()
        assert emulator.state == "CANCELLING"
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert emulator.state == "CANCELLED"
    assert set(emulator.states.values()) == {"CANCELLED"}
    assert emulator.job.error.code == Code.CANCELLED
    assert (
        emulator.custom_job(emulator.task("a").executor_detail.container_detail.main_job).state
        == JobState.JOB_STATE_CANCELLED
    )
    history = [TaskState(status.state).name for status in emulator.task("a").pipeline_task_status]
    assert history == ["PENDING", "RUNNING", "CANCELLING", "CANCELLED"]
    with pytest.raises(ApiError, match="is in state PIPELINE_STATE_CANCELLED and cannot be canceled"):
        emulator.cancel()


def test_a_job_can_be_cancelled_before_it_began(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": []}))
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert (emulator.state, emulator.script.works) == ("CANCELLED", [])


def test_a_job_can_be_cancelled_right_after_a_task_was_started(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(spec({"a": []}))
        while not emulator.states:
            await asyncio.sleep(0)
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert (emulator.state, emulator.script.works) == ("CANCELLED", [])


def test_cancelling_ends_a_wait_for_the_next_try(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(
            spec({"a": []}, task_fields={"a": {"retryPolicy": {"maxRetryCount": 1, "backoffDuration": "999s"}}})
        )
        await emulator.until("a")
        await emulator.end("a", FAILED)
        await emulator.until()
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert (emulator.state, len(emulator.script.works)) == ("CANCELLED", 1)


def test_a_nested_dag_is_cancelled_with_its_tasks(emulator: Emulator) -> None:
    async def scenario() -> None:
        emulator.create(nested_spec(spec({"a": [], "b": ["a"]})))
        await emulator.until("a")
        emulator.cancel()
        await emulator.done()

    run(scenario())
    assert emulator.states == dict.fromkeys(["group", "last", "a", "b"], "CANCELLED")


def wide(count: int) -> dict[str, list[str]]:
    names = [f"t{number:03}" for number in range(count)]
    return {"first": [], **{name: ["first"] for name in names}, "last": names}


def chain(count: int) -> dict[str, list[str]]:
    return {f"t{number:03}": [f"t{number - 1:03}"] if number else [] for number in range(count)}


@pytest.mark.parametrize("shape", [wide, chain])
def test_twice_the_tasks_are_about_twice_the_work(tmp_path: Path, shape: Callable[[int], dict[str, list[str]]]) -> None:
    def lines(count: int) -> int:
        """How many lines of Python are run for a job of so many tasks."""
        counted = 0

        def count_line(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal counted
            counted += event == "line"
            return count_line

        (tmp_path / str(count)).mkdir()
        parts = Parts(tmp_path / str(count), NoopExecutor({"image": Noop(0)}, None, Script()))
        request = vertex_message("CreatePipelineJobRequest")(parent=PARENT, pipeline_job_id="run-1")
        from_json(request.pipeline_job, body(spec(shape(count))), "pipeline_job")

        async def scenario() -> None:
            parts.service.create_pipeline_job(request)
            before = sys.gettrace()
            sys.settrace(count_line)
            try:
                while parts.store.unfinished(names.PIPELINE_JOBS, PIPELINE_FINAL):
                    await asyncio.sleep(0.05)
            finally:
                sys.settrace(before)

        run(scenario())
        job = parts.store.pipeline_job(NAME)
        assert job is not None
        assert job.state == PipelineState.PIPELINE_STATE_SUCCEEDED
        parts.store.close()
        return counted

    # With a look at every task at each change it would be four times the work.
    assert lines(160) / lines(80) < 2.5


class Crash:
    """An emulator that is killed: nothing of it is closed, and a new one starts on a copy of its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = Emulator(self._made("first"))

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def restarted(self) -> Emulator:
        shutil.copytree(self.folder / "first", self.folder / "second")
        return Emulator(self.folder / "second")


def test_what_ran_when_the_emulator_was_killed_has_failed(tmp_path: Path) -> None:
    crash = Crash(tmp_path)

    async def scenario() -> None:
        crash.first.create(spec({"a": [], "b": ["a"], "other": []}))
        await crash.first.until("a", "other")
        await crash.first.end("other")
        after = crash.restarted()
        after.recover()
        await after.done()
        assert after.states == {"a": "FAILED", "b": "NOT_TRIGGERED", "other": "SUCCEEDED"}
        assert (after.task("a").error.code, after.task("a").error.message) == (Code.INTERNAL, INTERRUPTED)
        assert after.script.works == []
        await crash.first.engine.close()

    run(scenario())


def test_what_ran_is_tried_again_by_its_policy(tmp_path: Path) -> None:
    crash = Crash(tmp_path)

    async def scenario() -> None:
        crash.first.create(
            nested_spec(spec({"a": [], "b": ["a"]}, task_fields=RETRY, parameters={"p": {"parameterType": "STRING"}})),
            {"p": "x"},
        )
        await crash.first.until("a")
        after = crash.restarted()
        after.recover()
        await after.until("a")
        await after.end("a")
        await after.until("b")
        await after.end("b")
        await after.until("last")
        await after.end("last")
        await after.done()
        assert after.state == "SUCCEEDED"
        assert len(after.task("a").executor_detail.container_detail.failed_main_jobs) == 1
        await crash.first.engine.close()

    run(scenario())


def test_a_dag_whose_turn_had_not_come_still_waits_for_it(tmp_path: Path) -> None:
    crash = Crash(tmp_path)
    made = nested_spec(spec({"a": []}))
    made["root"]["dag"]["tasks"]["last"] = {"componentRef": {"name": "comp-last"}, **RETRY["a"]}
    made["root"]["dag"]["tasks"]["group"]["dependentTasks"] = ["last"]

    async def scenario() -> None:
        crash.first.create(made)
        await crash.first.until("last")
        after = crash.restarted()
        after.recover()
        await after.until("last")
        assert after.states == {"group": "PENDING", "last": "RUNNING"}
        await after.end("last")
        await after.until("a")
        await after.end("a")
        await after.done()
        assert after.state == "SUCCEEDED"
        await crash.first.engine.close()

    run(scenario())


def test_what_only_waited_goes_on(tmp_path: Path) -> None:
    crash = Crash(tmp_path)
    crash.first.script.places = asyncio.Semaphore(1)

    async def scenario() -> None:
        crash.first.create(spec({"a": [], "b": []}))
        await crash.first.until("a")
        after = crash.restarted()
        after.recover()
        await after.until("b")
        await after.end("b")
        await after.done()
        assert after.states == {"a": "FAILED", "b": "SUCCEEDED"}
        await crash.first.engine.close()

    run(scenario())


def test_a_job_that_had_not_begun_begins(tmp_path: Path) -> None:
    crash = Crash(tmp_path)

    async def scenario() -> None:
        crash.first.create(spec({"a": []}))
        after = crash.restarted()
        after.recover()
        await after.until("a")
        await after.end("a")
        await after.done()
        assert after.state == "SUCCEEDED"
        await crash.first.engine.close()

    run(scenario())


def test_a_cancel_that_was_under_way_is_finished(tmp_path: Path) -> None:
    crash = Crash(tmp_path)

    async def scenario() -> None:
        crash.first.create(spec({"a": [], "b": ["a"]}))
        await crash.first.until("a")
        crash.first.cancel()
        after = crash.restarted()
        after.recover()
        await after.done()
        assert (after.state, set(after.states.values())) == ("CANCELLED", {"CANCELLED"})
        await crash.first.done()

    run(scenario())


def test_closing_ends_containers_and_leaves_their_jobs_to_the_next_start(tmp_path: Path) -> None:
    before = Emulator(tmp_path)

    async def scenario() -> None:
        before.create(spec({"a": [], "b": ["a"]}))
        await before.until("a")
        await before.engine.close()
        assert before.script.running == {}
        assert before.states == {"a": "RUNNING", "b": "PENDING"}
        before.store.close()
        after = Emulator(tmp_path)
        after.recover()
        await after.done()
        assert after.states == {"a": "FAILED", "b": "NOT_TRIGGERED"}

    run(scenario())
