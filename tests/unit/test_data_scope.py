"""Which tasks of a DAG share their data, as its file says it; what comes of it is in `runtime/test_data_scopes.py`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_task_group
from airflow_provider_kedro_vertex.compat import DAG, BaseOperator
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.identity import WHOLE_DAG, DataScope
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from airflow_provider_kedro_vertex.operators.data_scope import data_scope, title_among_others
from airflow_provider_kedro_vertex.task.run import runtime_params
from tests.unit.conftest import small_manifest


def context(map_index: int | None = -1, conf: Any = None, **params: Any) -> Any:
    return {
        "ti": SimpleNamespace(map_index=map_index),
        "dag_run": SimpleNamespace(conf=conf),
        "params": {**params, **(conf or {})},
        "ds": "2024-01-01",
    }


def job_tasks(dag: DAG) -> list[VertexJobOperator]:
    return [task for task in dag.tasks if isinstance(task, VertexJobOperator)]


@pytest.mark.parametrize(
    "arguments", [{}, {"watch": "nodes"}, {"mode": "custom_job"}, {"run_config": {"on_exit_pipeline": "first"}}]
)
def test_the_tasks_of_a_dag_or_task_group_have_one_scope(manifest_file: Path, arguments: dict[str, Any]) -> None:
    given = {"manifest": str(manifest_file), **arguments}
    whole = kedro_vertex_dag("whole", schedule=None, **given)
    assert {data_scope(task, context()) for task in job_tasks(whole)} == {WHOLE_DAG}
    assert {title_among_others(task, context()) for task in job_tasks(whole)} == {None}

    with DAG("mine", schedule=None) as dag:
        kedro_vertex_task_group("one", **given)
    assert {data_scope(task, context()) for task in job_tasks(dag)} == {DataScope("task_group", "one")}
    assert {title_among_others(task, context()) for task in job_tasks(dag)} == {None}
    assert {data_scope(task, context(3)) for task in job_tasks(dag)} == {DataScope("task_group", "one", 3)}
    assert {title_among_others(task, context(3)) for task in job_tasks(dag)} == {"one[3]"}

    with DAG("named", schedule=None) as dag:
        kedro_vertex_task_group("one", data_scope="both", **given)
        kedro_vertex_task_group("two", data_scope="both", **given)
    assert {data_scope(task, context()) for task in job_tasks(dag)} == {DataScope("given", "both")}
    assert {title_among_others(task, context()) for task in job_tasks(dag)} == {None}


def test_an_operator_that_stands_alone_has_a_scope_of_its_own(manifest_file: Path) -> None:
    given: dict[str, Any] = {"manifest": str(manifest_file)}
    with kedro_vertex_dag("whole", schedule=None, **given) as dag:
        alone = KedroVertexPipelineOperator(task_id="alone", **given)
        part = KedroVertexCustomJobOperator(task_id="part", group="load", data_scope=" part ", **given)
        BaseOperator(task_id="other")

    assert data_scope(alone, context(None)) == DataScope("task", "alone")
    assert data_scope(alone, context(0)) == DataScope("task", "alone", 0)
    assert data_scope(part, context(0)) == DataScope("given", "part")
    submit: Any = dag.get_task("submit")
    titles = [title_among_others(task, context()) for task in (submit, alone, part)]
    assert titles == [None, "alone", "part"]  # the DAG's own is the parent of the others


def test_a_single_operator_is_not_one_of_several(manifest_file: Path) -> None:
    with DAG("mine", schedule=None) as dag:
        task = KedroVertexPipelineOperator(task_id="alone", manifest=str(manifest_file))
        BaseOperator(task_id="other")
    assert title_among_others(task, context()) is None
    assert title_among_others(task, context(0)) == "alone[0]"

    with dag:
        KedroVertexPipelineOperator.partial(task_id="mapped", manifest="x").expand(runtime_params=[{"a": 1}])
    assert title_among_others(task, context()) == "alone"


def test_runtime_params_are_laid_over_params_and_what_a_person_typed() -> None:
    params = {"model.depth": 3, "model.kind": "{{ ds }}", "day": "{{ ds }}", "typed": 0}
    with DAG("mine", schedule=None, params={"from_dag": 1, "force_full_run": True}):
        task = KedroVertexPipelineOperator(
            task_id="run",
            manifest="x",
            params=params,
            runtime_params={"model": {"depth": 4}, "typed": 2, "new.one": []},
        )
    given = context(conf={"typed": 1}, **task.params.dump())
    assert runtime_params(task, given, task.runtime_params, small_manifest().parameters) == {
        "from_dag": 1,
        "model": {"depth": 4, "kind": "2024-01-01"},
        "day": "2024-01-01",
        "typed": 2,
        "new": {"one": []},
    }

    task.runtime_params = {"a": 1, "a.b": 2}
    with pytest.raises(ConfigError, match="contradicts"):
        runtime_params(task, given, task.runtime_params, small_manifest().parameters)
    task.runtime_params = ["country"]  # type: ignore[assignment]
    with pytest.raises(ConfigError, match=r"Task 'run': runtime_params must be a dict .+ not \['country'\]"):
        runtime_params(task, given, task.runtime_params, small_manifest().parameters)


def test_results_of_other_tasks_make_them_come_first() -> None:
    for operator in (KedroVertexPipelineOperator, KedroVertexCustomJobOperator):
        with DAG("mine", schedule=None):
            before = BaseOperator(task_id="before")
            more = {"group": "load"} if operator is KedroVertexCustomJobOperator else {}
            task = operator(task_id="run", manifest="x", runtime_params={"country": before.output}, **more)
        assert task.upstream_task_ids == {"before"}
