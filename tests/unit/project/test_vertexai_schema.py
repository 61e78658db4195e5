from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.container import HostAlias, Provider
from airflow_provider_kedro_vertex.core.settings.legacy import GKE_ACCELERATOR, GROUPERS
from airflow_provider_kedro_vertex.core.settings.nodes import (
    Disk,
    LustreMount,
    NfsMount,
    NodeSettings,
    Reservation,
    Resources,
    RetryPolicy,
    Scheduling,
)
from airflow_provider_kedro_vertex.core.settings.run_config import (
    DnsPeering,
    Grouping,
    Mlflow,
    Network,
    PersistentResource,
    PscInterface,
    RunConfig,
    Schedule,
)
from airflow_provider_kedro_vertex.core.settings.sections import KeyPath, Section, fields_of
from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning, read_run_config

# The files that kedro-vertexai's documents and templates show, by release: their keys and oddities, other values.
SAMPLES = {
    "0.1, on the host vertex-ai-pipelines": """
host: vertex-ai-pipelines
project_id: demo-project
region: europe-west4
run_config:
  image: registry.test/demo:1
  root: bucket/path
  experiment_name: Demo
  vertex_ai_networking:
    vpc: projects/12345/global/networks/vpc
    host_aliases:
      - {ip: 10.0.0.1, hostnames: [mlflow.test]}
      - {ip: 10.0.0.2, hostnames: [features.test]}
  store_kedro_outputs_as_kfp_artifacts: true
  max_cache_staleness: P0D
  node_merge_strategy: none
""",
    "0.3": """
project_id: demo-project
region: europe-west1
run_config:
  image: registry.test/demo:${commit_id}
  image_pull_policy: IfNotPresent
  root: bucket/path
  experiment_name: MyDemo
  scheduled_run_name: MyDemoRun
  ttl: 604800
  on_exit_pipeline: notify
  network: {vpc: none, host_aliases: [{ip: 10.0.0.1, hostnames: mlflow.test}]}
  resources:
    import_step: {memory: 2Gi}
    training: {cpu: 8, memory: 1Gi}
    gpu_step: {nvidia.com/gpu: 1}
    __default__: {cpu: 200m, memory: 64Mi}
""",
    "0.7": """
project_id: demo-project
region: europe-west1
run_config:
  image: registry.test/demo:${commit_id|dirty}
  image_pull_policy: Always
  root: gs://bucket/path/
  experiment_name: MyDemo
  scheduled_run_name: MyDemoRun
  ttl: 604800
  dynamic_config_providers:
    - cls: kedro_vertexai.auth.gcp.MLFlowGoogleOAuthCredentialsProvider
      params: {client_id: a-client}
  mlflow:
    request_header_provider_params: {client_id: a-client, service_account: sa@demo.test}
  resources:
    training: {cpu: 8, memory: 1Gi}
""",
    "1.0, as its init writes it": """
project_id: demo-project
region: europe-west1
run_config:
  image: registry.test/demo:1
  root: bucket/path
  description: none
  experiment_name: demo-experiment
  experiment_description: a demo
  scheduled_run_name: demo-run
  service_account: runner@demo.test
  grouping: {cls: kedro_vertexai.grouping.TagNodeGrouper, params: {tag_prefix: "stage."}}
  network: {vpc: none, host_aliases: []}
  ttl: 604800
  resources:
    __default__: {cpu: 200m, memory: 64Mi}
    model_training: {cpu: 8, memory: 16Gi, gpu: 1}
    nothing: none
  node_selectors: {model_training: {cloud.google.com/gke-accelerator: nvidia-tesla-t4}}
  dynamic_config_providers: []
  mlflow: {request_header_provider_params: none}
  schedules:
    default_schedule:
      cron_expression: "0 19 * * *"
      timezone: Etc/UTC
      start_time: none
      end_time: none
      allow_queueing: false
      max_run_count: none
      max_concurrent_run_count: 1
""",
    "kedro-kubeflow's": """
host: https://kubeflow.test/pipelines
run_config:
  image: demo
  image_pull_policy: IfNotPresent
  experiment_name: Kubeflow Demo
  run_name: Kubeflow Demo Run
  description: A demo
  wait_for_completion: False
  ttl: 604800
  volume: {storageclass: null, size: 1Gi, skip_init: False, owner: 0, keep: False}
  retry_policy: {__default__: {num_retries: 3, backoff_duration: 60s, backoff_factor: 2}}
  resources: {__default__: {cpu: 200m, memory: 64Mi}}
""",
}


