"""The JSON objects of Vertex AI's REST API v1 that are read here, with the fields that are read.

The names are those of the API reference (``projects.locations.pipelineJobs`` and ``.customJobs``); a log's entry is
``LogEntry`` of Cloud Logging's API v2. A field may be missing from any answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class Status(TypedDict, total=False):
    """``google.rpc.Status``."""

    code: int
    message: str


class TaskDetail(TypedDict, total=False):
    """``PipelineTaskDetail``: one task of a PipelineJob."""

    taskName: str
    parentTaskId: str
    state: str
    error: Status
    createTime: str
    startTime: str
    endTime: str
    executorDetail: Mapping[str, Any]
    execution: Mapping[str, Any]


class JobDetail(TypedDict, total=False):
    """``PipelineJobDetail``."""

    taskDetails: list[TaskDetail]


class Job(TypedDict, total=False):
    """A ``PipelineJob`` or a ``CustomJob``."""

    name: str
    displayName: str
    state: str
    error: Status
    labels: dict[str, str]
    createTime: str
    startTime: str
    endTime: str
    updateTime: str
    jobDetail: JobDetail
    pipelineSpec: Mapping[str, Any]
    webAccessUris: Mapping[str, str]


class LogEntry(TypedDict, total=False):
    """An entry of a container's log."""

    insertId: str
    resource: Mapping[str, Any]
    severity: str
    textPayload: str
    jsonPayload: Mapping[str, Any]
    timestamp: str


#: The body of a job that is to be created: a tree of JSON values.
JobBody = dict[str, Any]
