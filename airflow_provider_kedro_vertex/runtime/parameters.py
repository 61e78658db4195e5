"""The runtime parameters: JSON in the command's argument, or in a file that the argument names.

An argument of a command holds 128 KiB on Linux. What is longer is written by the Airflow side to
``<root>/kedro-vertexai-temp/<run key>/params-<sha256>.json``, and the argument is ``@`` and its URL.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.parameters import MAX_LENGTH, from_json
from airflow_provider_kedro_vertex.runtime.errors import MissingInputError

#: The parameter of an exit pipeline that tells how the rest of the run ended.
RUN_OUTCOME = "run_outcome"

_FILE = re.compile(r"(?:.*/)?params-([0-9a-f]{64})\.json", re.DOTALL)


def read(text: str) -> dict[str, Any]:
    """Read ``--params``.

    :param text: a JSON object, or ``@`` and the URL of a file with one, in any storage that fsspec reaches; the
        file's name has the SHA-256 of its bytes.
    :return: Kedro's runtime parameters, nested, with the types that JSON has; NaN and Infinity are numbers.
    :raises ConfigError: no JSON object, or no such file name.
    :raises MissingInputError: the file is not there, or is not what was written.
    :raises StorageError: the storage could not be reached.
    """
    stored = text.startswith("@")
    given = _json_object(_read_stored(text[1:]) if stored else text, f"--params {text}" if stored else "--params")
    return {name: from_json(value) for name, value in given.items()}


def with_run_outcome(params: dict[str, Any], final_status: str) -> dict[str, Any]:
    """Add ``run_outcome``, how the rest of the run ended: what an exit pipeline wants to know.

    ::

        {"state": "SUCCEEDED" | "FAILED" | "CANCELLED", "failed_nodes": ["train-regressor"], "errors": ["The DAG ..."]}

    :param final_status: Vertex AI's, of the task that all other groups are in: the JSON of ``PipelineTaskFinalStatus``
        (``pipeline_spec.proto`` of KFP 2.1). The failed groups, by their task ids, are in its message alone.
    :raises ConfigError: no JSON object.
    """
    status = _json_object(final_status, "--final-status")
    error = status.get("error")
    message = str(error.get("message") or "") if isinstance(error, dict) else ""
    failed = re.search(r"failed tasks are: \[([^\]]*)\]", message)
    outcome = {
        "state": str(status.get("state") or ""),
        "failed_nodes": [name.strip() for name in failed[1].split(",") if name.strip()] if failed else [],
        "errors": [message] if message else [],
    }
    return {**params, RUN_OUTCOME: outcome}


def _json_object(text: str | bytes, where: str) -> dict[str, Any]:
    shown = repr(text[:200])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is no JSON ({error}): {shown}.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a JSON object, not {shown}.")
    return value


def _read_stored(url: str) -> bytes:
    # Only here: a container whose parameters fit into the argument need not reach any storage.
    from airflow_provider_kedro_vertex.runtime.storage import read_bytes

    name = _FILE.fullmatch(url)
    if name is None:
        raise ConfigError(f"--params @{url}: the file's name must be params-<sha256 of its bytes>.json.")
    advice = "Clear the Airflow task that submitted the job; it writes the file again."
    try:
        data = read_bytes(url, MAX_LENGTH + 1)
    except FileNotFoundError as error:
        raise MissingInputError(f"The runtime parameters at {url} are missing. {advice}") from error
    if len(data) > MAX_LENGTH:
        raise ConfigError(f"The runtime parameters at {url} have more than {MAX_LENGTH:,} bytes.")
    if hashlib.sha256(data).hexdigest() != name[1]:
        raise MissingInputError(f"The runtime parameters at {url} are not those that were written. {advice}")
    return data
