"""The container side: runs a node group's nodes.

Imports core, kedro, fsspec, cloudpickle and zstandard; google-auth and MLflow only where a project uses them.

One process bootstraps the project once, without Kedro's command line, and runs the named nodes with the project's
hooks::

    __main__     the command: arguments, exit code, last line of the log
    run          one node group in one Kedro session
    outcome      what an error means: the exit code and the message
    node_group/  which datasets cross to other containers, versions, the hooks for both
    mlflow/      the one MLflow run of a DAG run
    config/      the project's configuration
    store/       the file format and the dataset of values that no catalog declares
    google/      credentials and Secret Manager
    process/     environment variables, host names, memory

:mod:`.resolver` and :mod:`.metadata_dataset` are also for projects on a laptop.
"""
