"""The container side: runs a node group's nodes.

Imports core, kedro, fsspec, cloudpickle and zstandard; google-auth and MLflow only where a project uses them.

One process bootstraps the project once, without Kedro's command line, and runs the named nodes with the project's
hooks. See :mod:`.run` for the run, :mod:`.group` for which datasets cross to other containers, :mod:`.store` and
:mod:`.blocks` for how undeclared ones are stored, :mod:`.versions` for versioned ones.
"""
