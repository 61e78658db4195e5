"""kedro-vertexai's and kedro-kubeflow's forms of ``vertexai.yml`` become the present ones.

This is a first pass over the file's content, before :class:`.RunConfig` reads it. It remembers which keys it renamed,
so that what the second pass finds is told by the key that the user wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.core.settings.readers import json_value, one_of, string
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.sections import (
    KeyPath,
    Problem,
    Reader,
    Section,
    SettingsError,
    fields_of,
    mapping_reader,
    unknown_key,
)
from airflow_provider_kedro_vertex.core.settings.selectors import DEFAULT

#: The settings that stand beside ``run_config`` in the file.
BESIDE = ("project_id", "region")

#: kedro-vertexai 0.1 and 0.2 passed Kubernetes' own name through, and its documents still show it.
OLD_GPU = "nvidia.com/gpu"
#: The name of ``network`` in kedro-vertexai 0.1 and 0.2.
OLD_NETWORK = "vertex_ai_networking"
#: The one node selector that has a meaning on Vertex AI.
GKE_ACCELERATOR = "cloud.google.com/gke-accelerator"

#: kedro-vertexai's own groupers, and what they are called here.
GROUPERS = {
    "kedro_vertexai.grouping.IdentityNodeGrouper": "none",
    "kedro_vertexai.grouping.TagNodeGrouper": "tag",
}
#: What kedro-vertexai asks for when nothing is set.
DEFAULT_RESOURCES = {"cpu": "500m", "memory": "1024Mi"}
#: kedro-vertexai's ``max_cache_staleness`` for: never take an earlier result.
_NO_CACHING = "P0D"

#: Keys that become others, and what they mean.
OLD_KEYS: Mapping[tuple[str, ...], str] = {
    ("run_config", OLD_NETWORK): "kedro-vertexai 0.1 and 0.2: the name of `network`. A warning says so.",
    ("run_config", "resources", "<name>", OLD_GPU): "kedro-vertexai 0.1 and 0.2: the name of `gpu`.",
    ("run_config", "node_selectors"): "Selector to labels of Kubernetes' nodes, of which "
    f"`{GKE_ACCELERATOR}` sets `resources.<selector>.accelerator_type`.",
    ("run_config", "grouping", "cls"): "`kedro_vertexai.grouping.IdentityNodeGrouper`, or `...TagNodeGrouper` with "
    "its `params: {tag_prefix: ..}`.",
    ("run_config", "mlflow", "request_header_provider_params"): "What a provider that the project's `settings.py` "
    "names finds in `self.params`.",
    ("run_config", "max_cache_staleness"): "kedro-vertexai 0.1 and 0.2: `P0D` turns caching off, which it is here by "
    "default.",
    ("run_config", "node_merge_strategy"): "kedro-vertexai 0.1 and 0.2: `full` means `grouping: pipeline`.",
}

#: Keys that are accepted and change nothing, and why: the end of the sentence "... is ignored: ...".
IGNORED: Mapping[tuple[str, ...], str] = {
    ("host",): "there is no server of one's own to name; project_id and region say where",
    ("run_config", "image_pull_policy"): "Vertex AI pulls the image for each container",
    ("run_config", "store_kedro_outputs_as_kfp_artifacts"): "data goes where the catalog says, and what is not in it "
    "below root",
    ("run_config", "run_name"): "set scheduled_run_name, or display_name of the operator",
    ("run_config", "volume"): "nodes share no volume; intermediate data is stored below root",
    ("run_config", "wait_for_completion"): "use run-once --wait, or wait_for_completion of the operator",
}
_IGNORED_IN_SCHEDULES = {
    "max_run_count": "Airflow counts no runs; set end_time",
    "allow_queueing": "Airflow always queues a run that may not start yet",
}


@dataclass
class Modernized:
    """A file's content in the present form.

    :param settings: what :class:`.RunConfig` reads.
    :param problems: what is wrong with old forms and unknown keys, by the file's keys.
    :param remarks: what is accepted and does not do what it may seem to do: the file's key, and the rest of a sentence.
    :param renamed: the key in ``settings`` to the key below ``run_config``, where they differ.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[tuple[KeyPath, str]] = field(default_factory=list)
    renamed: dict[KeyPath, KeyPath] = field(default_factory=dict)

    def in_file(self, problem: Problem) -> Problem:
        """Tell a problem of ``settings`` by the keys that the file has."""
        path = problem.path
        for end in range(len(path), 0, -1):
            if path[:end] in self.renamed:
                path = self.renamed[path[:end]] + path[end:]
                break
        return problem._replace(path=path if path[0] in BESIDE else ("run_config", *path))


