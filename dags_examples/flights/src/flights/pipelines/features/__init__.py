"""What is known about each flight before it leaves."""

from flights.pipelines.features.pipeline import create_pipeline

__all__ = ["create_pipeline"]
