"""From Airflow's context to plain values: the try, the run, and Kedro's runtime parameters.

Imported when a task runs, not at parse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from airflow_provider_kedro_vertex.compat import BaseOperator, Context
from airflow_provider_kedro_vertex.core import text
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs import identity, parameters
from airflow_provider_kedro_vertex.core.jobs.attempts import TaskTry
from airflow_provider_kedro_vertex.core.jobs.identity import DataScope
from airflow_provider_kedro_vertex.core.jobs.parameters import FormValues
from airflow_provider_kedro_vertex.core.jobs.request import Run
from airflow_provider_kedro_vertex.core.project.manifest import Parameter
from airflow_provider_kedro_vertex.core.project.parameters import from_data, from_template, parameter_of, same_value
from airflow_provider_kedro_vertex.task.templates import told_by_name

Operator = TypeVar("Operator", bound=BaseOperator)


def task_try(operator: BaseOperator, context: Context, scope: DataScope, prefix: str | None) -> TaskTry:
    """Describe the try of an operator's task instance: the one that runs, or another one of its DAG run.

    :param scope: the part of the DAG run whose data the task's are.
    :param prefix: ``run_config.job_id_prefix``.
    """
    ti = context["ti"]
    start = context["dag_run"].start_date
    return TaskTry(
        dag_run_key=identity.run_key(ti.dag_id, ti.run_id),
        run_key=identity.run_key(ti.dag_id, ti.run_id, scope),
        task_id=operator.task_id,
        map_index=map_index(context),
        try_number=ti.try_number,
        # Clearing a task sets max_tries to the tries made so far plus its retries, in Airflow 2 and 3.
        first_try=ti.max_tries - (operator.retries or 0) + 1,
        run_start=text.label_value(start.isoformat() if start else ""),
        prefix=prefix or "",
    )


def run(context: Context, task: TaskTry, data_scope: str | None) -> Run:
    """Describe the DAG run.

    :param data_scope: the title of the task's data scope, if the DAG run has several.
    """
    return Run(
        run_key=task.run_key,
        dag_id=context["ti"].dag_id,
        run_id=context["ti"].run_id,
        # A manual run of Airflow 3 may have no logical date, and then no data interval either.
        moment=context.get("logical_date") or context["dag_run"].run_after,
        logical_date=context.get("logical_date"),
        data_interval_start=context.get("data_interval_start"),
        data_interval_end=context.get("data_interval_end"),
        dag_run_key=task.dag_run_key,
        data_scope=data_scope,
    )


def caller_labels(context: Context) -> dict[str, str | None]:
    """Name the task that asks for a job, as the job's labels."""
    ti = context["ti"]
    return {"airflow-dag-id": ti.dag_id, "airflow-run-id": ti.run_id, "airflow-task-id": ti.task_id}


def asked_by_label(context: Context) -> dict[str, str]:
    """Name the try that runs, as a label of a job that it asks for in the place of another task."""
    ti = context["ti"]
    return {"kedro-asked-by": text.digest(ti.task_id, str(ti.map_index), str(ti.try_number))[:32]}


def runtime_params(
    operator: BaseOperator, context: Context, own: Any, project: Mapping[str, Parameter]
) -> dict[str, Any]:
    """Kedro's runtime parameters: the operator's params, templates rendered, and its ``runtime_params`` over them.

    They get the types of the project's parameters. A param of the DAG or task without a value (None) is left to the
    project: the trigger form gives it for a field that stays empty. So is a field of the factory's form that has the
    project's own value. A value from ``dag_run.conf`` is data and never a template, but for what the DAG's author wrote
    into the factory's form and nobody changed; a null there that belongs to no such param is a value like others.

    :param own: the operator's ``runtime_params``, rendered; None if it has none.
    :param project: see :func:`.project.parameters.known_parameters`.
    :raises ConfigError: two names contradict each other, a template fails or gives a value of another type than the
        project's parameter, or ``runtime_params`` is no mapping.
    """
    given = context["dag_run"].conf or {}
    values = dict(context["params"])
    # Those of the task that runs, which is not always the operator's own.
    values |= {name: value for name, value in dict(operator.params).items() if name not in given}
    declared = {*operator.dag.params, *operator.params}
    form = getattr(operator.dag, "form", FormValues())  # of a DAG that the factory made
    base: dict[str, Any] = {}
    for name, value in values.items():
        if name == parameters.FORCE_FULL_RUN or name in form.run:
            continue
        if (value is None and name in declared) or _unchanged(name, value, form.project):
            continue
        if name in given and not _unchanged(name, value, form.author):
            base[name] = _typed(name, value, project)
        else:
            base[name] = _typed(name, _rendered(operator, context, name, value), project, template=value)
    base = parameters.nested(base)
    if own is None:
        return base
    if not isinstance(own, Mapping):
        raise ConfigError(
            f"Task {operator.task_id!r}: runtime_params must be a dict of names and values, not {own!r}.",
            "When they are mapped, each item of the list is such a dict.",
        )
    # Airflow has rendered them: any text may be what a template gave.
    own = {name: _typed(name, value, project, template="{{ }}") for name, value in own.items()}
    return parameters.merge(base, parameters.nested(own))


def _unchanged(name: str, value: Any, form: Mapping[str, Any]) -> bool:
    return name in form and same_value(value, form[name])


def _rendered(operator: BaseOperator, context: Context, name: str, value: Any) -> Any:
    with told_by_name(f"Parameter {name!r}", value, context):
        return operator.render_template(value, context)


def _typed(name: str, value: Any, project: Mapping[str, Parameter], template: Any = None) -> Any:
    """A value of the project's type, at every depth.

    :param template: what the value was made of, if it is no data.
    """
    if isinstance(value, Mapping):
        inside = template if isinstance(template, Mapping) else dict.fromkeys(value, template)
        return {key: _typed(f"{name}.{key}", item, project, inside.get(key)) for key, item in value.items()}
    try:
        parameter = parameter_of(name, project)
    except ConfigError:  # a param of the DAG that is not for Kedro
        return value
    rendered = isinstance(template, str) and ("{{" in template or "{%" in template)
    return (from_template if rendered else from_data)(name, value, parameter)


def map_index(context: Context) -> int:
    """The map index of the task instance that runs; -1 if it is not mapped."""
    index = context["ti"].map_index
    return -1 if index is None else index


def rendered(operator: Operator, context: Context) -> Operator:
    """Another task of the same DAG run with its templates rendered."""
    operator = operator.prepare_for_execution()
    operator.render_template_fields(context)
    return operator
