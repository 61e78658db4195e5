"""The states of jobs and tasks, and which may follow which, as data.

From ``pipeline_state.proto``, ``job_state.proto`` and ``PipelineTaskDetail.State`` (Vertex AI v1). Nothing leaves a
final state, so a job is decided once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class PipelineState(IntEnum):
    """``PIPELINE_STATE_*``; QUEUED and PAUSED are not used by this emulator, but may be asked for in a filter."""

    PIPELINE_STATE_UNSPECIFIED = 0
    PIPELINE_STATE_QUEUED = 1
    PIPELINE_STATE_PENDING = 2
    PIPELINE_STATE_RUNNING = 3
    PIPELINE_STATE_SUCCEEDED = 4
    PIPELINE_STATE_FAILED = 5
    PIPELINE_STATE_CANCELLING = 6
    PIPELINE_STATE_CANCELLED = 7
    PIPELINE_STATE_PAUSED = 8


class TaskState(IntEnum):
    """``PipelineTaskDetail.State``."""

    STATE_UNSPECIFIED = 0
    PENDING = 1
    RUNNING = 2
    SUCCEEDED = 3
    CANCEL_PENDING = 4
    CANCELLING = 5
    CANCELLED = 6
    FAILED = 7
    SKIPPED = 8
    NOT_TRIGGERED = 9


class JobState(IntEnum):
    """``JOB_STATE_*``, the states of a CustomJob that this emulator uses."""

    JOB_STATE_UNSPECIFIED = 0
    JOB_STATE_QUEUED = 1
    JOB_STATE_PENDING = 2
    JOB_STATE_RUNNING = 3
    JOB_STATE_SUCCEEDED = 4
    JOB_STATE_FAILED = 5
    JOB_STATE_CANCELLING = 6
    JOB_STATE_CANCELLED = 7
    JOB_STATE_PAUSED = 8
    JOB_STATE_EXPIRED = 9
    JOB_STATE_UPDATING = 10
    JOB_STATE_PARTIALLY_SUCCEEDED = 11


_P, _T, _J = PipelineState, TaskState, JobState

PIPELINE_MOVES: Mapping[PipelineState, frozenset[PipelineState]] = {
    _P.PIPELINE_STATE_UNSPECIFIED: frozenset({_P.PIPELINE_STATE_PENDING}),
    _P.PIPELINE_STATE_PENDING: frozenset({_P.PIPELINE_STATE_RUNNING, _P.PIPELINE_STATE_CANCELLING}),
    _P.PIPELINE_STATE_RUNNING: frozenset(
        {_P.PIPELINE_STATE_SUCCEEDED, _P.PIPELINE_STATE_FAILED, _P.PIPELINE_STATE_CANCELLING}
    ),
    _P.PIPELINE_STATE_CANCELLING: frozenset(
        {_P.PIPELINE_STATE_CANCELLED, _P.PIPELINE_STATE_SUCCEEDED, _P.PIPELINE_STATE_FAILED}
    ),
}

TASK_MOVES: Mapping[TaskState, frozenset[TaskState]] = {
    _T.STATE_UNSPECIFIED: frozenset({_T.PENDING}),
    _T.PENDING: frozenset({_T.RUNNING, _T.FAILED, _T.CANCELLED, _T.SKIPPED, _T.NOT_TRIGGERED}),
    _T.RUNNING: frozenset({_T.PENDING, _T.SUCCEEDED, _T.FAILED, _T.CANCELLING}),
    _T.CANCELLING: frozenset({_T.CANCELLED, _T.SUCCEEDED, _T.FAILED}),
}

JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    _J.JOB_STATE_UNSPECIFIED: frozenset({_J.JOB_STATE_PENDING}),
    _J.JOB_STATE_PENDING: frozenset(
        {_J.JOB_STATE_RUNNING, _J.JOB_STATE_FAILED, _J.JOB_STATE_CANCELLING, _J.JOB_STATE_CANCELLED}
    ),
    _J.JOB_STATE_RUNNING: frozenset(
        {
            _J.JOB_STATE_PENDING, _J.JOB_STATE_SUCCEEDED, _J.JOB_STATE_FAILED, _J.JOB_STATE_CANCELLING,
            _J.JOB_STATE_CANCELLED,
        }
    ),
    _J.JOB_STATE_CANCELLING: frozenset({_J.JOB_STATE_SUCCEEDED, _J.JOB_STATE_FAILED, _J.JOB_STATE_CANCELLED}),
}  # fmt: skip

# Execution.State (``execution.proto``): RUNNING 2, COMPLETE 3, FAILED 4, CACHED 5, CANCELLED 6.
EXECUTION_STATES: Mapping[TaskState, int] = {
    _T.RUNNING: 2, _T.SUCCEEDED: 3, _T.FAILED: 4, _T.SKIPPED: 5, _T.CANCELLED: 6,
}  # fmt: skip
"""The state of a task's metadata execution; a task that waits or is not triggered has none."""

PIPELINE_FINAL = frozenset({_P.PIPELINE_STATE_SUCCEEDED, _P.PIPELINE_STATE_FAILED, _P.PIPELINE_STATE_CANCELLED})
TASK_FINAL = frozenset({_T.SUCCEEDED, _T.FAILED, _T.CANCELLED, _T.SKIPPED, _T.NOT_TRIGGERED})
TASK_GOOD = frozenset({_T.SUCCEEDED, _T.SKIPPED})
TASK_BAD = TASK_FINAL - TASK_GOOD
JOB_FINAL = frozenset({_J.JOB_STATE_SUCCEEDED, _J.JOB_STATE_FAILED, _J.JOB_STATE_CANCELLED})
