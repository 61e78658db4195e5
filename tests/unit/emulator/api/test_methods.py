"""The table of RPCs against the REST bindings that Google's own client carries."""

from __future__ import annotations

import inspect
from typing import Any

from google.cloud.aiplatform_v1.services.job_service.transports.rest_base import _BaseJobServiceRestTransport
from google.cloud.aiplatform_v1.services.metadata_service.transports.rest_base import _BaseMetadataServiceRestTransport
from google.cloud.aiplatform_v1.services.persistent_resource_service.transports.rest_base import (
    _BasePersistentResourceServiceRestTransport,
)
from google.cloud.aiplatform_v1.services.pipeline_service.transports.rest_base import _BasePipelineServiceRestTransport
from google.cloud.aiplatform_v1.services.schedule_service.transports.rest_base import _BaseScheduleServiceRestTransport
from google.longrunning import operations_pb2

from airflow_provider_kedro_vertex.emulator.api.methods import METHODS, SERVED

# Mixed into every service of the client; not methods of the two services.
MIXINS = ("Location", "Locations", "IamPolicy", "IamPermissions", "Operation", "Operations")


def bindings(service: str, transport: Any) -> set[tuple[str, str, str, str]]:
    found = set()
    for name, value in vars(transport).items():
        if inspect.isclass(value) and not name.endswith(MIXINS):
            for option in value._get_http_options():
                found.add(
                    (
                        f"{service}.{name.removeprefix('_Base')}",
                        option["method"].upper(),
                        option["uri"],
                        option.get("body") or "",
                    )
                )
    return found


def test_the_table_has_every_method_with_its_binding() -> None:
    wanted = (
        bindings("PipelineService", _BasePipelineServiceRestTransport)
        | bindings("JobService", _BaseJobServiceRestTransport)
        | bindings("ScheduleService", _BaseScheduleServiceRestTransport)
        | bindings("PersistentResourceService", _BasePersistentResourceServiceRestTransport)
        | bindings("MetadataService", _BaseMetadataServiceRestTransport)
    )
    found = {
        (m.name, m.verb, m.template, m.body)
        for m in METHODS
        if not m.name.startswith(("Operations.", "Locations.", "Projects."))
    }
    assert found == wanted
    assert {m.name for m in METHODS} >= set(SERVED)


def test_operations_are_where_the_client_looks_for_them() -> None:
    methods = {m.name.partition(".")[2] for m in METHODS if m.name.startswith("Operations.")}
    assert methods == set(operations_pb2.DESCRIPTOR.services_by_name["Operations"].methods_by_name)
    for name in methods:
        options = getattr(_BasePipelineServiceRestTransport, f"_Base{name}")._get_http_options()
        known = {(option["method"].upper(), option["uri"]) for option in options}
        mine = {(m.verb, m.template) for m in METHODS if m.name == f"Operations.{name}"}
        assert len(mine) == 10
        assert mine <= known


def test_paths_are_taken_apart() -> None:
    cancel = next(m for m in METHODS if m.name == "PipelineService.CancelPipelineJob").pattern()
    name = "projects/p/locations/l/pipelineJobs/run-1"
    match = cancel.fullmatch(f"/v1/{name}:cancel")
    assert match is not None
    assert match["name"] == name
    for path in (f"/v1/{name}", f"/v1/{name}/x:cancel", f"/v1beta1/{name}:cancel", f"//v1/{name}:cancel"):
        assert cancel.fullmatch(path) is None
