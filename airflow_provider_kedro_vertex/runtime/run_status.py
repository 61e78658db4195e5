"""The one run of a DAG run in MLflow, or in an experiment: what each container notes of itself, and what follows.

No container knows that it is the last. So each writes tags of its own nodes only, and the run's status is a function of
all tags, see :func:`status`. In MLflow a container that has written its tags then compares the status with what the
tags say and mends it until both agree (:func:`.mlflow.run.settle`): whoever is last has seen all tags, so the last
status is the true one, in whatever order the containers end. In an experiment's run both are written at once.

========================  ==========================================================================================
tag                       value
========================  ==========================================================================================
``kedro_vertex.P.N``      ``running``; ``failed: ..`` or ``killed`` after that. When the nodes of the container are
                          done the tag goes, except for a node that no other waits for: that one's is ``done``.
``kedro_vertex.outcome``  the outcome of a job, told by the pipeline that runs on its exit: ``<job id> <state>``
``vertexai_job_name``     the id of the newest job, kedro-vertexai's name
========================  ==========================================================================================

P is the pipeline, and N a node: each last node of the container's, or its first where it has no last one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_kedro_vertex.runtime.node_group.boundary import NamedNode, base_name

#: The words of MLflow for the status of a run, and values of the tags.
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
IS_RUNNING, IS_DONE, HAS_FAILED, WAS_KILLED = "running", "done", "failed", "killed"

PREFIX = "kedro_vertex."
OUTCOME_TAG = f"{PREFIX}outcome"
#: kedro-vertexai's name of the tag; a container sets it to its own job's id when it starts.
JOB_TAG = "vertexai_job_name"

_OF_OUTCOME = {"FAILED": FAILED, "CANCELLED": KILLED}
#: MLflow allows 250 characters in a tag's name.
_NAME_LENGTH = 150


@dataclass(frozen=True)
class Part:
    """The part of a run that one container does.

    :param pipeline: the registered pipeline, or several with commas between them.
    :param env: the configuration environment, or None.
    :param nodes: the names of the container's nodes.
    :param last: the names of the nodes after which the whole run is done, this container's and others'.
    :param outcome: the state of a job, where this container runs on its exit; else None.
    """

    pipeline: str
    env: str | None
    nodes: Sequence[str]
    last: Sequence[str]
    outcome: str | None

    @property
    def tags(self) -> list[str]:
        """The names of the tags that hold this container's state."""
        own = [node for node in self.nodes if node in self.last] or self.nodes[:1]
        return [tag(self.pipeline, node) for node in own]

    @property
    def last_tags(self) -> frozenset[str]:
        """The tags of all last nodes."""
        return frozenset(tag(self.pipeline, node) for node in self.last)

    @property
    def all_tags(self) -> frozenset[str]:
        """The tags that any try of any of the container's nodes may have left, however they were grouped then."""
        return frozenset(tag(self.pipeline, node) for node in self.nodes)

    def begun(self, job_id: str) -> dict[str, str]:
        """The tags of a container that begins.

        :param job_id: of its job.
        """
        outcome = {OUTCOME_TAG: f"{job_id} {self.outcome}"} if self.outcome else {}
        return {JOB_TAG: job_id, **outcome, **dict.fromkeys(self.tags, IS_RUNNING)}

    def ended(self, error: BaseException | None, node: str | None) -> dict[str, str | None]:
        """The tags of a container that has ended; None for one that is to go.

        :param error: what ended its nodes; None if they are done. What is no ``Exception`` (SIGTERM) counts as killed,
            but for SystemExit, which is the node's own doing.
        :param node: the one that ran then.
        """
        if error is None:
            return {name: IS_DONE if name in self.last_tags else None for name in self.tags}
        if isinstance(error, (Exception, SystemExit)):
            where = f"node {node!r}" if node else "before the first node"
            return dict.fromkeys(self.tags, f"{HAS_FAILED}: {where}: {type(error).__name__}")
        return dict.fromkeys(self.tags, WAS_KILLED)


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
