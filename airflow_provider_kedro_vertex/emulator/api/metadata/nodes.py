"""The nodes of a metadata store, artifacts, contexts and executions: created, read, listed, changed and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.emulator.api.filters import Kind, compile_filter
from airflow_provider_kedro_vertex.emulator.api.metadata.stores import LARGEST_PAGE, MetadataStores
from airflow_provider_kedro_vertex.emulator.api.operations import done_operation
from airflow_provider_kedro_vertex.emulator.api.paging import page, page_size, parse_order
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    ApiError,
    Code,
    Violation,
    aborted,
    already_exists,
    invalid_argument,
    not_found,
    unimplemented,
)
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    Artifact,
    Context,
    DeleteOperationMetadata,
    Empty,
    Execution,
    Message,
    microseconds,
    now,
    to_json,
    vertex_message,
    without,
)
from airflow_provider_kedro_vertex.emulator.storage.store import Store

_TIMES = ("create_time", "update_time")
_COMMON_FIELDS: Mapping[str, Kind] = {
    "name": "text",
    "display_name": "text",
    "schema_title": "text",
    "create_time": "time",
    "update_time": "time",
    "metadata": "metadata",
}
# "The name of a schema must be ..." of the version: MetadataSchema's rules are not looked at here.
_MUTABLE = ("display_name", "labels", "metadata", "description", "schema_title", "schema_version")


@dataclass(frozen=True)
class NodeKind:
    """One kind of node.

    :param message: its class.
    :param collection: as in its names.
    :param fields: of its lists' ``filter``, as their documentation lists them.
    :param own_fields: those that only this kind has and that a client may change.
    """

    message: Any
    collection: str
    fields: Mapping[str, Kind]
    own_fields: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the API, such as ``Artifact``."""
        return str(self.message.DESCRIPTOR.name)

    @property
    def field(self) -> str:
        """The field of a request that has such a node."""
        return self.name.lower()

    @property
    def states(self) -> list[str]:
        """The names of its states; a context has none."""
        return list(self.message.State.keys()) if hasattr(self.message, "State") else []


ARTIFACTS = NodeKind(
    Artifact,
    names.ARTIFACTS,
    {**_COMMON_FIELDS, "uri": "text", "state": "state", "in_context": "function"},
    ("uri", "state"),
)
CONTEXTS = NodeKind(
    Context, names.CONTEXTS, {**_COMMON_FIELDS, "parent_contexts": "members", "child_contexts": "members"}
)
EXECUTIONS = NodeKind(
    Execution, names.EXECUTIONS, {**_COMMON_FIELDS, "state": "state", "in_context": "function"}, ("state",)
)


