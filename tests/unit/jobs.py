"""Jobs for the emulator whose one task is a line of Python."""

from __future__ import annotations

from typing import Any

IMAGE = "example/image:1"


def body(code: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """A PipelineJob with one task that runs this Python code."""
    return {
        "displayName": "a test",
        "labels": labels or {},
        "pipelineSpec": {
            "pipelineInfo": {"name": "test"},
            "schemaVersion": "2.1.0",
            "sdkVersion": "test",
            "deploymentSpec": {
                "executors": {"exec-only": {"container": {"image": IMAGE, "command": ["python", "-c", code]}}}
            },
            "components": {"comp-only": {"executorLabel": "exec-only"}},
            "root": {"dag": {"tasks": {"only": {"taskInfo": {"name": "only"}, "componentRef": {"name": "comp-only"}}}}},
        },
        "runtimeConfig": {"gcsOutputDirectory": "gs://bucket/root"},
    }