def modernize(content: Mapping[Any, Any]) -> Modernized:
    """Turn the content of ``vertexai.yml`` into settings for :class:`.RunConfig`, which checks their values."""
    result = Modernized()
    _check_keys(result, (), content, (*BESIDE, "run_config"))
    run_config = content.get("run_config")
    if not _is_null(run_config) and not isinstance(run_config, Mapping):
        result.problems.append(Problem(("run_config",), f" must be a mapping, not {run_config!r:.80}."))
    if not isinstance(run_config, Mapping):
        run_config = {}
    old = [path[-1] for path in OLD_KEYS if len(path) == 2]
    names = [*(name for name in fields_of(RunConfig) if name not in BESIDE), *old]
    _check_keys(result, ("run_config",), run_config, names)

    given = {key: item for key, item in run_config.items() if key in names}
    if OLD_NETWORK in given:
        result.remarks.append((("run_config", OLD_NETWORK), "is called network by now"))
        given = _renamed(result, (), given, OLD_NETWORK, "network")
    if isinstance(resources := given.get("resources"), Mapping):
        given["resources"] = {
            selector: _renamed(result, ("resources", selector), entry, OLD_GPU, "gpu")
            for selector, entry in resources.items()
        }
    given |= {name: content[name] for name in BESIDE if name in content}
    result.settings = settings = _without_null(result, RunConfig, given, ())

    if isinstance(resources := settings.setdefault("resources", {}), dict):
        resources.setdefault(DEFAULT, dict(DEFAULT_RESOURCES))
    _convert_node_selectors(result)
    _convert_caching(result)
    _convert_grouping(result)
    # The container reads these from the file itself, where the hook that takes them finds the project.
    _take(result, ("mlflow", "request_header_provider_params"), mapping_reader(json_value))
    for pipeline, schedule in _entries(settings.get("schedules")):
        for key, why in _IGNORED_IN_SCHEDULES.items():
            if key in schedule:
                result.remarks.append((("run_config", "schedules", pipeline, key), f"is ignored: {why}"))
    return result


def _is_null(value: Any) -> bool:
    """Tell whether a value means: not set. kedro-vertexai's files have the word ``none`` for that."""
    return value is None or (isinstance(value, str) and value in ("none", "None"))


def _check_keys(result: Modernized, at: KeyPath, content: Mapping[Any, Any], known: Iterable[str]) -> None:
    ignored = {path[-1]: why for path, why in IGNORED.items() if path[:-1] == at}
    for key in content:
        if key in ignored:
            result.remarks.append(((*at, key), f"is ignored: {ignored[key]}"))
        elif not isinstance(key, str):
            result.problems.append(Problem((*at, key), " must be a string.", "the key "))
        elif not at and key in fields_of(RunConfig) and key not in known:
            result.problems.append(Problem((key,), ".", "unknown key ", "It belongs into run_config."))
        elif key not in known:
            result.problems.append(unknown_key((*at, key), {*known, *ignored}))


def _renamed(result: Modernized, at: KeyPath, given: Any, old: str, new: str) -> Any:
    """Give a key of a mapping its present name."""
    if not isinstance(given, Mapping) or old not in given:
        return given
    if not _is_null(given[old]) and not _is_null(given.get(new)):
        sentence = f" is the old name of {new}, and both are given."
        result.problems.append(Problem(("run_config", *at, old), sentence, fix="Remove one of them."))
    if _is_null(given[old]):
        return {key: item for key, item in given.items() if key != old}
    result.renamed[(*at, new)] = (*at, old)
    return {new if key == old else key: item for key, item in given.items() if key != new}


def _without_null(result: Modernized, section: type[Section], given: Any, at: KeyPath) -> Any:
    """Leave out what means "not set", at every depth."""
    if not isinstance(given, Mapping):
        return given
    fields = fields_of(section)
    found = {}
    for key, item in given.items():
        declared = fields.get(key)
        if declared is not None and declared.metadata.get("inspected"):
            result.problems.append(unknown_key(("run_config", *at, key), fields.keys() - {key}))
        elif declared is None:
            found[key] = item
        elif not _is_null(item):
            found[key] = _inner_without_null(result, declared, item, (*at, key))
    return found


