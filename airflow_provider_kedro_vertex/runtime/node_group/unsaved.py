"""A process that runs nodes and saves nothing: a machine that is not the first of several, or a replay."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node


class Unsaved:
    """Keeps what the node makes in memory, and out of MLflow.

    :param nodes: the names of the nodes that run.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        self._nodes = frozenset(nodes)

    # After all others, which may still change the catalog.
    @hook_impl(trylast=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Put a place in memory where each output would be saved."""
        for node in pipeline.nodes:
            for name in node.outputs if node.name in self._nodes else ():
                catalog[name] = MemoryDataset(copy_mode="assign")

    @hook_impl(trylast=True)
    def before_node_run(self, node: Node, catalog: CatalogProtocol[Any, Any]) -> None:
        """Leave confirming to the run's own first machine, and let what the node itself logs to MLflow go nowhere.

        Its inputs are loaded by now: they may be incremental, or come from MLflow.
        """
        for name in node.confirms:
            catalog[name] = _NothingToConfirm()
        if importlib.util.find_spec("mlflow") is None:
            return
        nowhere = Path(mkdtemp(prefix="mlflow-unsaved-")).as_uri()
        os.environ.pop("MLFLOW_RUN_ID", None)
        os.environ |= {"MLFLOW_TRACKING_URI": nowhere, "MLFLOW_ALLOW_FILE_STORE": "true"}
        if "mlflow" in sys.modules:
            sys.modules["mlflow"].set_tracking_uri(nowhere)


class _NothingToConfirm(MemoryDataset):
    def confirm(self) -> None:
        """Do nothing."""
