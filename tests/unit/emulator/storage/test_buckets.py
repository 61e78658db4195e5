from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.emulator.storage.buckets import Buckets

BUCKETS = Buckets(Path("/data/gcs"))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a/b c", "/data/gcs/bucket/a/b c"),
        ("gs://bucket", "/data/gcs/bucket"),
        ("gs://bucket/a/", "/data/gcs/bucket/a/"),
        ("/elsewhere/x", "/elsewhere/x"),
        ("s3://x/y", "s3://x/y"),
    ],
)
def test_names_and_paths(uri: str, path: str) -> None:
    assert BUCKETS.path(uri) == path
    assert BUCKETS.uri(path) == uri


@pytest.mark.parametrize(
    "uri", ["gs://bucket/../x", "gs://../x", "gs://bucket/a/./b", "gs://", "gs://b//c", "gs:///etc", "gs://b/a\0"]
)
def test_no_name_leads_out(uri: str) -> None:
    with pytest.raises(ValueError, match="no file can have"):
        BUCKETS.path(uri)
