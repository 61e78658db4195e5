"""The hook that takes the time of each node: of loading, running and saving."""

from __future__ import annotations

import threading
from dataclasses import replace

from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

from airflow_provider_kedro_vertex.core.jobs.usage import NodeSeconds, Usage
from airflow_provider_kedro_vertex.runtime.process.meter import Meter

#: Seconds. How many processors are busy in less than this is chance.
_SHORT = 1.0


class NodeTimes:
    """Fills in the time of each node while the nodes run, on as many threads as there are.

    A node's function runs from its start until its last output is saved, less the saving: one that makes its outputs
    piece by piece runs in between.

    :param meter: of the container.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._nodes: dict[str, NodeSeconds] = {}
        self._since: dict[int, float] = {}
        self._run_since: dict[str, tuple[float, float]] = {}
        self._cores = 0.0

    def usage(self) -> Usage:
        """What the container has used so far."""
        meter = self._meter
        seconds, cpu_seconds = meter.seconds, meter.cpu_seconds
        return Usage(
            memory=meter.memory,
            limit=meter.limit,
            cpu_seconds=cpu_seconds,
            cores=self._cores or cpu_seconds / max(seconds, _SHORT),
            seconds=seconds,
            nodes=dict(self._nodes),
        )

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self) -> None:
        """Begin to load."""
        self._begin()

    @hook_impl(tryfirst=True)
    def after_dataset_loaded(self, node: Node) -> None:
        """End to load."""
        told = self._of(node)
        self._nodes[node.name] = replace(told, load=told.load + self._end())

    @hook_impl(trylast=True)
    def before_node_run(self, node: Node) -> None:
        """Begin to run."""
        self._run_since[node.name] = self._meter.seconds, self._meter.cpu_seconds

    @hook_impl(tryfirst=True)
    def after_node_run(self, node: Node) -> None:
        """End to run, but for a generator."""
        self._ran(node)

    @hook_impl(tryfirst=True)
    def on_node_error(self, node: Node) -> None:
        """End to run."""
        self._ran(node)

    @hook_impl(tryfirst=True)
    def before_dataset_saved(self, node: Node) -> None:
        """Begin to save."""
        self._ran(node)
        self._begin()

    @hook_impl(tryfirst=True)
    def after_dataset_saved(self, node: Node) -> None:
        """End to save."""
        told = self._of(node)
        self._nodes[node.name] = replace(told, save=told.save + self._end())

    def _begin(self) -> None:
        self._since[threading.get_ident()] = self._meter.seconds

    def _end(self) -> float:
        return self._meter.seconds - self._since.pop(threading.get_ident(), self._meter.seconds)

    def _of(self, node: Node) -> NodeSeconds:
        return self._nodes.get(node.name, NodeSeconds())

    def _ran(self, node: Node) -> None:
        begun = self._run_since.get(node.name)
        if begun is None:
            return
        told = self._of(node)
        seconds = max(self._meter.seconds - begun[0] - told.save, told.run)
        self._nodes[node.name] = replace(told, run=seconds)
        if seconds >= _SHORT:
            self._cores = max(self._cores, (self._meter.cpu_seconds - begun[1]) / (self._meter.seconds - begun[0]))
