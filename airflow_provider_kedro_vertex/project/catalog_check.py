"""Checks of the catalog's entries for what a manifest does not tell: classes of datasets, and their checkpoints."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import parse_dataset_definition

from airflow_provider_kedro_vertex.configuration.data_root import moved
from airflow_provider_kedro_vertex.core.checks.data import SHARED_FOLDERS
from airflow_provider_kedro_vertex.core.checks.findings import Finding, Level, Summary
from airflow_provider_kedro_vertex.core.errors import did_you_mean
from airflow_provider_kedro_vertex.core.project.graph import dataset
from airflow_provider_kedro_vertex.core.project.locations import Location, parse_location
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.core.settings.data_root import shown, stays
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.project.datasets import CREDENTIALS

#: Types that are Kedro's and not a project's own: the packages are those of kedro-datasets, now and before.
_KEDROS = re.compile(
    r"\w+|kedro(?:_datasets)?\..+|(?:api|biosequence|dask|databricks|email|geopandas|holoviews|huggingface|ibis|json"
    r"|langchain|matlab|matplotlib|networkx|openxml|pandas|partitions|pickle|pillow|plotly|polars|redis|snowflake|spark"
    r"|svmlight|tensorflow|text|tracking|video|yaml)\.\w+"
)
_OLD, _NEW = "DataSet", "Dataset"
#: How findings read that are made for many datasets.
_OLD_NAMES = Summary(
    "{count} datasets have class names of before kedro-datasets 2.0: {names}.",
    "Write Dataset where they say DataSet, and metadata: {kedro-viz: {layer: raw}} in place of layer: raw.",
)
_LAYERS = Summary(
    "{count} datasets have a layer, which their classes do not take: {names}.",
    "Write metadata: {kedro-viz: {layer: raw}} in place of layer: raw.",
)
#: What a class does to a file of the local disk, and what one does that takes URLs.
_ON_DISK = re.compile(r"\bopen\(|\bPath\(|\bos\.(?:path|makedirs|mkdir|open)\b|\bshutil\.|\.mkdir\(")
_BY_URL = re.compile(r"fsspec|get_protocol_and_path|gcsfs|google\.cloud|cloudpathlib|smart_open|upath|gfile")
#: Keys of an entry that are Kedro's and no arguments of the class.
_KEDROS_OWN = frozenset({"type", "versioned", "version", "validator"})


def check_catalog(manifest: Manifest, configs: Mapping[str, Mapping[str, Any]], deep: bool) -> Iterator[Finding]:
    """Check datasets that pipelines use.

    :param configs: the catalog's entries by name; see :func:`.inspect.dataset_configs`.
    :param deep: import the classes, and hold the arguments of the entries against theirs.
    """
    for name, config in configs.items():
        users = {
            pipeline.name: [node.name for node in pipeline.nodes if name in (*node.inputs, *node.outputs)]
            for pipeline in manifest.pipelines.values()
        }
        found = partial(
            Finding,
            dataset=dataset(name),
            nodes=tuple(dict.fromkeys(node for nodes in users.values() for node in nodes)),
            pipelines=tuple(sorted((name for name, nodes in users.items() if nodes), key=_default_first)),
        )
        faults = [*_faults(config, deep)]
        if deep and _is_below_data_root(manifest, name):
            faults += _takes_no_url(config)
        for fault in faults:
            yield found("KV030", fault.level, f"Dataset {name!r}: {fault.message}", fault.fix, summary=fault.summary)
        place = _checkpoint(_in_container(name, config, manifest.config))
        if place and place.scope == "local" and not (place.shown or "").startswith(SHARED_FOLDERS):
            yield found(
                "KV004",
                "warning",
                f"Dataset {name!r} keeps its checkpoint in {place.shown or 'a local file'!r}, which is lost with the "
                "container: each run reads the same partitions again.",
                "Give its path, or its checkpoint a filepath, at gs://."
                if manifest.config.data_root
                else "Set run_config.data_root, or give its path, or its checkpoint a filepath, at gs://.",
                location=place.shown,
            )


def _checkpoint(config: Mapping[str, Any]) -> Location | None:
    """Where an IncrementalDataset keeps what it has read; None for other datasets."""
    if config["type"].rpartition(".")[2] != "IncrementalDataset" or not isinstance(config.get("path"), str):
        return None
    own = config.get("checkpoint")
    place = own.get("filepath") if isinstance(own, Mapping) else None
    return parse_location(place if isinstance(place, str) else f"{config['path'].rstrip('/')}/CHECKPOINT")


def _in_container(name: str, config: Mapping[str, Any], run_config: RunConfig) -> Mapping[str, Any]:
    if not run_config.data_root or stays(name, run_config.local_datasets):
        return config
    entry: Mapping[str, Any] = moved(config, shown(run_config.data_root))
    return entry


def _is_below_data_root(manifest: Manifest, name: str) -> bool:
    root, location = manifest.config.data_root, manifest.datasets[name].location
    return bool(root and location and location.startswith(f"{shown(root)}/"))


def _takes_no_url(config: Mapping[str, Any]) -> Iterator[_Fault]:
    """Find a class of the project's own that opens its file as one of the local disk, by the text of its module."""
    kind = config["type"]
    if not _KEDROS.fullmatch(kind):
        try:
            class_, _ = parse_dataset_definition({"type": kind})
            modules = {each.__module__ for each in class_.__mro__ if not each.__module__.startswith("kedro.io.")}
            own = [name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names]
            text = "".join(inspect.getsource(sys.modules[name]) for name in own)
        except Exception:  # told of by `_against_class`, or its source is not there
            return
        if _ON_DISK.search(text) and not _BY_URL.search(text):
            yield _Fault(
                "warning",
                f"{kind} seems to open its file as one of the local disk, and below data_root it gets a gs:// URL.",
                "Open it by fsspec, or name the dataset in run_config.local_datasets.",
            )
    behind = config.get("dataset")
    if isinstance(behind, Mapping) and isinstance(behind.get("type"), str):
        yield from _takes_no_url(behind)


