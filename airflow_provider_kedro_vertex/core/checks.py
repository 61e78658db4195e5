"""Preflight: what would fail on Vertex AI, or surprise there, found before anything is paid for.

Each finding has a code, and docs/checks.md a section for each code. ``kedro vertex check`` shows all of them; compiling
and the operator refuse to go on after an error.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from airflow_provider_kedro_vertex.core.config import RunConfig
from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError, PlanError, did_you_mean
from airflow_provider_kedro_vertex.core.graph import dataset
from airflow_provider_kedro_vertex.core.grouping import TAG_PREFIXES
from airflow_provider_kedro_vertex.core.machines import choose
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE, Dataset, Manifest, Node
from airflow_provider_kedro_vertex.core.per_node import DEFAULT, PerNode, node_names
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan import NodeGroup, Plan, build_plan
from airflow_provider_kedro_vertex.core.selection import Selection

Level = Literal["error", "warning", "note"]
Mode = Literal["pipeline_job", "custom_job"]

#: Each check's code and its title in docs/checks.md.
CODES: Mapping[str, str] = {
    "KV001": "A local file crosses containers",
    "KV002": "In-memory data crosses containers",
    "KV003": "An input is declared nowhere and made by nobody",
    "KV004": "A result stays on the container's own disk",
    "KV005": "An input is read from the image",
    "KV006": "MLflow tracks to the container's own disk",
    "KV007": "The image is missing, wrong or floating",
    "KV008": "The storage root is missing",
    "KV009": "A name is illegal",
    "KV010": "A label is illegal",
    "KV011": "No machine has these resources",
    "KV012": "The spec is too large",
    "KV013": "A parameter is no JSON value",
    "KV014": "A selector matches nothing",
    "KV015": "Settings exclude one another",
    "KV016": "A setting has no effect in this mode",
    "KV017": "Environment variables do not fit",
    "KV018": "A secret stands in the open",
    "KV019": "Telemetry is on",
    "KV020": "The nodes run as another account than you may think",
    "KV021": "The pipeline cannot be planned",
    "KV022": "The configuration is wrong",
    "KV023": "The project cannot be inspected",
}

#: Google's APIs take requests of 10 MiB (10485760 bytes); the rest of a job's body is small.
MAX_SPEC_BYTES = 10 * 1024 * 1024 - 256 * 1024
#: What gRPC clients accept for one message by default: above it, other tools cannot read the job back.
LARGE_SPEC_BYTES = 4 * 1024 * 1024
#: EnvVar of the Vertex AI API v1: at most 100 in a container.
MAX_VARIABLES = 100

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_RESERVED_LABELS = ("airflow-", "kedro-", "vertex-ai-pipelines-run-billing-id")
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)
_FLOATING_TAGS = frozenset({"latest", "main", "master", "dev", "develop", "stable", "edge", "nightly"})
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)(?:_|$)", re.IGNORECASE
)
_USER_IN_URL = re.compile(r"://[^/@\s]+:[^/@\s]+@")
#: Folders that Vertex AI mounts into every container that may have them: no disk of the container's own.
_SHARED_FOLDERS = ("/gcs/", "/mnt/nfs/", "/mnt/lustre/")
_TELEMETRY = ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY")
#: Set by the containers themselves, so that a value of ``env`` would be lost.
_OWN_VARIABLES = frozenset({"GCP_PROJECT_ID", "GCP_REGION", "KEDRO_CONFIG_JOB_NAME", "KEDRO_CONFIG_RUN_ID"})
_UNDECLARED = "kedro.io.MemoryDataset"


#: Stands in a message for the groups that a finding is about.
_GROUP = "{node}"


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    :param code: see :data:`CODES`.
    :param level: ``error`` (the run would fail), ``warning`` (an error under ``--strict``) or ``note``.
    :param message: what is wrong, and where.
    :param fix: what to do.
    """

    code: str
    level: Level
    message: str
    fix: str

    @property
    def page(self) -> str:
        """Where the documentation tells more."""
        return f"docs/checks.md#{self.code.lower()}"

    def __str__(self) -> str:
        """One line."""
        return f"{self.code} {self.level}: {self.message} {self.fix} ({self.page})"

    def to_dict(self) -> dict[str, str]:
        """The finding as JSON values: code, level, message, fix and page."""
        return {"code": self.code, "level": self.level, "message": self.message, "fix": self.fix, "page": self.page}


#: A finding, and the group that it is about.
Found = tuple[Finding, "str | None"]


