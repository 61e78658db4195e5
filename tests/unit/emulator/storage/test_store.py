from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    CustomJob,
    Message,
    Operation,
    PipelineJob,
    PipelineTaskDetail,
    from_json,
    now,
)
from airflow_provider_kedro_vertex.emulator.resources.states import PIPELINE_FINAL, PipelineState
from airflow_provider_kedro_vertex.emulator.storage.store import Store, StoreError
from tests.unit.emulator.specs import PARENT, container_spec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


def job(job_id: str, size: int = 1, state: PipelineState = PipelineState.PIPELINE_STATE_PENDING) -> Message:
    message = PipelineJob(name=f"{PARENT}/pipelineJobs/{job_id}", display_name=job_id, state=state, labels={"a": "b"})
    from_json(message.pipeline_spec, container_spec({f"t{n}": [] for n in range(size)}), "spec")
    message.create_time.CopyFrom(now())
    return message


def test_a_job_comes_back_whole_also_after_a_restart(path: Path) -> None:
    store, message = Store(path), job("one")
    store.add_pipeline_job(message)
    message.job_detail.task_details.add(task_id=1, task_name="x")
    message.state = PipelineState.PIPELINE_STATE_RUNNING
    changed = PipelineJob()
    changed.CopyFrom(message)
    changed.ClearField("pipeline_spec")
    store.save(changed)
    assert store.pipeline_job(message.name) == message
    assert store.pipeline_job(message.name, with_spec=False) == changed
    store.close()
    assert Store(path).pipeline_job(message.name) == message


def test_details_are_stored_one_by_one_in_their_order_and_go_with_their_job(path: Path) -> None:
    store, one, two = Store(path), job("one"), job("two")
    details = [PipelineTaskDetail(task_id=number, task_name=f"task-{number}") for number in (7, 3, 5)]
    for message in (one, two):
        store.add_pipeline_job(message)
        store.save(message, details)
    details[1].state = 3
    store.save(one, details[1:2])
    stored = store.pipeline_job(one.name)
    assert stored is not None
    assert list(stored.job_detail.task_details) == details
    assert stored.pipeline_spec == one.pipeline_spec
    without = store.pipeline_job(one.name, with_tasks=False)
    assert without is not None
    assert not without.job_detail.task_details
    store.delete(one.name)
    store.add_pipeline_job(one)
    for name, count in ((one.name, 0), (two.name, 3)):
        found = store.pipeline_job(name)
        assert found is not None
        assert len(found.job_detail.task_details) == count


def test_a_name_is_taken_once(path: Path) -> None:
    store = Store(path)
    store.add_pipeline_job(job("one"))
    with pytest.raises(KeyError):
        store.add_pipeline_job(job("one", size=2))
    assert len(store.rows(PARENT, names.PIPELINE_JOBS)) == 1


def test_equal_specs_are_stored_once_and_go_with_the_last_job(path: Path) -> None:
    store = Store(path)
    for message in (job("one"), job("two"), job("three", size=2)):
        store.add_pipeline_job(message)

    def specs() -> int:
        with sqlite3.connect(path) as db:
            count = db.execute("SELECT count(*) FROM specs").fetchone()[0]
        db.close()
        return int(count)

    assert specs() == 2
    store.delete(job("one").name)
    assert (specs(), store.pipeline_job(job("one").name)) == (2, None)
    store.delete(job("two").name)
    assert specs() == 1
    assert store.pipeline_job(job("three").name) is not None


def test_rows_hold_what_lists_need(path: Path) -> None:
    store = Store(path)
    store.add_pipeline_job(job("one"))
    (row,) = store.rows(PARENT, names.PIPELINE_JOBS)
    assert (row["pipeline_name"], row["state"], row["labels"], row["end_time"]) == (
        "a-pipeline",
        "PIPELINE_STATE_PENDING",
        {"a": "b"},
        None,
    )
    assert isinstance(row["create_time"], int)
    assert store.rows("projects/other-project/locations/europe-west1", names.PIPELINE_JOBS) == []
    assert len(store.rows(None, names.PIPELINE_JOBS)) == 1


def test_unfinished_jobs(path: Path) -> None:
    store = Store(path)
    for message in (
        job("b"),
        job("a", state=PipelineState.PIPELINE_STATE_RUNNING),
        job("c", state=PipelineState.PIPELINE_STATE_FAILED),
    ):
        store.add_pipeline_job(message)
    assert store.unfinished(names.PIPELINE_JOBS, PIPELINE_FINAL) == [job("b").name, job("a").name]


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    store = Store(path)
    with pytest.raises(KeyError), store.transaction():  # noqa: PT012 - the block is what is tested
        store.add_pipeline_job(job("one"))
        with store.transaction():
            store.add_pipeline_job(job("one"))
    assert store.rows(None, names.PIPELINE_JOBS) == []
    with store.transaction():
        store.add_pipeline_job(job("one"))
    assert len(store.rows(None, names.PIPELINE_JOBS)) == 1


def test_custom_jobs_operations_and_processes(path: Path) -> None:
    store = Store(path)
    custom = CustomJob(name=f"{PARENT}/customJobs/1", display_name="x", state=2)
    store.add_custom_job(custom)
    operation = Operation(name="op", done=True)
    store.save_operation(operation)
    assert store.custom_job(custom.name) == custom
    assert store.custom_job(f"{PARENT}/pipelineJobs/1") is None
    assert (store.operation("op"), store.operation("none")) == (operation, None)


def test_the_file_is_private(path: Path) -> None:
    Store(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_no_store_is_refused(path: Path) -> None:
    path.write_text("something else, and long enough to be looked at" * 100)
    with pytest.raises(StoreError, match="cannot be used as a database"):
        Store(path)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="another version"):
        Store(path)
