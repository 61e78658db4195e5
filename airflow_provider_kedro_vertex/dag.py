"""The DAG factory: each registered Kedro pipeline becomes an Airflow DAG, or a task group in a DAG of one's own.

Parsing reads the manifest with the standard library; Kedro, Google's clients and everything else heavy wait for
``execute``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import DAG, TaskGroup

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.sensors import KedroVertexPipelineSensor
from airflow_provider_kedro_vertex.source import ManifestSource

#: What the factory hands to the operator; everything else goes to Airflow's DAG or TaskGroup.
_SUBMIT_ARGUMENTS = frozenset({"run_config", "project_id", "region"})
#: What the factory hands to the operator and to the sensor.
_SHARED_ARGUMENTS = frozenset({"gcp_conn_id", "impersonation_chain"})
#: What the factory hands to the sensor, under the sensor's own names.
_WAIT_ARGUMENTS = {"deferrable": "deferrable", "poll_interval": "poke_interval"}


def kedro_vertex_dag(
    dag_id: str | None = None,
    *,
    pipeline: str = DEFAULT_PIPELINE,
    manifest: str | None = None,
    project: str | None = None,
    python: str | None = None,
    kedro_env: str | None = None,
    **arguments: Any,
) -> DAG:
    """Make a DAG that runs one registered Kedro pipeline on Vertex AI: a ``submit`` task, then a ``wait`` sensor.

    Airflow finds the DAG when a DAG file keeps the result in a variable of its own.

    :param dag_id: by default the project's package name, and for another pipeline than ``__default__`` an underscore
        and its name.
    :param pipeline: the registered pipeline's name.
    :param manifest: a file that ``kedro vertex manifest`` wrote; a relative path starts at the DAG file's folder.
    :param project: instead of ``manifest``: a Kedro project's folder, inspected in a subprocess when its files changed.
    :param python: with ``project``: the Python of the project's own environment.
    :param kedro_env: with ``project``: the Kedro environment.
    :param arguments: ``run_config``, ``project_id``, ``region``, ``gcp_conn_id``, ``impersonation_chain``,
        ``deferrable`` and ``poll_interval`` (60 seconds by default) as
        :class:`~airflow_provider_kedro_vertex.operators.KedroVertexPipelineOperator` takes them; all others go to
        Airflow's ``DAG`` (``schedule``, ``start_date``, ``default_args``, ...). The DAG's ``params`` become the
        pipeline's runtime parameters, with templates in their strings.
    :raises KedroVertexError: the manifest cannot be read or has no such pipeline; Airflow shows it as an import error.
    """
    file: str = sys._getframe(1).f_globals["__file__"]
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        return _dag(file, source, source.read(Path(file).parent), dag_id, pipeline, arguments)
    except KedroVertexError as error:
        # Airflow shows the last two frames of an import error: the DAG file's own line is to be one of them.
        raise error.with_traceback(None) from None


def kedro_vertex_dags(
    namespace: MutableMapping[str, Any],
    *,
    pipelines: Sequence[str] | None = None,
    manifest: str | None = None,
    project: str | None = None,
    python: str | None = None,
    kedro_env: str | None = None,
    **arguments: Any,
) -> dict[str, DAG]:
    """Make one DAG for each registered Kedro pipeline and put them where Airflow finds them.

    ::

        # dags/flights.py
        from airflow_provider_kedro_vertex import kedro_vertex_dags

        kedro_vertex_dags(globals(), manifest="flights.manifest.json", schedule="@daily")

    :param namespace: the DAG file's ``globals()``; each DAG is put there under its id.
    :param pipelines: only these registered pipelines; None takes all.
    :param manifest: see :func:`kedro_vertex_dag`, as ``project``, ``python`` and ``kedro_env``.
    :param arguments: see :func:`kedro_vertex_dag`; the same for each DAG.
    :return: DAG id to DAG.
    :raises KedroVertexError: the manifest cannot be read, or lacks one of ``pipelines``.
    """
    file: str = namespace["__file__"]
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        names = sorted(read.pipelines) if pipelines is None else pipelines
        dags = [_dag(file, source, read, None, name, arguments) for name in names]
    except KedroVertexError as error:
        raise error.with_traceback(None) from None  # see kedro_vertex_dag
    made = {dag.dag_id: dag for dag in dags}
    namespace.update(made)
    return made


def kedro_vertex_task_group(
    group_id: str | None = None,
    *,
    pipeline: str = DEFAULT_PIPELINE,
    manifest: str | None = None,
    project: str | None = None,
    python: str | None = None,
    kedro_env: str | None = None,
    params: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> TaskGroup:
    """Put one registered Kedro pipeline into a DAG of one's own, as a task group. Call it inside a ``with DAG(..)``.

    :param group_id: by default the project's package name, and for another pipeline than ``__default__`` an underscore
        and its name.
    :param pipeline: see :func:`kedro_vertex_dag`, as ``manifest``, ``project``, ``python`` and ``kedro_env``.
    :param params: runtime parameters over the DAG's, with templates in their strings.
    :param arguments: see :func:`kedro_vertex_dag`; those that it hands to ``DAG`` go to Airflow's ``TaskGroup`` here
        (``default_args``, ``tooltip``, ...).
    :raises KedroVertexError: the manifest cannot be read, or has no such pipeline.
    """
    file: str = sys._getframe(1).f_globals["__file__"]
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        read.pipeline(pipeline)
    except KedroVertexError as error:
        raise error.with_traceback(None) from None  # see kedro_vertex_dag
    own, rest = _split(arguments)
    with TaskGroup(group_id=group_id or _name(read, pipeline), **rest) as group:
        _tasks(source, pipeline, own, params)
    return group


def _dag(
    file: str,
    source: ManifestSource,
    read: Manifest,
    dag_id: str | None,
    pipeline: str,
    arguments: Mapping[str, Any],
) -> DAG:
    nodes = len(read.pipeline(pipeline).nodes)
    own, rest = _split(arguments)
    shown = {
        "tags": ["kedro", read.project.package_name],
        # The digest makes a change of the project a change of the DAG, and so a new version of it in Airflow 3.
        "doc_md": f"Pipeline `{pipeline}` of the Kedro project {read.project.name} on Vertex AI: {nodes} nodes.\n\n"
        f"Manifest `{read.digest}`",
    }
    dag = DAG(dag_id or _name(read, pipeline), **{**shown, **rest})
    dag.fileloc = file  # not this module: relative paths start there
    with dag:
        _tasks(source, pipeline, own, params=None)
    return dag


def _tasks(
    source: ManifestSource, pipeline: str, arguments: Mapping[str, Any], params: Mapping[str, Any] | None
) -> None:
    """Add the two tasks to the DAG or task group that is open."""
    submit = KedroVertexPipelineOperator(
        task_id="submit",
        pipeline=pipeline,
        manifest=source.manifest,
        project=source.project,
        python=source.python,
        kedro_env=source.kedro_env,
        params=params,
        wait_for_completion=False,
        **_only(arguments, _SUBMIT_ARGUMENTS | _SHARED_ARGUMENTS),
    )
    wait = KedroVertexPipelineSensor(
        task_id="wait",
        job=f"{{{{ ti.xcom_pull(task_ids='{submit.task_id}')['name'] }}}}",
        mode="reschedule",  # where it is not deferred, it must not hold a worker for hours
        cancel_on_kill=True,  # the job is this DAG's own
        **{own: arguments[name] for name, own in _WAIT_ARGUMENTS.items() if name in arguments},
        **_only(arguments, _SHARED_ARGUMENTS),
    )
    submit >> wait


def _name(read: Manifest, pipeline: str) -> str:
    package = read.project.package_name
    return package if pipeline == DEFAULT_PIPELINE else f"{package}_{pipeline}"


def _split(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell what is for the tasks from what is for Airflow's DAG or TaskGroup."""
    own = _SUBMIT_ARGUMENTS | _SHARED_ARGUMENTS | _WAIT_ARGUMENTS.keys()
    return _only(arguments, own), {name: value for name, value in arguments.items() if name not in own}


def _only(arguments: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: arguments[name] for name in arguments if name in names}