def check(manifest: Manifest, plan: Plan, mode: Mode = "pipeline_job") -> tuple[Finding, ...]:
    """Check one pipeline that can be planned, and the settings around it. Costs time linear in nodes and datasets.

    :param plan: of the pipeline, or of a slice of it, with the settings of the run.
    :param mode: how it will run; some settings have an effect in one mode alone.
    :return: in the order of the codes.
    """
    settings = check_settings(manifest, plan.config)
    return _merged([*((finding, None) for finding in settings), *_in_plan(manifest, plan, mode)])


def check_pipelines(
    manifest: Manifest,
    pipelines: Iterable[str] = (DEFAULT_PIPELINE,),
    config: RunConfig | None = None,
    selection: Selection | None = None,
    mode: Mode = "pipeline_job",
) -> tuple[Finding, ...]:
    """As :func:`check`, for pipelines that perhaps cannot be planned: then that is a finding too."""
    config = config or manifest.config
    found: list[Found] = [(finding, None) for finding in (*_missing(config), *check_settings(manifest, config))]
    if config.root:
        for pipeline in pipelines:
            try:
                found += _in_plan(manifest, build_plan(manifest, pipeline, config, selection), mode)
            except KedroVertexError as error:
                found.append((_refused(error), None))
    return _merged(found)


def errors(findings: Iterable[Finding], strict: bool = False) -> tuple[Finding, ...]:
    """The findings that must stop a run; with ``strict`` warnings too."""
    levels = ("error", "warning") if strict else ("error",)
    return tuple(finding for finding in findings if finding.level in levels)


def refuse(findings: Iterable[Finding]) -> None:
    """Stop where there is an error among the findings.

    :raises ConfigError: one line for each error.
    """
    found = errors(findings)
    if found:
        raise ConfigError("\n".join(map(str, found)))


def check_settings(manifest: Manifest, config: RunConfig) -> tuple[Finding, ...]:
    """Check what does not depend on the pipeline that is run."""
    return tuple(
        finding
        for found in (
            _labels(config),
            _selectors(manifest, config),
            _mlflow(config),
            _exclusive(config),
        )
        for finding in found
    )


def _refused(error: KedroVertexError) -> Finding:
    message, separator, fix = str(error).rpartition(". ")  # by this package's own rule, the last sentence is what to do
    code = "KV021" if isinstance(error, PlanError) else "KV022"
    return Finding(code, "error", f"{message}." if separator else fix, fix if separator else "")


def _missing(config: RunConfig) -> Iterator[Finding]:
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


def _in_plan(manifest: Manifest, plan: Plan, mode: Mode) -> Iterator[Found]:
    groups = [*plan.groups, *([plan.exit_group] if plan.exit_group else [])]
    in_mode = _only_in_custom_jobs if mode == "pipeline_job" else _only_in_pipeline_jobs
    for group in groups:
        for look in (_image, _variables, _secrets, _telemetry, in_mode):
            yield from ((finding, group.name) for finding in look(group))
    rest = [_machines(groups, plan.config.region), _data(manifest, plan, groups)]
    rest.append(_size(plan) if mode == "pipeline_job" else _account(plan.config))
    yield from ((finding, None) for findings in rest for finding in findings)


def _merged(found: Iterable[Found]) -> tuple[Finding, ...]:
    """What several groups have in common becomes one finding, which names the first of them and how many more."""
    owners: dict[Finding, dict[str, None]] = defaultdict(dict)
    for finding, group in found:
        owners[finding].update({} if group is None else {group: None})
    named = [
        replace(finding, message=finding.message.replace(_GROUP, _first(list(groups))))
        for finding, groups in owners.items()
    ]
    return tuple(sorted(named, key=lambda finding: (finding.code, finding.message)))


def _first(groups: list[str]) -> str:
    return f"{groups[0]!r} and {len(groups) - 1} more" if len(groups) > 1 else f"{''.join(groups)!r}"


def _account(config: RunConfig) -> Iterator[Finding]:
    if not config.service_account:
        yield Finding(
            "KV020",
            "warning",
            "No service_account is set: custom jobs run as Vertex AI's Custom Code Service Agent, and pipeline jobs as "
            "the Compute Engine default account.",
            "Set run_config.service_account.",
        )


def _image(group: NodeGroup) -> Iterator[Finding]:
    match = _IMAGE.fullmatch(group.image)
    if match is None:
        yield Finding(
            "KV007",
            "error",
            f"The image {group.image!r} of {{node}} is no name of an image.",
            "Write it as REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME:TAG.",
        )
    elif not match["digest"] and (match["tag"] is None or match["tag"] in _FLOATING_TAGS):
        what = "has no tag" if match["tag"] is None else f"has the floating tag {match['tag']!r}"
        yield Finding(
            "KV007",
            "warning",
            f"The image {group.image!r} of {{node}} {what}: a retry may run other code than the first try.",
            "Give each build a tag of its own, such as the commit, or write the digest.",
        )


