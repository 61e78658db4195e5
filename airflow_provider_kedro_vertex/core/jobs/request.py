"""A job to ask Vertex AI for, as plain values, and the body that is made of them.

Airflow's operators and ``kedro vertex run-once`` describe their job in the same way, so that both get the same body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from airflow_provider_kedro_vertex.core.jobs import resume
from airflow_provider_kedro_vertex.core.jobs.api import Job, JobBody
from airflow_provider_kedro_vertex.core.jobs.attempts import DAG_RUN_LABEL, RUN_LABEL, TaskTry
from airflow_provider_kedro_vertex.core.jobs.custom_job import custom_job
from airflow_provider_kedro_vertex.core.jobs.identity import GROUP_LABEL, RunContext, save_version
from airflow_provider_kedro_vertex.core.jobs.memory import more_memory, with_more_memory
from airflow_provider_kedro_vertex.core.jobs.origin import COMMIT_LABEL, DIGEST_LENGTH, MANIFEST_LABEL
from airflow_provider_kedro_vertex.core.jobs.overrides import with_overrides
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan
from airflow_provider_kedro_vertex.core.project.locations import HIDDEN
from airflow_provider_kedro_vertex.core.text import counted, label_value

#: The kinds of job, as their resource names have them.
Collection = Literal["pipelineJobs", "customJobs"]

# Where the manifest was made, this variable said from which commit; kedro-vertexai's projects have it.
_COMMIT = "KEDRO_CONFIG_COMMIT_ID"

#: The label of a job whose containers log in MLflow, at a server that a browser may open.
MLFLOW_LABEL = "kedro-mlflow"


@dataclass(frozen=True)
class Run:
    """The run that a job belongs to: a DAG run, or a person's call of ``run-once``.

    :param run_key: names the place of the run's data; see :func:`.identity.run_key`.
    :param dag_id: Airflow's DAG id, or what stands in for it.
    :param run_id: Airflow's run id, or what stands in for it.
    :param moment: the time that versions of datasets are named after.
    :param logical_date: None where Airflow has none.
    :param data_interval_start: None where Airflow has none.
    :param data_interval_end: None where Airflow has none.
    :param dag_run_key: the run key of the whole DAG; None outside of Airflow.
    :param data_scope: the title of the data scope, if the DAG run has several.
    """

    run_key: str
    dag_id: str
    run_id: str
    moment: datetime
    logical_date: datetime | None = None
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    dag_run_key: str | None = None
    data_scope: str | None = None


@dataclass(frozen=True)
class JobRequest:
    """A PipelineJob of a plan, or a CustomJob of one of its node groups.

    :param plan: what is to run.
    :param run: the run that it belongs to.
    :param project_id: Google Cloud project.
    :param region: Vertex AI location.
    :param params: runtime parameters as the containers take them: JSON text, or ``@gs://..`` where it is stored.
    :param display_name: the job's title.
    :param caller: labels that name who asks, with texts of any form; None leaves one out.
    :param labels: the user's labels.
    :param overrides: fields of the REST API over the body; see :mod:`.overrides`.
    :param task: the Airflow try that asks; None outside of Airflow.
    :param asked_by: labels that name another task's try that asks in the place of ``task``.
    :param spec: the plan, compiled, if it is at hand; see :func:`.pipeline_spec.pipeline_spec`.
    :param group: the node group of a CustomJob; None makes a PipelineJob of the plan.
    :param manifest: the digest of the manifest that the plan was made of.
    :param timeout_seconds: how long a CustomJob may run where the settings say nothing.
    :param full_run: run all of the plan, also after attempts that did a part of it.
    """

    plan: Plan
    run: Run
    project_id: str
    region: str
    params: str
    display_name: str
    caller: Mapping[str, str | None]
    labels: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    task: TaskTry | None = None
    asked_by: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] | None = None
    group: NodeGroup | None = None
    manifest: str | None = None
    timeout_seconds: float | None = None
    full_run: bool = False

    @property
    def collection(self) -> Collection:
        """The kind of job."""
        return "pipelineJobs" if self.group is None else "customJobs"

    @property
    def title(self) -> str:
        """The work in a few words, for a log line."""
        pipeline = f"pipeline {self.plan.pipeline} of {self.plan.project}"
        if self.group is not None:
            return f"{self.group.name} of {pipeline}"
        return f"{pipeline}, {counted(len(self.plan.groups), 'node group')}"

    @property
    def mlflow_url(self) -> str | None:
        """The page of the project's MLflow server; None if it has none that a browser could open and all may see."""
        uri = self.plan.config.mlflow.tracking_uri if self.plan.config.mlflow else None
        return uri if uri and uri.startswith(("http://", "https://")) and HIDDEN not in uri else None

    def remaining(self, earlier: Sequence[Job]) -> Plan | None:
        """The part of the plan that earlier attempts left to do; None for all of it."""
        if self.full_run or self.group is not None or self.task is None:
            return None
        return resume.remaining(self.plan, earlier, self.task)

    def body(self, job_id: str, earlier: Sequence[Job] = ()) -> JobBody:
        """Write the body of the job.

        :param job_id: the id of this attempt.
        :param earlier: the attempts before it, the oldest first.
        :raises ConfigError: a setting does not fit, or an override is wrong.
        """
        context = self._context(job_id)
        left = self.remaining(earlier)
        if self.group is not None:
            group = more_memory(self.group, earlier)
            made = custom_job(
                self.plan, group, context, self.params, self.display_name, self._labels(), self.timeout_seconds
            )
        else:
            plan = with_more_memory(left or self.plan, earlier)
            spec = self.spec if plan is self.plan else None
            made = pipeline_job(plan, context, self.params, self.display_name, self._labels(), spec)
        changed = with_overrides(made, self.overrides, self.collection)
        # Whatever a user writes over the body, the job is found again by these.
        found_by = {**(self.task.labels if self.task else {}), **self.asked_by}
        if left:
            found_by[resume.RESUMES_LABEL] = str(len(earlier))
        return {**changed, "labels": {**changed["labels"], **found_by}}

    def _labels(self) -> dict[str, str]:
        plan = self.plan
        values = {
            **self.caller,
            RUN_LABEL: self.run.run_key,
            DAG_RUN_LABEL: self.run.dag_run_key,
            "kedro-project": plan.project,
            "kedro-pipeline": plan.pipeline,
            "kedro-env": plan.env,
            "experiment": plan.config.experiment_name,
            MLFLOW_LABEL: "true" if self.mlflow_url else None,
            MANIFEST_LABEL: self.manifest and self.manifest.removeprefix("sha256:")[:DIGEST_LENGTH],
            "kedro-image": self._image,
            "kedro-version": save_version(self.run.run_key, self.run.moment),
            "kedro-data-scope": self.run.data_scope,
            COMMIT_LABEL: plan.config.settings_for((), ()).env.get(_COMMIT),
        }
        own = {name: label_value(value) for name, value in values.items() if value}
        of_group = {GROUP_LABEL: self.group.task_id[:63].strip("-")} if self.group else {}
        return {**own, **self.labels, **of_group}

    @property
    def _image(self) -> str | None:
        """The image's name, with its tag or the first digits of its digest; None where the containers have several."""
        groups = self.plan.groups if self.group is None else (self.group,)
        images = {group.image for group in groups}
        return images.pop().rpartition("/")[2] if len(images) == 1 else None

    def _context(self, job_id: str) -> RunContext:
        run = self.run
        return RunContext(
            run_key=run.run_key,
            dag_id=run.dag_id,
            run_id=run.run_id,
            logical_date=_iso(run.logical_date),
            data_interval_start=_iso(run.data_interval_start),
            data_interval_end=_iso(run.data_interval_end),
            root=self.plan.root,
            save_version=save_version(run.run_key, run.moment),
            job_id=job_id,
            project_id=self.project_id,
            region=self.region,
            data_scope=run.data_scope,
        )


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
