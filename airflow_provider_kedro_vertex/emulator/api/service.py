"""PipelineService and JobService (v1) as far as they are served: one method for each RPC, protos in and out.

No protocol is known here: REST and gRPC call these methods with the same messages. A refusal is an
:class:`.ApiError`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache

from airflow_provider_kedro_vertex.emulator.api.filters import Kind, compile_filter
from airflow_provider_kedro_vertex.emulator.api.metadata.lineage import LineageRpcs
from airflow_provider_kedro_vertex.emulator.api.metadata.nodes import ARTIFACTS, CONTEXTS, EXECUTIONS, Nodes
from airflow_provider_kedro_vertex.emulator.api.metadata.stores import MetadataStores
from airflow_provider_kedro_vertex.emulator.api.operations import done_operation, operation_of
from airflow_provider_kedro_vertex.emulator.api.paging import page, page_size, parse_order
from airflow_provider_kedro_vertex.emulator.api.persistent_resources import PersistentResources
from airflow_provider_kedro_vertex.emulator.api.schedules import Schedules
from airflow_provider_kedro_vertex.emulator.api.training_pipelines import TrainingPipelines
from airflow_provider_kedro_vertex.emulator.engine.custom_jobs import CustomJobs
from airflow_provider_kedro_vertex.emulator.engine.pipeline_jobs import Engine
from airflow_provider_kedro_vertex.emulator.engine.runs import root_parameters
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    Violation,
    already_exists,
    invalid_argument,
    not_found,
    unimplemented,
    wrong_state,
)
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    Artifact,
    BatchCancelPipelineJobsOperationMetadata,
    BatchCancelPipelineJobsResponse,
    BatchDeletePipelineJobsResponse,
    Context,
    CustomJob,
    DeleteOperationMetadata,
    Empty,
    GetOperationRequest,
    ListCustomJobsResponse,
    ListOperationsResponse,
    ListPipelineJobsResponse,
    Message,
    PipelineJob,
    copy_masked,
    now,
    read_mask,
    to_json,
    without,
)
from airflow_provider_kedro_vertex.emulator.resources.states import JOB_FINAL, PIPELINE_FINAL, JobState, PipelineState
from airflow_provider_kedro_vertex.emulator.spec import job_spec
from airflow_provider_kedro_vertex.emulator.spec.findings import SPEC_PATH
from airflow_provider_kedro_vertex.emulator.spec.graph import Pipeline, check_artifacts
from airflow_provider_kedro_vertex.emulator.spec.reader import read_pipeline
from airflow_provider_kedro_vertex.emulator.storage.store import TIMES, Store

PIPELINE_JOB_FIELDS: Mapping[str, Kind] = {
    "pipeline_name": "name",
    "display_name": "text",
    "pipeline_job_user_id": "text",
    "state": "state",
    "create_time": "time",
    "update_time": "time",
    "end_time": "time",
    "labels": "labels",
    "template_uri": "text",
    "template_metadata.version": "text",
}
"""The fields of ListPipelineJobsRequest.filter, as its documentation lists them."""

CUSTOM_JOB_FIELDS: Mapping[str, Kind] = {
    "display_name": "text",
    "state": "state",
    "create_time": "time",
    "update_time": "time",
    "labels": "labels",
}
"""The fields of ListCustomJobsRequest.filter."""

# Set by the server; what a client sends in them is not looked at, as https://google.aip.dev/203 says.
_OUTPUT_ONLY = (
    "name", "create_time", "start_time", "end_time", "update_time", "state", "job_detail", "error", "template_metadata",
    "schedule_name",
)  # fmt: skip
_CUSTOM_JOB_OUTPUT_ONLY = (
    "name", "state", "create_time", "start_time", "end_time", "update_time", "error", "web_access_uris",
    "satisfies_pzs", "satisfies_pzi",
)  # fmt: skip

LONGEST_WAIT = 60.0
"""Seconds that WaitOperation waits at most."""
_POLL_SECONDS = 0.05

MOST_IN_BATCH = 32
"""The names that BatchCancelPipelineJobs and BatchDeletePipelineJobs take at once."""


class Service:
    """The RPCs. Its methods are called in the event loop; of them only WaitOperation waits."""

    def __init__(self, store: Store, engine: Engine, custom_jobs: CustomJobs) -> None:
        self._store = store
        self._engine = engine
        self._custom_jobs = custom_jobs
        self.schedules = Schedules(store, self.checked_pipeline_job)
        self.training_pipelines = TrainingPipelines(store, custom_jobs)
        self.persistent_resources = PersistentResources(store)
        self.metadata_stores = stores = MetadataStores(store)
        self.artifacts = Nodes(store, stores, ARTIFACTS)
        self.contexts = Nodes(store, stores, CONTEXTS)
        self.executions = Nodes(store, stores, EXECUTIONS)
        self.lineage = LineageRpcs(store, self.artifacts, self.contexts, self.executions)

    def checked_pipeline_job(self, request: Message) -> tuple[Message, Pipeline]:
        """Check a CreatePipelineJobRequest: the job that it would make, without what the server sets, and its spec.

        :raises ApiError: if it is refused.
        """
        _, location = names.location(request.parent)
        job = without(request.pipeline_job, *_OUTPUT_ONLY)
        if not job.HasField("pipeline_spec") and job.template_uri:
            raise unimplemented("Downloading a template_uri (send its pipeline_spec)")
        faults = [
            *(names.job_id_faults(request.pipeline_job_id) if request.pipeline_job_id else ()),
            *names.display_name_faults(job.display_name, "pipeline_job.display_name"),
            *names.label_faults(job.labels, "pipeline_job.labels"),
            *names.form_faults(job.service_account, job.network, "pipeline_job"),
            *names.encryption_faults(job, location, "pipeline_job"),
        ]
        if not job.HasField("pipeline_spec"):
            faults.append(Violation(SPEC_PATH, "is required."))
        if faults:
            raise invalid_argument(*faults)
        return job, self._pipeline(job, request.parent)

    def create_pipeline_job(self, request: Message) -> Message:
        """``PipelineService.CreatePipelineJob``."""
        job, pipeline = self.checked_pipeline_job(request)
        job_id = request.pipeline_job_id or names.generated_job_id(pipeline.name, datetime.now(timezone.utc))
        job.name = f"{request.parent}/{names.PIPELINE_JOBS}/{job_id}"
        job.labels[names.BILLING_LABEL] = names.generated_number()
        job.state = PipelineState.PIPELINE_STATE_PENDING
        job.create_time.CopyFrom(now())
        job.update_time.CopyFrom(job.create_time)
        try:
            self._store.add_pipeline_job(job)
        except KeyError:
            raise already_exists("PipelineJob", job.name) from None
        self._engine.start(without(job, "pipeline_spec"), pipeline)
        return job

    def get_pipeline_job(self, request: Message) -> Message:
        """``PipelineService.GetPipelineJob``."""
        job = self._pipeline_job(request.name)
        context = job.job_detail.pipeline_run_context
        # Others may have put it into contexts of theirs, as the SDK does into an experiment's.
        kept = self._store.records.get(Context, context.name)
        if kept is not None:
            context.CopyFrom(kept)
        return job

    def list_pipeline_jobs(self, request: Message) -> Message:
        """``PipelineService.ListPipelineJobs``.

        The list view has no ``job_detail``; a mask may ask for what is in it beside the tasks.
        """
        mask = read_mask(request.read_mask, PipelineJob())
        chosen, token = self._page(request, names.PIPELINE_JOBS, PIPELINE_JOB_FIELDS, list(PipelineState.__members__))
        response = ListPipelineJobsResponse(next_page_token=token)
        with_spec = mask is None or any(path.startswith("pipeline_spec") for path in mask.paths)
        for name in chosen:
            listed = response.pipeline_jobs.add()
            if mask is None:
                self._store.pipeline_job(name, with_tasks=False, into=listed)
                listed.ClearField("job_detail")
            else:
                copy_masked(mask, self._store.pipeline_job(name, with_spec, with_tasks=False), listed)
        return response

    def cancel_pipeline_job(self, request: Message) -> Message:
        """``PipelineService.CancelPipelineJob``. A job that has ended is refused; one being cancelled is not."""
        job = self._pipeline_job(request.name, with_spec=False)
        if job.state in PIPELINE_FINAL:
            raise wrong_state("PipelineJob", job.name, PipelineState(job.state).name, "canceled")
        self._engine.cancel(job.name)
        return Empty()

    def delete_pipeline_job(self, request: Message) -> Message:
        """``PipelineService.DeletePipelineJob``: only a job that has ended. The operation is done at once."""
        job = self._pipeline_job(request.name, with_spec=False)
        if job.state not in PIPELINE_FINAL:
            raise wrong_state("PipelineJob", job.name, PipelineState(job.state).name, "deleted")
        return self._delete([job.name], job.name, Empty())

    def batch_cancel_pipeline_jobs(self, request: Message) -> Message:
        """``PipelineService.BatchCancelPipelineJobs``: jobs that have ended are skipped.

        The operation is done when every job has ended. If one job is not there, none is cancelled.
        """
        jobs = self._batch(request)
        operation = operation_of(request.parent, BatchCancelPipelineJobsOperationMetadata())
        with self._store.transaction():
            for job in jobs:
                if job.state not in PIPELINE_FINAL:
                    self._engine.cancel(job.name)
            self._store.save_operation(operation, [job.name for job in jobs])
        return operation

    def batch_delete_pipeline_jobs(self, request: Message) -> Message:
        """``PipelineService.BatchDeletePipelineJobs``: all jobs or none. The operation is done at once."""
        jobs = self._batch(request)
        for job in jobs:
            if job.state not in PIPELINE_FINAL:
                raise wrong_state("PipelineJob", job.name, PipelineState(job.state).name, "deleted")
        response = BatchDeletePipelineJobsResponse(pipeline_jobs=jobs)
        return self._delete([job.name for job in jobs], request.parent, response)

    def get_operation(self, request: Message) -> Message:
        """``google.longrunning.Operations.GetOperation``."""
        operation = self._store.operation(request.name)
        if operation is None:
            raise not_found("Operation", request.name)
        if not operation.done:
            # Only a batch of cancellations waits for something: the end of its jobs, which may be deleted by then.
            read = (self._store.pipeline_job(name, with_spec=False) for name in self._store.waits_for(operation.name))
            jobs = [job for job in read if job is not None]
            if all(job.state in PIPELINE_FINAL for job in jobs):
                operation.done = True
                operation.response.Pack(BatchCancelPipelineJobsResponse(pipeline_jobs=jobs))
                self._store.save_operation(operation)
        return operation

    def list_operations(self, request: Message) -> Message:
        """``google.longrunning.Operations.ListOperations``: those of a resource and of all below it, newest first.

        A filter is not read.
        """
        if request.filter:
            raise unimplemented("A filter of operations")
        found = {operation.name: operation for operation in self._store.operations(request.name)}
        rows, token = page(
            [{"name": name, "create_time": len(found) - at} for at, name in enumerate(found)],
            compile_filter("", {}, ()),
            parse_order("", ()),
            page_size(request.page_size),
            request.page_token,
            ("operations", request.name),
        )
        # Read again one by one: whether one is done may be known only now.
        listed = [self.get_operation(GetOperationRequest(name=row["name"])) for row in rows]
        return ListOperationsResponse(operations=listed, next_page_token=token)

    async def wait_operation(self, request: Message) -> Message:
        """``google.longrunning.Operations.WaitOperation``: for a minute at most, so the answer may not be done yet."""
        seconds = LONGEST_WAIT
        if request.HasField("timeout"):
            seconds = min(request.timeout.ToNanoseconds() / 1e9, LONGEST_WAIT)
        if seconds < 0:
            raise invalid_argument(Violation("timeout", "is negative."))
        deadline = time.monotonic() + seconds
        while not (operation := self.get_operation(request)).done and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        return operation

    def create_custom_job(self, request: Message) -> Message:
        """``JobService.CreateCustomJob``: its worker pools are run; see :mod:`.job_spec`."""
        _, location = names.location(request.parent)
        job = without(request.custom_job, *_CUSTOM_JOB_OUTPUT_ONLY)
        job_spec.check(job, location)
        job.name = f"{request.parent}/{names.CUSTOM_JOBS}/{names.generated_number()}"
        self._custom_jobs.submit(job)
        return self._custom_job(job.name)

    def get_custom_job(self, request: Message) -> Message:
        """``JobService.GetCustomJob``. The jobs of pipelines' tasks are there too."""
        return self._custom_job(request.name)

    def cancel_custom_job(self, request: Message) -> Message:
        """``JobService.CancelCustomJob``. A job that has ended is refused; one being cancelled is not."""
        job = self._custom_job(request.name)
        if job.state in JOB_FINAL:
            raise wrong_state("CustomJob", job.name, JobState(job.state).name, "canceled")
        self._custom_jobs.cancel(job.name)
        return Empty()

    def delete_custom_job(self, request: Message) -> Message:
        """``JobService.DeleteCustomJob``: only a job that has ended. The operation is done at once."""
        job = self._custom_job(request.name)
        if job.state not in JOB_FINAL:
            raise wrong_state("CustomJob", job.name, JobState(job.state).name, "deleted")
        return self._delete([job.name], job.name, Empty())

    def list_custom_jobs(self, request: Message) -> Message:
        """``JobService.ListCustomJobs``."""
        mask = read_mask(request.read_mask, CustomJob())
        chosen, token = self._page(request, names.CUSTOM_JOBS, CUSTOM_JOB_FIELDS, list(JobState.__members__))
        response = ListCustomJobsResponse(next_page_token=token)
        for name in chosen:
            listed = response.custom_jobs.add()
            if mask is None:
                listed.CopyFrom(self._store.custom_job(name))
            else:
                copy_masked(mask, self._store.custom_job(name), listed)
        return response

    def _custom_job(self, text: str) -> Message:
        name = names.resource(text, names.CUSTOM_JOBS)
        job = self._store.custom_job(str(name))
        if job is None:
            raise not_found("CustomJob", str(name))
        return job

    def _batch(self, request: Message) -> list[Message]:
        """The jobs that a batch names, without their specs."""
        names.location(request.parent)
        if not 1 <= len(request.names) <= MOST_IN_BATCH:
            raise invalid_argument(Violation("names", f"{len(request.names)} names; 1 to {MOST_IN_BATCH} are allowed."))
        for name in request.names:
            if names.resource(name, names.PIPELINE_JOBS, "names").parent != request.parent:
                raise invalid_argument(Violation("names", f'"{name[:150]}" is not in {request.parent}.'))
        return [self._pipeline_job(name, with_spec=False) for name in dict.fromkeys(request.names)]

    def _delete(self, jobs: Sequence[str], parent: str, response: Message) -> Message:
        operation = done_operation(parent, DeleteOperationMetadata(), response)
        with self._store.transaction():
            for name in jobs:
                self._store.delete(name)
            self._store.save_operation(operation)
        return operation

    def _pipeline_job(self, text: str, with_spec: bool = True) -> Message:
        name = names.resource(text, names.PIPELINE_JOBS)
        job = self._store.pipeline_job(str(name), with_spec)
        if job is None:
            raise not_found("PipelineJob", str(name))
        return job

    def _pipeline(self, job: Message, parent: str) -> Pipeline:
        """Read the spec, and check the runtime config against it."""
        pipeline = _read_spec(job.pipeline_spec.SerializeToString(deterministic=True))
        config = job.runtime_config
        if config.parameters:
            field = "pipeline_job.runtime_config.parameters"
            raise invalid_argument(Violation(field, "is for schema 2.0.0; give parameter_values for schema 2.1.0."))
        if not config.gcs_output_directory:
            config.gcs_output_directory = pipeline.default_root
        if not names.is_bucket_path(config.gcs_output_directory):
            field = "pipeline_job.runtime_config.gcs_output_directory"
            found = f'"{config.gcs_output_directory[:100]}" is no' if config.gcs_output_directory else "is required: a"
            raise invalid_argument(
                Violation(field, f"{found} path in a Cloud Storage bucket, such as gs://bucket/prefix.")
            )
        root_parameters(job, pipeline)
        self._check_artifacts(job, pipeline, parent)
        return pipeline

    def _check_artifacts(self, job: Message, pipeline: Pipeline, parent: str) -> None:
        given, path = job.runtime_config.input_artifacts, "pipeline_job.runtime_config.input_artifacts"
        check_artifacts(pipeline.root, given, path)
        missing = [
            Violation(f"{path}.{name}", f'there is no artifact "{given[name].artifact_id[:100]}" in {parent}.')
            for name in given
            if self._store.records.get(Artifact, names.artifact(parent, given[name].artifact_id)) is None
        ]
        if missing:
            raise invalid_argument(*missing)

    def _page(
        self, request: Message, collection: str, fields: Mapping[str, Kind], states: Sequence[str]
    ) -> tuple[list[str], str]:
        names.location(request.parent)
        # JobService's lists have no order_by.
        order_by = getattr(request, "order_by", "")
        rows, token = page(
            self._store.rows(request.parent, collection, labels="labels" in request.filter),
            compile_filter(request.filter, fields, states),
            parse_order(order_by, TIMES),
            page_size(request.page_size),
            request.page_token,
            (collection, request.parent, request.filter, order_by),
        )
        return [row["name"] for row in rows], token


@lru_cache(maxsize=64)
def _read_spec(serialized: bytes) -> Pipeline:
    # Runs of one pipeline bring the same spec each time, and their graph is never changed: one serves all.
    return read_pipeline(to_json(type(PipelineJob().pipeline_spec).FromString(serialized)))
