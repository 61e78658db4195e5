"""Checks of where data lies: what one container writes must be where another one reads it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from airflow_provider_kedro_vertex.core.checks.findings import Finding, Level, Summary, first_and_more, some
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan, makers
from airflow_provider_kedro_vertex.core.project.graph import dataset
from airflow_provider_kedro_vertex.core.project.manifest import UNDECLARED, Dataset, Manifest, Node
from airflow_provider_kedro_vertex.core.project.selection import pipeline_names
from airflow_provider_kedro_vertex.core.settings.data_root import stays, why_type_stays
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

#: Folders that Vertex AI mounts into every container that may have them: no disk of the container's own.
SHARED_FOLDERS = ("/gcs/", "/mnt/nfs/", "/mnt/lustre/")
#: Datasets whose local file is that of a database.
_DATABASE = re.compile(r"(?:.+\.)?(?:ibis\.(?:.+\.)?TableDataset|SQL\w+)")

#: What to do about a server that no container reaches.
_REACH = "Give it the address of a server that the containers reach."

#: A file or folder, in a storage or on a disk; a database may rightly have several datasets.
_FILE = re.compile(r"(?:(?:gs|gcs|s3a?|s3n|abfss?|adl|az|hdfs|file|oss|dbfs)://|[^:]*$).*")

#: How findings read that are made for many datasets.
_LOCAL = "{count} datasets{below} are written and read by containers of their own: {names}."
_PICKLED = Summary(
    "{count} memory datasets of the catalog are pickled to storage between containers: {names}.",
    "If one cannot be pickled, group its nodes.",
)
_NOWHERE = Summary(
    "{count} inputs are kept nowhere, and no node of the run makes them: {names}.",
    "Declare them in the catalog, or select the nodes that make them.",
)
_BY_HOOKS = Summary(
    "{count} inputs are neither declared nor made by a node of the run: {names}. Hooks of the project may add them, "
    "which cannot be seen from here.",
    "If none does, declare them in the catalog, or select the nodes that make them.",
)
_LOST = "{count} results{below} are local files, which are lost with the container: {names}."
_IN_IMAGE = "{count} inputs{below} are local files, which must be in the image: {names}."


@dataclass
class _Use:
    """One dataset of a plan: who writes and who reads it, under whatever transcoding.

    :param items: as the catalog describes it, once for each name that nodes call it by; those that write come first.
    :param written_as: the name that it is written by, with its transcoding; None if it is an input of the run.
    :param writer: the name of the group that writes it.
    :param writers: the nodes that write it.
    :param readers: the nodes that read it, with the names that they read it by.
    :param elsewhere: the groups that read it in other containers than the one that wrote it.
    """

    items: dict[str, Dataset] = field(default_factory=dict)
    written_as: str | None = None
    writer: str | None = None
    writers: list[str] = field(default_factory=list)
    readers: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Advice:
    """What to do about a dataset on the container's own disk, alone and together with others.

    :param one: begins with "Give", and has ``{place}`` for what to give.
    :param many: the same for several.
    """

    one: str
    many: str

    def at(self, item: Dataset) -> _Advice:
        """The same with the place that suits the dataset: a table lies in no folder of Cloud Storage."""
        place = "a database on a server that the containers reach" if _is_database(item) else "a gs:// path"
        return _Advice(self.one.format(place=place), self.many.format(place=place))

    def of(self, item: Dataset, config: RunConfig) -> _Advice:
        """The same with ``data_root``: that it is the shortest way, or why it does not hold this dataset."""
        why = _why_not_below_data_root(item, config)
        advice = self.at(item)
        if config.data_root:
            return _Advice(*(f"data_root does not hold it: {why}. {text}" for text in (advice.one, advice.many)))
        if why:
            return advice
        return _Advice(*(f"Set run_config.data_root, or g{text[1:]}" for text in (advice.one, advice.many)))


_SHARE = _Advice(
    "Give it {place}, take it out of the catalog so that it is handed on below root, or group these nodes.",
    "Give them {place}, take them out of the catalog, or group these nodes.",
)
_KEEP = _Advice("Give it {place}.", "Give them {place}.")
_KEEP_FRESH = _Advice(
    "Give it {place} if it changes more often than the image.",
    "Give those {place} that change more often than the image.",
)


def check_data(manifest: Manifest, plan: Plan, groups: Iterable[NodeGroup]) -> Iterator[Finding]:
    """Check the datasets of a plan: what is found of one has all nodes that read or write it."""
    made_elsewhere = makers(manifest) if plan.shares_data else ()
    uses = _uses(manifest, plan, groups)
    yield from _one_file(uses)
    for name, use in uses.items():
        yield from _transcoding(name, use)
        if use.writer is None:
            yield from _input(name, use, plan.config, made_elsewhere, manifest.hooks)
        elif use.elsewhere:
            yield from _crossing(name, use, plan.config)
        elif not use.readers:
            yield from _result(name, use, plan.config)


def _uses(manifest: Manifest, plan: Plan, groups: Iterable[NodeGroup]) -> dict[str, _Use]:
    nodes = _nodes(manifest, plan)
    members = [(group, nodes[name]) for group in groups for name in group.nodes]
    uses: dict[str, _Use] = {}
    for group, node in members:
        for output in node.outputs:
            use = uses.setdefault(dataset(output), _Use())
            use.items[output] = manifest.datasets.get(output) or Dataset(output, UNDECLARED)
            use.written_as, use.writer = output, group.name
            use.writers.append(node.name)
    for group, node in members:
        for taken in node.inputs:
            if taken in manifest.datasets:
                use = uses.setdefault(dataset(taken), _Use())
                use.items.setdefault(taken, manifest.datasets[taken])
                use.readers.setdefault(node.name, taken)
                if dataset(taken) in group.inputs:
                    use.elsewhere[group.name] = None
    return uses


def _nodes(manifest: Manifest, plan: Plan) -> dict[str, Node]:
    """The nodes that a plan may name, those of its own pipelines before others of the same name."""
    own = {*pipeline_names(manifest, plan.pipeline), plan.config.on_exit_pipeline}
    pipelines = sorted(manifest.pipelines.values(), key=lambda pipeline: pipeline.name in own)
    return {node.name: node for pipeline in pipelines for node in pipeline.nodes}


def _crossing(name: str, use: _Use, config: RunConfig) -> Iterator[Finding]:
    between = (
        f"is written by {use.writer!r} and read by {some(list(use.elsewhere))}, which run in containers of their own"
    )
    for item in use.items.values():
        if _is_own_disk(item):
            message = f"Dataset {name!r} {_place(item)} {between}."
            advice = _SHARE.of(item, config)
            fix = _set_by(item) or (_REACH if _is_server(item) else advice.one)
            level: Level = "warning" if item.runtime_params else "error"
            summary = None if item.runtime_params else Summary(_LOCAL, advice.many)
            yield _finding("KV001", level, message, fix, name, use, item, summary)
            return
        if item.scope == "memory" and item.location is not None:
            message = f"Dataset {name!r} at {item.location!r}, in memory, {between}."
            advice = _SHARE.at(item)
            yield _finding("KV002", "error", message, advice.one, name, use, item, Summary(_LOCAL, advice.many))
            return
        if item.scope == "memory" and item.type != UNDECLARED:
            message = (
                f"Dataset {name!r}, a {item.type} of the catalog, {between}: it is pickled to storage between them."
            )
            fix = "If it cannot be pickled, group these nodes."
            yield _finding("KV002", "note", message, fix, name, use, item, _PICKLED)
            return


def _input(
    name: str, use: _Use, config: RunConfig, made_elsewhere: Collection[str], hooks: Sequence[str]
) -> Iterator[Finding]:
    """Check a dataset from outside of the run.

    :param made_elsewhere: what other jobs, which share their data with this run, may make in memory.
    :param hooks: the project's hooks that may add it.
    """
    what = f"Dataset {name!r}, an input of node {first_and_more([*use.readers])}, is"
    for item in use.items.values():
        if _is_server(item):
            yield _finding("KV005", "warning", f"{what} {_server(item)}.", _REACH, name, use, item)
            return
        if item.scope == "memory" and item.type == UNDECLARED and hooks and name not in made_elsewhere:
            message = (
                f"{what} neither declared nor made by a node of the run. A hook may add it ({', '.join(hooks)}), which "
                "cannot be seen from here."
            )
            fix = "If none does, declare it in the catalog, or select the node that makes it."
            yield _finding("KV003", "warning", message, fix, name, use, item, _BY_HOOKS)
            return
        if item.scope == "memory" and not item.has_data and name not in made_elsewhere:
            message = f"{what} kept nowhere, and no node of the run makes it."
            fix = "Declare it in the catalog, or select the node that makes it."
            yield _finding("KV003", "error", message, fix, name, use, item, _NOWHERE)
            return
        if _is_own_disk(item):
            if config.data_root and stays(name, config.local_datasets):
                return  # said to be in the image
            advice = _KEEP_FRESH.of(item, config)
            message = f"{what} {_file(item)}: it must be in the image."
            yield _finding("KV005", "note", message, advice.one, name, use, item, Summary(_IN_IMAGE, advice.many))
            return


def _result(name: str, use: _Use, config: RunConfig) -> Iterator[Finding]:
    """Check a dataset that nobody in the run reads."""
    what = f"Dataset {name!r}, an output of node {first_and_more(use.writers)}, is"
    for item in use.items.values():
        if _is_server(item):
            yield _finding("KV004", "warning", f"{what} {_server(item)}.", _REACH, name, use, item)
        elif _is_own_disk(item):
            advice = _KEEP.of(item, config)
            message = f"{what} {_file(item)}: it is lost with the container."
            yield _finding("KV004", "warning", message, advice.one, name, use, item, Summary(_LOST, advice.many))


def _one_file(uses: Mapping[str, _Use]) -> Iterator[Finding]:
    """Find files that a node writes under one name and that have another name besides."""
    files: dict[str, dict[str, _Use]] = defaultdict(dict)
    for name, use in uses.items():
        for item in use.items.values():
            if item.location and item.scope != "memory" and _FILE.fullmatch(item.location) and not _is_database(item):
                files[item.location][name] = use
    for location, named in files.items():
        writers = [node for use in named.values() for node in use.writers]
        if len(named) > 1 and writers:
            yield Finding(
                "KV029",
                "warning",
                f"{some(list(named))} are one file, {location!r}, which node {first_and_more(writers)} writes: Kedro "
                "orders nodes by the names of datasets, so it may be read before it is written, or written twice.",
                "Give the dataset one name; for two types of one file, transcode it: name@pandas, name@spark.",
                nodes=tuple(dict.fromkeys(node for use in named.values() for node in (*use.writers, *use.readers))),
            )


def _transcoding(name: str, use: _Use) -> Iterator[Finding]:
    """Check that a dataset which is loaded under another name than it was made with is kept where both names say."""
    made = use.written_as
    for node, loaded in use.readers.items():
        for each in (loaded, made) if made not in (None, loaded) else ():
            item = use.items[each or ""]
            if item.scope == "memory":
                yield _finding(
                    "KV003",
                    "error",
                    f"Dataset {name!r} is made as {made!r} and loaded as {loaded!r}, by node {node!r}, but "
                    f"{each!r} is kept in memory alone: nothing is there to be loaded under the other name.",
                    f"Declare {made!r} and {loaded!r} in the catalog with one filepath.",
                    name,
                    use,
                    item,
                )
                return


def _finding(
    code: Literal["KV001", "KV002", "KV003", "KV004", "KV005"],
    level: Level,
    message: str,
    fix: str,
    name: str,
    use: _Use,
    item: Dataset,
    summary: Summary | None = None,
) -> Finding:
    return Finding(
        code,
        level,
        message,
        fix,
        dataset=name,
        nodes=tuple(dict.fromkeys((*use.writers, *use.readers))),
        location=item.location,
        summary=None if _is_server(item) else summary,
    )


def _is_own_disk(item: Dataset) -> bool:
    return item.scope == "local" and not (item.location or "").startswith(SHARED_FOLDERS)


def _why_not_below_data_root(item: Dataset, config: RunConfig) -> str | None:
    """Why a local dataset does not lie below ``data_root``, or would not; None where nothing is in the way."""
    if stays(item.name, config.local_datasets):
        return "run_config.local_datasets names it"
    if why := why_type_stays(item.type):
        return why
    location = item.location or ""
    if location.startswith("/"):
        return "its path is absolute"
    if location.startswith("../"):
        return "its path leads out of the project"
    if config.data_root or not location or _is_server(item) or _is_database(item):
        return "it has no relative filepath or path in the catalog"
    return None


def _is_database(item: Dataset) -> bool:
    return _DATABASE.fullmatch(item.type) is not None


def _set_by(item: Dataset) -> str:
    """Advise on a place that runtime parameters name."""
    names = " and ".join(item.runtime_params)
    return names and f"Runtime parameters say where it is ({names}): give each run a place that all containers reach."


def _is_server(item: Dataset) -> bool:
    """Tell servers on the own machine, such as ``bolt://localhost``, from local files."""
    return item.scope == "local" and "//" in (item.location or "")


def _place(item: Dataset) -> str:
    if item.location is None:
        return f"(a {item.type}) on the container's own disk or machine"
    return f"{_server(item)}," if _is_server(item) else f"at the local path {item.location!r}"


def _server(item: Dataset) -> str:
    return f"at {item.location!r}, an address of the container's own machine, where no server of yours is"


def _file(item: Dataset) -> str:
    return f"the local file {item.location!r}" if item.location else f"a {item.type} on the container's own disk"
