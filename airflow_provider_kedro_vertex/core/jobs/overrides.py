"""A user's own fields over a job's body, for every field of the API that has no setting of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean

#: The input fields of each kind of job, as API v1 has them.
_INPUT: Mapping[str, frozenset[str]] = {
    "pipelineJobs": frozenset({
        "displayName", "encryptionSpec", "labels", "network", "pipelineSpec", "preflightValidations",
        "pscInterfaceConfig", "reservedIpRanges", "runtimeConfig", "serviceAccount", "templateUri",
    }),
    "customJobs": frozenset({"displayName", "encryptionSpec", "jobSpec", "labels"}),
}  # fmt: skip
#: What Vertex AI writes itself, in either kind.
_OUTPUT = frozenset({
    "createTime", "endTime", "error", "jobDetail", "name", "satisfiesPzi", "satisfiesPzs", "scheduleName", "startTime",
    "state", "templateMetadata", "updateTime", "webAccessUris",
})  # fmt: skip


def with_overrides(body: Mapping[str, Any], overrides: Mapping[str, Any], collection: str) -> dict[str, Any]:
    """Write overrides into a job's body: objects are merged at every depth, everything else is replaced.

    :param overrides: fields of PipelineJob or CustomJob by their names in the REST API, such as
        ``{"runtimeConfig": {"inputArtifacts": {..}}}``.
    :param collection: ``pipelineJobs`` or ``customJobs``.
    :raises ConfigError: a field is unknown, or one that Vertex AI writes itself.
    """
    known = _INPUT[collection]
    for name in overrides:
        if name in _OUTPUT:
            raise ConfigError(f"job_overrides has {name!r}, which Vertex AI writes itself.", "Take it out.")
        if name not in known:
            raise ConfigError(
                f"job_overrides has {name!r}, which is no field of {collection}.{did_you_mean(name, known)} "
                "Names are those of the REST API."
            )
    return _merged(body, overrides)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in above.items():
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result
