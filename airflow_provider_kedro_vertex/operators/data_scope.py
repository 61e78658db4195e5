"""The part of a DAG run that an operator's data belong to. Imported when a task runs, not at parse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.identity import WHOLE_DAG, DataScope
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from airflow_provider_kedro_vertex.task.run import map_index

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context


def data_scope(operator: VertexJobOperator, context: Context) -> DataScope:
    """Say which part of the DAG run the operator's data belong to.

    :param operator: with its templates rendered; the task that runs, or another one of the same map index.
    :raises ConfigError: its ``data_scope`` is empty.
    """
    if operator.data_scope is not None:
        name = str(operator.data_scope).strip()
        if not name:
            raise ConfigError(
                f"Task {operator.task_id!r}: data_scope is empty, so it is not known which tasks share data.",
                "Give it a name, or leave it out.",
            )
        return DataScope("given", name)
    if operator.scope_group_id is None:
        return DataScope("task", operator.task_id, map_index(context))
    if not operator.scope_group_id:
        return WHOLE_DAG
    return DataScope("task_group", operator.scope_group_id, map_index(context))


def title_among_others(operator: VertexJobOperator, context: Context) -> str | None:
    """The title of the operator's data scope if the DAG has others too; None if all of its data are in one."""
    scope = data_scope(operator, context)
    declared = {_declared(task, context) for task in (operator, *operator.dag.tasks)} - {None}
    return scope.title if scope.name and (len(declared) > 1 or scope.map_index >= 0) else None


def _declared(task: Any, context: Context) -> tuple[str, ...] | None:
    """Read off a task whose data it shares, whatever its map index; None if it makes no job."""
    if isinstance(task, VertexJobOperator):
        if task.data_scope is not None:
            return ("given", str(task.render_template(task.data_scope, context)).strip())
        return ("task", task.task_id) if task.scope_group_id is None else ("task_group", task.scope_group_id)
    # Airflow has another object in the place of a mapped operator.
    kind = getattr(task, "operator_class", None)
    makes_jobs = isinstance(kind, type) and issubclass(kind, VertexJobOperator)
    return ("mapped", task.task_id) if makes_jobs else None