def _inner_without_null(result: Modernized, declared: Field[Any], given: Any, at: KeyPath) -> Any:
    section, many = declared.metadata["section"], declared.metadata["many"]
    if section is None:
        return given
    if many == ".<name>" and isinstance(given, Mapping):
        entries = {name: {} if _is_null(item) else item for name, item in given.items()}
        return {name: _without_null(result, section, item, (*at, name)) for name, item in entries.items()}
    if many == "[]" and isinstance(given, list):
        return [_without_null(result, section, item, (*at, index)) for index, item in enumerate(given)]
    return _without_null(result, section, given, at)


def _take(result: Modernized, path: tuple[str, ...], read: Reader) -> Any:
    """Take an old key out of the settings and read its value; None if it is not set, or wrong."""
    parent: Any = result.settings
    for key in path[:-1]:
        parent = parent.get(key)
        if not isinstance(parent, dict):
            return None
    value = parent.pop(path[-1], None)
    if _is_null(value):
        return None
    try:
        return read(value)
    except SettingsError as error:
        for key in reversed(("run_config", *path)):
            error = error.inside(key)
        result.problems += error.problems
        return None


def _entries(mapping: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Go through the entries of a mapping that are mappings; of others the second pass tells."""
    if isinstance(mapping, dict):
        yield from ((name, entry) for name, entry in mapping.items() if isinstance(entry, dict))


def _convert_node_selectors(result: Modernized) -> None:
    labels_of = mapping_reader(lambda labels: {} if _is_null(labels) else mapping_reader(_text_or_null)(labels))
    for selector, labels in (_take(result, ("node_selectors",), labels_of) or {}).items():
        for label in labels:
            if label != GKE_ACCELERATOR:
                path = ("run_config", "node_selectors", selector, label)
                result.remarks.append((path, f"is ignored: of node selectors Vertex AI has {GKE_ACCELERATOR} alone"))
        accelerator = labels.get(GKE_ACCELERATOR)
        resources = result.settings["resources"]
        if accelerator and isinstance(resources, dict):
            wanted = resources.setdefault(selector, {})
            if isinstance(wanted, dict):
                wanted.setdefault("accelerator_type", accelerator.upper().replace("-", "_"))


def _text_or_null(value: Any) -> str | None:
    return None if _is_null(value) else string(value)


def _convert_caching(result: Modernized) -> None:
    staleness = _take(result, ("max_cache_staleness",), string)
    if staleness == _NO_CACHING:
        nodes = result.settings.setdefault("nodes", {})
        if isinstance(nodes, dict) and isinstance(default := nodes.setdefault(DEFAULT, {}), dict):
            default.setdefault("caching", False)
    elif staleness is not None:
        path = ("run_config", "max_cache_staleness")
        result.remarks.append((path, "is ignored: set nodes.<selector>.caching"))


def _convert_grouping(result: Modernized) -> None:
    settings = result.settings
    if _take(result, ("node_merge_strategy",), one_of("full")) and not settings.get("grouping"):
        settings["grouping"] = "pipeline"
    grouper = _take(result, ("grouping", "cls"), string)
    if grouper is None:
        return
    grouping = settings["grouping"]
    params = grouping.get("params")
    prefix = params.get("tag_prefix") if isinstance(params, Mapping) else None
    if "kind" in grouping:
        sentence, fix = "has both kind and kedro-vertexai's cls.", "Remove cls."
    elif grouper not in GROUPERS:
        sentence = f"names the class {grouper}, and classes of kedro-vertexai's interface are not run here."
        fix = "Write a function and name it: {kind: callable, callable: package.module:function}."
    elif isinstance(prefix, bool | list | Mapping):
        sentence, fix = "has params with a tag_prefix that is no string.", ""
    else:
        settings["grouping"] = {"kind": GROUPERS[grouper], "tag_prefix": [prefix] if prefix else []}
        return
    result.problems.append(Problem(("run_config", "grouping"), f" {sentence}", fix=fix))
    del settings["grouping"]
