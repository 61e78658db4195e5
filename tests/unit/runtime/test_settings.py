"""The command's --settings."""

from __future__ import annotations

import json

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.settings import HostAlias, Provider, Settings


def test_nothing_is_needed() -> None:
    assert Settings.from_json("{}") == Settings()
    assert Settings().runner == "sequential"


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
    assert Settings.from_json(text) == Settings(
        runner="thread",
        secret_env={"TOKEN": "projects/p/secrets/s/versions/latest"},
        host_aliases=(HostAlias("10.0.0.1", ("mlflow.internal", "mlflow")),),
        dynamic_config_providers=(Provider("shop.auth.Token", {"audience": "x"}), Provider("shop.B")),
        request_header_provider=Provider("shop.auth.Headers"),
        selection={"tags": ("daily",), "to_nodes": ("report",)},
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "must be a JSON object"),
        ({"runers": "thread"}, "Did you mean 'runner'"),
        ({"runner": "parallel"}, "'sequential' or 'thread', not 'parallel'"),
        ({"secret_env": {"TOKEN": 1}}, "secret_env.TOKEN must be a text"),
        ({"host_aliases": {"ip": "10.0.0.1"}}, "host_aliases must be a list"),
        ({"host_aliases": [{"ip": "10.0.0.1", "hostnames": "mlflow"}]}, "hostnames must be a list"),
        ({"host_aliases": [{"hostnames": []}]}, "ip must be a text"),
        ({"dynamic_config_providers": [{"params": {}}]}, "cls must be a text"),
        ({"dynamic_config_providers": [{"cls": "a.B", "params": []}]}, "params must be a JSON object"),
        ({"mlflow": {"request_header_providers": {}}}, "Did you mean 'request_header_provider'"),
        ({"mlflow": {"selection": {"tag": ["daily"]}}}, "Did you mean 'tags'"),
        ({"mlflow": {"selection": {"tags": "daily"}}}, "selection.tags must be a list"),
    ],
)
def test_what_is_wrong(value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Settings.from_json(json.dumps(value))


def test_what_is_no_json() -> None:
    with pytest.raises(ConfigError, match="--settings is no JSON"):
        Settings.from_json("{")