def place(path: KeyPath) -> str:
    return "conf/base/vertexai.yml, line 7"


def read(content: dict[str, Any]) -> RunConfig:
    return read_run_config(content, place)


def sample(name: str) -> tuple[RunConfig, list[str]]:
    """The settings that a sample makes, and the keys that it is warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config = read(yaml.safe_load(SAMPLES[name]))
    assert {item.category for item in caught} <= {ConfigWarning}
    return config, sorted(str(item.message).removeprefix("conf/base/vertexai.yml, line 7: ") for item in caught)


def test_no_file_leaves_every_setting_open() -> None:
    assert read({}) == RunConfig()


def test_the_oldest_file() -> None:
    config, warned = sample("0.1, on the host vertex-ai-pipelines")
    assert config.root == "gs://bucket/path"
    assert config.network == Network(
        vpc="projects/12345/global/networks/vpc",
        host_aliases=(HostAlias("10.0.0.1", ("mlflow.test",)), HostAlias("10.0.0.2", ("features.test",))),
    )
    assert config.nodes == {"__default__": NodeSettings(caching=False)}
    assert config.grouping is None
    assert [item.partition(" ")[0] for item in warned] == [
        "host",
        "run_config.store_kedro_outputs_as_kfp_artifacts",
        "run_config.vertex_ai_networking",
    ]
    assert warned[2] == "run_config.vertex_ai_networking is called network by now."


def test_the_file_of_0_3() -> None:
    config, warned = sample("0.3")
    assert warned == ["run_config.image_pull_policy is ignored: Vertex AI pulls the image for each container."]
    assert config.network == Network(host_aliases=(HostAlias("10.0.0.1", ("mlflow.test",)),))
    assert config.resources["gpu_step"] == Resources(gpu="1")
    assert (config.ttl, config.on_exit_pipeline) == (604800, "notify")
    # Kubernetes' quantities, numbers taken for strings; the order of the file is kept.
    assert list(config.resources) == ["import_step", "training", "gpu_step", "__default__"]
    assert config.resources["training"] == Resources("8", "1Gi")


def test_the_file_of_0_7() -> None:
    config, _ = sample("0.7")
    assert config.dynamic_config_providers == (
        Provider("kedro_vertexai.auth.gcp.MLFlowGoogleOAuthCredentialsProvider", {"client_id": "a-client"}),
    )
    assert config.mlflow == Mlflow()  # the params are read in the container, by kedro-vertexai's hook
    # Where a file has no default for resources, kedro-vertexai's own holds (its releases ended with a KeyError).
    assert config.resources["__default__"] == Resources("500m", "1024Mi")


def test_the_file_that_kedro_vertexai_itself_refuses() -> None:
    config, warned = sample("1.0, as its init writes it")
    assert config == RunConfig(
        project_id="demo-project",
        region="europe-west1",
        image="registry.test/demo:1",
        root="gs://bucket/path",
        experiment_name="demo-experiment",
        experiment_description="a demo",
        scheduled_run_name="demo-run",
        service_account="runner@demo.test",
        grouping=Grouping("tag", tag_prefix=("stage.",)),
        network=Network(),
        ttl=604800,
        resources={
            "__default__": Resources("200m", "64Mi"),
            "model_training": Resources("8", "16Gi", "1", "NVIDIA_TESLA_T4"),
            "nothing": Resources(),
        },
        mlflow=Mlflow(),
        schedules={"default_schedule": Schedule("0 19 * * *")},
    )
    assert warned == [
        "run_config.schedules.default_schedule.allow_queueing is ignored: Airflow always queues a run that may not "
        "start yet."
    ]


def test_the_file_of_kedro_kubeflow() -> None:
    config, warned = sample("kedro-kubeflow's")
    assert config.retry_policy == {"__default__": RetryPolicy(3, "60s", 2.0, "3600s")}
    assert [item.partition(" ")[0] for item in warned] == [
        "host",
        *(f"run_config.{key}" for key in ("image_pull_policy", "run_name", "volume", "wait_for_completion")),
    ]


@pytest.mark.parametrize("name", SAMPLES)
def test_what_a_sample_makes_survives_a_manifest(name: str) -> None:
    config, _ = sample(name)
    assert RunConfig.from_dict(config.to_dict()) == config


EVERYTHING = """
project_id: p
region: r
run_config:
  image: registry.test/demo:1
  root: bucket
  job_id_prefix: demo
  labels: {team: blue, cost: 7}
  failure_policy: FAST
  encryption_spec_key_name: projects/p/locations/r/keyRings/k/cryptoKeys/c
  preflight_validations: true
  keep_intermediate: false
  on_exit_pipeline: bye
  grouping: namespace
  persistent_resource: {name: projects/p/locations/r/persistentResources/x, wait_ms: 5, on_unavailable: fail}
  network:
    reserved_ip_ranges: one
    psc_interface:
      network_attachment: a
      dns_peering: [{domain: d.test., target_project: p, target_network: n}]
  retry_policy: {train: {num_retries: 2, backoff_duration: 2m}}
  resources:
    train:
      machine_type: n1-highmem-8
      gpu_partition_size: 1g.10gb
      tpu_topology: 2x2x1
      disk: {boot_disk_type: pd-ssd, boot_disk_size_gb: 200}
      reservation: {type: specific_reservation, key: compute.googleapis.com/reservation-name, values: [r1]}
  nodes:
    train:
      image: registry.test/gpu:1
      env: {MODE: none, WORKERS: 4}
      secret_env: {TOKEN: projects/p/secrets/s}
      scheduling: {timeout: 2h, strategy: spot, disable_retries: true, max_wait_duration: 30m}
      persistent_resource_id: x
      nfs_mounts: [{server: 10.0.0.5, path: /data, mount_point: data}]
      lustre_mounts: [{instance_ip: 10.0.0.6, volume_handle: v, filesystem: f, mount_point: m}]
      tensorboard: projects/p/locations/r/tensorboards/1
      enable_web_access: true
      enable_dashboard_access: false
      replica_count: 2
      distributed: jax
      worker_resources: {machine_type: n1-standard-4}
      caching: true
      cache_key: k
      runner: thread
      airflow: {pool: gpu, retries: 3}
