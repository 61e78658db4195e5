"""The datasets of a manifest as URIs of Airflow's assets: the same place has the same URI in each run and each project.

The URIs are in the form that Airflow itself would bring them to, and in that of its providers (AIP-60):
``gs://bucket/path``, ``bigquery://project/dataset/table``, ``postgres://host:port/database/schema/table``. What differs
from run to run stands in braces: ``gs://bucket/{run_date}/rows.parquet``. Versions, users, passwords and queries are in
none of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest

#: Schemes that mean the same.
_SAME = {"gcs": "gs", "s3a": "s3", "s3n": "s3", "postgresql": "postgres"}
_PORTS = {"postgres": 5432, "mysql": 3306}
#: Where Vertex AI's containers see Cloud Storage.
_MOUNT = "/gcs/"
_PLACEHOLDER = re.compile(r"<([\w.]+)>")
#: What Airflow takes as an identifier.
_LENGTH = 1500


def asset_uri(dataset: Dataset, params: Mapping[str, Any], project_id: str | None = None) -> str | None:
    """Name a dataset's place.

    :param params: runtime parameters that all runs have: they say where it is. Templates and None say nothing.
    :param project_id: the Google Cloud project of tables that name none.
    :return: None for what lives in a container alone, or in a place that is not known.
    """
    if dataset.table is not None and dataset.type.rpartition(".")[2] == "GBQTableDataset":
        *project, schema, table = dataset.table.split(".")
        owner = project[0] if project else project_id
        return _checked(f"bigquery://{owner}/{schema}/{table}") if owner else None
    location = _placed(dataset, params)
    if location is None:
        return None
    if location.startswith(_MOUNT):
        location = f"gs://{location.removeprefix(_MOUNT)}"
    elif dataset.scope != "remote" and (dataset.pattern is None or "://" not in location):
        return None
    return _normalised(location, dataset.table)


def asset_uris(manifest: Manifest, params: Mapping[str, Any]) -> dict[str, str]:
    """Name the places of all datasets of a project that have one outside of the containers, by the datasets' names."""
    project_id = manifest.config.project_id
    uris = ((name, asset_uri(dataset, params, project_id)) for name, dataset in manifest.datasets.items())
    return {name: uri for name, uri in uris if uri is not None}


def _placed(dataset: Dataset, params: Mapping[str, Any]) -> str | None:
    """The location, with the runtime parameters that all runs have, and a placeholder for each other one."""
    if dataset.pattern is None or dataset.location is None:
        return dataset.location
    values = {name: value for name, value in params.items() if _is_fixed(value)}
    if (first := _PLACEHOLDER.match(dataset.pattern)) and first[1] not in values:
        # It says on which storage the data are, and no run says another one: that is its default.
        found = re.fullmatch(_with_one_group(dataset.pattern), dataset.location)
        if found is None:
            return None
        values[first[1]] = found[1]
    return _PLACEHOLDER.sub(lambda match: str(values.get(match[1], match[0])), dataset.pattern)


def _with_one_group(pattern: str) -> str:
    """What the locations that a location with placeholders stands for look like; the first value is a group."""
    first, *others = (re.escape(part) for part in re.split(r"<[\w.]+>", pattern)[1:])
    return "(.+?)" + "[^/]*".join([first, *others])


def _is_fixed(value: Any) -> bool:
    return isinstance(value, str | int | float) and "{{" not in str(value) and "{%" not in str(value)


def _normalised(location: str, table: str | None) -> str | None:
    try:
        parsed = urlsplit(location)
        host, port = parsed.hostname, parsed.port
    except ValueError:
        return None
    scheme = parsed.scheme.lower().partition("+")[0]
    scheme = _SAME.get(scheme, scheme)
    if not scheme or not parsed.netloc:
        return None
    path = re.sub("/+", "/", parsed.path)
    if table is not None:
        if scheme not in _PORTS or host is None:
            return None
        schema, _, name = table.rpartition(".")
        parts = [path.strip("/"), *([schema or "public"] if scheme == "postgres" else []), name]
        return _checked(f"{scheme}://{host}:{port or _PORTS[scheme]}/{'/'.join(parts)}")
    return _checked(f"{scheme}://{parsed.netloc}{path.rstrip('/') or '/'}")


def _checked(uri: str) -> str | None:
    uri = _PLACEHOLDER.sub(lambda match: f"{{{match[1]}}}", uri)
    uri = "".join(sign if sign.isascii() else quote(sign) for sign in uri)
    return uri if len(uri) <= _LENGTH and not re.search(r"\s", uri) else None
