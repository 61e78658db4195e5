"""Writes down every hook that Kedro calls, and adds a dataset as projects do."""

from pathlib import Path

from kedro.framework.hooks import hook_impl
from kedro_datasets.json import JSONDataset


class Recorder:
    def _note(self, *words: object) -> None:
        with Path("hooks.log").open("a") as log:
            print(*words, file=log)

    @hook_impl
    def after_context_created(self, context):
        self._note("context", context.env)

    @hook_impl
    def after_catalog_created(self, catalog):
        self._note("catalog")
        catalog["hooked"] = JSONDataset(filepath="data/hooked.json")

    @hook_impl
    def before_pipeline_run(self, run_params, pipeline):
        self._note("before pipeline", sorted(node.name for node in pipeline.nodes), run_params["env"])

    @hook_impl
    def after_pipeline_run(self, run_result):
        self._note("after pipeline", sorted(run_result))

    @hook_impl
    def on_pipeline_error(self, error):
        self._note("pipeline error", type(error).__name__)

    @hook_impl
    def before_node_run(self, node, inputs):
        self._note("before node", node.name, sorted(inputs))

    @hook_impl
    def after_node_run(self, node, outputs):
        self._note("after node", node.name, sorted(outputs))

    @hook_impl
    def on_node_error(self, node, error):
        self._note("node error", node.name, error)

    @hook_impl
    def before_dataset_loaded(self, dataset_name, node):
        self._note("before load", dataset_name, node.name)

    @hook_impl
    def after_dataset_loaded(self, dataset_name, data):
        self._note("after load", dataset_name, data)

    @hook_impl
    def before_dataset_saved(self, dataset_name, data):
        self._note("before save", dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name, node):
        self._note("after save", dataset_name, node.name)
