"""What of the inputs changed: files are compared with the objects that are there, by size and then by MD5."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, NotFoundError
from airflow_provider_kedro_vertex.project.inputs.datasets import Input
from airflow_provider_kedro_vertex.project.inputs.files import LocalFile, find_files
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from airflow_provider_kedro_vertex.vertex.uploads import md5_of

#: Up to so many objects are asked for one by one, and more by a list of their folder.
_FEW = 3


@dataclass(frozen=True)
class Change:
    """A file that is not in Cloud Storage, or is another there; with its size in bytes."""

    file: LocalFile
    size: int


@dataclass(frozen=True)
class State:
    """An input at home and in Cloud Storage.

    :param files: how many files of it are at home.
    :param changes: those of them that are to be uploaded.
    :param is_there: whether there is something of it in Cloud Storage; of an input that is at home it is not asked.
    :param remarks: what is left out, and why.
    """

    files: int
    changes: tuple[Change, ...]
    is_there: bool
    remarks: tuple[str, ...]


def compare(client: VertexClient, project: Path, given: Input) -> State:
    """Compare an input with what is in Cloud Storage. Files of the same size are read.

    :raises ConfigError: the bucket does not exist.
    :raises VertexApiError: Cloud Storage refuses it or cannot be reached.
    """
    found = find_files(project, given)
    if not found.files:
        is_there = client.describe_object(given.url) is not None or bool(_list(client, given.url))
        return State(0, (), is_there, found.remarks)
    there = _objects(client, [file.url for file in found.files])
    changes, remarks = [], [*found.remarks]
    for file in found.files:
        path, known = project / file.path, there.get(file.url)
        try:
            size = path.stat().st_size
            if known is None or int(known["size"]) != size or known.get("md5Hash") != md5_of(path):
                changes.append(Change(file, size))
        except OSError as error:
            remarks.append(f"{file.path} cannot be read: {error.strerror or error}.")
    return State(len(found.files), tuple(changes), True, tuple(remarks))


def _objects(client: VertexClient, urls: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    if len(urls) > _FEW:
        return _list(client, "gs://" + posixpath.commonpath([url.removeprefix("gs://") for url in urls]))
    return {url: known for url in urls if (known := client.describe_object(url)) is not None}


def _list(client: VertexClient, url: str) -> dict[str, Mapping[str, Any]]:
    bucket = url.removeprefix("gs://").partition("/")[0]
    try:
        return {f"gs://{bucket}/{each['name']}": each for each in client.list_objects(url)}
    except NotFoundError as error:
        raise ConfigError(
            f"There is no bucket {bucket!r}: {error.message}",
            f"Make it: gcloud storage buckets create gs://{bucket} --location REGION",
        ) from error
