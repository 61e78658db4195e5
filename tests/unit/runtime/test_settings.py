"""The command's --settings."""

from __future__ import annotations

import json

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.container import HostAlias, Provider
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeMlflow, RuntimeSettings


def test_nothing_is_needed() -> None:
    assert RuntimeSettings.from_json("{}") == RuntimeSettings()
    assert RuntimeSettings().runner == "sequential"


def test_nothing_is_told_where_nothing_is_set() -> None:
    assert RuntimeSettings().to_json() == ""


def test_everything() -> None:
    text = json.dumps(
        {
            "runner": "thread",
            "secret_env": {"TOKEN": "projects/p/secrets/s/versions/latest"},
            "host_aliases": [{"ip": "10.0.0.1", "hostnames": ["mlflow.internal", "mlflow"]}],
            "dynamic_config_providers": [{"cls": "shop.auth.Token", "params": {"audience": "x"}}, {"cls": "shop.B"}],
            "mlflow": {
                "request_header_provider": {"cls": "shop.auth.Headers", "params": None},
                "selection": {"tags": ["daily"], "to_nodes": ["report"]},
            },
        }
    )
    settings = RuntimeSettings(
        runner="thread",
        secret_env={"TOKEN": "projects/p/secrets/s/versions/latest"},
        host_aliases=(HostAlias("10.0.0.1", ("mlflow.internal", "mlflow")),),
        dynamic_config_providers=(Provider("shop.auth.Token", {"audience": "x"}), Provider("shop.B")),
        mlflow=RuntimeMlflow(Provider("shop.auth.Headers"), Selection(tags=("daily",), to_nodes=("report",))),
    )
    assert RuntimeSettings.from_json(text) == settings
    assert RuntimeSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "--settings must be a mapping"),
        ({"runers": "thread"}, "Did you mean 'runner'"),
        ({"runner": "parallel"}, "must be one of sequential, thread, not 'parallel'"),
        ({"secret_env": {"TOKEN": 1}}, "secret_env.TOKEN must name a secret"),
        ({"host_aliases": {"ip": "10.0.0.1"}}, "host_aliases must be a list"),
        ({"host_aliases": [{"ip": "10.0.0.1", "hostnames": {"a": "mlflow"}}]}, "hostnames must be a list"),
        ({"host_aliases": [{"hostnames": []}]}, "ip is missing"),
        ({"dynamic_config_providers": [{"params": {}}]}, "cls is missing"),
        ({"dynamic_config_providers": [{"cls": "a.B", "params": []}]}, "params must be a mapping"),
        ({"mlflow": {"request_header_providers": {}}}, "Did you mean 'request_header_provider'"),
        ({"mlflow": {"selection": {"tag": ["daily"]}}}, "Did you mean 'tags'"),
        ({"mlflow": {"selection": {"tags": 5}}}, "selection.tags must be a list"),
    ],
)
def test_what_is_wrong(value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        RuntimeSettings.from_json(json.dumps(value))


def test_what_is_no_json() -> None:
    with pytest.raises(ConfigError, match="--settings is no JSON"):
        RuntimeSettings.from_json("{")
