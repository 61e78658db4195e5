from __future__ import annotations

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.nodes import NodeSettings, Resources, RetryPolicy, Scheduling
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.selectors import node_names

CONFIG = RunConfig.from_dict(
    {
        "resources": {"train_*": {"cpu": 4}, "big": {"cpu": 8}, "__default__": {"cpu": 1, "memory": "1Gi"}},
        "nodes": {
            "__default__": {"env": {"A": "1", "B": "1"}, "scheduling": {"strategy": "spot", "timeout": "1h"}},
            "big": {"env": {"B": "2"}, "scheduling": {"strategy": "standard"}},
            "train_model": {"image": "own"},
        },
        "retry_policy": {"__default__": {"num_retries": 1, "backoff_duration": "5s"}, "big": {"num_retries": 3}},
    }
)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("data_import_step", ("data-import-step", "data-import-step", "data_import_step")),
        ("Train Model", ("train-model", "Train-Model", "Train Model")),
        ("a.b", ("a-b", "a-b", "a.b")),
        ("ä__ö", ("x", "ä-ö", "ä__ö")),
    ],
)
def test_the_names_of_a_node(name: str, names: tuple[str, ...]) -> None:
    assert node_names(name) == names


def test_a_pattern_counts_as_a_tag_does_by_its_place_in_the_file() -> None:
    assert CONFIG.resources_for(["train_x"], ()).cpu == "4"
    assert CONFIG.resources_for(["train_x"], ["big"]).cpu == "8"
    assert CONFIG.resources_for(["x"], ()) == Resources("1", "1Gi")


def test_settings_merge_by_field_and_mappings_by_key() -> None:
    assert CONFIG.settings_for(["train_model"], ["big"]) == NodeSettings(
        image="own", env={"A": "1", "B": "2"}, scheduling=Scheduling("3600s", "standard")
    )
    assert RunConfig().settings_for(["x"], ()) == NodeSettings()


def test_the_most_exact_retry_policy_counts_alone() -> None:
    assert CONFIG.retry_for(["x"], ["big"]) == RetryPolicy(3, "60s")
    assert CONFIG.retry_for(["x"], ()) == RetryPolicy(1, "5s")
    assert RunConfig().retry_for(["x"], ()) is None


def test_overrides_of_one_run_reach_every_depth() -> None:
    new = CONFIG.overridden(
        {"nodes": {"big": {"env": {"C": 3}}}, "grouping": "tag", "network": {"vpc": "v"}, "labels": {"a": "b"}}
    )
    assert new.settings_for(["x"], ["big"]).env == {"A": "1", "B": "2", "C": "3"}
    again = new.overridden({"grouping": {"kind": "namespace", "depth": 2}, "network": {"reserved_ip_ranges": ["r"]}})
    assert again.grouping is not None
    assert (again.grouping.kind, again.grouping.depth) == ("namespace", 2)
    assert again.network is not None
    assert (again.network.vpc, again.network.reserved_ip_ranges) == ("v", ("r",))
    assert RunConfig.from_dict(again.to_dict()) == again


def test_a_manifest_from_before_the_new_settings_is_read() -> None:
    old = {
        "image": "i",
        "root": "gs://b",
        "description": None,
        "service_account": None,
        "resources": [["a", {"cpu": "1"}]],
    }
    assert RunConfig.from_dict(old) == RunConfig(image="i", root="gs://b", resources={"a": Resources("1")})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            {"nodes": {"a": {"scheduling": {"strategy": "sopt"}}}},
            "nodes.a.scheduling.strategy must be one of standard,",
        ),
        ({"nodes": {"a": {"scheduling": {"timeout": "1 h"}}}}, "nodes.a.scheduling.timeout must be a duration such as"),
        ({"nodes": {"a": {"env": {"1A": ""}}}}, "nodes.a.env has '1A', which is no name of an environment variable"),
        ({"nodes": {"a": {"airflow": {"poool": "x"}}}}, "nodes.a.airflow has no setting 'poool'. Did you mean 'pool'?"),
        ({"retry_policy": {"a": {}}}, "retry_policy.a.num_retries is missing."),
        ({"network": {"host_aliases": [{"ip": "10.0.0"}]}}, "network.host_aliases.0.ip must be an IP address such as"),
        ({"dynamic_config_providers": {}}, "dynamic_config_providers must be a list, not {}."),
        ({"dynamic_config_providers": [{"cls": "x"}]}, "dynamic_config_providers.0.cls must be a class, as package."),
        ({"labels": "x"}, "labels must be a mapping, not 'x'."),
        ({"ttl": 0}, "ttl must be a whole number of at least 1, not 0."),
        (
            {"mlflow": {"request_header_provider": {"cls": "a.B", "params": {"x": {1}}}}},
            "mlflow.request_header_provider.",
        ),
    ],
)
def test_wrong_values_are_told_by_their_key(value: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(value)
    assert str(caught.value).startswith(said)