"""


def test_every_new_key() -> None:
    config = read(yaml.safe_load(EVERYTHING))
    assert config.resources["train"] == Resources(
        machine_type="n1-highmem-8",
        gpu_partition_size="1g.10gb",
        tpu_topology="2x2x1",
        disk=Disk("pd-ssd", 200),
        reservation=Reservation("SPECIFIC_RESERVATION", "compute.googleapis.com/reservation-name", ("r1",)),
    )
    assert config.nodes["train"] == NodeSettings(
        image="registry.test/gpu:1",
        env={"MODE": "none", "WORKERS": "4"},
        secret_env={"TOKEN": "projects/p/secrets/s/versions/latest"},
        scheduling=Scheduling("7200s", "spot", None, True, "1800s"),
        persistent_resource_id="x",
        nfs_mounts=(NfsMount("10.0.0.5", "/data", "data"),),
        lustre_mounts=(LustreMount("10.0.0.6", "v", "f", "m"),),
        tensorboard="projects/p/locations/r/tensorboards/1",
        enable_web_access=True,
        enable_dashboard_access=False,
        replica_count=2,
        distributed="jax",
        worker_resources=Resources(machine_type="n1-standard-4"),
        caching=True,
        cache_key="k",
        runner="thread",
        airflow={"pool": "gpu", "retries": 3},
    )
    assert config.retry_policy == {"train": RetryPolicy(2, "120s")}
    assert config.network == Network(
        reserved_ip_ranges=("one",), psc_interface=PscInterface("a", (DnsPeering("d.test.", "p", "n"),))
    )
    assert config.persistent_resource == PersistentResource("projects/p/locations/r/persistentResources/x", 5, "fail")
    assert config.grouping == Grouping("namespace")
    assert config.labels == {"team": "blue", "cost": "7"}
    assert (config.failure_policy, config.preflight_validations, config.keep_intermediate) == ("fast", True, False)
    assert (config.on_exit_pipeline, config.job_id_prefix) == ("bye", "demo")
    assert RunConfig.from_dict(config.to_dict()) == config


def test_what_is_filled_in_when_the_project_is_inspected_is_no_key_of_the_file() -> None:
    with pytest.raises(ConfigError, match=r"unknown key run_config\.mlflow\.tracking_uri\."):
        read({"run_config": {"mlflow": {"tracking_uri": "https://mlflow.test"}}})


def test_numbers_are_taken_for_strings() -> None:
    config = read({"project_id": 123, "run_config": {"resources": {"train": {"cpu": 0.5, "memory": 1000, "gpu": 2}}}})
    assert config.project_id == "123"
    assert config.resources["train"] == Resources("0.5", "1000", "2")


def test_an_empty_grouping_is_none() -> None:
    assert read({"run_config": {"grouping": {}}}).grouping == Grouping("none")
    assert read({"run_config": {"grouping": "none"}}).grouping is None  # the word means null, which is the same


def test_full_merge_strategy_is_the_grouping_pipeline() -> None:
    assert read({"run_config": {"node_merge_strategy": "full"}}).grouping == Grouping("pipeline")
    both = {"node_merge_strategy": "full", "grouping": {"kind": "tag"}}
    assert read({"run_config": both}).grouping == Grouping("tag")


def test_a_node_selector_does_not_replace_an_accelerator_type() -> None:
    settings = {
        "resources": {"a": {"accelerator_type": "NVIDIA_L4"}},
        "node_selectors": {"a": {GKE_ACCELERATOR: "x"}, "b": {"disk": "ssd", GKE_ACCELERATOR: "nvidia-l4"}},
    }
    with pytest.warns(ConfigWarning, match=r"run_config.node_selectors.b.disk is ignored: of node selectors Vertex AI"):
        config = read({"run_config": settings})
    assert config.resources["a"] == config.resources["b"] == Resources(accelerator_type="NVIDIA_L4")


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
        ({"run_config": {"a\n\nb": "x"}}, "unknown key run_config.a b."),
        ({"run_config": {"resources": {5: {}}}}, "the key run_config.resources.5 must be a string."),
        (
            {"run_config": {"nodes": {"scheduling": {"imgae": 1}}}},
            "unknown key run_config.nodes.scheduling.imgae. Did you mean 'image'?",
        ),
        (
            {"run_config": {"nodes": {"a": {"scheduling": {"timeuot": 1}}}}},
            "unknown key run_config.nodes.a.scheduling.timeuot. Did you mean 'timeout'?",
        ),
        (
            {"run_config": {"vertex_ai_networking": {"host_aliases": [{"ip": "10.0.0.1"}]}}},
            "run_config.vertex_ai_networking.host_aliases.0.hostnames is missing.",
        ),
        (
            {"run_config": {"network": {"vpc": "a"}, "vertex_ai_networking": {}}},
            "run_config.vertex_ai_networking is the old name of network, and both are given. Remove one of them.",
        ),
        ({"run_config": {"network": {"host_aliases": {}}}}, "run_config.network.host_aliases must be a list, not {}."),
        (
            {"run_config": {"nodes": {"a": {"secret_env": {"T": "hunter2"}}}}},
            "run_config.nodes.a.secret_env.T must name a secret of Secret Manager, as "
            "projects/PROJECT/secrets/NAME/versions/VERSION, not hold a value.",
        ),
        (
            {"run_config": {"nodes": {"a": {"replica_count": 0}}}},
            "run_config.nodes.a.replica_count must be a whole number of at least 1, not 0.",
        ),
        (
            {"run_config": {"failure_policy": "fats"}},
            "run_config.failure_policy must be one of slow, fast, not 'fats'. Did you mean 'fast'?",
        ),
        (
            {"run_config": {"preflight_validations": "maybe"}},
            "run_config.preflight_validations must be true or false, not 'maybe'.",
        ),
        (
            {"run_config": {"grouping": "namespaces"}},
            "run_config.grouping.kind must be one of none, namespace, tag, memory, pipeline, auto, callable, not "
            "'namespaces'. Did you mean 'namespace'?",
        ),
        (
            {"run_config": {"grouping": {"callable": "a:b"}}},
            "run_config.grouping must have kind: callable and callable: package.module:function together.",
        ),
        (
            {"run_config": {"grouping": {"kind": "tag", "cls": "x"}}},
            "run_config.grouping has both kind and kedro-vertexai's cls. Remove cls.",
        ),
        (
            {"run_config": {"grouping": {"cls": next(reversed(GROUPERS)), "params": {"tag_prefix": []}}}},
            "run_config.grouping has params with a tag_prefix that is no string.",
        ),
        (
            {"run_config": {"grouping": {"cls": "my.Grouper"}}},
            "run_config.grouping names the class my.Grouper, and classes of kedro-vertexai's interface are not "
            "run here. Write a function and name it: {kind: callable, callable: package.module:function}.",
        ),
        ({"run_config": {"retry_policy": {"a": {}}}}, "run_config.retry_policy.a.num_retries is missing."),
        (
            {"run_config": {"nodes": {"a": {"airflow": {"retires": 1}}}}},
            "run_config.nodes.a.airflow has no setting 'retires'. Did you mean 'retries'?",
        ),
        (
            {"run_config": {"nodes": {"a": {"env": {"A-B": "1"}}}}},
            "run_config.nodes.a.env has 'A-B', which is no name of an environment variable (letters, digits, "
            "underscores).",
        ),
    ],
)
def test_a_wrong_key_or_value_is_one_line_with_its_place(content: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(content)
    assert str(caught.value) == f"conf/base/vertexai.yml, line 7: {said}"


#: Each key with a value that is right for it.
RIGHT = yaml.safe_load(
    EVERYTHING
    + """
  description: d
  experiment_name: e
  experiment_description: e
  scheduled_run_name: r
  service_account: s
  ttl: 60
  dynamic_config_providers: [{cls: package.module.Class, params: {a: 1}}]
  mlflow: {request_header_provider: {cls: package.module.Class}, request_header_provider_params: {a: 1}}
  schedules:
    default_schedule:
      cron_expression: "@daily"
      timezone: Etc/UTC
      start_time: "2026-01-01"
      end_time: "2027-01-01"
      max_run_count: 1
      max_concurrent_run_count: 1
      allow_queueing: true
