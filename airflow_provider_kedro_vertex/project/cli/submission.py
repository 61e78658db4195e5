"""Submitting one job without Airflow: the person who calls takes the place of a DAG run."""

from __future__ import annotations

import getpass
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.core import identity
from airflow_provider_kedro_vertex.core.errors import AlreadyExistsError
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.submission import RUN_LABEL

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan import Plan
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Stands where a DAG's id would: in the run context and in the label.
CALLER = "kedro-vertex-run-once"


def submit(client: VertexClient, plan: Plan, runtime_params: str) -> dict[str, Any]:
    """Create a PipelineJob of a plan. A lost answer makes no second job, since the id is chosen here.

    :param runtime_params: JSON text; one that is too long for an argument is stored below ``root``.
    :raises VertexApiError: Vertex AI or Cloud Storage refuses it or cannot be reached.
    """
    from airflow_provider_kedro_vertex.vertex.submission import params_argument

    now = datetime.now(timezone.utc)
    run_id = f"{now:%Y-%m-%dt%H-%M-%S}-{uuid.uuid4().hex[:8]}"
    run_key = identity.run_key(plan.config.job_id_prefix or plan.config.experiment_name or plan.name, run_id)
    argument = params_argument(client, identity.temp_folder(plan.root, run_key), runtime_params)
    context = identity.RunContext(
        run_key=run_key,
        dag_id=CALLER,
        run_id=run_id,
        logical_date=None,
        data_interval_start=None,
        data_interval_end=None,
        root=plan.root,
        save_version=identity.save_version(run_key, now),
        job_id=run_key,
        project_id=client.project_id,
        region=client.region,
    )
    title = f"{plan.config.experiment_name or plan.project} {plan.pipeline} {now:%Y-%m-%d %H:%M:%S}"
    body = pipeline_job(plan, context, argument, title, _labels(plan, run_key))
    try:
        return client.create_pipeline_job(run_key, body)
    except AlreadyExistsError:
        return client.get_job(f"{client.parent}/pipelineJobs/{run_key}")


def _labels(plan: Plan, run_key: str) -> dict[str, str]:
    values = {
        RUN_LABEL: run_key,  # by which the clean-up of intermediate data finds the job
        "kedro-project": plan.project,
        "kedro-pipeline": plan.pipeline,
        "kedro-env": plan.env,
        "submitted-by": CALLER,
        "submitted-for": _user(),
        "experiment": plan.config.experiment_name,
    }
    own = {key: identity.label_value(value) for key, value in values.items() if value}
    return {**plan.config.labels, **own}


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return None