def _variables(group: NodeGroup) -> Iterator[Finding]:
    names = group.settings.env.keys() | group.settings.secret_env.keys()
    if len(group.settings.env) > MAX_VARIABLES:
        yield Finding(
            "KV017",
            "error",
            f"{{node}} has {len(group.settings.env)} environment variables, and Vertex AI takes {MAX_VARIABLES}.",
            "Put values that belong together into a Kedro parameter.",
        )
    for name in sorted(names & _OWN_VARIABLES):
        yield Finding(
            "KV017", "warning", f"{name} of {{node}} is set by the containers themselves.", f"Remove {name} from env."
        )
    for name in sorted(group.settings.env.keys() & group.settings.secret_env.keys()):
        yield Finding(
            "KV017",
            "warning",
            f"{name} of {{node}} is in env and in secret_env; the secret wins.",
            "Remove one of them.",
        )


def _secrets(group: NodeGroup) -> Iterator[Finding]:
    for name, value in group.settings.env.items():
        if may_be_secret(name, value):
            yield Finding(
                "KV018",
                "warning",
                f"The environment variable {name} of {{node}} may hold a secret, and everyone who may see the job "
                f"sees it.",
                f"Keep it in Secret Manager: secret_env: {{{name}: projects/PROJECT/secrets/NAME/versions/latest}}.",
            )


def may_be_secret(name: str, value: str) -> bool:
    """Whether an environment variable seems to hold a secret: by its name, or as a password inside a URL."""
    return bool(value) and bool(_SECRET_NAME.search(name) or _USER_IN_URL.search(value))


def _telemetry(group: NodeGroup) -> Iterator[Finding]:
    if all(group.settings.env.get(name) == "" for name in _TELEMETRY):
        yield Finding(
            "KV019",
            "warning",
            "Kedro's telemetry is on in {node}: it would report to a server from each container, and older releases "
            "of kedro-telemetry end a run where nobody can be asked for consent.",
            f"Remove {' and '.join(_TELEMETRY)} from env.",
        )


def _only_in_custom_jobs(group: NodeGroup) -> Iterator[Finding]:
    settings, resources = group.settings, group.resources
    given = {
        "nodes.scheduling": settings.scheduling,
        "nodes.persistent_resource_id": settings.persistent_resource_id,
        "nodes.nfs_mounts": settings.nfs_mounts,
        "nodes.lustre_mounts": settings.lustre_mounts,
        "nodes.tensorboard": settings.tensorboard,
        "nodes.enable_web_access": settings.enable_web_access,
        "nodes.enable_dashboard_access": settings.enable_dashboard_access,
        "nodes.replica_count": settings.replica_count,
        "resources.machine_type": resources.machine_type,
        "resources.gpu_partition_size": resources.gpu_partition_size,
        "resources.tpu_topology": resources.tpu_topology,
        "resources.disk": resources.disk,
        "resources.reservation": resources.reservation,
    }
    yield from _without_effect(given, "pipeline_job", "custom_job")


def _machines(groups: Iterable[NodeGroup], region: str | None) -> Iterator[Finding]:
    for group in groups:
        try:
            choose(group.resources, region, f"Group {group.name!r}")
        except ConfigError as error:
            message, _, fix = str(error).rpartition(". ")
            yield Finding("KV011", "error", f"{message}.", fix)


def _only_in_pipeline_jobs(group: NodeGroup) -> Iterator[Finding]:
    given = {"nodes.caching": group.settings.caching, "nodes.cache_key": group.settings.cache_key}
    yield from _without_effect(given, "custom_job", "pipeline_job")


def _without_effect(given: Mapping[str, object], mode: Mode, other: Mode) -> Iterator[Finding]:
    for name, value in given.items():
        if value:
            yield Finding(
                "KV016",
                "warning",
                f"{name} of {{node}} has no effect in mode {mode}.",
                f"Run with mode={other!r}, or remove it.",
            )


def _data(manifest: Manifest, plan: Plan, groups: Iterable[NodeGroup]) -> Iterator[Finding]:
    described: dict[str, list[Dataset]] = defaultdict(list)
    for name, item in manifest.datasets.items():
        described[dataset(name)].append(item)
    nodes = _nodes(manifest, plan)
    maker = {dataset(output): group.name for group in groups for name in group.nodes for output in nodes[name].outputs}
    taken = {dataset(name) for group in groups for node in group.nodes for name in nodes[node].inputs}
    for group in groups:
        for name in group.inputs:
            for item in described[name]:
                yield from _crossing(item, maker.get(name), group.name)
        for name in group.nodes:
            yield from _ends(nodes[name], described, maker, taken)


