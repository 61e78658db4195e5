"""The one MLflow run of a DAG run: what each container notes in its tags, and the status that follows from them.

No container knows that it is the last. So each writes tags of its own nodes only, and the run's status is a function of
all tags, see :func:`status`. A container that has written its tags then compares the status with what the tags say
and mends it until both agree (:func:`.run.settle`): whoever is last has seen all tags, so the last status is the
true one, in whatever order the containers end.

========================  ==========================================================================================
tag                       value
========================  ==========================================================================================
``kedro_vertex.P.N``      ``running``; ``failed: ..`` or ``killed`` after that. When the nodes of the container are
                          done the tag goes, except for a node that no other waits for: that one's is ``done``.
``kedro_vertex.outcome``  the outcome of a job, told by the pipeline that runs on its exit: ``<job id> <state>``
========================  ==========================================================================================

P is the pipeline, and N a node: each last node of the container's, or its first where it has no last one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping

from airflow_provider_kedro_vertex.runtime.node_group.boundary import NamedNode, base_name

#: Values of the tags, and the words of MLflow for the status of a run.
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
IS_RUNNING, IS_DONE, HAS_FAILED, WAS_KILLED = "running", "done", "failed", "killed"

PREFIX = "kedro_vertex."
OUTCOME_TAG = f"{PREFIX}outcome"
#: kedro-vertexai's name of the tag; a container sets it to its own job's id when it starts.
JOB_TAG = "vertexai_job_name"

_OF_OUTCOME = {"FAILED": FAILED, "CANCELLED": KILLED}
#: MLflow allows 250 characters in a tag's name.
_NAME_LENGTH = 150


def last_nodes(pipeline: Iterable[NamedNode]) -> list[str]:
    """The names of the nodes that no other node waits for: when they are done, so is the pipeline."""
    nodes = list(pipeline)
    awaited = {base_name(name) for node in nodes for name in node.inputs}
    return [node.name for node in nodes if not any(base_name(name) in awaited for name in node.outputs)]


def tag(pipeline: str, node: str) -> str:
    """The name of a node's tag: what MLflow allows in a name, and different for different nodes."""
    text = f"{pipeline}.{node}"
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:_NAME_LENGTH]
    if safe != text or "." in pipeline:
        safe = f"{safe}-{hashlib.sha256(json.dumps([pipeline, node]).encode()).hexdigest()[:8]}"
    return PREFIX + safe


def status(tags: Mapping[str, str], last: Collection[str]) -> str:
    """The status of the whole run.

    A failure counts until its container is tried again. While a container runs, and between two of them, the run is
    ``RUNNING``; it is ``FINISHED`` when every last node is done.

    :param tags: the tags of the MLflow run.
    :param last: the tags of the pipeline's last nodes.
    """
    own = {name: value for name, value in tags.items() if name.startswith(PREFIX) and name != OUTCOME_TAG}
    job, _, outcome = tags.get(OUTCOME_TAG, "").partition(" ")
    if outcome in _OF_OUTCOME and job == tags.get(JOB_TAG):
        return _OF_OUTCOME[outcome]
    if any(value.startswith(HAS_FAILED) for value in own.values()):
        return FAILED
    if WAS_KILLED in own.values():
        return KILLED
    if IS_RUNNING in own.values() or any(own.get(name) != IS_DONE for name in last):
        return RUNNING
    return FINISHED
