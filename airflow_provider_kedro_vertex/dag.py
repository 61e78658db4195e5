"""The DAG factory: each registered Kedro pipeline becomes an Airflow DAG, or a task group in a DAG of one's own.

Parsing reads the manifest with the standard library; Kedro, Google's clients and everything else heavy wait for
``execute``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.core.parameters import FORCE_FULL_RUN
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.node_tasks import NodeArguments, TasksMap, check_selectors, node_tasks
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.sensors import KedroVertexNodeSensor, KedroVertexPipelineSensor
from airflow_provider_kedro_vertex.source import ManifestSource
from airflow_provider_kedro_vertex.task.compat import DAG, BaseOperator, Param, TaskGroup

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan import Plan
    from airflow_provider_kedro_vertex.core.settings.filters import Selection

MODES = ("pipeline_job", "custom_job")
WATCHES = ("job", "nodes")

#: Ids of the tasks beside those of the nodes.
SUBMIT, WAIT, ON_EXIT = "submit", "wait", "on_exit"

#: What the factory hands to the operators; everything else goes to Airflow's DAG or TaskGroup.
_JOB_ARGUMENTS = frozenset(
    {"run_config", "selection", "data_scope", "project_id", "region", "gcp_conn_id", "impersonation_chain"}
)
#: What the factory hands to whatever waits.
_WAIT_ARGUMENTS = frozenset({"deferrable", "poll_interval"})


class KedroVertexDag(DAG):
    """A DAG that the factory made.

    ``tasks_map`` gives the task of each Kedro node, so that the graph can be wired on:
    ``dag.tasks_map["train"] >> notify``. Where the nodes have no tasks of their own, it is the one that waits for them.
    """

    tasks_map: TasksMap


class KedroVertexTaskGroup(TaskGroup):
    """A task group that the factory made; ``tasks_map`` as in :class:`KedroVertexDag`."""

    tasks_map: TasksMap


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
    :param manifest: a file that ``kedro vertex manifest`` wrote; a relative path starts at the DAG file's folder.
    :param project: instead of ``manifest``: a Kedro project's folder, inspected in a subprocess when its files changed.
    :param python: with ``project``: the Python of the project's own environment.
    :param kedro_env: with ``project``: the Kedro environment.
    :param mode: ``pipeline_job`` or ``custom_job``; see above.
    :param watch: ``job`` or ``nodes``; see above.
    :param node_arguments: arguments of Airflow's ``BaseOperator`` for the tasks of nodes, by node name, tag, pattern or
        ``__default__``: ``{"train": {"pool": "gpu", "retries": 2}}``. They are laid over those of ``vertexai.yml``
        (``nodes.<selector>.airflow``).
    :param arguments: ``run_config``, ``selection``, ``data_scope`` (by default all tasks that this makes share their
        data with each other, and with no other task), ``project_id``, ``region``, ``gcp_conn_id``,
        ``impersonation_chain``, ``deferrable`` and ``poll_interval`` (by default 60 seconds for a job, 30 for a
        watched node and 10 for a CustomJob) as
        :class:`~airflow_provider_kedro_vertex.operators.KedroVertexPipelineOperator` takes them, without templates in
        ``selection``, which says here already what tasks there are; all others go to Airflow's ``DAG`` (``schedule``,
        ``start_date``, ``default_args``, ``tags``, which are the DAG's and not Kedro's, ...). The DAG's ``params``
        become the pipeline's runtime parameters, with templates in their strings; one more, ``force_full_run``, asks in
        the trigger form whether a new attempt of this run begins from the start (see the operator), and stays out of
        Kedro.
    :raises KedroVertexError: the manifest cannot be read or has no such pipeline, ``selection`` has an unknown name,
        selects nothing, or lacks data that nodes outside of it keep in memory, or an argument is wrong; Airflow shows
        it as an import error.
    """
    file: str = sys._getframe(1).f_globals["__file__"]
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        return _Pipeline(source, read, pipeline, mode, watch, node_arguments or {}, arguments).dag(file, dag_id)
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
    mode: str = "pipeline_job",
    watch: str = "job",
    node_arguments: NodeArguments | None = None,
    **arguments: Any,
) -> dict[str, KedroVertexDag]:
    """Make one DAG for each registered Kedro pipeline and put them where Airflow finds them.

    ::

        # dags/flights.py
        from airflow_provider_kedro_vertex import kedro_vertex_dags

        kedro_vertex_dags(globals(), manifest="flights.manifest.json", schedule="@daily")

    :param namespace: the DAG file's ``globals()``; each DAG is put there under its id.
    :param pipelines: only these registered pipelines; None takes all.
    :param manifest: see :func:`kedro_vertex_dag`, as ``project``, ``python``, ``kedro_env``, ``mode`` and ``watch``.
    :param node_arguments: see :func:`kedro_vertex_dag`; a selector may mean nodes of some of the pipelines alone.
    :param arguments: see :func:`kedro_vertex_dag`; the same for each DAG, so that a ``selection`` must select something
        of each pipeline.
    :return: DAG id to DAG.
    :raises KedroVertexError: the manifest cannot be read, lacks one of ``pipelines``, or an argument is wrong.
    """
    file: str = namespace["__file__"]
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        names = sorted(read.pipelines) if pipelines is None else pipelines
        asked = [_Pipeline(source, read, name, mode, watch, node_arguments or {}, arguments) for name in names]
        dags = [each.dag(file, None) for each in asked]
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
    mode: str = "pipeline_job",
    watch: str = "job",
    node_arguments: NodeArguments | None = None,
    params: Mapping[str, Any] | None = None,
    runtime_params: Mapping[str, Any] | None = None,
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
        ``watch`` and ``node_arguments``.
    :param params: runtime parameters over the DAG's, with templates in their strings.
    :param runtime_params: runtime parameters over ``params``, which may be results of other tasks, or the arguments of
        a mapped task group.
    :param arguments: see :func:`kedro_vertex_dag`; those that it hands to ``DAG`` go to Airflow's ``TaskGroup`` here
        (``default_args``, ``tooltip``, ...).
    :raises KedroVertexError: the manifest cannot be read or has no such pipeline, or an argument is wrong.
    """
    file: str = sys._getframe(1).f_globals["__file__"]
    try:
        source = ManifestSource(manifest, project, python, kedro_env)
        read = source.read(Path(file).parent)
        asked = _Pipeline(source, read, pipeline, mode, watch, node_arguments or {}, arguments)
        own = {"params": params, "runtime_params": runtime_params}
        group = KedroVertexTaskGroup(group_id=group_id or asked.default_id, **asked.others)
        group.tasks_map = asked.tasks(group, {name: value for name, value in own.items() if value})
    except KedroVertexError as error:
        raise error.with_traceback(None) from None  # see kedro_vertex_dag
    return group


@dataclass(frozen=True)
class _Pipeline:
    """A registered pipeline and how it is to run."""

    source: ManifestSource
    read: Manifest
    name: str
    mode: str
    watch: str
    node_arguments: NodeArguments
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        for argument, value, known in (("mode", self.mode, MODES), ("watch", self.watch, WATCHES)):
            if value not in known:
                raise ConfigError(f"{argument} must be one of {', '.join(known)}, not {value!r}.")
        if self.mode == "custom_job" and self.watch == "nodes":
            raise ConfigError('watch="nodes" goes with mode="pipeline_job": in custom_job mode each node is a task.')
        if self.node_arguments and self.mode == "pipeline_job" and self.watch == "job":
            raise ConfigError('node_arguments= finds no tasks of nodes: use mode="custom_job", or watch="nodes".')
        check_selectors(self.node_arguments, self.read)
        self.read.pipeline(self.name)

    @property
    def default_id(self) -> str:
        package = self.read.project.package_name
        return package if self.name == DEFAULT_PIPELINE else f"{package}_{self.name}"

    @property
    def others(self) -> dict[str, Any]:
        """What is for Airflow's DAG or TaskGroup."""
        own = _JOB_ARGUMENTS | _WAIT_ARGUMENTS
        return {name: value for name, value in self.arguments.items() if name not in own}

    def dag(self, file: str, dag_id: str | None) -> KedroVertexDag:
        """Make a DAG."""
        nodes = str(len(self._nodes))
        if self._selection is not None:
            nodes += f" of {len(self.read.pipeline(self.name).nodes)}"
        shown = {
            "tags": ["kedro", self.read.project.package_name],
            # The digest makes a change of the project a change of the DAG, and so a new version of it in Airflow 3.
            "doc_md": f"Pipeline `{self.name}` of the Kedro project {self.read.project.name} on Vertex AI: "
            f"{nodes} nodes.\n\nManifest `{self.read.digest}`",
        }
        dag = KedroVertexDag(dag_id or self.default_id, **{**shown, **self.others})
        dag.fileloc = file  # not this module: relative paths start there
        # Airflow lays a task's params over the DAG's when it runs. Until then no task needs a copy of its own, which
        # would take as long to make as the task, and as much room in the serialized DAG.
        params, dag.params = dag.params, type(dag.params)()
        dag.tasks_map = self.tasks(dag.task_group, {})
        if self.mode == "pipeline_job":
            params.setdefault(FORCE_FULL_RUN, _force_full_run())
        dag.params = params
        return dag

    def tasks(self, parent: TaskGroup, submitting: Mapping[str, Any]) -> TasksMap:
        """Add the tasks to a task group, which may be the root of a DAG.

        :param submitting: more arguments of the tasks that submit jobs.
        """
        job = {**self._job, "scope_group_id": parent.group_id or "", **submitting}
        if self.mode == "custom_job":
            operator = partial(KedroVertexCustomJobOperator, **job, **self._waiting("poll_interval"))
            made = node_tasks(self._plan, parent, operator, self.node_arguments, taken=(ON_EXIT,))
            self._add_teardown(parent, made.leaves, job)
            return made.by_node
        place: dict[str, Any] = {"dag": parent.dag, "task_group": parent}
        submit = KedroVertexPipelineOperator(
            **place,
            task_id=SUBMIT,
            wait_for_completion=False,
            exit_handler=False,  # the teardown does its work
            force_full_run=f"{{{{ params.get('{FORCE_FULL_RUN}', False) }}}}",
            **job,
        )
        if self.watch == "nodes":
            sensor = partial(KedroVertexNodeSensor, submit_task_id=submit.task_id, **self._waiting("poke_interval"))
            made = node_tasks(self._plan, parent, sensor, self.node_arguments, taken=(SUBMIT, ON_EXIT))
            submit.set_downstream(made.roots)
            self._add_teardown(parent, made.leaves, job)
            return made.by_node
        wait = KedroVertexPipelineSensor(
            **place,
            task_id=WAIT,
            # Of its own map index: where the whole is in a mapped task group, there are others.
            job=f"{{{{ ti.xcom_pull(task_ids='{submit.task_id}', map_indexes=ti.map_index)['name'] }}}}",
            mode="reschedule",  # where it is not deferred, it must not hold a worker for hours
            cancel_on_kill=True,  # the job is this DAG's own
            **self._waiting("poke_interval"),
            **{name: job[name] for name in ("gcp_conn_id", "impersonation_chain") if name in job},
        )
        submit >> wait
        self._add_teardown(parent, [wait], job)
        return TasksMap(dict.fromkeys(self._nodes, wait))

    def _add_teardown(self, parent: TaskGroup, leaves: list[BaseOperator], job: Mapping[str, Any]) -> None:
        if self._config.on_exit_pipeline:
            from airflow_provider_kedro_vertex.core.plan import EXIT_TASK_ID

            last = KedroVertexCustomJobOperator(
                dag=parent.dag,
                task_group=parent,
                task_id=ON_EXIT,
                group=EXIT_TASK_ID,
                **job,
                **self._waiting("poll_interval"),
            )
            last.as_teardown()
            last.set_upstream(leaves)

    @property
    def _job(self) -> dict[str, Any]:
        given = {name: value for name, value in self.arguments.items() if name in _JOB_ARGUMENTS}
        source = {name: value for name, value in vars(self.source).items() if value is not None}
        return {"pipeline": self.name, **source, **given}

    def _waiting(self, interval: str) -> dict[str, Any]:
        names = {"deferrable": "deferrable", "poll_interval": interval}
        return {own: self.arguments[name] for name, own in names.items() if name in self.arguments}

    @cached_property
    def _config(self) -> RunConfig:
        return self.read.config.overridden(self.arguments.get("run_config") or {})

    @cached_property
    def _selection(self) -> Selection | None:
        given = self.arguments.get("selection")
        if not given:
            return None
        from airflow_provider_kedro_vertex.core.settings.filters import Selection  # not where a DAG runs all nodes

        return Selection.from_dict(given, "selection")

    @cached_property
    def _nodes(self) -> list[str]:
        """The nodes to run."""
        if self._selection is None:
            return [node.name for node in self.read.pipeline(self.name).nodes]
        return [name for group in self._plan.groups for name in group.nodes]

    @cached_property
    def _plan(self) -> Plan:
        from airflow_provider_kedro_vertex.core.plan import build_plan  # not where a DAG is a whole pipeline's one job

        return build_plan(
            self.read, self.name, self._config, self._selection, shares_data="data_scope" in self.arguments
        )


def _force_full_run() -> Param:
    return Param(
        False,
        type="boolean",
        title="Force a full run",
        description="Whether a retry, or a clear, of this run starts from the beginning. "
        "Otherwise it runs what did not succeed.",
    )