def _nodes(manifest: Manifest, plan: Plan) -> dict[str, Node]:
    """The nodes that a plan may name, those of its own pipelines before others of the same name."""
    own = {part.strip() for part in plan.pipeline.split(",")} | {plan.pipeline, plan.config.on_exit_pipeline}
    pipelines = sorted(manifest.pipelines.values(), key=lambda pipeline: pipeline.name in own)
    return {node.name: node for pipeline in pipelines for node in pipeline.nodes}


def _crossing(item: Dataset, maker: str | None, taker: str) -> Iterator[Finding]:
    between = f"is written by {maker!r} and read by {taker!r}, which run in containers of their own"
    if item.scope == "local" and not _is_shared(item):
        yield Finding(
            "KV001",
            "error",
            f"Dataset {item.name!r} at the local path {item.location!r} {between}.",
            "Give it a gs:// path, take it out of the catalog so that it is handed on below root, or group these "
            "nodes.",
        )
    elif item.scope == "memory" and item.location is not None:
        yield Finding(
            "KV002",
            "error",
            f"Dataset {item.name!r} at {item.location!r}, in memory, {between}.",
            "Give it a gs:// path, take it out of the catalog so that it is handed on below root, or group these "
            "nodes.",
        )
    elif item.scope == "memory" and item.type != _UNDECLARED:
        yield Finding(
            "KV002",
            "note",
            f"Dataset {item.name!r}, a {item.type} of the catalog, {between}: it is pickled to storage between them.",
            "If it cannot be pickled, group these nodes.",
        )


def _ends(
    node: Node, described: Mapping[str, list[Dataset]], maker: Collection[str], taken: Collection[str]
) -> Iterator[Finding]:
    """What a node takes from outside of the run, and what nobody in the run takes from it."""
    for name in map(dataset, node.inputs):
        for item in described[name] if name not in maker else ():
            if item.scope == "memory":
                yield Finding(
                    "KV003",
                    "error",
                    f"Dataset {name!r}, an input of node {node.name!r}, is kept nowhere, and no node of the run "
                    f"makes it.",
                    "Declare it in the catalog, or select the node that makes it.",
                )
            elif item.scope == "local" and not _is_shared(item):
                yield Finding(
                    "KV005",
                    "note",
                    f"Dataset {name!r}, an input of node {node.name!r}, is the local file {item.location!r}: it "
                    f"must be "
                    "in the image.",
                    "Give it a gs:// path if it changes more often than the image.",
                )
    for name in map(dataset, node.outputs):
        for item in described[name] if name not in taken else ():
            if item.scope == "local" and not _is_shared(item):
                yield Finding(
                    "KV004",
                    "warning",
                    f"Dataset {name!r}, an output of node {node.name!r}, is the local file {item.location!r}: it "
                    f"is lost "
                    "with the container.",
                    "Give it a gs:// path.",
                )


def _is_shared(item: Dataset) -> bool:
    return (item.location or "").startswith(_SHARED_FOLDERS)


def _size(plan: Plan) -> Iterator[Finding]:
    size = len(json.dumps(pipeline_spec(plan), separators=(",", ":")))
    if size > LARGE_SPEC_BYTES:
        yield Finding(
            "KV012",
            "error" if size > MAX_SPEC_BYTES else "warning",
            f"The spec of {plan.name!r} with {len(plan.groups)} containers takes {size:,} bytes; Vertex AI takes "
            f"requests of {MAX_SPEC_BYTES:,} at most, and many clients read {LARGE_SPEC_BYTES:,}.",
            "Group nodes (grouping: namespace, memory or auto), or run the pipeline in slices.",
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


def _group_names(nodes: Iterable[Node], config: RunConfig) -> set[str]:
    """What groups may be called, whatever the pipeline: a setting may be meant for a group by its name."""
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
    uri = config.mlflow.tracking_uri if config.mlflow else None
    if uri is None or config.settings_for((), ()).env.get("MLFLOW_TRACKING_URI"):
        return
    scheme, separator, _ = uri.partition("://")
    if not separator or scheme in ("file", "sqlite") or re.match(r"https?://(localhost|127\.|\[::1\])", uri):
        yield Finding(
            "KV006",
            "error",
            f"mlflow.yml tracks to {uri!r}, which is on each container's own disk or machine: nothing would be kept.",
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
