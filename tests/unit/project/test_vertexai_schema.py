from __future__ import annotations

import warnings
from typing import Any

import pytest
import yaml

from airflow_provider_kedro_vertex.core.config import Resources, RunConfig
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.schema import ConfigWarning, KeyPath, read_run_config

# The template of kedro-vertexai 1.0.0 in all its parts, with its own inconsistencies: numbers and `none`.
KEDRO_VERTEXAI = """
project_id: demo-project
region: europe-west1
run_config:
  image: registry.test/demo:1
  root: bucket/prefix
  description: none
  experiment_name: demo-experiment
  experiment_description: a demo
  scheduled_run_name: demo-run
  service_account: runner@demo.test
  grouping: {cls: kedro_vertexai.grouping.IdentityNodeGrouper, params: {anything: goes}}
  network: {vpc: none, host_aliases: []}
  ttl: 604800
  resources:
    __default__: {cpu: 200m, memory: 64Mi}
    model_training: {cpu: 8, memory: 16Gi, gpu: 1, accelerator_type: NVIDIA_TESLA_T4}
    nothing: none
  node_selectors: {gpu: {cloud.google.com/gke-accelerator: NVIDIA_TESLA_T4}}
  dynamic_config_providers: []
  mlflow: {request_header_provider_params: none}
  schedules: {default_schedule: {cron_expression: "0 19 * * *", max_run_count: none}}
"""

OLD_KEYS = {
    "host": "vertex-ai-pipelines",
    "run_config": {
        "image_pull_policy": "Always",
        "max_cache_staleness": "P0D",
        "node_merge_strategy": "full",
        "on_exit_pipeline": "notify",
        "run_name": "x",
        "store_kedro_outputs_as_kfp_artifacts": False,
        "vertex_ai_networking": {"vpc": "x"},
        "volume": {"size": "1Gi"},
        "wait_for_completion": True,
    },
}


def place(path: KeyPath) -> str:
    return "conf/base/vertexai.yml, line 7"


def read(content: dict[str, Any]) -> RunConfig:
    return read_run_config(content, place)


def test_no_file_leaves_every_setting_open() -> None:
    assert read({}) == RunConfig()
    assert read({"run_config": None}) == RunConfig()
    assert read({"run_config": {"resources": None}}) == RunConfig()


def test_a_file_of_kedro_vertexai_works_as_it_is() -> None:
    with pytest.warns(ConfigWarning) as caught:
        config = read(yaml.safe_load(KEDRO_VERTEXAI))
    assert config == RunConfig(
        project_id="demo-project",
        region="europe-west1",
        image="registry.test/demo:1",
        root="gs://bucket/prefix",
        experiment_name="demo-experiment",
        service_account="runner@demo.test",
        resources={
            "__default__": Resources("200m", "64Mi"),
            "model_training": Resources("8", "16Gi", "1", "NVIDIA_TESLA_T4"),
            "nothing": Resources(),
        },
    )
    assert list(config.resources) == ["__default__", "model_training", "nothing"]
    assert sorted(str(item.message) for item in caught) == [
        f"conf/base/vertexai.yml, line 7: run_config.{key} is not used by this version."
        for key in (
            "dynamic_config_providers",
            "experiment_description",
            "grouping",
            "mlflow",
            "network",
            "node_selectors",
            "scheduled_run_name",
            "schedules",
            "ttl",
        )
    ]


def test_keys_of_older_releases_warn_once_each() -> None:
    with pytest.warns(ConfigWarning) as caught:
        assert read(OLD_KEYS) == RunConfig()
    keys = ["host", *(f"run_config.{key}" for key in OLD_KEYS["run_config"])]
    assert sorted(str(item.message) for item in caught) == sorted(
        f"conf/base/vertexai.yml, line 7: {key} is not used by this version." for key in keys
    )


def test_a_file_of_used_keys_alone_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read({"project_id": "p", "region": "r", "run_config": {"image": "i", "root": "b", "resources": {}}})


def test_numbers_are_taken_for_strings() -> None:
    config = read({"project_id": 123, "run_config": {"resources": {"train": {"cpu": 0.5, "memory": 1000, "gpu": 2}}}})
    assert config.project_id == "123"
    assert config.resources == {"train": Resources("0.5", "1000", "2")}


def test_kubernetes_name_of_a_gpu() -> None:
    assert read({"run_config": {"resources": {"train": {"nvidia.com/gpu": 1}}}}).resources == {
        "train": Resources(gpu="1")
    }


@pytest.mark.parametrize("word", ["none", "None", None])
def test_the_word_none_is_null(word: str | None) -> None:
    config = read({"region": word, "run_config": {"root": word, "resources": {"__default__": {"cpu": word}}}})
    assert config == RunConfig(resources={"__default__": Resources()})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"regoin": "x"}, "unknown key regoin. Did you mean 'region'?"),
        ({"zzz": "x"}, "unknown key zzz. Known: host, project_id, region, run_config."),
        ({"run_config": {"imgae": "x"}}, "unknown key run_config.imgae. Did you mean 'image'?"),
        (
            {"run_config": {"resources": {"train": {"cpus": 1}}}},
            "unknown key run_config.resources.train.cpus. Did you mean 'cpu'?",
        ),
        (
            {"run_config": {"resources": {"train": {"gpu": 1, "nvidia.com/gpu": 1}}}},
            "run_config.resources.train.nvidia.com/gpu is the old name of gpu, and both are given. Remove one of them.",
        ),
        ({"project_id": True}, "project_id must be a string, not True."),
        ({"run_config": {"image": ["x"]}}, "run_config.image must be a string, not ['x']."),
        ({"run_config": "x"}, "run_config must be a mapping, not 'x'."),
        ({"run_config": {"resources": [1]}}, "run_config.resources must be a mapping, not [1]."),
        ({"run_config": {"resources": {"a": 1}}}, "run_config.resources.a must be a mapping, not 1."),
        (
            {"run_config": {"resources": {"a": {"cpu": "two"}}}},
            "run_config.resources.a.cpu must be a number of cores such as 2 or 500m, not 'two'.",
        ),
        (
            {"run_config": {"resources": {"a": {"memory": "2GB"}}}},
            "run_config.resources.a.memory must be an amount of memory such as 512Mi or 4Gi, not '2GB'.",
        ),
        (
            {"run_config": {"resources": {"a": {"gpu": "many"}}}},
            "run_config.resources.a.gpu must be a whole number, not 'many'.",
        ),
        (
            {"run_config": {"resources": {"a": {"nvidia.com/gpu": -1}}}},
            "run_config.resources.a.nvidia.com/gpu must be a whole number, not '-1'.",
        ),
        (
            {"run_config": {"root": "s3://x"}},
            "run_config.root must be a Cloud Storage place such as gs://bucket/prefix, not 's3://x'.",
        ),
        ({"run_config": {5: "x"}}, "the key run_config.5 must be a string."),
    ],
)
def test_a_wrong_key_or_value_is_one_line_with_its_place(content: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(content)
    assert str(caught.value) == f"conf/base/vertexai.yml, line 7: {said}"


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"region": [], "run_config": {"imgae": "x", "resources": {"a": {"cpu": "x"}}}})
    assert sorted(str(caught.value).splitlines()) == [
        "conf/base/vertexai.yml, line 7: region must be a string, not [].",
        "conf/base/vertexai.yml, line 7: run_config.resources.a.cpu must be a number of cores such as 2 or 500m, "
        "not 'x'.",
        "conf/base/vertexai.yml, line 7: unknown key run_config.imgae. Did you mean 'image'?",
    ]
