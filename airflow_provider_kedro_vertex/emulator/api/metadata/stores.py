"""The metadata stores of a location.

The store ``default`` is there once somebody has created it, or a pipeline has put its contexts there.
"""

from __future__ import annotations

from airflow_provider_kedro_vertex.emulator.api.filters import compile_filter
from airflow_provider_kedro_vertex.emulator.api.operations import done_operation
from airflow_provider_kedro_vertex.emulator.api.paging import page, page_size, parse_order
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import already_exists, invalid_argument, not_found
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    CreateMetadataStoreOperationMetadata,
    DeleteMetadataStoreOperationMetadata,
    Empty,
    ListMetadataStoresResponse,
    Message,
    MetadataStore,
    microseconds,
    now,
    without,
)
from airflow_provider_kedro_vertex.emulator.storage.store import Store

_OUTPUT_ONLY = ("name", "create_time", "update_time", "state")
LARGEST_PAGE = 1000
"""ListMetadataStoresRequest.page_size and its like: "Must be in range 1-1000"."""


class MetadataStores:
    """The RPCs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, request: Message) -> Message:
        """``MetadataService.CreateMetadataStore``. The operation is done at once."""
        _, location = names.location(request.parent)
        store_id = request.metadata_store_id or names.generated_uuid()
        found = without(request.metadata_store, *_OUTPUT_ONLY)
        faults = [
            *names.node_id_faults(store_id, "metadata_store_id"),
            *names.encryption_faults(found, location, "metadata_store"),
        ]
        if faults:
            raise invalid_argument(*faults)
        found.name = f"{request.parent}/{names.METADATA_STORES}/{store_id}"
        if self._store.records.get(MetadataStore, found.name) is not None:
            raise already_exists("MetadataStore", found.name)
        found.create_time.CopyFrom(now())
        found.update_time.CopyFrom(found.create_time)
        operation = done_operation(found.name, CreateMetadataStoreOperationMetadata(), found)
        with self._store.transaction():
            self._store.records.save([found])
            self._store.save_operation(operation)
        return operation

    def get(self, request: Message) -> Message:
        """``MetadataService.GetMetadataStore``."""
        return self.named(request.name, "name")

    def named(self, name: str, field: str) -> Message:
        """The store of this name.

        :param field: of the request that has the name.
        :raises ApiError: INVALID_ARGUMENT if it is no such name, NOT_FOUND if there is no such store.
        """
        names.metadata_store(name, field)
        found = self._store.records.get(MetadataStore, name)
        if found is None:
            raise not_found("MetadataStore", name)
        return found

    def list(self, request: Message) -> Message:
        """``MetadataService.ListMetadataStores``."""
        names.location(request.parent)
        found = {
            one.name: one for one in self._store.records.list(MetadataStore, request.parent, names.METADATA_STORES)
        }
        rows, token = page(
            [{"name": one.name, "create_time": microseconds(one, "create_time")} for one in found.values()],
            compile_filter("", {}, ()),
            parse_order("", ()),
            page_size(request.page_size, LARGEST_PAGE),
            request.page_token,
            (names.METADATA_STORES, request.parent),
        )
        return ListMetadataStoresResponse(metadata_stores=[found[row["name"]] for row in rows], next_page_token=token)

    def delete(self, request: Message) -> Message:
        """``MetadataService.DeleteMetadataStore``, with all that is in it. The operation is done at once."""
        found = self.named(request.name, "name")
        operation = done_operation(found.name, DeleteMetadataStoreOperationMetadata(), Empty())
        with self._store.transaction():
            self._store.records.delete([found.name])
            self._store.lineage.forget(found.name)
            self._store.save_operation(operation)
        return operation
