"""The command that runs a pipeline at home."""

from __future__ import annotations

import shlex

from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE


def kedro_run(pipeline: str, env: str | None, *more: str) -> str:
    """Write the ``kedro run`` of a registered pipeline as a line for a shell.

    :param pipeline: its name, or several with commas between them.
    :param env: the configuration environment; None for the project's default.
    :param more: further arguments.
    """
    words = ["kedro", "run"]
    if pipeline != DEFAULT_PIPELINE:
        words += ["--pipelines" if "," in pipeline else "--pipeline", pipeline]
    if env is not None:
        words += ["--env", env]
    return shlex.join([*words, *more])
