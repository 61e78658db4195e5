"""Every registered pipeline of the Kedro project in `flights/` as a DAG, one run for each day of the data."""

from datetime import datetime, timezone

from airflow_provider_kedro_vertex import kedro_vertex_dags

kedro_vertex_dags(
    globals(),
    manifest="flights/flights.manifest.json",
    schedule="@daily",
    # The data are those of 2013; the model learns from the 35 days before its own.
    start_date=datetime(2013, 2, 6, tzinfo=timezone.utc),
    end_date=datetime(2013, 12, 31, tzinfo=timezone.utc),
    catchup=False,
    params={"run_date": "{{ ds }}"},
    # Seconds between two looks at the job; 60 is the default, and right where a node takes minutes.
    poll_interval=2,
)
