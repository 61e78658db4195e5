"""Long-running operations, as the API's methods give them."""

from __future__ import annotations

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.protos import Message, Operation, now


def done_operation(parent: str, metadata: Message, response: Message) -> Message:
    """A new operation that is done.

    :param parent: see :func:`operation_of`.
    :param metadata: see :func:`operation_of`.
    :param response: what came of it.
    """
    operation = operation_of(parent, metadata)
    operation.done = True
    operation.response.Pack(response)
    return operation


def operation_of(parent: str, metadata: Message) -> Message:
    """A new operation, not yet done.

    :param parent: the resource that it belongs to.
    :param metadata: of it, with a ``generic_metadata`` whose times are set here.
    """
    metadata.generic_metadata.create_time.CopyFrom(now())
    metadata.generic_metadata.update_time.CopyFrom(metadata.generic_metadata.create_time)
    operation = Operation(name=f"{parent}/operations/{names.generated_number()}")
    operation.metadata.Pack(metadata)
    return operation
