"""The RPCs of PipelineService, JobService and ScheduleService (v1) with their REST bindings (``google.api.http``).

:data:`SERVED` has those that are served; the others are known by name, so that they answer UNIMPLEMENTED and not
NOT_FOUND. The tables know no protocol: gRPC finds its methods here too. With them go those of
``google.longrunning.Operations``, and the one method of Resource Manager that the SDK calls.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from airflow_provider_kedro_vertex.emulator.api import projects
from airflow_provider_kedro_vertex.emulator.api.service import Service
from airflow_provider_kedro_vertex.emulator.resources import protos
from airflow_provider_kedro_vertex.emulator.resources.errors import unimplemented
from airflow_provider_kedro_vertex.emulator.resources.protos import Message

Handler = Callable[[Service, Message], Message | Awaitable[Message]]


@dataclass(frozen=True)
class Served:
    """The implementation of an RPC: the class of its requests, and what answers them."""

    request: Callable[[], Message]
    handler: Handler

    async def call(self, service: Service, request: Message) -> Message:
        """Answer a request.

        :raises ApiError: if it is refused.
        """
        answer = self.handler(service, request)
        return await answer if inspect.isawaitable(answer) else answer


@dataclass(frozen=True)
class Method:
    """One RPC.

    :param name: ``Service.Method``.
    :param verb: the HTTP method.
    :param template: the path, as in ``google.api.http``.
    :param body: the request's field that the body fills, ``*`` for all fields, empty for none.
    """

    name: str
    verb: str
    template: str
    body: str = ""

    @property
    def short_name(self) -> str:
        """The method's name without its service."""
        return self.name.rpartition(".")[2]

    def served(self) -> Served:
        """Find its implementation.

        :raises ApiError: UNIMPLEMENTED if it is not.
        """
        if self.name not in SERVED:
            raise unimplemented(self.name)
        return SERVED[self.name]

    def pattern(self) -> re.Pattern[str]:
        """A regular expression for the path, with a group for each field of the request that the path fills."""

        def group(match: re.Match[str]) -> str:
            return f"(?P<{match[1].replace('.', '__')}>{match[2].replace('*', '[^/]+')})"

        return re.compile(re.sub(r"\{([a-z_.]+)=([^}]+)\}", group, self.template))


SERVED: Mapping[str, Served] = {
    "PipelineService.CreatePipelineJob": Served(protos.CreatePipelineJobRequest, Service.create_pipeline_job),
    "PipelineService.GetPipelineJob": Served(protos.GetPipelineJobRequest, Service.get_pipeline_job),
    "PipelineService.ListPipelineJobs": Served(protos.ListPipelineJobsRequest, Service.list_pipeline_jobs),
    "PipelineService.DeletePipelineJob": Served(protos.DeletePipelineJobRequest, Service.delete_pipeline_job),
    "PipelineService.CancelPipelineJob": Served(protos.CancelPipelineJobRequest, Service.cancel_pipeline_job),
    "PipelineService.BatchDeletePipelineJobs": Served(
        protos.BatchDeletePipelineJobsRequest, Service.batch_delete_pipeline_jobs
    ),
    "PipelineService.BatchCancelPipelineJobs": Served(
        protos.BatchCancelPipelineJobsRequest, Service.batch_cancel_pipeline_jobs
    ),
    "JobService.CreateCustomJob": Served(protos.CreateCustomJobRequest, Service.create_custom_job),
    "JobService.GetCustomJob": Served(protos.GetCustomJobRequest, Service.get_custom_job),
    "JobService.ListCustomJobs": Served(protos.ListCustomJobsRequest, Service.list_custom_jobs),
    "JobService.DeleteCustomJob": Served(protos.DeleteCustomJobRequest, Service.delete_custom_job),
    "JobService.CancelCustomJob": Served(protos.CancelCustomJobRequest, Service.cancel_custom_job),
    "ScheduleService.CreateSchedule": Served(
        protos.CreateScheduleRequest, lambda s, request: s.schedules.create(request)
    ),
    "ScheduleService.GetSchedule": Served(protos.GetScheduleRequest, lambda s, request: s.schedules.get(request)),
    "ScheduleService.ListSchedules": Served(protos.ListSchedulesRequest, lambda s, request: s.schedules.list(request)),
    "ScheduleService.PauseSchedule": Served(protos.PauseScheduleRequest, lambda s, request: s.schedules.pause(request)),
    "ScheduleService.ResumeSchedule": Served(
        protos.ResumeScheduleRequest, lambda s, request: s.schedules.resume(request)
    ),
    "ScheduleService.DeleteSchedule": Served(
        protos.DeleteScheduleRequest, lambda s, request: s.schedules.delete(request)
    ),
    "Operations.GetOperation": Served(protos.GetOperationRequest, Service.get_operation),
    "Operations.WaitOperation": Served(protos.WaitOperationRequest, Service.wait_operation),
    "Projects.GetProject": Served(projects.request, lambda service, request: projects.get_project(request)),
}
"""The RPCs that are served, by :attr:`Method.name`."""