class Nodes:
    """The RPCs of one kind of node."""

    def __init__(self, store: Store, stores: MetadataStores, kind: NodeKind) -> None:
        self._store = store
        self._stores = stores
        self.kind = kind

    def create(self, request: Message) -> Message:
        """``MetadataService.CreateArtifact``, ``CreateContext`` and ``CreateExecution``."""
        self._stores.named(request.parent, "parent")
        id_field = f"{self.kind.field}_id"
        node_id = getattr(request, id_field) or names.generated_uuid()
        node = self._sent(request)
        if faults := names.node_id_faults(node_id, id_field):
            raise invalid_argument(*faults)
        node.name = f"{request.parent}/{self.kind.collection}/{node_id}"
        if self._store.records.get(self.kind.message, node.name) is not None:
            raise already_exists(self.kind.name, node.name)
        node.create_time.CopyFrom(now())
        return self._saved(node)

    def get(self, request: Message) -> Message:
        """``MetadataService.GetArtifact``, ``GetContext`` and ``GetExecution``."""
        return self.named(request.name, "name")

    def named(self, name: str, field: str) -> Message:
        """The node of this name.

        :param field: of the request that has the name.
        :raises ApiError: INVALID_ARGUMENT if it is no such name, NOT_FOUND if there is no such node.
        """
        names.metadata_node(name, self.kind.collection, field)
        found = self._store.records.get(self.kind.message, name)
        if found is None:
            raise not_found(self.kind.name, name)
        return found

    def list(self, request: Message) -> Message:
        """``MetadataService.ListArtifacts``, ``ListContexts`` and ``ListExecutions``."""
        self._stores.named(request.parent, "parent")
        found = {
            one.name: one for one in self._store.records.list(self.kind.message, request.parent, self.kind.collection)
        }
        rows, token = page(
            self._rows(found, request.filter),
            compile_filter(request.filter, self.kind.fields, self.kind.states),
            parse_order(request.order_by, _TIMES),
            page_size(request.page_size, LARGEST_PAGE),
            request.page_token,
            (self.kind.collection, request.parent, request.filter, request.order_by),
        )
        response = vertex_message(f"List{self.kind.name}sResponse")(next_page_token=token)
        getattr(response, self.kind.collection).extend(found[row["name"]] for row in rows)
        return response

    def update(self, request: Message) -> Message:
        """``MetadataService.UpdateArtifact``, ``UpdateContext`` and ``UpdateExecution``.

        Without a mask all that a client may change is replaced. A mask names whole fields.
        """
        sent = getattr(request, self.kind.field)
        mutable = (*_MUTABLE, *self.kind.own_fields)
        paths = [path for path in request.update_mask.paths if path != "*"]
        if deep := [path for path in paths if path.partition(".")[0] in mutable and "." in path]:
            raise unimplemented(f'An update_mask with a part of a field, as "{deep[0][:100]}"')
        if wrong := [path for path in paths if path not in mutable]:
            raise invalid_argument(Violation("update_mask", f'"{wrong[0][:100]}" is none of {", ".join(mutable)}.'))
        try:
            node = self.named(sent.name, f"{self.kind.field}.name")
        except ApiError as error:
            if not request.allow_missing or error.code != Code.NOT_FOUND:
                raise
            parent, _, node_id = sent.name.rsplit("/", 2)
            creating = vertex_message(f"Create{self.kind.name}Request")(parent=parent)
            getattr(creating, self.kind.field).CopyFrom(sent)
            setattr(creating, f"{self.kind.field}_id", node_id)
            return self.create(creating)
        self._check_etag(node, sent.etag)
        given = self._sent(request)
        for path in paths or mutable:
            node.ClearField(path)
        for path in paths or mutable:
            if isinstance(getattr(given, path), (str, int)):
                setattr(node, path, getattr(given, path))
            else:
                getattr(node, path).MergeFrom(getattr(given, path))
        return self._saved(node)

    def delete(self, request: Message) -> Message:
        """``MetadataService.DeleteArtifact``, ``DeleteContext`` and ``DeleteExecution``, with their events.

        The operation is done at once. A context's members and children stay.
        """
        node = self.named(request.name, "name")
        self._check_etag(node, request.etag)
        operation = done_operation(node.name, DeleteOperationMetadata(), Empty())
        with self._store.transaction():
            self._store.records.delete([node.name])
            self._store.lineage.forget(node.name)
            self._store.save_operation(operation)
        return operation

    def _sent(self, request: Message) -> Message:
        """The node as a client sent it, without what the server sets.

        :raises ApiError: INVALID_ARGUMENT with each field that is wrong.
        """
        field = self.kind.field
        output_only = (
            "name",
            "etag",
            "create_time",
            "update_time",
            *(("parent_contexts",) if field == "context" else ()),
        )
        node = without(getattr(request, field), *output_only)
        faults = [
            *names.display_name_faults(node.display_name, f"{field}.display_name"),
            *names.label_faults(node.labels, f"{field}.labels"),
        ]
        if faults:
            raise invalid_argument(*faults)
        return node

    def _check_etag(self, node: Message, etag: str) -> None:
        if etag and etag != node.etag:
            raise aborted(f'The {self.kind.name} "{node.name}" was changed by somebody else: its etag is {node.etag}.')

    def _saved(self, node: Message) -> Message:
        node.update_time.CopyFrom(now())
        # Two changes within a microsecond are two etags all the same.
        node.etag = names.generated_number()
        self._store.records.save([node])
        return node

    def _rows(self, found: Mapping[str, Message], filter_: str) -> Sequence[Mapping[str, Any]]:
        """The nodes as filters and orders see them."""
        rows = []
        children: dict[str, list[str]] = {}
        for node in found.values():
            row: dict[str, Any] = {
                **{field: getattr(node, field) for field in ("name", "display_name", "schema_title")},
                **{field: microseconds(node, field) for field in _TIMES},
                "metadata": to_json(node.metadata),
            }
            if self.kind.message is Context:
                row["parent_contexts"] = list(node.parent_contexts)
                row["child_contexts"] = children.setdefault(node.name, [])
                for parent in node.parent_contexts:
                    children.setdefault(parent, []).append(node.name)
            else:
                row["state"] = self.kind.message.State.Name(node.state)
                row["in_context"] = self._store.lineage.contexts(node.name) if "in_context" in filter_ else ()
            if "uri" in self.kind.fields:
                row["uri"] = node.uri
            rows.append(row)
        return rows
