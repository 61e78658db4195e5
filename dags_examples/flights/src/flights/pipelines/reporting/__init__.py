"""How good the day's predictions were."""

from flights.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
