"""Checks of settings that hold for every pipeline of a project."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from airflow_provider_kedro_vertex.core.checks.findings import Finding
from airflow_provider_kedro_vertex.core.checks.parameters import check_form
from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.plan.grouping import TAG_PREFIXES
from airflow_provider_kedro_vertex.core.plan.plan import experiment_of
from airflow_provider_kedro_vertex.core.project.locations import mlflow_location
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node
from airflow_provider_kedro_vertex.core.settings.data_root import stays
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.schedules import DEFAULT_SCHEDULE, airflow_schedule, scheduled
from airflow_provider_kedro_vertex.core.settings.selectors import DEFAULT, PerNode, node_names

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
#: What a container's own command sets (see the runtime's environment), and what every Linux container has.
_OF_EVERY_CONTAINER = re.compile(
    r"KEDRO_CONFIG_(JOB_NAME|RUN_ID)|GCP_(PROJECT_ID|REGION)|KEDRO_ENV|AIRFLOW_CTX_\w+|HOME|PATH"
)
#: kedro-mlflow's folder in the project, when its file names no server, and the variable that names one then.
MLFLOW_FOLDER, MLFLOW_VARIABLE = "mlruns", "MLFLOW_TRACKING_URI"
_RESERVED_LABELS = ("airflow-", "kedro-", "vertex-ai-pipelines-run-billing-id")


def check_settings(manifest: Manifest, config: RunConfig) -> tuple[Finding, ...]:
    """Check what does not depend on the pipeline that is run."""
    return tuple(
        finding
        for found in (
            _labels(config),
            _experiment(manifest, config),
            _selectors(manifest, config),
            _local_datasets(manifest, config),
            _mlflow(config),
            _exclusive(config),
            check_form(manifest, config),
            _variables(manifest, config),
            left_open(manifest),
        )
        for finding in found
    )


def check_schedules(manifest: Manifest, config: RunConfig) -> Iterator[Finding]:
    """Check the schedules of the pipelines, as the DAG factory will take them.

    kedro-vertexai names its schedules by ``scheduled_run_name``, so that a project which has one, and no pipeline in
    ``schedules``, may have schedules on Vertex AI.
    """
    if config.scheduled_run_name and not config.schedules.keys() - {DEFAULT_SCHEDULE}:
        message = "What `kedro vertexai schedule` made on Vertex AI goes on beside the DAGs until it is paused there."
        yield Finding("KV031", "note", message, "See and pause it: kedro vertex import-schedules --pause")
    for pipeline, schedule in scheduled(config.schedules).items():
        where = f"schedules.{pipeline}"
        try:
            airflow_schedule(schedule, where)
        except ConfigError as error:
            yield Finding.of(error)
        if pipeline not in manifest.pipelines:
            close = did_you_mean(pipeline, manifest.pipelines)
            yield Finding("KV014", "warning", f"{where} names no registered pipeline.", close.strip())


def missing(config: RunConfig) -> Iterator[Finding]:
    """Find settings without which nothing can be planned."""
    if not config.root:
        yield Finding(
            "KV008",
            "error",
            "No root is set: the Cloud Storage place where runs keep their data.",
            "Set run_config.root to gs://bucket/prefix in conf/base/vertexai.yml.",
        )
    if not config.image and not any(settings.image for settings in config.nodes.values()):
        yield Finding(
            "KV007",
            "error",
            "No image is set: the container image that holds the Kedro project.",
            "Set run_config.image in conf/base/vertexai.yml.",
        )


def _labels(config: RunConfig) -> Iterator[Finding]:
    for key, value in config.labels.items():
        if key.startswith(_RESERVED_LABELS):
            yield Finding("KV010", "error", f"The label {key!r} is reserved.", "Choose another name.")
        elif not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
            yield Finding(
                "KV010",
                "error",
                f"The label {key!r} with the value {value!r} is none for Google Cloud.",
                "Use at most 63 lower case letters, digits, _ and -; the name begins with a letter.",
            )
    if config.job_id_prefix is not None and not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", config.job_id_prefix):
        yield Finding(
            "KV009",
            "error",
            f"The job_id_prefix {config.job_id_prefix!r} is illegal in the id of a job.",
            "Use at most 63 lower case letters, digits and dashes; begin with a letter.",
        )


def _experiment(manifest: Manifest, config: RunConfig) -> Iterator[Finding]:
    name, known = config.experiment_name, experiment_of(manifest, config)
    if name and known not in (name, f"{name}-experiment"):
        yield Finding(
            "KV009",
            "note",
            f"The experiment {name!r} is {known!r} on Vertex AI, whose experiments have shorter or plainer names.",
            f"Nothing has to be done; experiment_name: {known} says it as it is.",
        )


def _selectors(manifest: Manifest, config: RunConfig) -> Iterator[Finding]:
    maps: Mapping[str, Mapping[str, object]] = {
        "resources": config.resources,
        "nodes": config.nodes,
        "retry_policy": config.retry_policy,
    }
    if not any(selector != DEFAULT for entries in maps.values() for selector in entries):
        return
    nodes = {node for pipeline in manifest.pipelines.values() for node in pipeline.nodes}
    tags = {tag for node in nodes for tag in node.tags}
    names = {name for node in nodes for name in node_names(node.name)} | _group_names(nodes, config)
    for section, entries in maps.items():
        for selector in entries:
            if selector == DEFAULT or selector in tags or selector in names:
                continue
            if "*" in selector and PerNode({selector: True}).find(names, ()):
                continue
            known = {node.name for node in nodes} | tags
            yield Finding(
                "KV014",
                "warning",
                f"{section}.{selector} matches no node and no tag of any registered pipeline.",
                (did_you_mean(selector, known).strip() or "Name a node, a tag or a pattern such as train_*."),
            )


def _local_datasets(manifest: Manifest, config: RunConfig) -> Iterator[Finding]:
    for pattern in config.local_datasets:
        if not any(stays(name, [pattern]) for name in manifest.datasets):
            advice = (
                did_you_mean(pattern, manifest.datasets).strip() or "Name a dataset, or a pattern such as lookup_*."
            )
            yield Finding(
                "KV014",
                "warning",
                f"local_datasets names {pattern!r}, which matches no dataset of any pipeline.",
                advice,
            )


def _group_names(nodes: Iterable[Node], config: RunConfig) -> set[str]:
    """The names that groups may have, whatever the pipeline: a setting may be meant for a group by its name."""
    kind = config.grouping.kind if config.grouping else "none"
    if kind == "none":
        return set()
    spaces = {part for node in nodes if node.namespace for part in _spaces(node.namespace)}
    tails = {
        tag[len(prefix) :]
        for node in nodes
        for tag in node.tags
        for prefix in _prefixes(config)
        if tag.startswith(prefix)
    }
    groups = {node.group for node in nodes if node.group}
    return {name for group in spaces | tails | groups for name in node_names(group)}


def _spaces(namespace: str) -> Iterator[str]:
    parts = namespace.split(".")
    return (".".join(parts[: depth + 1]) for depth in range(len(parts)))


def _prefixes(config: RunConfig) -> tuple[str, ...]:
    return (config.grouping.tag_prefix if config.grouping else ()) or TAG_PREFIXES


def _mlflow(config: RunConfig) -> Iterator[Finding]:
    uri, told_by = (config.mlflow.tracking_uri if config.mlflow else None), "mlflow.yml"
    if uri == MLFLOW_FOLDER:  # kedro-mlflow looks at the variable only where its file names no server
        settings = config.settings_for((), ())
        if MLFLOW_VARIABLE in settings.secret_env:
            return
        if given := settings.env.get(MLFLOW_VARIABLE):
            uri, told_by = given, f"the environment variable {MLFLOW_VARIABLE}"
    location = mlflow_location(uri) if uri else None
    if location and location.scope != "remote":
        place = uri if told_by == "mlflow.yml" else location.shown
        yield Finding(
            "KV006",
            "error",
            f"{told_by} tracks to {place!r}, which is on each container's own disk or machine: nothing would be kept.",
            "Set server.mlflow_tracking_uri to a server that the containers reach.",
        )


def _exclusive(config: RunConfig) -> Iterator[Finding]:
    network = config.network
    if network and network.psc_interface and (network.vpc or network.reserved_ip_ranges):
        yield Finding(
            "KV015",
            "error",
            "network.psc_interface goes neither with network.vpc nor with network.reserved_ip_ranges.",
            "Keep the interface or the peered network.",
        )


def _variables(manifest: Manifest, config: RunConfig) -> Iterator[Finding]:
    given = {name for settings in config.nodes.values() for name in (*settings.env, *settings.secret_env)}
    for name in manifest.variables:
        if name not in given and not _OF_EVERY_CONTAINER.fullmatch(name):
            yield Finding(
                "KV017",
                "warning",
                f"The configuration reads the environment variable {name}, which no container has.",
                f"Set run_config.nodes.{DEFAULT}.env.{name}, or secret_env if it is a secret, or keep it in the image.",
            )


def left_open(manifest: Manifest) -> Iterator[Finding]:
    """Tell which values only a run gives."""
    names = [name for name, required in manifest.runtime_params.items() if required]
    if names:
        options = " ".join(f"--param {name}=VALUE" for name in names)
        yield Finding(
            "KV013",
            "note",
            f"The configuration reads {', '.join(names)} as runtime parameters without a default: what depends on "
            "them is left open here, and each run must give them.",
            f"Give {options} to check a run, or write a default: ${{runtime_params:NAME,default}}.",
        )
