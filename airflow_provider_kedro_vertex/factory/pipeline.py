"""One registered pipeline as Airflow tasks, in a DAG or a task group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.compat import DAG, BaseOperator, TaskGroup
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.parameters import FORCE_FULL_RUN, FormValues
from airflow_provider_kedro_vertex.core.project.kedro_run import kedro_run
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.text import airflow_id
from airflow_provider_kedro_vertex.factory.form import (
    CHOSEN_NODES,
    IMAGE,
    ONLY_NODES,
    chosen_image,
    force_full_run,
    run_fields,
    trigger_form,
)
from airflow_provider_kedro_vertex.factory.node_tasks import (
    Names,
    NodeArguments,
    TasksMap,
    check_selectors,
    follow_skipped,
    node_tasks,
)
from airflow_provider_kedro_vertex.lineage.assets import Assets
from airflow_provider_kedro_vertex.lineage.assets import Choice as AssetChoice
from airflow_provider_kedro_vertex.task.manifest_source import ManifestSource

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan
    from airflow_provider_kedro_vertex.core.project.trigger_form import Choice
    from airflow_provider_kedro_vertex.core.settings.filters import Selection

MODES = ("pipeline_job", "custom_job")
WATCHES = ("job", "nodes")

#: Ids of the tasks beside those of the nodes.
SUBMIT, WAIT, ON_EXIT = "submit", "wait", "on_exit"

#: What the factory hands to the operators; everything else goes to Airflow's DAG or TaskGroup.
_JOB_ARGUMENTS = frozenset({
    "data_scope", "gcp_conn_id", "impersonation_chain", "labels", "project_id", "quota_timeout", "region", "run_config",
    "same_spec", "selection",
})  # fmt: skip
#: What the factory hands to the tasks that make the pipeline's jobs, and not to the teardown.
_OWN_JOB_ARGUMENTS = frozenset({"display_name", "job_overrides"})
#: What the factory hands to whatever waits.
_WAIT_ARGUMENTS = frozenset({"deferrable", "on_node_failure", "outage_timeout", "poll_interval"})
#: By one of these a DAG file says when its DAG runs, be it never; the last two are Airflow 2's.
_SAYS_WHEN = ("schedule", "schedule_interval", "timetable")
#: Node tasks of a DAG that have a text and all links. Airflow stores both with each task, which takes a task as much
#: room again; a hundred of them are 50 to 100 KB. See docs/decisions/0022.
MOST_DESCRIBED = 100
#: Airflow takes 250 characters for the id of a DAG, and of a task with its task groups before it.
ID_LENGTH = 250


class KedroVertexDag(DAG):
    """A DAG that the factory made.

    ``tasks_map`` gives the task of each Kedro node, so that the graph can be wired on:
    ``dag.tasks_map["train"] >> notify``. Where the nodes have no tasks of their own, it is the one that waits for them.
    ``form`` is what stands in its trigger form while nobody changes it.
    """

    tasks_map: TasksMap
    form: FormValues


class KedroVertexTaskGroup(TaskGroup):
    """A task group that the factory made; ``tasks_map`` as in :class:`KedroVertexDag`."""

    tasks_map: TasksMap


@dataclass(frozen=True)
class PipelineTasks:
    """A registered pipeline and how it is to run."""

    source: ManifestSource
    manifest: Manifest
    name: str
    mode: str
    watch: str
    node_arguments: NodeArguments
    names: Names
    arguments: Mapping[str, Any]
    assets: AssetChoice = True
    ask_for: Sequence[str] = ()

    def __post_init__(self) -> None:
        for argument, value, known in (("mode", self.mode, MODES), ("watch", self.watch, WATCHES)):
            if value not in known:
                raise ConfigError(f"{argument} must be one of {', '.join(known)}, not {value!r}.")
        if self.mode == "custom_job" and self.watch == "nodes":
            raise ConfigError('watch="nodes" goes with mode="pipeline_job": in custom_job mode each node is a task.')
        if self.node_arguments and self.mode == "pipeline_job" and self.watch == "job":
            raise ConfigError('node_arguments= finds no tasks of nodes: use mode="custom_job", or watch="nodes".')
        if self.names != Names() and self.mode == "pipeline_job" and self.watch == "job":
            raise ConfigError(
                'task_id= and task_display_name= find no tasks of nodes: use mode="custom_job", or watch="nodes".'
            )
        check_selectors(self.node_arguments, self.manifest)
        self.manifest.pipeline(self.name)

    @property
    def default_id(self) -> str:
        """The id of its DAG or task group where none is given."""
        package = self.manifest.project.package_name
        return package if self.name == DEFAULT_PIPELINE else airflow_id(f"{package}_{self.name}", ID_LENGTH)

    @property
    def airflow_arguments(self) -> dict[str, Any]:
        """The arguments for Airflow's DAG or TaskGroup."""
        own = _JOB_ARGUMENTS | _OWN_JOB_ARGUMENTS | _WAIT_ARGUMENTS
        return {name: value for name, value in self.arguments.items() if name not in own}

    def check_names(self, argument: str, values: Any) -> None:
        """Refuse runtime parameters that nothing in the project reads: most likely a name is misspelt.

        :param values: names to values; anything else (the result of a task) is known when it runs.
        :raises ConfigError: there is such a name.
        """
        if not isinstance(values, Mapping) or not values:
            return
        from airflow_provider_kedro_vertex.core.project.parameters import known_parameters, parameter_of

        known = known_parameters(self.manifest)
        for name in _names(values):
            try:
                if name != FORCE_FULL_RUN:
                    parameter_of(name, known)
            except ConfigError as error:
                fix = f"{error.fix} If a hook of the project reads it, write it into its parameters.yml too."
                raise ConfigError(f"{argument}: {error.message}", fix) from None

    def dag(self, file: str, dag_id: str | None, choice: Choice) -> KedroVertexDag:
        """Make a DAG.

        :param choice: the fields of its trigger form; see :func:`.trigger_form.choose_fields`.
        """
        arguments = self.airflow_arguments
        self.check_names("params", arguments.get("params"))
        own = {**(arguments.get("params") or {}), **((arguments.get("default_args") or {}).get("params") or {})}
        manifest = replace(self.manifest, config=self._config) if "run_config" in self.arguments else self.manifest
        fields, form = trigger_form(manifest, self.name, choice, own)
        if self.ask_for:
            inside = set(self._nodes)
            known = [node for node in self.manifest.pipeline(self.name).nodes if node.name in inside]
            asked = run_fields(manifest, self.ask_for, known)
            fields |= asked
            form = replace(form, run=frozenset(asked))
        nodes = str(len(self._nodes))
        if self._selection is not None:
            nodes += f" of {len(self.manifest.pipeline(self.name).nodes)}"
        shown: dict[str, Any] = {
            "tags": ["kedro", self.manifest.project.package_name],
            # The digest makes a change of the project a change of the DAG, and so a new version of it in Airflow 3; not
            # a change of a parameter's value, which is in the image, unless the form shows it.
            "doc_md": "\n\n".join(self._text(nodes)),
        }
        if self._config.description:
            shown["description"] = self._config.description
        when = self._when(arguments)
        dag = KedroVertexDag(dag_id or self.default_id, **{**shown, **arguments, **when, "params": None})
        dag.form = form
        dag.fileloc = file  # not this module: relative paths start there
        # Airflow lays a task's params over the DAG's when it runs. Until then no task needs a copy of its own, which
        # would take as long to make as the task, and as much room in the serialized DAG. And Airflow checks all of them
        # each time that they are set, so that is once.
        if dag.params:  # those of default_args
            dag.params = type(dag.params)()
        dag.tasks_map = self.tasks(dag.task_group, {}, form.author)
        if self.mode == "pipeline_job":
            fields.setdefault(FORCE_FULL_RUN, force_full_run())
        dag.params = type(dag.params)(fields)
        return dag

    def _text(self, nodes: str) -> Iterator[str]:
        """The paragraphs of a DAG's text.

        :param nodes: how many there are.
        """
        yield f"Pipeline `{self.name}` of the Kedro project {self.manifest.project.name} on Vertex AI: {nodes} nodes."
        if self._selection is None:
            yield f"At home: `{kedro_run(self.name, self.manifest.env)}`"
        if self._config.kedro_viz_url:
            yield f"[Kedro-Viz]({self._config.kedro_viz_url})"
        yield f"Manifest `{self.manifest.definition_digest}`"

    def _when(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a DAG that say when it runs, where its file does not."""
        if any(name in given for name in _SAYS_WHEN):
            return {}
        if not self._config.schedules:
            return {"schedule": None}  # Airflow 2 would run it daily
        from airflow_provider_kedro_vertex.factory.schedule import schedule_arguments  # not where there is none

        return schedule_arguments(self._config, self.name, given)

    def tasks(self, parent: TaskGroup, submitting: Mapping[str, Any], params: Mapping[str, Any]) -> TasksMap:
        """Add the tasks to a task group, which may be the root of a DAG.

        :param submitting: more arguments of the tasks that submit jobs.
        :param params: the runtime parameters that each run has.
        """
        assets = Assets.of(self.manifest, self.assets, params)
        nodes = {node.name: node for node in self.manifest.pipeline(self.name).nodes}

        def connect(task: BaseOperator, group: NodeGroup) -> None:
            vars(task)["fixed_params"] = params
            if ONLY_NODES in self.ask_for:
                follow_skipped(task, group)
            assets.connect(task, (nodes[name] for name in group.nodes))
            self._describe(task, group)

        shared = {**self._job, "scope_group_id": parent.group_id or "", **submitting}
        if ONLY_NODES in self.ask_for:
            shared["only_nodes"] = CHOSEN_NODES
        job = {**shared, **{name: self.arguments[name] for name in _OWN_JOB_ARGUMENTS if name in self.arguments}}
        if self.mode == "custom_job":
            from airflow_provider_kedro_vertex.operators.custom_job import KedroVertexCustomJobOperator

            if job.get("display_name"):
                job["display_name"] += " {{ task.group }}"  # each of the jobs has a title of its own
            operator = partial(KedroVertexCustomJobOperator, **job, **self._waiting("poll_interval"))
            made = node_tasks(self._plan, parent, operator, self.node_arguments, (ON_EXIT,), connect, self.names)
            self._add_teardown(parent, made.leaves, shared)
            return made.by_node
        from airflow_provider_kedro_vertex.operators.pipeline_job import KedroVertexPipelineOperator

        submit = KedroVertexPipelineOperator(
            dag=parent.dag,
            task_group=parent,
            task_id=SUBMIT,
            wait_for_completion=False,
            exit_handler=False,  # the teardown does its work
            force_full_run=f"{{{{ params.get('{FORCE_FULL_RUN}', False) }}}}",
            **job,
        )
        vars(submit)["fixed_params"] = params
        if self.watch == "nodes":
            from airflow_provider_kedro_vertex.operators.node import KedroVertexNodeOperator

            node = partial(KedroVertexNodeOperator, submit_task_id=submit.task_id, **self._waiting("poke_interval"))
            taken = (SUBMIT, ON_EXIT)
            made = node_tasks(self._plan, parent, node, self.node_arguments, taken, connect, self.names)
            submit.set_downstream(made.roots)
            self._add_teardown(parent, made.leaves, shared)
            return made.by_node
        wait = self._wait(parent, submit, job)
        assets.connect(wait, (nodes[name] for name in self._nodes))
        self._add_teardown(parent, [wait], shared)
        return TasksMap(dict.fromkeys(self._nodes, wait))

    def _wait(self, parent: TaskGroup, submit: BaseOperator, job: Mapping[str, Any]) -> BaseOperator:
        from airflow_provider_kedro_vertex.sensors.job import KedroVertexPipelineSensor

        wait = KedroVertexPipelineSensor(
            dag=parent.dag,
            task_group=parent,
            task_id=WAIT,
            # Of its own map index: where the whole is in a mapped task group, there are others.
            job=f"{{{{ ti.xcom_pull(task_ids='{submit.task_id}', map_indexes=ti.map_index)['name'] }}}}",
            submitted_by=submit.task_id,
            mode="reschedule",  # where it is not deferred, it must not hold a worker for hours
            cancel_on_kill=True,  # the job is this DAG's own
            **self._waiting("poke_interval"),
            **{name: job[name] for name in ("gcp_conn_id", "impersonation_chain") if name in job},
        )
        submit >> wait
        return wait

    def _add_teardown(self, parent: TaskGroup, leaves: list[BaseOperator], job: Mapping[str, Any]) -> None:
        if self._config.on_exit_pipeline:
            from airflow_provider_kedro_vertex.operators.exit import KedroVertexExitOperator

            last = KedroVertexExitOperator(
                dag=parent.dag,
                task_group=parent,
                task_id=ON_EXIT,
                # Those of default_args are meant for the pipeline's own jobs, which may be of another kind.
                job_overrides=None,
                display_name=None,
                **job,
                **self._waiting("poll_interval"),
            )
            last.as_teardown()
            last.set_upstream(leaves)

    def _describe(self, task: BaseOperator, group: NodeGroup) -> None:
        """Give a task the text of its node group, unless it has one, or a DAG of many nodes would grow too large."""
        if len(self._plan.groups) <= MOST_DESCRIBED:
            if task.doc_md is None:
                vars(task)["doc_md"] = self._texts[group.task_id]
        elif self.watch == "nodes":
            vars(task)["operator_extra_links"] = (*task.operator_extra_links,)[:1]

    @cached_property
    def _texts(self) -> dict[str, str]:
        from airflow_provider_kedro_vertex.core.plan.node_text import node_texts  # where nodes have tasks alone

        return node_texts(self._plan, self.manifest)

    @property
    def _job(self) -> dict[str, Any]:
        given = {name: value for name, value in self.arguments.items() if name in _JOB_ARGUMENTS}
        source = {name: value for name, value in vars(self.source).items() if value is not None}
        if IMAGE in self.ask_for:
            own = given.get("run_config") or {}
            given["run_config"] = {**own, "image": chosen_image(own.get("image") or "")}
        return {"pipeline": self.name, **source, **given}

    def _waiting(self, interval: str) -> dict[str, Any]:
        given = {name: self.arguments[name] for name in _WAIT_ARGUMENTS if name in self.arguments}
        return {interval if name == "poll_interval" else name: value for name, value in given.items()}

    @cached_property
    def _config(self) -> RunConfig:
        return self.manifest.config.overridden(self.arguments.get("run_config") or {})

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
            return [node.name for node in self.manifest.pipeline(self.name).nodes]
        return [name for group in self._plan.groups for name in group.nodes]

    @cached_property
    def _plan(self) -> Plan:
        # Not where a DAG is a whole pipeline's one job.
        from airflow_provider_kedro_vertex.core.plan.plan import build_plan

        return build_plan(
            self.manifest, self.name, self._config, self._selection, shares_data="data_scope" in self.arguments
        )


def _names(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from (f"{name}.{inner}" for inner in _names(value))
        else:
            yield name
