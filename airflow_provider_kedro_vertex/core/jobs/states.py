"""Vertex AI's state names and what they mean: the enums PipelineState and JobState, API v1.

The states of both kinds of job have the same names after their prefix, so that most code need not know the kind.
"""

from __future__ import annotations

_PREFIXES = ("PIPELINE_STATE_", "JOB_STATE_")
#: The only state that is a success. PARTIALLY_SUCCEEDED is none.
_SUCCEEDED = "SUCCEEDED"
#: A job in one of these never changes again. A paused job has not ended: somebody may resume it.
_ENDED = frozenset({_SUCCEEDED, "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"})
#: A job that was asked to end and has not ended yet.
_CANCELLING = "CANCELLING"

#: The ended states of each kind of job, for filters.
ENDED_STATES = {
    # PipelineState has neither EXPIRED nor PARTIALLY_SUCCEEDED, and a filter with an unknown state is refused.
    "pipelineJobs": tuple(f"PIPELINE_STATE_{name}" for name in ("SUCCEEDED", "FAILED", "CANCELLED")),
    "customJobs": tuple(f"JOB_STATE_{name}" for name in sorted(_ENDED)),
}

#: States of a node group that succeeded (enum PipelineTaskDetail.State): SKIPPED is a cache hit.
DONE_STATES = frozenset({_SUCCEEDED, "SKIPPED"})
#: States of a node group that will not change again.
ENDED_NODE_STATES = frozenset({*DONE_STATES, "FAILED", "CANCELLED", "NOT_TRIGGERED"})


def is_over(state: str) -> bool:
    """Tell whether a job in this state has ended."""
    return short(state) in _ENDED


def succeeded(state: str) -> bool:
    """Tell whether this state is a success."""
    return short(state) == _SUCCEEDED


def is_ending(state: str) -> bool:
    """Tell whether the job is being cancelled."""
    return short(state) == _CANCELLING


def short(state: str) -> str:
    """``PIPELINE_STATE_RUNNING`` and ``JOB_STATE_RUNNING`` become ``RUNNING``."""
    for prefix in _PREFIXES:
        state = state.removeprefix(prefix)
    return state
