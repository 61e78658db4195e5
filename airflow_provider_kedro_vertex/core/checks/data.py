"""Checks of where data lies: what one container writes must be where another one reads it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from airflow_provider_kedro_vertex.core.checks.findings import Finding
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan, makers
from airflow_provider_kedro_vertex.core.project.graph import dataset
from airflow_provider_kedro_vertex.core.project.manifest import UNDECLARED, Dataset, Manifest, Node
from airflow_provider_kedro_vertex.core.project.selection import pipeline_names

#: Folders that Vertex AI mounts into every container that may have them: no disk of the container's own.
_SHARED_FOLDERS = ("/gcs/", "/mnt/nfs/", "/mnt/lustre/")
#: What to do about data that does not leave its container.
_SHARE = "Give it a gs:// path, take it out of the catalog so that it is handed on below root, or group these nodes."

#: What to do about a server that no container reaches.
_REACH = "Give it the address of a server that the containers reach."


def check_data(manifest: Manifest, plan: Plan, groups: Iterable[NodeGroup]) -> Iterator[Finding]:
    """Check the datasets of a plan."""
    described: dict[str, list[Dataset]] = defaultdict(list)
    for name, item in manifest.datasets.items():
        described[dataset(name)].append(item)
    nodes = _nodes(manifest, plan)
    maker = {dataset(output): group.name for group in groups for name in group.nodes for output in nodes[name].outputs}
    made_as = {dataset(output): output for group in groups for name in group.nodes for output in nodes[name].outputs}
    elsewhere = makers(manifest) if plan.shares_data else ()
    taken = {dataset(name) for group in groups for node in group.nodes for name in nodes[node].inputs}
    for group in groups:
        for name in group.inputs:
            for item in described[name]:
                yield from _crossing(item, maker.get(name), group.name)
        for name in group.nodes:
            yield from _ends(nodes[name], described, maker, taken, elsewhere)
            yield from _transcoding(nodes[name], manifest, made_as)


def _nodes(manifest: Manifest, plan: Plan) -> dict[str, Node]:
    """The nodes that a plan may name, those of its own pipelines before others of the same name."""
    own = {*pipeline_names(manifest, plan.pipeline), plan.config.on_exit_pipeline}
    pipelines = sorted(manifest.pipelines.values(), key=lambda pipeline: pipeline.name in own)
    return {node.name: node for pipeline in pipelines for node in pipeline.nodes}


def _crossing(item: Dataset, maker: str | None, taker: str) -> Iterator[Finding]:
    between = f"is written by {maker!r} and read by {taker!r}, which run in containers of their own"
    if item.scope == "local" and not _is_shared(item):
        yield Finding(
            "KV001",
            "warning" if item.runtime_params else "error",
            f"Dataset {item.name!r} {_place(item)} {between}.",
            _set_by(item) or (_REACH if _is_server(item) else _SHARE),
        )
    elif item.scope == "memory" and item.location is not None:
        yield Finding(
            "KV002",
            "error",
            f"Dataset {item.name!r} at {item.location!r}, in memory, {between}.",
            _SHARE,
        )
    elif item.scope == "memory" and item.type != UNDECLARED:
        yield Finding(
            "KV002",
            "note",
            f"Dataset {item.name!r}, a {item.type} of the catalog, {between}: it is pickled to storage between them.",
            "If it cannot be pickled, group these nodes.",
        )


def _ends(
    node: Node,
    described: Mapping[str, list[Dataset]],
    maker: Collection[str],
    taken: Collection[str],
    elsewhere: Collection[str],
) -> Iterator[Finding]:
    """Check a node's inputs from outside of the run, and its outputs that nobody in the run takes.

    :param elsewhere: what other jobs, which share their data with this run, may make in memory.
    """
    for name in map(dataset, node.inputs):
        for item in described[name] if name not in maker else ():
            if _is_server(item):
                yield Finding(
                    "KV005",
                    "warning",
                    f"Dataset {name!r}, an input of node {node.name!r}, is {_server(item)}.",
                    _REACH,
                )
            elif item.scope == "memory" and name not in elsewhere:
                yield Finding(
                    "KV003",
                    "error",
                    f"Dataset {name!r}, an input of node {node.name!r}, is kept nowhere, and no node of the run "
                    "makes it.",
                    "Declare it in the catalog, or select the node that makes it.",
                )
            elif item.scope == "local" and not _is_shared(item):
                yield Finding(
                    "KV005",
                    "note",
                    f"Dataset {name!r}, an input of node {node.name!r}, is {_file(item)}: it must be in the image.",
                    "Give it a gs:// path if it changes more often than the image.",
                )
    for name in map(dataset, node.outputs):
        for item in described[name] if name not in taken else ():
            if _is_server(item):
                yield Finding(
                    "KV004",
                    "warning",
                    f"Dataset {name!r}, an output of node {node.name!r}, is {_server(item)}.",
                    _REACH,
                )
            elif item.scope == "local" and not _is_shared(item):
                yield Finding(
                    "KV004",
                    "warning",
                    f"Dataset {name!r}, an output of node {node.name!r}, is {_file(item)}: it is lost with the "
                    "container.",
                    "Give it a gs:// path.",
                )


def _transcoding(node: Node, manifest: Manifest, made_as: Mapping[str, str]) -> Iterator[Finding]:
    """Check that a dataset which is loaded under another name than it was made with is kept where both names say.

    :param made_as: how the run's nodes name what they make, by the name without transcoding.
    """
    for name in node.inputs:
        made = made_as.get(dataset(name), name)
        for each in (name, made) if made != name else ():
            item = manifest.datasets.get(each)
            if item is None or item.scope == "memory":
                yield Finding(
                    "KV003",
                    "error",
                    f"Dataset {dataset(name)!r} is made as {made!r} and loaded as {name!r}, by node {node.name!r}, but "
                    f"{each!r} is kept in memory alone: nothing is there to be loaded under the other name.",
                    f"Declare {made!r} and {name!r} in the catalog with one filepath.",
                )
                break


def _is_shared(item: Dataset) -> bool:
    return (item.location or "").startswith(_SHARED_FOLDERS)


def _set_by(item: Dataset) -> str:
    """What to do about a place that runtime parameters say."""
    names = " and ".join(item.runtime_params)
    return names and f"Runtime parameters say where it is ({names}): give each run a place that all containers reach."


def _is_server(item: Dataset) -> bool:
    """Whether it is a server on the own machine, such as ``bolt://localhost``; a local file has a path."""
    return item.scope == "local" and "//" in (item.location or "")


def _place(item: Dataset) -> str:
    if item.location is None:
        return f"(a {item.type}) on the container's own disk or machine"
    return f"{_server(item)}," if _is_server(item) else f"at the local path {item.location!r}"


def _server(item: Dataset) -> str:
    return f"at {item.location!r}, an address of the container's own machine, where no server of yours is"


def _file(item: Dataset) -> str:
    return f"the local file {item.location!r}" if item.location else f"a {item.type} on the container's own disk"
