"""The pipelines that this project offers."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from flights.pipelines import features, reporting, training


def register_pipelines() -> dict[str, Pipeline]:
    """Each pipeline by its name, and all of them together as ``__default__``."""
    pipelines = {
        "features": features.create_pipeline(),
        "training": training.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    return {**pipelines, "__default__": sum(pipelines.values(), Pipeline([]))}
