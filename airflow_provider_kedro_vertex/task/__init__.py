"""Shared by running tasks: values from Airflow's context, watching a job, cancelling, exceptions."""
