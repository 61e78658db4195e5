"""Where the catalog's data lies on Vertex AI: ``run_config.data_root``, and what it holds.

A dataset whose path is relative to the project lies there below ``data_root``, as it lies below the project's folder at
home. The place may differ from run to run: each ``${airflow:KEY}`` in it is filled in by the run's own containers.

The containers import this module, so it stands on little.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from airflow_provider_kedro_vertex.core.settings.quantities import storage_root
from airflow_provider_kedro_vertex.core.settings.sections import invalid

#: What ``${airflow:KEY}`` may ask for, and the environment variable that each container has of it.
AIRFLOW_VARIABLES: Mapping[str, str] = {
    "dag_id": "AIRFLOW_CTX_DAG_ID",
    "run_id": "AIRFLOW_CTX_DAG_RUN_ID",
    "run_key": "KEDRO_CONFIG_RUN_ID",
    "logical_date": "AIRFLOW_CTX_LOGICAL_DATE",
    "data_interval_start": "AIRFLOW_CTX_DATA_INTERVAL_START",
    "data_interval_end": "AIRFLOW_CTX_DATA_INTERVAL_END",
}

# Patterns are compiled when they are first used: each parse of a DAG file imports this module, and few need them.
_OF_A_RUN = r"\$\{airflow:(?P<key>\w+)(?:,(?P<default>[^${}]*))?\}"

# Classes whose file is no data, or that cannot take a URL. An explicit gs:// path in the catalog is left as it is.
_QUERY = "its file is a query, which belongs to the code in the image"
_STAYING_TYPES: Mapping[str, str] = {
    r"(?:.+\.)?(?:SQL|GBQ)QueryDataset": _QUERY,
    r"(?:.+\.)?Mlflow\w+Dataset": "MLflow keeps its data, by way of a local file",
    r"(?:.+\.)?ibis\.(?:.+\.)?FileDataset": "DuckDB reads gs:// with HMAC keys of its own alone",
}


def data_root(text: str) -> str:
    """Bring a value of ``data_root`` into the form ``gs://bucket/prefix``, with ``${airflow:..}`` as it is."""
    root = storage_root(text)
    fixed = re.sub(_OF_A_RUN, "", root)
    if re.search(r"[${}<>?#*\s\[\]]", fixed):
        raise invalid(
            f"may have ${{airflow:KEY}} and ${{airflow:KEY,DEFAULT}} in a path of Cloud Storage, and nothing else that "
            f"depends on the run, not {text!r:.200}."
        )
    for match in re.finditer(_OF_A_RUN, root):
        if match["key"] not in AIRFLOW_VARIABLES:
            raise invalid(f"has ${{airflow:{match['key']}}}, which is unknown. Known: {', '.join(AIRFLOW_VARIABLES)}.")
    bucket = root.removeprefix("gs://").partition("/")[0]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", bucket):
        raise invalid(f"must name one bucket for all runs, not {bucket!r:.80}.")
    return root


def filled(root: str, value_of: Callable[..., object]) -> str:
    """Fill in what depends on the run.

    :param value_of: called with each key, and with its default if it has one.
    """

    def value(match: re.Match[str]) -> str:
        key, default = match["key"], match["default"]
        return str(value_of(key) if default is None else value_of(key, default))

    return re.sub(_OF_A_RUN, value, root)


def shown(root: str) -> str:
    """The place as a location tells it: ``<KEY>`` for what depends on the run."""
    return re.sub(_OF_A_RUN, lambda match: f"<{match['key']}>", root)


def place_of(path: str, root: str) -> str | None:
    """Where the file or folder of a path in the catalog lies.

    :param path: as the catalog has it.
    :return: None for a path that stays as it is: a URL, an absolute one, or one that leads out of the project.
    """
    # What Kedro takes for relative to the project (kedro.framework.context).
    if not path or PureWindowsPath(path).drive or PurePosixPath(path).is_absolute() or _has_scheme(path):
        return None
    inside = posixpath.normpath(path)
    return None if inside == "." or inside.split("/")[0] == ".." else f"{root}/{inside}"


def stays(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether ``local_datasets`` names a dataset; all names of a transcoded one count as the part before ``@``."""
    base = name.partition("@")[0]
    return any(fnmatchcase(base, pattern.partition("@")[0]) for pattern in patterns)


def why_type_stays(type: str) -> str | None:
    """Why datasets of a type keep their local path; None if they do not."""
    return next((why for pattern, why in _STAYING_TYPES.items() if re.fullmatch(pattern, type)), None)


def _has_scheme(path: str) -> bool:
    try:
        return bool(urlsplit(path).scheme)
    except ValueError:
        return True
