"""Tasks that are killed in the ways that Airflow knows; the tests put `small.manifest.json` beside this file's copy."""

import os
import signal
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator


class DyingOperator(KedroVertexPipelineOperator):
    """Its first try is killed with SIGKILL right before or right after the call that creates the job."""

    def __init__(self, *, dies: str, **kwargs):
        super().__init__(**kwargs)
        self.dies = dies

    def submission(self, context):
        submission = super().submission(context)
        create = submission.client.create_pipeline_job

        def create_and_die(job_id, body):
            if self.dies == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            create(job_id, body)
            os.kill(os.getpid(), signal.SIGKILL)

        if context["ti"].try_number == 1:
            submission.client.create_pipeline_job = create_and_die
        return submission


arguments = {
    "schedule": None,
    "start_date": datetime(2013, 6, 1),
    "catchup": False,
    "default_args": {
        "manifest": "small.manifest.json",
        "pipeline": "first",
        "retries": 0,
        "retry_delay": timedelta(seconds=1),
    },
}
lives = {"run_config": {"image": "lives"}}

with DAG("dies", **arguments):
    for dies in ("before", "after"):
        DyingOperator(task_id=dies, dies=dies, run_config={"image": "short"}, retries=1, deferrable=False)

with DAG("waits", **arguments):
    for number in range(int(os.environ["WAITING_TASKS"])):
        KedroVertexPipelineOperator(task_id=f"wait_{number}", deferrable=True, run_config={"image": "lasts"})

with DAG("is_killed", **arguments):
    # Airflow 2 keeps the trigger of a cleared task until the task is scheduled again, and then deletes it while the
    # task starts, under a lock that SQLite does not have: now and then that ends by "FOREIGN KEY constraint failed".
    KedroVertexPipelineOperator(task_id="deferred", deferrable=True, retries=1, **lives)
    KedroVertexPipelineOperator(task_id="running", deferrable=False, **lives)
    KedroVertexPipelineOperator(task_id="late", deferrable=True, execution_timeout=timedelta(seconds=60), **lives)

with DAG("late_run", dagrun_timeout=timedelta(seconds=120), **arguments):
    KedroVertexPipelineOperator(task_id="deferred", deferrable=True, **lives)
