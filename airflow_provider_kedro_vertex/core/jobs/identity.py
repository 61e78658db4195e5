"""Names that stay the same: the run key, job ids, labels, versions and storage paths.

Nothing here depends on the clock or on a try, so that a retry on another machine finds what earlier tries made.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.text import digest, slug

#: Vertex AI: a PipelineJob's id has at most 127 characters (CreatePipelineJobRequest.pipeline_job_id, v1).
JOB_ID_LENGTH = 127
#: Vertex AI: a display name has at most 128 characters (PipelineJob.display_name, v1).
DISPLAY_NAME_LENGTH = 128


#: The label of a CustomJob that names its node group.
GROUP_LABEL = "kedro-group"
#: The inputs of a PipelineJob and of its tasks.
RUNTIME_PARAMS, RUN_CONTEXT = "runtime_params", "run_context"
#: The input of the exit pipeline's task alone.
FINAL_STATUS = "final_status"


@dataclass(frozen=True)
class RunContext:
    """The run, as the containers of its nodes are told of it.

    :param run_key: names the place of the run's data; see :func:`run_key`.
    :param dag_id: Airflow's DAG id.
    :param run_id: Airflow's run id.
    :param logical_date: ISO 8601, or None where Airflow has none (a manual run of Airflow 3 may not).
    :param data_interval_start: ISO 8601 or None.
    :param data_interval_end: ISO 8601 or None.
    :param root: ``gs://bucket/prefix``, where undeclared datasets are stored.
    :param save_version: the one version of every versioned dataset that this run saves.
    :param job_id: the id of the job on Vertex AI.
    :param project_id: Google Cloud project of the job.
    :param region: Vertex AI location of the job.
    :param data_scope: the title of the part of the DAG run whose data these are, if the DAG run has several such parts;
        see :class:`DataScope`.
    """

    run_key: str
    dag_id: str
    run_id: str
    logical_date: str | None
    data_interval_start: str | None
    data_interval_end: str | None
    root: str
    save_version: str
    job_id: str
    project_id: str | None = None
    region: str | None = None
    data_scope: str | None = None

    def to_json(self) -> str:
        """Write as JSON text, keys sorted. A data scope that is not told is left out: older images do not know it."""
        told = dataclasses.asdict(self)
        if self.data_scope is None:
            del told["data_scope"]
        return json.dumps(told, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RunContext:
        """Read what :meth:`to_json` wrote.

        :raises ConfigError: no JSON object, a key missing or unknown, or a value that is no string.
        """
        try:
            value: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"The run context is no JSON ({error}): {text[:200]!r}.") from None
        if not isinstance(value, dict):
            raise ConfigError(f"The run context must be a JSON object, not {text[:200]!r}.")
        known = {item.name: item for item in dataclasses.fields(cls)}
        for key, item in value.items():
            if key not in known:
                raise ConfigError(f"The run context has an unknown key {key!r}.", did_you_mean(key, known))
            if not isinstance(item, str) and not (item is None and key in _MAY_BE_NULL):
                raise ConfigError(f"The run context's {key} must be a string, not {item!r}.")
        missing = sorted(known.keys() - value.keys() - _MAY_BE_NULL)
        if missing:
            raise ConfigError(f"The run context lacks {', '.join(missing)}.")
        return cls(**{**dict.fromkeys(_MAY_BE_NULL), **value})


_MAY_BE_NULL = frozenset(
    {"logical_date", "data_interval_start", "data_interval_end", "project_id", "region", "data_scope"}
)


@dataclass(frozen=True)
class DataScope:
    """The part of a DAG run whose tasks share their data: undeclared datasets, versions and the MLflow run.

    :param kind: what ``name`` names; ``dag`` is the DAG run as a whole, and has no name. ``given`` is a name that a
        person chose.
    :param name: a task's or a task group's whole id, or the chosen name.
    :param map_index: of the mapped task or task group; -1 if it is not mapped.
    """

    kind: Literal["dag", "task_group", "task", "given"] = "dag"
    name: str = ""
    map_index: int = -1

    @property
    def title(self) -> str:
        """Its name for people; the DAG run as a whole needs none."""
        return self.name if self.map_index < 0 else f"{self.name}[{self.map_index}]"


#: The scope of the tasks of a whole DAG.
WHOLE_DAG = DataScope()


def run_key(dag_id: str, run_id: str, scope: DataScope = WHOLE_DAG) -> str:
    """Name the place where a data scope of a DAG run keeps its data.

    It is the same for each task and try of the scope, and different for any other run or scope.

    :return: at most 63 characters of ``[a-z0-9-]``, a letter first; readable words of both ids and 10 digits of a
        digest of them and the scope.
    """
    part = () if scope == WHOLE_DAG else (scope.kind, scope.name, str(scope.map_index))
    dag = _starting_with_letter(slug(dag_id))[:24].strip("-")
    run = slug(run_id)[:27].strip("-")
    return f"{dag}-{run}-{digest(dag_id, run_id, *part)[:10]}"


def job_id(run_key: str, task_id: str, map_index: int, attempt: int, prefix: str = "") -> str:
    """Name one attempt of one task to run a job; matches ``[a-z][-a-z0-9]{0,126}``.

    :param map_index: Airflow's; -1 for a task that is not mapped.
    :param attempt: 1 for the first job of the task in this run.
    :param prefix: what it is to begin with; as much of it as fits.
    """
    readable = slug(task_id)[:40].strip("-")
    if readable != task_id or map_index >= 0:
        # The readable part lost something, so the digest keeps two tasks apart.
        readable = f"{readable}-{digest(task_id, str(map_index))[:8]}"
    name = f"{run_key}-{readable}-{attempt}"
    if not prefix:
        return name
    first = _starting_with_letter(slug(prefix))[: max(JOB_ID_LENGTH - len(name) - 1, 0)].strip("-")
    return f"{first}-{name}" if first else name


def save_version(run_key: str, moment: datetime) -> str:
    """The version under which a run saves versioned datasets: Kedro's timestamp format, and the run key's digest.

    Runs of later days sort after those of earlier days, and no two runs share one.

    :param moment: the run's logical date (or, without one, the time after which it may run).
    """
    moment = moment.astimezone(timezone.utc)
    return f"{moment:%Y-%m-%dT%H.%M.%S}.{moment.microsecond // 1000:03d}Z-{run_key[-10:]}"


def temp_folder(root: str, run_key: str) -> str:
    """Where a run keeps its undeclared datasets (kedro-vertexai's folder name)."""
    return f"{root}/kedro-vertexai-temp/{run_key}"


def mlflow_run_url(root: str, run_key: str) -> str:
    """Where the containers of a run keep which MLflow run is theirs: JSON with ``run_id`` and ``url``."""
    return f"{temp_folder(root, run_key)}/mlflow-run.json"


def _starting_with_letter(text: str) -> str:
    return text if text[:1].isalpha() else f"d-{text}"
