"""How nodes belong together: contexts in contexts, artifacts and executions in contexts, and their events."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from airflow_provider_kedro_vertex.emulator.api.metadata.nodes import Nodes
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument, unimplemented
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    AddContextArtifactsAndExecutionsResponse,
    AddContextChildrenResponse,
    AddExecutionEventsResponse,
    Context,
    Event,
    LineageSubgraph,
    Message,
    RemoveContextChildrenResponse,
    now,
)
from airflow_provider_kedro_vertex.emulator.storage.store import Store

MOST_PARENTS = 10
"""The contexts that one may be a child of (AddContextChildren)."""


class LineageRpcs:
    """The RPCs."""

    def __init__(self, store: Store, artifacts: Nodes, contexts: Nodes, executions: Nodes) -> None:
        self._store = store
        self._artifacts, self._contexts, self._executions = artifacts, contexts, executions

    def add_members(self, request: Message) -> Message:
        """``MetadataService.AddContextArtifactsAndExecutions``. What is in the context already is skipped."""
        context = self._contexts.named(request.context, "context")
        for name in request.artifacts:
            self._artifacts.named(name, "artifacts")
        for name in request.executions:
            self._executions.named(name, "executions")
        self._store.lineage.add_members(context.name, [*request.artifacts, *request.executions])
        return AddContextArtifactsAndExecutionsResponse()

    def add_children(self, request: Message) -> Message:
        """``MetadataService.AddContextChildren``. What is a child already is skipped.

        :raises ApiError: INVALID_ARGUMENT for a circle, and for an eleventh parent.
        """
        context = self._contexts.named(request.context, "context")
        children = self._children(request)
        above = self._above(context)
        for child in children:
            if child.name in above:
                raise invalid_argument(Violation("child_contexts", f'"{child.name}" contains this context, or is it.'))
            if context.name not in child.parent_contexts:
                child.parent_contexts.append(context.name)
            if len(child.parent_contexts) > MOST_PARENTS:
                said = f'"{child.name}" would have more than {MOST_PARENTS} parents.'
                raise invalid_argument(Violation("child_contexts", said))
        self._store.records.save(children)
        return AddContextChildrenResponse()

    def remove_children(self, request: Message) -> Message:
        """``MetadataService.RemoveContextChildren``. What is no child is skipped."""
        context = self._contexts.named(request.context, "context")
        children = self._children(request)
        for child in children:
            kept = [name for name in child.parent_contexts if name != context.name]
            child.ClearField("parent_contexts")
            child.parent_contexts.extend(kept)
        self._store.records.save(children)
        return RemoveContextChildrenResponse()

    def add_events(self, request: Message) -> Message:
        """``MetadataService.AddExecutionEvents``. Where there is one between the two already it is skipped."""
        execution = self._executions.named(request.execution, "execution")
        events = []
        for sent in request.events:
            self._artifacts.named(sent.artifact, "events.artifact")
            if sent.type_ == Event.Type.TYPE_UNSPECIFIED:
                raise invalid_argument(Violation("events.type", "is required: INPUT or OUTPUT."))
            event = Event(artifact=sent.artifact, execution=execution.name, type_=sent.type_, event_time=now())
            event.labels.update(sent.labels)
            if faults := names.label_faults(event.labels, "events.labels"):
                raise invalid_argument(*faults)
            events.append(event)
        self._store.lineage.add_events(events)
        return AddExecutionEventsResponse()

    def of_context(self, request: Message) -> Message:
        """``MetadataService.QueryContextLineageSubgraph``: what is in the context, and the events between them."""
        return self._subgraph(self._store.lineage.members(self._contexts.named(request.context, "context").name))

    def of_execution(self, request: Message) -> Message:
        """``MetadataService.QueryExecutionInputsAndOutputs``."""
        execution = self._executions.named(request.execution, "execution")
        return self._subgraph({execution.name, *self._neighbours([execution.name])})

    def of_artifact(self, request: Message) -> Message:
        """``MetadataService.QueryArtifactLineageSubgraph``, ``max_hops`` far, or as far as it goes.

        A hop leads from an artifact to an execution, or back. A filter is not read.
        """
        if request.max_hops < 0:
            raise invalid_argument(Violation("max_hops", f"{request.max_hops} is negative."))
        if request.filter:
            raise unimplemented("A filter of QueryArtifactLineageSubgraph")
        found = {self._artifacts.named(request.artifact, "artifact").name}
        edge, hops = set(found), 0
        while edge and (not request.max_hops or hops < request.max_hops):
            edge = self._neighbours(edge) - found
            found |= edge
            hops += 1
        return self._subgraph(found)

    def _children(self, request: Message) -> list[Message]:
        given = dict.fromkeys(request.child_contexts)
        return [self._contexts.named(name, "child_contexts") for name in given]

    def _above(self, context: Message) -> set[str]:
        """A context and all that it is in."""
        found: set[str] = set()
        inside = [context]
        while inside:
            one = inside.pop()
            if one is not None and one.name not in found:
                found.add(one.name)
                inside.extend(self._store.records.get(Context, name) for name in one.parent_contexts)
        return found

    def _neighbours(self, nodes: Iterable[str]) -> set[str]:
        events = [event for name in nodes for event in self._store.lineage.events(name)]
        return {name for event in events for name in (event.artifact, event.execution)}

    def _subgraph(self, nodes: Collection[str]) -> Message:
        graph = LineageSubgraph()
        for name in nodes:
            for kind, found in ((self._artifacts.kind, graph.artifacts), (self._executions.kind, graph.executions)):
                if f"/{kind.collection}/" in name and (node := self._store.records.get(kind.message, name)) is not None:
                    found.append(node)
        inside = set(nodes)
        for execution in graph.executions:
            events = self._store.lineage.events(execution.name)
            graph.events.extend(event for event in events if event.artifact in inside)
        return graph