"""
)
RIGHT["run_config"]["grouping"] = {
    "kind": "callable",
    "callable": "package.module:function",
    "params": {"a": 1},
    "depth": 2,
    "tag_prefix": ["group."],
}
RIGHT["run_config"] |= {"data_root": "gs://shop/${airflow:run_id,x}", "local_datasets": ["lookup_*"]}
RIGHT["run_config"]["kedro_viz_url"] = "https://viz.test/shop"
RIGHT["run_config"]["form"] = {
    "rate": {"title": "Rate", "description": "d", "type": "number", "enum": [1, 2], "minimum": 0, "maximum": 1.5},
    "day": {"format": "date"},
}
RIGHT["run_config"]["lineage"] = {"report_data": True, "repository": "https://github.com/org/shop"}
RIGHT["run_config"]["network"] |= {"vpc": "v", "host_aliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]}
RIGHT["run_config"]["retry_policy"]["train"] |= {"backoff_factor": 2, "backoff_max_duration": "1h"}
RIGHT["run_config"]["retry_policy"]["train"]["on_out_of_memory"] = {"factor": 2, "max": "32Gi"}
RIGHT["run_config"]["resources"]["train"] |= {"cpu": 1, "memory": "1Gi", "gpu": 1, "accelerator_type": "NVIDIA_L4"}
RIGHT["run_config"]["nodes"]["train"]["scheduling"] |= {"restart_job_on_worker_restart": True}
WRONG: tuple[Any, ...] = ([1], [[]], {"a": []}, True, -1, 0.5, "", "no such: thing")


def places(value: Any, at: KeyPath = ()) -> Iterator[KeyPath]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in children:
        yield (*at, key)
        yield from places(item, (*at, key))


def declared_keys(section: type[Section]) -> Iterator[str]:
    for name, item in fields_of(section).items():
        if not item.metadata.get("inspected"):
            yield name
        if item.metadata["section"] is not None:
            yield from declared_keys(item.metadata["section"])


@pytest.mark.filterwarnings("ignore::airflow_provider_kedro_vertex.project.vertexai_yml.ConfigWarning")
def test_no_wrong_value_passes_the_schema_and_is_then_refused_without_a_place() -> None:
    assert read(RIGHT).schedules
    everywhere = list(places(RIGHT))
    assert set(declared_keys(RunConfig)) - {str(path[-1]) for path in everywhere} == set()
    refusals: list[str] = []
    for path in everywhere:
        for wrong in WRONG:
            content = copy.deepcopy(RIGHT)
            target = content
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = wrong
            try:
                read(content)
            except ConfigError as error:
                refusals.append(str(error))
    assert [said for said in refusals if not all(line.startswith(place(())) for line in said.splitlines())] == []
    assert len(refusals) > 3 * len(everywhere)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"region": [], "run_config": {"imgae": "x", "resources": {"a": {"cpu": "x"}}}})
    assert sorted(str(caught.value).splitlines()) == [
        "conf/base/vertexai.yml, line 7: region must be a string, not [].",
        "conf/base/vertexai.yml, line 7: run_config.resources.a.cpu must be a number of cores such as 2 or 500m, "
        "not 'x'.",
        "conf/base/vertexai.yml, line 7: unknown key run_config.imgae. Did you mean 'image'?",
    ]