def _default_first(pipeline: str) -> tuple[bool, str]:
    return (pipeline != "__default__", pipeline)


@dataclass(frozen=True)
class _Fault:
    level: Level
    message: str
    fix: str
    summary: Summary | None = None


def _faults(config: Mapping[str, Any], deep: bool) -> Iterator[_Fault]:
    kind = config["type"]
    if _KEDROS.fullmatch(kind) and (kind.endswith(_OLD) or "layer" in config):
        yield _of_before(kind, config)
        return
    if deep:
        yield from _against_class(config)
    behind = config.get("dataset")
    if isinstance(behind, str):
        behind = {"type": behind}
        deep = False  # the class around it knows the arguments
    if isinstance(behind, Mapping) and isinstance(behind.get("type"), str):
        # What is around a partition's dataset gives it its path.
        yield from _faults(behind, deep and "path" not in config)


def _of_before(kind: str, config: Mapping[str, Any]) -> _Fault:
    """Tell all at once that an entry has of an older Kedro."""
    viz = f"metadata: {{kedro-viz: {{layer: {config.get('layer')}}}}}"
    takes_no_layer = "takes no layer; Kedro has handed it to the class since 0.19."
    if not kind.endswith(_OLD):
        return _Fault("error", f"{kind} {takes_no_layer}", f"Write {viz}, or remove it.", _LAYERS)
    message = f"{kind} is the name that the class had before kedro-datasets 2.0."
    fix = f"Write {kind.removesuffix(_OLD)}{_NEW}."
    if "layer" in config:
        message, fix = f"{message} The class {takes_no_layer}", f"{fix.rstrip('.')}, and {viz} in place of the layer."
    return _Fault("error", message, fix, _OLD_NAMES)


def _against_class(config: Mapping[str, Any]) -> Iterator[_Fault]:
    kind = config["type"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            class_, _ = parse_dataset_definition({"type": kind})
    except DatasetError as error:
        said = " ".join(str(error).partition("\n")[0].split())
        if error.__cause__ is not None:  # it is there, and cannot be imported
            message = f"{kind} cannot be imported here: {said}"
            yield _Fault("warning", message, "Install what it needs, here and in the image.")
        else:
            fix = _other_classes(kind) or "Install its package, or mend it."
            yield _Fault("error", f"there is no class {kind} here.", fix)
        return
    except Exception as error:  # a module of the project may raise anything
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        yield _Fault("error", f"{kind} cannot be imported: {said}.", "Mend its module, or install what it needs.")
        return
    if class_.from_config.__func__ is not AbstractDataset.from_config.__func__:  # type: ignore[attr-defined]
        return  # it reads its entry in its own way
    given = {key: value for key, value in config.items() if key not in _KEDROS_OWN}
    if given.pop(CREDENTIALS, None) is not None:
        given["credentials"] = {}
    if config.get("versioned"):
        given["version"] = None
    signature = inspect.signature(class_)
    try:
        signature.bind(**given)
    except TypeError as error:
        unknown = next((key for key in given if key not in signature.parameters), None)
        fix = did_you_mean(unknown, signature.parameters).strip() if unknown else ""
        message = f"{kind} does not take these arguments: {error}."
        yield _Fault("error", message, fix or "See the class's own documentation.")


def _other_classes(kind: str) -> str:
    """The closest class of kedro-datasets, if the type names one of its packages."""
    group, _, _ = kind.removeprefix("kedro_datasets.").rpartition(".")
    try:
        package = importlib.import_module(f"kedro_datasets.{group}")
    except ImportError:
        return ""
    return did_you_mean(kind, [f"{group}.{name}" for name in getattr(package, "__all__", ())]).strip()
