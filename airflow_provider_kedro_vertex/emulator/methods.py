"""The RPCs of PipelineService and JobService (v1) with their REST bindings, from the services' ``google.api.http``.

Each has a request type and a handler if it is served; the others are known by name, so that they answer UNIMPLEMENTED
and not NOT_FOUND. The table knows no protocol: gRPC finds its methods here too. With them go those of
``google.longrunning.Operations``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from airflow_provider_kedro_vertex.emulator import protos
from airflow_provider_kedro_vertex.emulator.errors import unimplemented
from airflow_provider_kedro_vertex.emulator.protos import Message
from airflow_provider_kedro_vertex.emulator.service import Service

Handler = Callable[[Service, Message], Message | Awaitable[Message]]


@dataclass(frozen=True)
class Method:
    """One RPC.

    :param name: ``Service.Method``.
    :param verb: the HTTP method.
    :param template: the path, as in ``google.api.http``.
    :param body: the request's field that the body fills, ``*`` for all fields, empty for none.
    :param request: the request's class; None if the RPC is not served.
    """

    name: str
    verb: str
    template: str
    body: str = ""
    request: Callable[[], Message] | None = None
    handler: Handler | None = None

    @property
    def short_name(self) -> str:
        """The method's name without its service."""
        return self.name.rpartition(".")[2]

    async def call(self, service: Service, request: Message) -> Message:
        """Serve a request.

        :raises ApiError: if the request is refused, or the method is not served.
        """
        if self.handler is None:
            raise unimplemented(self.name)
        answer = self.handler(service, request)
        return await answer if inspect.isawaitable(answer) else answer

    def pattern(self) -> re.Pattern[str]:
        """A regular expression for the path, with a group for each field of the request that the path fills."""

        def group(match: re.Match[str]) -> str:
            return f"(?P<{match[1].replace('.', '__')}>{match[2].replace('*', '[^/]+')})"

        return re.compile(re.sub(r"\{([a-z_.]+)=([^}]+)\}", group, self.template))


_LOCATION = "projects/*/locations/*"


def _crud(service: str, resource: str, collection: str, field: str, cancel: bool) -> list[Method]:
    """The methods that every kind of job has."""
    parent, name = f"/v1/{{parent={_LOCATION}}}/{collection}", f"/v1/{{name={_LOCATION}/{collection}/*}}"
    methods = [
        Method(f"{service}.Create{resource}", "POST", parent, field),
        Method(f"{service}.Get{resource}", "GET", name),
        Method(f"{service}.List{resource}s", "GET", parent),
        Method(f"{service}.Delete{resource}", "DELETE", name),
    ]
    if cancel:
        methods.append(Method(f"{service}.Cancel{resource}", "POST", f"{name}:cancel", "*"))
    return methods


def _operations(parent: str) -> list[Method]:
    """The methods of ``google.longrunning.Operations`` for the operations of one kind of resource."""
    name = f"/v1/{{name={parent}/operations/*}}"
    return [
        Method("Operations.GetOperation", "GET", name, "", protos.GetOperationRequest, Service.get_operation),
        Method(
            "Operations.WaitOperation", "POST", f"{name}:wait", "", protos.WaitOperationRequest, Service.wait_operation
        ),
        Method("Operations.ListOperations", "GET", f"/v1/{{name={parent}}}/operations"),
        Method("Operations.DeleteOperation", "DELETE", name),
        Method("Operations.CancelOperation", "POST", f"{name}:cancel"),
    ]


_PIPELINE_JOBS = f"/v1/{{parent={_LOCATION}}}/pipelineJobs"
_PIPELINE_JOB = f"/v1/{{name={_LOCATION}/pipelineJobs/*}}"
_MONITORING_JOB = f"{_LOCATION}/modelDeploymentMonitoringJobs/*"

