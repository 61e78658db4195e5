"""What a pipeline's run leaves in ML Metadata: its two contexts, an execution for each task, artifacts and events.

As on Vertex AI all of it is in the location's metadata store ``default``, which is made if it is not there, and the
experiments of Google's SDK read a run's parameters and metrics from it.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    Event,
    Message,
    MetadataStore,
)
from airflow_provider_kedro_vertex.emulator.resources.states import TASK_FINAL
from airflow_provider_kedro_vertex.emulator.storage.store import Store


def add_contexts(store: Store, job: Message, pipeline: str) -> None:
    """Name the contexts of a new job in its detail; store them, and their metadata store. Those that are there stay.

    :param pipeline: the pipeline's name.
    """
    parent, _, job_id = job.name.rpartition(f"/{names.PIPELINE_JOBS}/")
    metadata_store = MetadataStore(name=names.default_store(parent))
    of_pipeline, of_run = job.job_detail.pipeline_context, job.job_detail.pipeline_run_context
    for context, name, title in ((of_pipeline, pipeline, "system.Pipeline"), (of_run, job_id, "system.PipelineRun")):
        context.name, context.schema_title = f"{metadata_store.name}/{names.CONTEXTS}/{name}", title
        context.display_name, context.etag = name, names.generated_number()
    of_run.parent_contexts.append(of_pipeline.name)
    for record in (metadata_store, of_pipeline, of_run):
        record.create_time.CopyFrom(job.create_time)
        record.update_time.CopyFrom(job.create_time)
        if store.records.get(type(record), record.name) is None:
            store.records.save([record])


def save_tasks(store: Store, job: Message, details: Iterable[Message]) -> None:
    """Store the executions of the tasks that have ended, in the job's contexts and with their artifacts."""
    context = job.job_detail.pipeline_run_context.name
    for detail in details:
        if detail.state not in TASK_FINAL or not detail.execution.name:
            continue
        execution = detail.execution
        execution.etag = execution.etag or names.generated_number()
        kinds = ((detail.inputs, Event.Type.INPUT), (detail.outputs, Event.Type.OUTPUT))
        events = [
            Event(artifact=artifact.name, execution=execution.name, type_=kind, event_time=execution.update_time)
            for artifacts, kind in kinds
            for listed in artifacts.values()
            for artifact in listed.artifacts
            if artifact.name
        ]
        store.records.save([execution])
        store.lineage.add_events(events)
        store.lineage.add_members(context, [execution.name, *(event.artifact for event in events)])
