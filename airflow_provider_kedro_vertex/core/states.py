"""Vertex AI's state names and what they mean (enum PipelineState, API v1)."""

from __future__ import annotations

#: The only state that is a success.
SUCCEEDED = "PIPELINE_STATE_SUCCEEDED"

#: A job in one of these never changes again.
ENDED = frozenset({SUCCEEDED, "PIPELINE_STATE_FAILED", "PIPELINE_STATE_CANCELLED"})


def is_over(state: str) -> bool:
    """Whether a job in this state has ended. A paused job has not: somebody may resume it."""
    return state in ENDED


def short(state: str) -> str:
    """``PIPELINE_STATE_RUNNING`` becomes ``RUNNING``."""
    return state.removeprefix("PIPELINE_STATE_")
