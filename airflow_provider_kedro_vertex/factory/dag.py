"""The DAG factory: each registered Kedro pipeline becomes an Airflow DAG, or a task group in a DAG of one's own.

Parsing reads the manifest with the standard library; Kedro, Google's clients and everything else heavy wait for
``execute``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.compat import DAG, Asset, find_dag_file
from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE
from airflow_provider_kedro_vertex.core.project.trigger_form import Choice
from airflow_provider_kedro_vertex.factory.form import written_values
from airflow_provider_kedro_vertex.factory.node_tasks import Name, Names, NodeArguments
from airflow_provider_kedro_vertex.factory.pipeline import KedroVertexDag, KedroVertexTaskGroup, PipelineTasks
from airflow_provider_kedro_vertex.lineage.assets import Assets
from airflow_provider_kedro_vertex.lineage.assets import Choice as AssetChoice
from airflow_provider_kedro_vertex.task.manifest_source import ManifestSource


def kedro_vertex_dag(
    dag_id: str | None = None,
    *,
    pipeline: str = DEFAULT_PIPELINE,
    manifest: str | None = None,
    project: str | None = None,
    python: str | None = None,
    kedro_env: str | None = None,
    mode: str = "pipeline_job",
    watch: str = "job",
    node_arguments: NodeArguments | None = None,
    task_id: Name | None = None,
    task_display_name: Name | None = None,
    form: Choice = True,
    ask_for: Sequence[str] = (),
    assets: AssetChoice = True,
    **arguments: Any,
) -> KedroVertexDag:
    """Make a DAG that runs one registered Kedro pipeline on Vertex AI.

    Airflow finds the DAG when a DAG file keeps the result in a variable of its own.

    What the DAG holds is a choice of ``mode`` and ``watch``:

    - ``mode="pipeline_job"``: one PipelineJob; a ``submit`` task, then a ``wait`` sensor.
    - ``mode="pipeline_job", watch="nodes"``: one PipelineJob; a ``submit`` task, then one sensor for each node group.
    - ``mode="custom_job"``: one CustomJob for each node group, each a task.

    The tasks of nodes stand in task groups that mirror the namespaces. With ``on_exit_pipeline`` in the settings, a
    teardown task ``on_exit`` runs it as one CustomJob when all else has ended, however it ended.

    :param dag_id: by default the project's package name, and for another pipeline than ``__default__`` an underscore
        and its name.
    :param pipeline: the registered pipeline's name.
    :param manifest: a file that ``kedro vertex manifest`` wrote; a relative path starts at the DAG file's folder. Or
        its URL in object storage, ``gs://bucket/name``: a parse uses a copy, which is read anew every five minutes.
    :param project: instead of ``manifest``: a Kedro project's folder, inspected in a subprocess when its files changed.
    :param python: with ``project``: the Python of the project's own environment.
    :param kedro_env: with ``project``: the Kedro environment.
    :param mode: ``pipeline_job`` or ``custom_job``; see above.
    :param watch: ``job`` or ``nodes``; see above.
    :param node_arguments: arguments of Airflow's ``BaseOperator`` for the tasks of nodes, by node name, tag, pattern or
        ``__default__``: ``{"train": {"pool": "gpu", "retries": 2}}``. They are laid over those of ``vertexai.yml``
        (``nodes.<selector>.airflow``).
    :param task_id: gives each node group's task its id, within the task group of its namespace:
        ``lambda group: group.name.replace(" ", "_")``. A group has ``name``, ``nodes``, ``namespace`` and ``tags``, see
        :class:`~airflow_provider_kedro_vertex.core.plan.plan.NodeGroup`. Doubles get an underscore. A task with another
        id does not find the jobs that it had in old runs.
    :param task_display_name: in the same way, the name that Airflow shows.
    :param form: the project's parameters that the trigger form shows, each with its type and its value in the project:
        True shows the scalars and short lists that the pipeline's nodes take, at most 40; names and patterns such as
        ``["training.*"]`` show those; False shows none. What a person changes there is given to Kedro and nothing else;
        the DAG's own ``params`` go before them.
    :param ask_for: what else the form asks for: ``only_nodes`` for the nodes, or the tags of nodes, that the run is to
        have, whose other tasks are then skipped; ``image`` for the container image, in the place of
        ``run_config.image``. Nothing by default. Left empty, they change nothing.
    :param assets: the datasets that live outside of the containers are assets, outlets of the task that writes them and
        inlets of those that read them. A mapping of their names gives some of them another asset or URI, or None for
        none; False makes no assets.
    :param arguments: ``run_config``, ``selection``, ``data_scope`` (by default all tasks that this makes share their
        data with each other, and with no other task), ``project_id``, ``region``, ``gcp_conn_id``,
        ``impersonation_chain``, ``deferrable`` and ``poll_interval`` (by default 60 seconds for a job, 30 for a
        watched node and 10 for a CustomJob), ``on_node_failure`` and ``same_spec``, as
        :class:`~airflow_provider_kedro_vertex.operators.KedroVertexPipelineOperator` takes them, without templates in
        ``selection``, which says here already what tasks there are; all others go to Airflow's ``DAG`` (``schedule``,
        ``start_date``, ``default_args``, ``tags``, which are the DAG's and not Kedro's, ...). Without ``schedule`` the
        DAG runs as ``schedules:`` of ``vertexai.yml`` says, and when a person triggers it where that says nothing. The
        DAG's ``params``
        become the pipeline's runtime parameters, with templates in their strings; one more, ``force_full_run``, asks in
        the trigger form whether a new attempt of this run begins from the start (see the operator), and stays out of
        Kedro.
    :raises KedroVertexError: the manifest cannot be read or has no such pipeline, ``selection`` has an unknown name,
        selects nothing, or lacks data that nodes outside of it keep in memory, or an argument is wrong; Airflow shows
        it as an import error.
    """
    file = find_dag_file(sys._getframe(1))
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        names = Names(task_id, task_display_name)
        asked = PipelineTasks(
            source, read, pipeline, mode, watch, node_arguments or {}, names, arguments, assets, ask_for
        )
        return asked.dag(file, dag_id, form)
    except KedroVertexError as error:
        # Airflow shows the last two frames of an import error: the DAG file's own line is to be one of them.
        raise error.with_traceback(None) from None


def kedro_vertex_dags(
    namespace: MutableMapping[str, Any],
    *,
    pipelines: Sequence[str] | None = None,
    dag_id_prefix: str = "",
    manifest: str | None = None,
    project: str | None = None,
    python: str | None = None,
    kedro_env: str | None = None,
    mode: str = "pipeline_job",
    watch: str = "job",
    node_arguments: NodeArguments | None = None,
    task_id: Name | None = None,
    task_display_name: Name | None = None,
    form: Choice = True,
    ask_for: Sequence[str] = (),
    assets: AssetChoice = True,
    **arguments: Any,
) -> dict[str, KedroVertexDag]:
    """Make one DAG for each registered Kedro pipeline and put them where Airflow finds them.

    ::

        # dags/flights.py
        from airflow_provider_kedro_vertex import kedro_vertex_dags

        kedro_vertex_dags(globals(), manifest="flights.manifest.json", schedule="@daily")

    :param namespace: the DAG file's ``globals()``; each DAG is put there under its id.
    :param pipelines: only these registered pipelines; None takes all.
    :param dag_id_prefix: what the ids begin with, such as ``"test_"`` for the same project in another environment.
    :param manifest: see :func:`kedro_vertex_dag`, as ``project``, ``python``, ``kedro_env``, ``mode`` and ``watch``.
    :param node_arguments: see :func:`kedro_vertex_dag`; a selector may mean nodes of some of the pipelines alone.
    :param task_id: see :func:`kedro_vertex_dag`, as ``task_display_name``.
    :param form: see :func:`kedro_vertex_dag`; a DAG shows none that other pipelines' nodes alone take.
    :param ask_for: see :func:`kedro_vertex_dag`.
    :param assets: see :func:`kedro_vertex_dag`.
    :param arguments: see :func:`kedro_vertex_dag`; the same for each DAG, so that a ``selection`` must select something
        of each pipeline.
    :return: DAG id to DAG.
    :raises KedroVertexError: the manifest cannot be read, lacks one of ``pipelines``, or an argument is wrong.
    """
    file = str(namespace.get("__file__") or find_dag_file(sys._getframe(1)))
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        names = Names(task_id, task_display_name)
        asked = [
            PipelineTasks(source, read, name, mode, watch, node_arguments or {}, names, arguments, assets, ask_for)
            for name in (sorted(read.pipelines) if pipelines is None else pipelines)
        ]
        dags = [each.dag(file, f"{dag_id_prefix}{each.default_id}", form) for each in asked]
        made = {dag.dag_id: dag for dag in dags}
        _refuse_doubles(namespace, made)
    except KedroVertexError as error:
        raise error.with_traceback(None) from None  # see kedro_vertex_dag
    namespace.update(made)
    return made


def asset(
    dataset: str,
    *,
    manifest: str | None = None,
    project: str | None = None,
    python: str | None = None,
    kedro_env: str | None = None,
    params: Mapping[str, Any] | None = None,
) -> Asset:
    """Find the asset of a Kedro dataset, to schedule a DAG by, or to name as an inlet or outlet of a task.

    ::

        kedro_vertex_dag(manifest="reports.json", schedule=[asset("metrics", manifest="flights.json")])

    :param dataset: its name in the catalog.
    :param manifest: see :func:`kedro_vertex_dag`, as ``project``, ``python`` and ``kedro_env``.
    :param params: the ``params`` of the DAG that writes it, where they say in which place.
    :return: an ``Asset``, or a ``Dataset`` in Airflow 2.
    :raises KedroVertexError: the manifest cannot be read, or has no such dataset, or it has no place of its own.
    """
    file = find_dag_file(sys._getframe(1))
    try:
        read = ManifestSource(manifest, project, python, kedro_env).read(Path(file).parent)
        return Assets.of(read, True, written_values(params)).find(dataset, read)
    except KedroVertexError as error:
        raise error.with_traceback(None) from None  # see kedro_vertex_dag


def _refuse_doubles(namespace: Mapping[str, Any], made: Mapping[str, KedroVertexDag]) -> None:
    """Refuse to put a DAG over another one of the same id: Airflow would never see the other.

    :raises ConfigError: the file has one already.
    """
    for dag_id in made:
        if isinstance(namespace.get(dag_id), DAG):
            raise ConfigError(
                f"This file has a DAG {dag_id!r} already, and the factory makes another one of that id.",
                'Give one of them another id, with dag_id_prefix="..".',
            )


def kedro_vertex_task_group(
    group_id: str | None = None,
    *,
    pipeline: str = DEFAULT_PIPELINE,
    manifest: str | None = None,
    project: str | None = None,
    python: str | None = None,
    kedro_env: str | None = None,
    mode: str = "pipeline_job",
    watch: str = "job",
    node_arguments: NodeArguments | None = None,
    task_id: Name | None = None,
    task_display_name: Name | None = None,
    params: Mapping[str, Any] | None = None,
    runtime_params: Mapping[str, Any] | None = None,
    assets: AssetChoice = True,
    **arguments: Any,
) -> KedroVertexTaskGroup:
    """Put one registered Kedro pipeline into a DAG of one's own, as a task group. Call it inside a ``with DAG(..)``.

    Its tasks share their data with each other, and with no other task of the DAG. It may stand in a mapped task group::

        @task_group
        def country(code):
            kedro_vertex_task_group("report", manifest="shop.json", runtime_params={"country": code})

        country.expand(code=["de", "fr"])

    :param group_id: by default the project's package name, and for another pipeline than ``__default__`` an underscore
        and its name.
    :param pipeline: see :func:`kedro_vertex_dag`, as ``manifest``, ``project``, ``python``, ``kedro_env``, ``mode``,
        ``watch``, ``node_arguments``, ``task_id`` and ``task_display_name``.
    :param params: runtime parameters over the DAG's, with templates in their strings.
    :param runtime_params: runtime parameters over ``params``, which may be results of other tasks, or the arguments of
        a mapped task group.
    :param assets: see :func:`kedro_vertex_dag`.
    :param arguments: see :func:`kedro_vertex_dag`; those that it hands to ``DAG`` go to Airflow's ``TaskGroup`` here
        (``default_args``, ``tooltip``, ...).
    :raises KedroVertexError: the manifest cannot be read or has no such pipeline, or an argument is wrong.
    """
    file = find_dag_file(sys._getframe(1))
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        names = Names(task_id, task_display_name)
        asked = PipelineTasks(source, read, pipeline, mode, watch, node_arguments or {}, names, arguments, assets)
        own = {"params": params, "runtime_params": runtime_params}
        for argument, values in own.items():
            asked.check_names(argument, values)
        group = KedroVertexTaskGroup(group_id=group_id or asked.default_id.replace(".", "_"), **asked.airflow_arguments)
        given = {**written_values(group.dag.params), **written_values(params), **written_values(runtime_params)}
        group.tasks_map = asked.tasks(group, {name: value for name, value in own.items() if value}, given)
    except KedroVertexError as error:
        raise error.with_traceback(None) from None  # see kedro_vertex_dag
    return group
