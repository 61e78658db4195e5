"""The environment variables that the nodes find, and the names of the Airflow run in their configuration.

===================================  ==================================================================
``KEDRO_CONFIG_RUN_ID``              the run key: one for each Airflow run, the same in every try
``KEDRO_CONFIG_JOB_NAME``            the id of the job on Vertex AI
``GCP_PROJECT_ID``, ``GCP_REGION``   of the job
``KEDRO_ENV``                        if the command has ``--env``
``AIRFLOW_CTX_DAG_ID``               Airflow's DAG id
``AIRFLOW_CTX_DAG_RUN_ID``           Airflow's run id
``AIRFLOW_CTX_LOGICAL_DATE``         ISO 8601, as the two below; not set where the Airflow run has none
``AIRFLOW_CTX_DATA_INTERVAL_START``
``AIRFLOW_CTX_DATA_INTERVAL_END``
===================================  ==================================================================

The first three ``AIRFLOW_CTX_`` names are those that Airflow 3 itself sets for its tasks; it has none for the data
interval. :mod:`.resolver` gives the configuration the same values.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from airflow_provider_kedro_vertex.core.jobs.identity import RunContext


def prepare(context: RunContext, env: str | None) -> None:
    """Set the variables, before anything of Kedro or of the project is imported.

    Also Kedro's telemetry is off, unless both ``DO_NOT_TRACK`` and ``KEDRO_DISABLE_TELEMETRY`` are set to nothing; and
    Kedro logs in its plain format, if neither the image nor the project configures logging.

    :param env: Kedro's configuration environment; None leaves ``KEDRO_ENV`` as it is.
    """
    told = {
        "KEDRO_CONFIG_RUN_ID": context.run_key,
        "KEDRO_CONFIG_JOB_NAME": context.job_id,
        "GCP_PROJECT_ID": context.project_id,
        "GCP_REGION": context.region,
        "KEDRO_ENV": env,
        "AIRFLOW_CTX_DAG_ID": context.dag_id,
        "AIRFLOW_CTX_DAG_RUN_ID": context.run_id,
        "AIRFLOW_CTX_LOGICAL_DATE": context.logical_date,
        "AIRFLOW_CTX_DATA_INTERVAL_START": context.data_interval_start,
        "AIRFLOW_CTX_DATA_INTERVAL_END": context.data_interval_end,
    }
    os.environ |= {name: value for name, value in told.items() if value is not None}
    for name in ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    # Kedro's other default format is Rich's, which breaks lines after 80 characters and takes longer to import.
    kedro = importlib.util.find_spec("kedro")
    if kedro and kedro.origin and not any(Path("conf").glob("logging.y*ml")):
        plain = Path(kedro.origin).parent / "framework" / "project" / "default_logging.yml"
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(plain))