METHODS: tuple[Method, ...] = (
    Method(
        "PipelineService.CreatePipelineJob", "POST", _PIPELINE_JOBS, "pipeline_job",
        protos.CreatePipelineJobRequest, Service.create_pipeline_job,
    ),
    Method(
        "PipelineService.GetPipelineJob", "GET", _PIPELINE_JOB, "",
        protos.GetPipelineJobRequest, Service.get_pipeline_job,
    ),
    Method(
        "PipelineService.ListPipelineJobs", "GET", _PIPELINE_JOBS, "",
        protos.ListPipelineJobsRequest, Service.list_pipeline_jobs,
    ),
    Method(
        "PipelineService.DeletePipelineJob", "DELETE", _PIPELINE_JOB, "",
        protos.DeletePipelineJobRequest, Service.delete_pipeline_job,
    ),
    Method(
        "PipelineService.CancelPipelineJob", "POST", f"{_PIPELINE_JOB}:cancel", "*",
        protos.CancelPipelineJobRequest, Service.cancel_pipeline_job,
    ),
    Method(
        "PipelineService.BatchDeletePipelineJobs", "POST", f"{_PIPELINE_JOBS}:batchDelete", "*",
        protos.BatchDeletePipelineJobsRequest, Service.batch_delete_pipeline_jobs,
    ),
    Method(
        "PipelineService.BatchCancelPipelineJobs", "POST", f"{_PIPELINE_JOBS}:batchCancel", "*",
        protos.BatchCancelPipelineJobsRequest, Service.batch_cancel_pipeline_jobs,
    ),
    *_crud("PipelineService", "TrainingPipeline", "trainingPipelines", "training_pipeline", cancel=True),
    Method(
        "JobService.CreateCustomJob", "POST", f"/v1/{{parent={_LOCATION}}}/customJobs", "custom_job",
        protos.CreateCustomJobRequest, Service.create_custom_job,
    ),
    Method(
        "JobService.GetCustomJob", "GET", f"/v1/{{name={_LOCATION}/customJobs/*}}", "",
        protos.GetCustomJobRequest, Service.get_custom_job,
    ),
    Method(
        "JobService.ListCustomJobs", "GET", f"/v1/{{parent={_LOCATION}}}/customJobs", "",
        protos.ListCustomJobsRequest, Service.list_custom_jobs,
    ),
    Method(
        "JobService.DeleteCustomJob", "DELETE", f"/v1/{{name={_LOCATION}/customJobs/*}}", "",
        protos.DeleteCustomJobRequest, Service.delete_custom_job,
    ),
    Method(
        "JobService.CancelCustomJob", "POST", f"/v1/{{name={_LOCATION}/customJobs/*}}:cancel", "*",
        protos.CancelCustomJobRequest, Service.cancel_custom_job,
    ),
    *_crud("JobService", "DataLabelingJob", "dataLabelingJobs", "data_labeling_job", cancel=True),
    *_crud(
        "JobService", "HyperparameterTuningJob", "hyperparameterTuningJobs", "hyperparameter_tuning_job", cancel=True
    ),
    *_crud("JobService", "NasJob", "nasJobs", "nas_job", cancel=True),
    Method("JobService.GetNasTrialDetail", "GET", f"/v1/{{name={_LOCATION}/nasJobs/*/nasTrialDetails/*}}"),
    Method("JobService.ListNasTrialDetails", "GET", f"/v1/{{parent={_LOCATION}/nasJobs/*}}/nasTrialDetails"),
    *_crud("JobService", "BatchPredictionJob", "batchPredictionJobs", "batch_prediction_job", cancel=True),
    *_crud(
        "JobService", "ModelDeploymentMonitoringJob", "modelDeploymentMonitoringJobs",
        "model_deployment_monitoring_job", cancel=False,
    ),
    Method(
        "JobService.SearchModelDeploymentMonitoringStatsAnomalies", "POST",
        f"/v1/{{model_deployment_monitoring_job={_MONITORING_JOB}}}:searchModelDeploymentMonitoringStatsAnomalies", "*",
    ),
    Method(
        "JobService.UpdateModelDeploymentMonitoringJob", "PATCH",
        f"/v1/{{model_deployment_monitoring_job.name={_MONITORING_JOB}}}", "model_deployment_monitoring_job",
    ),
    Method("JobService.PauseModelDeploymentMonitoringJob", "POST", f"/v1/{{name={_MONITORING_JOB}}}:pause", "*"),
    Method("JobService.ResumeModelDeploymentMonitoringJob", "POST", f"/v1/{{name={_MONITORING_JOB}}}:resume", "*"),
    *_operations(f"{_LOCATION}/pipelineJobs/*"),
    *_operations(f"{_LOCATION}/customJobs/*"),
    *_operations(_LOCATION),
)  # fmt: skip
