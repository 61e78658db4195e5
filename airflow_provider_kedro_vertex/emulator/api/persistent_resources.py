"""PersistentResourceService: records of machines that are there at once, and that no job is run on or refused for."""

from __future__ import annotations

from airflow_provider_kedro_vertex.emulator.api.filters import compile_filter
from airflow_provider_kedro_vertex.emulator.api.operations import done_operation
from airflow_provider_kedro_vertex.emulator.api.paging import page, page_size, parse_order
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    Violation,
    already_exists,
    invalid_argument,
    not_found,
)
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    CreatePersistentResourceOperationMetadata,
    DeleteOperationMetadata,
    Empty,
    ListPersistentResourcesResponse,
    Message,
    PersistentResource,
    microseconds,
    now,
    without,
)
from airflow_provider_kedro_vertex.emulator.spec.job_spec import machine_faults
from airflow_provider_kedro_vertex.emulator.storage.store import Store

_OUTPUT_ONLY = ("name", "state", "error", "create_time", "start_time", "update_time", "resource_runtime")


class PersistentResources:
    """The RPCs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, request: Message) -> Message:
        """``PersistentResourceService.CreatePersistentResource``. The operation is done at once."""
        _, location = names.location(request.parent)
        made = without(request.persistent_resource, *_OUTPUT_ONLY)
        field = "persistent_resource"
        faults = [
            *names.persistent_resource_id_faults(request.persistent_resource_id),
            *names.display_name_faults(made.display_name, f"{field}.display_name"),
            *names.label_faults(made.labels, f"{field}.labels"),
            *names.form_faults("", made.network, field),
            *names.encryption_faults(made, location, field),
        ]
        if not made.resource_pools:
            faults.append(Violation(f"{field}.resource_pools", "at least one is required."))
        for at, pool in enumerate(made.resource_pools):
            faults += machine_faults(pool.machine_spec, f"{field}.resource_pools[{at}].machine_spec")
        if faults:
            raise invalid_argument(*faults)
        made.name = f"{request.parent}/{names.PERSISTENT_RESOURCES}/{request.persistent_resource_id}"
        if self._store.records.get(PersistentResource, made.name) is not None:
            raise already_exists("PersistentResource", made.name)
        made.state = PersistentResource.State.Value("RUNNING")
        for time in (made.create_time, made.start_time, made.update_time):
            time.CopyFrom(now())
        operation = done_operation(made.name, CreatePersistentResourceOperationMetadata(), made)
        with self._store.transaction():
            self._store.records.save([made])
            self._store.save_operation(operation)
        return operation

    def get(self, request: Message) -> Message:
        """``PersistentResourceService.GetPersistentResource``."""
        name = str(names.resource(request.name, names.PERSISTENT_RESOURCES))
        found = self._store.records.get(PersistentResource, name)
        if found is None:
            raise not_found("PersistentResource", name)
        return found

    def list(self, request: Message) -> Message:
        """``PersistentResourceService.ListPersistentResources``."""
        names.location(request.parent)
        records = self._store.records.list(PersistentResource, request.parent, names.PERSISTENT_RESOURCES)
        found = {one.name: one for one in records}
        rows, token = page(
            [{"name": one.name, "create_time": microseconds(one, "create_time")} for one in records],
            compile_filter("", {}, ()),
            parse_order("", ()),
            page_size(request.page_size),
            request.page_token,
            (names.PERSISTENT_RESOURCES, request.parent),
        )
        chosen = [found[row["name"]] for row in rows]
        return ListPersistentResourcesResponse(persistent_resources=chosen, next_page_token=token)

    def delete(self, request: Message) -> Message:
        """``PersistentResourceService.DeletePersistentResource``. The operation is done at once."""
        found = self.get(request)
        operation = done_operation(found.name, DeleteOperationMetadata(), Empty())
        with self._store.transaction():
            self._store.records.delete([found.name])
            self._store.save_operation(operation)
        return operation
