"""The RPCs of TrainingPipelines: those of a custom task, which are a CustomJob each.

A training pipeline's state, times and error are those of its CustomJob, which ``training_task_metadata`` names, as on
Vertex AI. AutoML, managed datasets and the upload of the model answer UNIMPLEMENTED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_kedro_vertex.emulator.api.filters import Kind, compile_filter
from airflow_provider_kedro_vertex.emulator.api.operations import done_operation
from airflow_provider_kedro_vertex.emulator.api.paging import page, page_size, parse_order
from airflow_provider_kedro_vertex.emulator.engine.custom_jobs import CustomJobs
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    Code,
    Violation,
    invalid_argument,
    not_found,
    unimplemented,
    wrong_state,
)
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    CustomJob,
    DeleteOperationMetadata,
    Empty,
    ListTrainingPipelinesResponse,
    Message,
    TrainingPipeline,
    copy_masked,
    from_json,
    microseconds,
    now,
    read_mask,
    to_json,
    without,
)
from airflow_provider_kedro_vertex.emulator.resources.states import JOB_FINAL, PIPELINE_FINAL, JobState, PipelineState
from airflow_provider_kedro_vertex.emulator.spec import job_spec
from airflow_provider_kedro_vertex.emulator.storage.store import Store

CUSTOM_TASK = "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
"""The training task that is run: its inputs are a CustomJobSpec."""

_BACKING_JOB = "backingCustomJob"
_OUTPUT_ONLY = (
    "name", "training_task_metadata", "state", "error", "create_time", "start_time", "end_time", "update_time",
)  # fmt: skip
_FIELDS: Mapping[str, Kind] = {
    "display_name": "text",
    "state": "state",
    "training_task_definition": "text",
    "create_time": "time",
    "update_time": "time",
    "labels": "labels",
}
"""The fields of ListTrainingPipelinesRequest.filter."""
_STATES: Mapping[JobState, PipelineState] = {
    state: PipelineState[f"PIPELINE_STATE_{state.name.removeprefix('JOB_STATE_')}"]
    for state in (*JOB_FINAL, JobState.JOB_STATE_PENDING, JobState.JOB_STATE_RUNNING, JobState.JOB_STATE_CANCELLING)
}
_LOST = "Its CustomJob was deleted before it was known how it ended."


class TrainingPipelines:
    """The RPCs."""

    def __init__(self, store: Store, custom_jobs: CustomJobs) -> None:
        self._store = store
        self._custom_jobs = custom_jobs

    def create(self, request: Message) -> Message:
        """``PipelineService.CreateTrainingPipeline``. What is wrong with its inputs is told as of its CustomJob."""
        _, location = names.location(request.parent)
        pipeline = without(request.training_pipeline, *_OUTPUT_ONLY)
        field = "training_pipeline"
        faults = [
            *names.display_name_faults(pipeline.display_name, f"{field}.display_name"),
            *names.label_faults(pipeline.labels, f"{field}.labels"),
            *names.encryption_faults(pipeline, location, field),
        ]
        for required in ("display_name", "training_task_definition"):
            if not getattr(pipeline, required):
                faults.append(Violation(f"{field}.{required}", "is required."))
        if faults:
            raise invalid_argument(*faults)
        if pipeline.training_task_definition != CUSTOM_TASK:
            raise unimplemented(f"The training task {pipeline.training_task_definition[:150]}")
        for part in ("input_data_config", "model_to_upload"):
            if pipeline.HasField(part):
                raise unimplemented(f"The {part} of a TrainingPipeline")
        job = CustomJob(display_name=f"{pipeline.display_name}-custom-job"[: names.DISPLAY_NAME_LENGTH])
        from_json(job.job_spec, to_json(pipeline.training_task_inputs), f"{field}.training_task_inputs")
        job.labels.update(pipeline.labels)
        if pipeline.HasField("encryption_spec"):
            job.encryption_spec.CopyFrom(pipeline.encryption_spec)
        job_spec.check(job, location)
        job.name = f"{request.parent}/{names.CUSTOM_JOBS}/{names.generated_number()}"
        pipeline.name = f"{request.parent}/{names.TRAINING_PIPELINES}/{names.generated_number()}"
        pipeline.training_task_metadata.struct_value.update({_BACKING_JOB: job.name})
        pipeline.state = PipelineState.PIPELINE_STATE_PENDING
        pipeline.create_time.CopyFrom(now())
        pipeline.update_time.CopyFrom(pipeline.create_time)
        with self._store.transaction():
            self._store.records.save([pipeline])
            self._custom_jobs.submit(job)
        return pipeline

    def get(self, request: Message) -> Message:
        """``PipelineService.GetTrainingPipeline``."""
        name = str(names.resource(request.name, names.TRAINING_PIPELINES))
        pipeline = self._store.records.get(TrainingPipeline, name)
        if pipeline is None:
            raise not_found("TrainingPipeline", name)
        return self._as_of_now(pipeline)

    def list(self, request: Message) -> Message:
        """``PipelineService.ListTrainingPipelines``."""
        names.location(request.parent)
        mask = read_mask(request.read_mask, TrainingPipeline())
        records = self._store.records.list(TrainingPipeline, request.parent, names.TRAINING_PIPELINES)
        found = {one.name: self._as_of_now(one) for one in records}
        rows, token = page(
            _rows(found.values()),
            compile_filter(request.filter, _FIELDS, list(PipelineState.__members__)),
            parse_order("", ()),
            page_size(request.page_size),
            request.page_token,
            (names.TRAINING_PIPELINES, request.parent, request.filter),
        )
        response = ListTrainingPipelinesResponse(next_page_token=token)
        for row in rows:
            listed = response.training_pipelines.add()
            if mask is None:
                listed.CopyFrom(found[row["name"]])
            else:
                copy_masked(mask, found[row["name"]], listed)
        return response

    def cancel(self, request: Message) -> Message:
        """``PipelineService.CancelTrainingPipeline``. One that has ended is refused; one being cancelled is not."""
        pipeline = self.get(request)
        if pipeline.state in PIPELINE_FINAL:
            raise wrong_state("TrainingPipeline", pipeline.name, PipelineState(pipeline.state).name, "canceled")
        self._custom_jobs.cancel(_backing_job(pipeline))
        return Empty()

    def delete(self, request: Message) -> Message:
        """``PipelineService.DeleteTrainingPipeline``: only one that has ended. The operation is done at once."""
        pipeline = self.get(request)
        if pipeline.state not in PIPELINE_FINAL:
            raise wrong_state("TrainingPipeline", pipeline.name, PipelineState(pipeline.state).name, "deleted")
        operation = done_operation(pipeline.name, DeleteOperationMetadata(), Empty())
        with self._store.transaction():
            self._store.records.delete([pipeline.name])
            self._store.save_operation(operation)
        return operation

    def _as_of_now(self, pipeline: Message) -> Message:
        """Tell what has become of a training pipeline. How it ended is kept when it is seen."""
        if pipeline.state in PIPELINE_FINAL:
            return pipeline
        job = self._store.custom_job(_backing_job(pipeline))
        if job is None:
            pipeline.state = PipelineState.PIPELINE_STATE_FAILED
            pipeline.error.code, pipeline.error.message = int(Code.NOT_FOUND), _LOST
            pipeline.end_time.CopyFrom(now())
            pipeline.update_time.CopyFrom(pipeline.end_time)
        else:
            pipeline.state = _STATES[JobState(job.state)]
            for field in ("start_time", "end_time", "update_time", "error"):
                if job.HasField(field):
                    getattr(pipeline, field).CopyFrom(getattr(job, field))
        if pipeline.state in PIPELINE_FINAL:
            self._store.records.save([pipeline])
        return pipeline


def _backing_job(pipeline: Message) -> str:
    return str(pipeline.training_task_metadata.struct_value[_BACKING_JOB])


def _rows(pipelines: Any) -> Sequence[Mapping[str, Any]]:
    """Training pipelines as filters and orders see them."""
    return [
        {
            **{field: getattr(one, field) for field in ("name", "display_name", "training_task_definition")},
            **{field: microseconds(one, field) for field in ("create_time", "update_time")},
            "state": PipelineState(one.state).name,
            "labels": dict(one.labels),
        }
        for one in pipelines
    ]
