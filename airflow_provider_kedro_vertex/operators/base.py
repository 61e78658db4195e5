"""The base of the operators that make one job of a Kedro pipeline and wait for it, whichever kind of job it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_provider_kedro_vertex.compat import BaseOperator, BaseOperatorLink, conf
from airflow_provider_kedro_vertex.core.errors import ConfigError, JobError, KedroVertexError, QuotaExceededError
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE
from airflow_provider_kedro_vertex.lineage.assets import report
from airflow_provider_kedro_vertex.lineage.openlineage import OpenLineageTask
from airflow_provider_kedro_vertex.links.task_links import MlflowLink, VertexJobLink, VertexLogsLink
from airflow_provider_kedro_vertex.task.deferral import is_timeout, may_end_in_triggerer

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context
    from airflow_provider_kedro_vertex.core.jobs.api import Job
    from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook
    from airflow_provider_kedro_vertex.task.job_monitor import JobMonitor
    from airflow_provider_kedro_vertex.task.lineage import TaskNodes
    from airflow_provider_kedro_vertex.task.submission import Submission
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Seconds between two tries to get a quota: the shortest pause and the longest.
QUOTA_PAUSE, LONGEST_QUOTA_PAUSE = 30.0, 300.0


class VertexJobOperator(OpenLineageTask, BaseOperator):
    """Make sure that this try has exactly one job, wait for it, end it when the task is killed, explain its failure.

    A subclass describes the job, in :meth:`submission`; everything else is here.

    XCom gets the small dict of :func:`airflow_provider_kedro_vertex.core.jobs.summary.summary`, never the job.

    Kedro's runtime parameters are this task's Airflow ``params``: the DAG's and the task's own, with the values of a
    trigger form or ``dag_run.conf`` over them. Strings in ``params`` are templates, so that
    ``params={"run_date": "{{ ds }}"}`` works; what a person typed into the form is taken as it is. A dotted name
    reaches into a nested parameter, as it does for ``kedro run --params``. ``runtime_params`` are laid over all of
    these; unlike ``params`` they can be mapped (``.partial(..).expand(runtime_params=[{..}, {..}])``) and take the
    results of other tasks.

    The operator's data are its own: what containers hand to each other, the version of versioned datasets and the
    MLflow run belong to this task (and its map index) in this DAG run. Operators that are to share them have the same
    ``data_scope``.

    :param pipeline: the registered pipeline's name (templated).
    :param manifest: path of the project's manifest, made by ``kedro vertex manifest``; a relative one starts at the DAG
        file's folder. Or its URL in object storage, ``gs://bucket/name``, which is read at most once a minute
        (templated).
    :param project: instead of ``manifest``: a Kedro project's folder, inspected in a subprocess (templated).
    :param python: with ``project``: the Python of the project's own environment (templated).
    :param kedro_env: with ``project``: the Kedro environment (templated).
    :param run_config: settings of ``vertexai.yml``'s ``run_config`` to use instead, such as
        ``{"image": "..", "resources": {"train": {"memory": "8Gi"}}}``; an ``image`` that a template leaves empty is
        that of the settings (templated).
    :param selection: the slice of the pipeline to run, by the filters of ``kedro run``: ``{"tags": ["daily"],
        "to_nodes": ["train"]}``; see
        :class:`~airflow_provider_kedro_vertex.core.settings.filters.Selection`. All of it by default (templated).
    :param only_nodes: what to run of that slice, by names of nodes and tags: a list, or one text with commas; an empty
        one is all. Unlike ``selection`` it leaves the node groups as they are; a group without such a node does not
        run, and one of its own task skips itself (templated).
    :param runtime_params: Kedro's runtime parameters over ``params``, names to values; a dotted name reaches into a
        nested one (templated).
    :param data_scope: names the data that this operator shares with all others of the DAG run that have the same name:
        the one takes what the other has made and the catalog does not declare. By default it shares none (templated).
    :param scope_group_id: in place of ``data_scope``, as the DAG factory does it: the id of the task group whose tasks
        share their data, for each map index of the group; an empty one is the whole DAG.
    :param project_id: Google Cloud project; by default the manifest's, else the connection's (templated).
    :param region: Vertex AI location; by default the manifest's (templated).
    :param same_spec: make all jobs of a DAG run, also after a clear, of the manifest and settings that its first job
        was made of, which are kept below ``root``. Otherwise each job is made of those that count at that moment.
    :param display_name: the job's title; by default the experiment or project, the pipeline and the run (templated).
    :param labels: more labels of the job, over those of this package; values in the form that Google Cloud allows
        (templated).
    :param job_overrides: fields of the job by their names in the REST API, merged over its body at every depth, for
        what has no setting of its own, such as ``{"runtimeConfig": {"inputArtifacts": {..}}}`` (templated).
    :param gcp_conn_id: the Airflow connection (templated).
    :param impersonation_chain: service accounts to impersonate (templated).
    :param wait_for_completion: False ends the task when the job is submitted; a
        :class:`~airflow_provider_kedro_vertex.sensors.KedroVertexPipelineSensor` can wait for it.
    :param deferrable: wait in the triggerer; Airflow's ``operators.default_deferrable`` by default.
    :param poll_interval: seconds between two looks at the job while waiting, at most: the triggerer looks more often
        right after a start and near the usual end.
    :param end_from_trigger: let the triggerer end a task whose job succeeded, so that no worker starts again only to
        return. It is left to a worker if the task has outlets or success callbacks, whose work is done there, or if
        a plugin such as OpenLineage's listens to what becomes of tasks, since the triggerer does not tell it.
    :param on_node_failure: called with Airflow's context at the end of each try whose nodes failed; in the context
        ``failed_nodes`` are those, each a :class:`~airflow_provider_kedro_vertex.core.errors.FailedNode`. A notifier of
        Airflow does, with templates such as ``{{ failed_nodes[0].error }}``.
    :param outage_timeout: seconds for which Vertex AI may be out of reach before a wait is given up.
    :param quota_timeout: seconds for which the task waits for a used up quota, with pauses between 30 seconds and
        5 minutes, before it fails; Airflow's retries come on top.
    """

    template_fields: Sequence[str] = (
        "pipeline",
        "manifest",
        "project",
        "python",
        "kedro_env",
        "run_config",
        "selection",
        "only_nodes",
        "runtime_params",
        "data_scope",
        "project_id",
        "region",
        "display_name",
        "labels",
        "job_overrides",
        "gcp_conn_id",
        "impersonation_chain",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "run_config": "json",
        "selection": "json",
        "runtime_params": "json",
        "labels": "json",
        "job_overrides": "json",
    }
    operator_extra_links: Sequence[BaseOperatorLink] = (VertexJobLink(), VertexLogsLink(), MlflowLink())
    ui_color = "#d2e3fc"

    pipeline: str
    manifest: str | None
    project: str | None
    python: str | None
    kedro_env: str | None
    run_config: Mapping[str, Any] | None
    selection: Mapping[str, Any] | None
    only_nodes: Sequence[str] | str | None
    runtime_params: Mapping[str, Any] | None
    data_scope: str | None
    scope_group_id: str | None
    same_spec: bool
    project_id: str | None
    region: str | None
    display_name: str | None
    labels: Mapping[str, str] | None
    job_overrides: Mapping[str, Any] | None
    gcp_conn_id: str
    impersonation_chain: str | Sequence[str] | None
    wait_for_completion: bool
    deferrable: bool
    poll_interval: float
    may_end_in_triggerer: bool
    on_node_failure: Callable[[Context], object] | None
    outage_timeout: float
    quota_timeout: float
    job_links: dict[str, str]
    fixed_params: Mapping[str, Any] | None
    _submission: Submission | None
    _job_name: str | None
    _killed: bool

    def __init__(
        self,
        *,
        pipeline: str = DEFAULT_PIPELINE,
        manifest: str | None = None,
        project: str | None = None,
        python: str | None = None,
        kedro_env: str | None = None,
        run_config: Mapping[str, Any] | None = None,
        selection: Mapping[str, Any] | None = None,
        only_nodes: Sequence[str] | str | None = None,
        runtime_params: Mapping[str, Any] | None = None,
        data_scope: str | None = None,
        scope_group_id: str | None = None,
        same_spec: bool = False,
        project_id: str | None = None,
        region: str | None = None,
        display_name: str | None = None,
        labels: Mapping[str, str] | None = None,
        job_overrides: Mapping[str, Any] | None = None,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10.0,
        end_from_trigger: bool = True,
        on_node_failure: Callable[[Context], object] | None = None,
        outage_timeout: float = 900.0,
        quota_timeout: float = 3600.0,
        **kwargs: Any,
    ) -> None:
        own = {name: value for name, value in locals().items() if name in VertexJobOperator.__annotations__}
        super().__init__(**kwargs)
        # At once: Airflow looks into each attribute that is set by itself, which in a DAG of some hundred tasks takes
        # as long as all else. What the templates need of it, it does after this.
        vars(self).update(
            own,
            may_end_in_triggerer=end_from_trigger,
            job_links={},
            fixed_params=None,
            _submission=None,
            _job_name=None,
            _killed=False,
        )

    def submission(self, context: Context) -> Submission:
        """Describe the job that this try asks for.

        :raises KedroVertexError: what it is made of is wrong.
        """
        # The operators of this package all say it; Airflow's own base classes for operators are made in the same way.
        raise NotImplementedError(f"{type(self).__name__} does not say which job it makes: define submission().")

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Context, jinja_env: Any, seen_oids: set[int]
    ) -> None:
        """Fail at once where a template fails: Airflow calls this for each task, mapped or not."""
        from airflow_provider_kedro_vertex.task.errors import to_airflow_exception
        from airflow_provider_kedro_vertex.task.templates import field_told_by_name

        for name in template_fields:
            try:
                with field_told_by_name(self, name, context):
                    super()._do_render_template_fields(parent, (name,), context, jinja_env, seen_oids)
            except ConfigError as error:
                raise to_airflow_exception(error, context) from None

    def hook(self) -> KedroVertexHook:
        """Reach Vertex AI with this task's connection."""
        from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook

        return KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)

    def task_nodes(self, context: Context, group: str | None = None) -> TaskNodes:
        """Find the Kedro nodes of the job, or of one of its node groups.

        :raises KedroVertexError: the manifest or a setting is wrong, or there is no such group.
        """
        # As submission(): each operator of this package says it. OpenLineage is then told nothing of another one's job.
        raise NotImplementedError(f"{type(self).__name__} does not say which nodes its job has: define task_nodes().")

    def asked_nodes(self, context: Context) -> Collection[str] | None:
        """Find the nodes that ``only_nodes`` leaves to run; None where it leaves all.

        :raises KedroVertexError: there is none of such a name, or the manifest or a setting is wrong.
        """
        if not self.only_nodes:
            return None
        from airflow_provider_kedro_vertex.operators.job_request import asked_groups

        return frozenset(node for nodes in asked_groups(self, context).values() for node in nodes)

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Submit, then wait here, in the triggerer, or not at all."""
        return self.submit_and_wait(context, since=time.time())

    def execute_after_pause(self, context: Context, event: Any, since: float) -> dict[str, Any] | None:
        """Submit again after a pause in the triggerer."""
        return self.submit_and_wait(context, since)

    def execute_complete(self, context: Context, event: dict[str, Any], since: float) -> dict[str, Any] | None:
        """Take over from the triggerer."""
        from airflow_provider_kedro_vertex.task.errors import event_exception, to_airflow_exception

        if "error" in event:
            raise event_exception(event)
        try:
            self._job_name = event["name"]
            monitor = self._monitor(event.get("seen"))
            self._keep_links(context, monitor)
            return self._result(context, monitor, monitor.read(context))
        except KedroVertexError as error:
            pause = self._quota_pause(error, since)
            if pause is None:
                raise to_airflow_exception(error, context) from None
            self._tell_of_pause(error, pause, since)
        return self._pause_in_triggerer(pause, since)

    def submit_and_wait(self, context: Context, since: float) -> dict[str, Any] | None:
        """Submit, and again when a quota was exhausted, and wait for the job.

        :param since: when the task began to ask for its job, in seconds since 1970.
        """
        from airflow_provider_kedro_vertex.task.errors import to_airflow_exception

        while True:
            try:
                return self._submit_once(context, since)
            except KedroVertexError as error:
                pause = self._quota_pause(error, since)
                if pause is None:
                    raise to_airflow_exception(error, context) from None
                self._tell_of_pause(error, pause, since)
            if self.deferrable:
                self._pause_in_triggerer(pause, since)
            time.sleep(pause)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Cancel the job before Airflow fails a deferred task whose time is over."""
        if is_timeout(next_method, next_kwargs):
            self._cancel(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the job of this task."""
        # Airflow 3 calls this in a signal handler, and then goes on where it was.
        self._killed = True
        if self._submission is not None:
            self._cancel()

    def _submit_once(self, context: Context, since: float) -> dict[str, Any] | None:
        from airflow_provider_kedro_vertex.core.jobs.summary import summary
        from airflow_provider_kedro_vertex.vertex.submission import submit_job

        self._submission = submission = self.submission(context)
        request = submission.request
        submitted = submit_job(submission.client, request.collection, submission.task, request.body)
        self._job_name = name = submitted.job["name"]
        self.log.info("%s Vertex AI job %s: %s.", "Submitted" if submitted.created else "Adopted", name, request.title)
        if self._killed:  # while the job was being made
            self._cancel()
        monitor = self._monitor()
        self._keep_links(context, monitor)
        if request.mlflow_url is not None:
            MlflowLink.persist(context, request.mlflow_url)
        self.log.info("See %s", monitor.url)
        if not self.wait_for_completion:
            self._note(context, submitted.job, read=False, wrote=False)
            return summary(submitted.job, monitor.url)
        job = monitor.poll(context)
        if job is None and self.deferrable:
            self._defer(monitor, since)
        while job is None:
            time.sleep(self.poll_interval)
            job = monitor.poll(context)
        return self._result(context, monitor, job)

    def _result(self, context: Context, monitor: JobMonitor, job: Job) -> dict[str, Any]:
        from airflow_provider_kedro_vertex.core.jobs.outcome import is_success

        self._note(context, job, read=True, wrote=is_success(job))
        result = monitor.result(context, job)
        report(self, context, job, self.asked_nodes(context))
        return result

    def _note(self, context: Context, job: Job, read: bool, wrote: bool) -> None:
        from airflow_provider_kedro_vertex.core.jobs.outcome import tasks
        from airflow_provider_kedro_vertex.task.lineage import note

        find = partial(self.task_nodes, context)
        note(context, self.log, self.hook(), job, find, tasks(job), read=read, wrote=wrote)

    def _defer(self, monitor: JobMonitor, since: float) -> NoReturn:
        from airflow_provider_kedro_vertex.triggers.job import KedroVertexJobTrigger

        self.defer(
            trigger=KedroVertexJobTrigger(
                job=str(self._job_name),
                gcp_conn_id=self.gcp_conn_id,
                impersonation_chain=self.impersonation_chain,
                poll_interval=self.poll_interval,
                outage_timeout=self.outage_timeout,
                cancel_on_kill=True,
                end_task=may_end_in_triggerer(self),
                since=monitor.updated,
                seen=monitor.states.seen,
                mlflow_file=monitor.mlflow_file,
                console_url=monitor.console_url,
            ),
            method_name="execute_complete",
            kwargs={"since": since},
            timeout=self._time_left(since),
        )

    def _pause_in_triggerer(self, seconds: float, since: float) -> NoReturn:
        from airflow_provider_kedro_vertex.compat import pause_trigger

        self.defer(
            trigger=pause_trigger(seconds),
            method_name="execute_after_pause",
            kwargs={"since": since},
            timeout=self._time_left(since),
        )

    def _time_left(self, since: float) -> timedelta | None:
        """The rest of ``execution_timeout``, which Airflow 3 does not apply to a deferred task."""
        if self.execution_timeout is None:
            return None
        return max(self.execution_timeout - timedelta(seconds=time.time() - since), timedelta(seconds=1))

    def _quota_pause(self, error: KedroVertexError, since: float) -> float | None:
        """Seconds until the next try to get a quota; None if the error is another one, or it has been tried enough."""
        quota = isinstance(error, QuotaExceededError) or (
            isinstance(error, JobError) and error.failure_class == "quota"
        )
        waited = time.time() - since
        # As long again as it took up to now, so that the pauses grow and no number of tries has to be kept.
        pause = min(max(waited, QUOTA_PAUSE), LONGEST_QUOTA_PAUSE)
        return pause if quota and not self._killed and waited + pause <= self.quota_timeout else None

    def _tell_of_pause(self, error: KedroVertexError, pause: float, since: float) -> None:
        left = self.quota_timeout - (time.time() - since)
        self.log.warning(
            "%s\nVertex AI's quota is exhausted: no job of this task runs, and nothing is billed. The next try is in "
            "%.0f seconds; this task fails in %.0f minutes if there is no quota by then.",
            error,
            pause,
            left / 60,
        )

    def _monitor(self, seen: dict[str, str] | None = None) -> JobMonitor:
        from airflow_provider_kedro_vertex.task.job_monitor import JobMonitor

        return JobMonitor(self.hook(), str(self._job_name), self.log, self.outage_timeout, seen)

    def _keep_links(self, context: Context, monitor: JobMonitor) -> None:
        VertexJobLink.persist(context, monitor.url)
        if monitor.log_url is not None:
            VertexLogsLink.persist(context, monitor.log_url)

    def _cancel(self, context: Context | None = None) -> None:
        """Cancel this task's jobs.

        :param context: where the task has not submitted in this process, and must find its jobs first.
        """
        from airflow_provider_kedro_vertex.task.cancel import cancel_jobs
        from airflow_provider_kedro_vertex.vertex.submission import live_jobs

        def connect() -> VertexClient:
            if context is not None:
                # Kept, so that on_kill tries again if this too takes longer than the task's time.
                self._submission = self.submission(context)
            assert self._submission is not None  # noqa: S101 - who has no context has submitted
            client = self._submission.client
            return self.hook().client(client.project_id, client.region)

        def names(client: VertexClient) -> list[str]:
            submission = self._submission
            # Between the call that creates a job and its answer nobody knows the name.
            if self._job_name or submission is None:
                return [self._job_name] if self._job_name else []
            return live_jobs(client, submission.request.collection, submission.task)

        cancel_jobs(connect, names, self.log)
