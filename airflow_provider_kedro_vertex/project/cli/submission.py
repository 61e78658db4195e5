"""Submitting one job without Airflow: the person who calls takes the place of a DAG run."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.core.errors import AlreadyExistsError
from airflow_provider_kedro_vertex.core.jobs import identity
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.plan.plan import Plan
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Stands where a DAG's id would: in the run context and in the label.
CALLER = "kedro-vertex-run-once"


def submit(client: VertexClient, plan: Plan, spec: Mapping[str, Any], runtime_params: str) -> Job:
    """Create a PipelineJob of a plan. A lost answer makes no second job, since the id is chosen here.

    :param spec: the plan, compiled.
    :param runtime_params: JSON text; one that is too long for an argument is stored below ``root``.
    :raises VertexApiError: Vertex AI or Cloud Storage refuses it or cannot be reached.
    """
    from airflow_provider_kedro_vertex.vertex.submission import params_argument

    now = datetime.now(timezone.utc)
    run_id = f"{now:%Y-%m-%dt%H-%M-%S}-{uuid.uuid4().hex[:8]}"
    run_key = identity.run_key(plan.config.job_id_prefix or plan.config.experiment_name or plan.name, run_id)
    request = JobRequest(
        plan=plan,
        run=Run(run_key=run_key, dag_id=CALLER, run_id=run_id, moment=now),
        project_id=client.project_id,
        region=client.region,
        params=params_argument(client, identity.temp_folder(plan.root, run_key), runtime_params),
        display_name=f"{plan.config.experiment_name or plan.project} {plan.pipeline} {now:%Y-%m-%d %H:%M:%S}",
        caller={"submitted-by": CALLER, "submitted-for": _user()},
        spec=spec,
    )
    try:
        return client.create_pipeline_job(run_key, request.body(run_key))
    except AlreadyExistsError:
        return client.get_job(f"{client.parent}/pipelineJobs/{run_key}")


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        return None
