"""The RPCs that this emulator knows by name, and what answers those that it serves. No protocol is known here.

They are all methods of each service of which it serves one or more, so that the others answer UNIMPLEMENTED and not
NOT_FOUND; those of ``google.longrunning.Operations`` for the resources that have operations; those of
``google.cloud.location.Locations``; and the one method of Resource Manager that the SDK calls.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_kedro_vertex.emulator.api import locations, projects
from airflow_provider_kedro_vertex.emulator.api.bindings import Binding, bindings
from airflow_provider_kedro_vertex.emulator.api.service import Service
from airflow_provider_kedro_vertex.emulator.resources import protos
from airflow_provider_kedro_vertex.emulator.resources.errors import unimplemented
from airflow_provider_kedro_vertex.emulator.resources.protos import Message

Handler = Callable[[Message], Message | Awaitable[Message]]

SERVED: Mapping[str, Callable[[Service], Handler]] = {
    "PipelineService.CreatePipelineJob": lambda s: s.create_pipeline_job,
    "PipelineService.GetPipelineJob": lambda s: s.get_pipeline_job,
    "PipelineService.ListPipelineJobs": lambda s: s.list_pipeline_jobs,
    "PipelineService.DeletePipelineJob": lambda s: s.delete_pipeline_job,
    "PipelineService.CancelPipelineJob": lambda s: s.cancel_pipeline_job,
    "PipelineService.BatchDeletePipelineJobs": lambda s: s.batch_delete_pipeline_jobs,
    "PipelineService.BatchCancelPipelineJobs": lambda s: s.batch_cancel_pipeline_jobs,
    "PipelineService.CreateTrainingPipeline": lambda s: s.training_pipelines.create,
    "PipelineService.GetTrainingPipeline": lambda s: s.training_pipelines.get,
    "PipelineService.ListTrainingPipelines": lambda s: s.training_pipelines.list,
    "PipelineService.DeleteTrainingPipeline": lambda s: s.training_pipelines.delete,
    "PipelineService.CancelTrainingPipeline": lambda s: s.training_pipelines.cancel,
    "JobService.CreateCustomJob": lambda s: s.create_custom_job,
    "JobService.GetCustomJob": lambda s: s.get_custom_job,
    "JobService.ListCustomJobs": lambda s: s.list_custom_jobs,
    "JobService.DeleteCustomJob": lambda s: s.delete_custom_job,
    "JobService.CancelCustomJob": lambda s: s.cancel_custom_job,
    "ScheduleService.CreateSchedule": lambda s: s.schedules.create,
    "ScheduleService.GetSchedule": lambda s: s.schedules.get,
    "ScheduleService.ListSchedules": lambda s: s.schedules.list,
    "ScheduleService.PauseSchedule": lambda s: s.schedules.pause,
    "ScheduleService.ResumeSchedule": lambda s: s.schedules.resume,
    "ScheduleService.DeleteSchedule": lambda s: s.schedules.delete,
    "PersistentResourceService.CreatePersistentResource": lambda s: s.persistent_resources.create,
    "PersistentResourceService.GetPersistentResource": lambda s: s.persistent_resources.get,
    "PersistentResourceService.ListPersistentResources": lambda s: s.persistent_resources.list,
    "PersistentResourceService.DeletePersistentResource": lambda s: s.persistent_resources.delete,
    "MetadataService.CreateMetadataStore": lambda s: s.metadata_stores.create,
    "MetadataService.GetMetadataStore": lambda s: s.metadata_stores.get,
    "MetadataService.ListMetadataStores": lambda s: s.metadata_stores.list,
    "MetadataService.DeleteMetadataStore": lambda s: s.metadata_stores.delete,
    "MetadataService.CreateArtifact": lambda s: s.artifacts.create,
    "MetadataService.GetArtifact": lambda s: s.artifacts.get,
    "MetadataService.ListArtifacts": lambda s: s.artifacts.list,
    "MetadataService.UpdateArtifact": lambda s: s.artifacts.update,
    "MetadataService.DeleteArtifact": lambda s: s.artifacts.delete,
    "MetadataService.CreateContext": lambda s: s.contexts.create,
    "MetadataService.GetContext": lambda s: s.contexts.get,
    "MetadataService.ListContexts": lambda s: s.contexts.list,
    "MetadataService.UpdateContext": lambda s: s.contexts.update,
    "MetadataService.DeleteContext": lambda s: s.contexts.delete,
    "MetadataService.CreateExecution": lambda s: s.executions.create,
    "MetadataService.GetExecution": lambda s: s.executions.get,
    "MetadataService.ListExecutions": lambda s: s.executions.list,
    "MetadataService.UpdateExecution": lambda s: s.executions.update,
    "MetadataService.DeleteExecution": lambda s: s.executions.delete,
    "MetadataService.AddContextArtifactsAndExecutions": lambda s: s.lineage.add_members,
    "MetadataService.AddContextChildren": lambda s: s.lineage.add_children,
    "MetadataService.RemoveContextChildren": lambda s: s.lineage.remove_children,
    "MetadataService.AddExecutionEvents": lambda s: s.lineage.add_events,
    "MetadataService.QueryContextLineageSubgraph": lambda s: s.lineage.of_context,
    "MetadataService.QueryExecutionInputsAndOutputs": lambda s: s.lineage.of_execution,
    "MetadataService.QueryArtifactLineageSubgraph": lambda s: s.lineage.of_artifact,
    "Operations.GetOperation": lambda s: s.get_operation,
    "Operations.WaitOperation": lambda s: s.wait_operation,
    "Operations.ListOperations": lambda s: s.list_operations,
    "Locations.GetLocation": lambda s: locations.get_location,
    "Locations.ListLocations": lambda s: locations.list_locations,
    "Projects.GetProject": lambda s: projects.get_project,
}
"""What answers the RPCs that are served, by :attr:`.Binding.name`."""

_REQUESTS: Mapping[str, Callable[[], Any]] = {
    "Operations.GetOperation": protos.GetOperationRequest,
    "Operations.WaitOperation": protos.WaitOperationRequest,
    "Operations.ListOperations": protos.ListOperationsRequest,
    "Locations.GetLocation": locations.GetLocationRequest,
    "Locations.ListLocations": locations.ListLocationsRequest,
    "Projects.GetProject": projects.request,
}
"""The classes of the requests that are no messages of Vertex AI."""


@dataclass(frozen=True)
class Method(Binding):
    """One path of an RPC, with what answers it."""

    @property
    def short_name(self) -> str:
        """The method's name without its service."""
        return self.name.rpartition(".")[2]

    def request(self) -> Message:
        """An empty request.

        :raises ApiError: UNIMPLEMENTED if the method is not served.
        """
        if self.name not in SERVED:
            raise unimplemented(self.name)
        return _REQUESTS[self.name]() if self.name in _REQUESTS else self._vertex_request()

    async def call(self, service: Service, request: Message) -> Message:
        """Answer a request.

        :raises ApiError: if it is refused.
        """
        answer = SERVED[self.name](service)(request)
        return await answer if inspect.isawaitable(answer) else answer

    @cached_property
    def _vertex_request(self) -> Callable[[], Any]:
        found: Callable[[], Any] = protos.vertex_message(f"{self.short_name}Request")
        return found

    def pattern(self) -> re.Pattern[str]:
        """A regular expression for the path, with a group for each field of the request that the path fills.

        A group is named like its field, with two underscores for a dot.
        """

        def group(match: re.Match[str]) -> str:
            return f"(?P<{match[1].replace('.', '__')}>{match[2].replace('*', '[^/]+')})"

        return re.compile(re.sub(r"\{([a-z_.]+)=([^}]+)\}", group, self.template))


_LOCATION = "projects/*/locations/*"
_STORE = f"{_LOCATION}/metadataStores/*"


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
    *(
        Method(one.name, one.verb, one.template, one.body)
        for service in (
            "PipelineService", "JobService", "ScheduleService", "PersistentResourceService", "MetadataService",
        )
        for one in bindings(service)
    ),
    *(
        method
        for parent in (
            f"{_LOCATION}/pipelineJobs/*", f"{_LOCATION}/customJobs/*", f"{_LOCATION}/schedules/*",
            f"{_LOCATION}/trainingPipelines/*", f"{_LOCATION}/persistentResources/*",
            f"{_STORE}/artifacts/*", f"{_STORE}/contexts/*", f"{_STORE}/executions/*", _STORE, _LOCATION,
        )
        for method in _operations(parent)
    ),
    Method("Locations.GetLocation", "GET", f"/v1/{{name={_LOCATION}}}"),
    Method("Locations.ListLocations", "GET", "/v1/{name=projects/*}/locations"),
    Method("Projects.GetProject", "GET", "/v3/{name=projects/*}"),
)  # fmt: skip