_LOCATION = "projects/*/locations/*"
_MONITORING_JOB = f"{_LOCATION}/modelDeploymentMonitoringJobs/*"


def _crud(service: str, resource: str, collection: str, field: str) -> list[Method]:
    """The methods that every kind of job has."""
    parent, name = f"/v1/{{parent={_LOCATION}}}/{collection}", f"/v1/{{name={_LOCATION}/{collection}/*}}"
    return [
        Method(f"{service}.Create{resource}", "POST", parent, field),
        Method(f"{service}.Get{resource}", "GET", name),
        Method(f"{service}.List{resource}s", "GET", parent),
        Method(f"{service}.Delete{resource}", "DELETE", name),
    ]


def _cancellable(service: str, resource: str, collection: str, field: str) -> list[Method]:
    """The methods of a kind of job that can be cancelled."""
    cancel = f"/v1/{{name={_LOCATION}/{collection}/*}}:cancel"
    return [
        *_crud(service, resource, collection, field),
        Method(f"{service}.Cancel{resource}", "POST", cancel, "*"),
    ]


def _operations(parent: str) -> list[Method]:
    """The methods of ``google.longrunning.Operations`` for the operations of one kind of resource."""
    name = f"/v1/{{name={parent}/operations/*}}"
    return [
        Method("Operations.GetOperation", "GET", name),
        Method("Operations.WaitOperation", "POST", f"{name}:wait"),
        Method("Operations.ListOperations", "GET", f"/v1/{{name={parent}}}/operations"),
        Method("Operations.DeleteOperation", "DELETE", name),
        Method("Operations.CancelOperation", "POST", f"{name}:cancel"),
    ]


METHODS: tuple[Method, ...] = (
    *_cancellable("PipelineService", "PipelineJob", "pipelineJobs", "pipeline_job"),
    Method(
        "PipelineService.BatchDeletePipelineJobs", "POST", f"/v1/{{parent={_LOCATION}}}/pipelineJobs:batchDelete", "*"
    ),
    Method(
        "PipelineService.BatchCancelPipelineJobs", "POST", f"/v1/{{parent={_LOCATION}}}/pipelineJobs:batchCancel", "*"
    ),
    *_cancellable("PipelineService", "TrainingPipeline", "trainingPipelines", "training_pipeline"),
    *_cancellable("JobService", "CustomJob", "customJobs", "custom_job"),
    *_cancellable("JobService", "DataLabelingJob", "dataLabelingJobs", "data_labeling_job"),
    *_cancellable(
        "JobService", "HyperparameterTuningJob", "hyperparameterTuningJobs", "hyperparameter_tuning_job"
    ),
    *_cancellable("JobService", "NasJob", "nasJobs", "nas_job"),
    Method("JobService.GetNasTrialDetail", "GET", f"/v1/{{name={_LOCATION}/nasJobs/*/nasTrialDetails/*}}"),
    Method("JobService.ListNasTrialDetails", "GET", f"/v1/{{parent={_LOCATION}/nasJobs/*}}/nasTrialDetails"),
    *_cancellable("JobService", "BatchPredictionJob", "batchPredictionJobs", "batch_prediction_job"),
    *_crud(
        "JobService", "ModelDeploymentMonitoringJob", "modelDeploymentMonitoringJobs",
        "model_deployment_monitoring_job",
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
    *_crud("ScheduleService", "Schedule", "schedules", "schedule"),
    Method("ScheduleService.PauseSchedule", "POST", f"/v1/{{name={_LOCATION}/schedules/*}}:pause", "*"),
    Method("ScheduleService.ResumeSchedule", "POST", f"/v1/{{name={_LOCATION}/schedules/*}}:resume", "*"),
    Method("ScheduleService.UpdateSchedule", "PATCH", f"/v1/{{schedule.name={_LOCATION}/schedules/*}}", "schedule"),
    *_operations(f"{_LOCATION}/pipelineJobs/*"),
    *_operations(f"{_LOCATION}/customJobs/*"),
    *_operations(f"{_LOCATION}/schedules/*"),
    *_operations(_LOCATION),
    Method("Projects.GetProject", "GET", "/v3/{name=projects/*}"),
)  # fmt: skip
