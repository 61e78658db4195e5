"""Fit a model on the days before, and predict the day."""

from flights.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
