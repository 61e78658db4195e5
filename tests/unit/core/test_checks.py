from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.checks.check import MAX_SPEC_BYTES, check, check_pipelines, check_project
from airflow_provider_kedro_vertex.core.checks.container import Mode, may_be_secret
from airflow_provider_kedro_vertex.core.checks.findings import CODES, Finding, errors, refuse, summarized
from airflow_provider_kedro_vertex.core.checks.settings import check_settings
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

DOCUMENT = Path(__file__).parents[3] / "docs" / "checks.md"

SETTINGS = {"image": "r.test/shop:1", "root": "shop", "service_account": "a@shop.test"}

LOCAL = ("pandas.CSVDataset", "data/rows.csv", "local")


def manifest_of(*nodes: Node, datasets: dict[str, tuple[Any, ...]] | None = None, **settings: Any) -> Manifest:
    used = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    names = {name for name in used if name != "parameters" and not name.startswith("params:")}
    described = {
        name: Dataset(name, *(datasets or {}).get(name, ("kedro.io.MemoryDataset", None, "memory")))
        for name in sorted(names)
    }
    return Manifest(
        project=Project("Shop", "shop", "1.0.0"),
        env=None,
        config=RunConfig.from_dict({**SETTINGS, **settings}),
        parameters={},
        datasets=described,
        pipelines={"__default__": Pipeline("__default__", nodes)},
    )


MAKE, TAKE = Node("make", (), ("rows",), ("raw",)), Node("take", ("rows",), ())


def found(
    *nodes: Node, datasets: dict[str, tuple[Any, ...]] | None = None, mode: Mode = "pipeline_job", **settings: Any
) -> list[str]:
    findings = check_pipelines(manifest_of(*(nodes or (MAKE, TAKE)), datasets=datasets, **settings), mode=mode)
    assert all(finding.fix for finding in findings)
    return [f"{finding.code} {finding.level}: {finding.message}" for finding in findings]


def test_nothing_is_wrong() -> None:
    assert found() == []
    assert found(mode="custom_job") == []


def test_settings_of_the_forms_fields_name_parameters_and_fit_their_values() -> None:
    take = Node("take", ("params:share", "rows"), ())
    assert found(MAKE, take, form={"shaer": {"minimum": 0}})[0] == (
        "KV014 warning: form.shaer is no parameter of the project."
    )
    manifest = dataclasses.replace(
        manifest_of(form={"share": {"enum": ["x"]}}), parameters={"share": Parameter("string", "y")}
    )
    (finding,) = check_settings(manifest, manifest.config)
    assert (finding.code, finding.level) == ("KV015", "error")
    assert "run_config.form.share does not fit the value 'y'" in finding.message


def test_a_local_file_between_two_containers() -> None:
    assert found(datasets={"rows": LOCAL}) == [
        "KV001 error: Dataset 'rows' at the local path 'data/rows.csv' is written by 'make' and read by 'take', "
        "which run "
        "in containers of their own."
    ]
    assert found(datasets={"rows": LOCAL}, grouping="pipeline") == []
    assert found(datasets={"rows": ("pandas.CSVDataset", "/gcs/bucket/rows.csv", "local")}) == []


def test_a_transcoded_local_file_between_two_containers() -> None:
    nodes = Node("make", (), ("rows@a",)), Node("take", ("rows@b",), ())
    assert found(*nodes, datasets={"rows@a": LOCAL, "rows@b": LOCAL}) == [
        "KV001 error: Dataset 'rows' at the local path 'data/rows.csv' is written by 'make' and read by 'take', "
        "which run in containers of their own."
    ]


def test_a_transcoded_dataset_that_is_kept_in_memory() -> None:
    nodes = Node("make", (), ("rows@a",)), Node("take", ("rows@b",), ())
    remote = ("pandas.CSVDataset", "gs://shop/rows.csv", "remote")
    for grouping in ("none", "pipeline"):
        assert found(*nodes, grouping=grouping) == [
            "KV003 error: Dataset 'rows' is made as 'rows@a' and loaded as 'rows@b', by node 'take', but 'rows@b' is "
            "kept in memory alone: nothing is there to be loaded under the other name."
        ]
        assert "'rows@a' is kept" in "".join(found(*nodes, datasets={"rows@b": remote}, grouping=grouping))
        assert found(*nodes, datasets={"rows@a": remote, "rows@b": remote}, grouping=grouping) == []
    assert found(Node("make", (), ("rows@a",)), Node("take", ("rows@a",), ())) == []


def test_a_pipeline_that_logs_a_model_needs_one_container() -> None:
    manifest = manifest_of(MAKE, TAKE)
    logging = dataclasses.replace(
        manifest, pipelines={"__default__": dataclasses.replace(manifest.pipelines["__default__"], logs_model=True)}
    )

    def lines(grouping: str, selection: Selection | None = None) -> list[str]:
        config = RunConfig.from_dict({**SETTINGS, "grouping": grouping})
        return [
            f"{finding.code} {finding.level}"
            for finding in check_pipelines(logging, config=config, selection=selection)
        ]

    assert lines("none") == ["KV015 error"]
    assert lines("pipeline") == []
    assert lines("pipeline", Selection(to_nodes=("make",))) == ["KV015 error"]


def test_memory_between_two_containers() -> None:
    assert found(datasets={"rows": ("pandas.CSVDataset", "memory://rows.csv", "memory")}) == [
        "KV002 error: Dataset 'rows' at 'memory://rows.csv', in memory, is written by 'make' and read by 'take', which "
        "run in containers of their own."
    ]
    assert found(datasets={"rows": ("MemoryDataset", None, "memory")}) == [
        "KV002 note: Dataset 'rows', a MemoryDataset of the catalog, is written by 'make' and read by 'take', "
        "which run "
        "in containers of their own: it is pickled to storage between them."
    ]


def test_an_input_that_is_nowhere() -> None:
    assert found(TAKE) == [
        "KV003 error: Dataset 'rows', an input of node 'take', is kept nowhere, and no node of the run makes it."
    ]
    takes = manifest_of(Node("a", ("params:x", "parameters"), ("y",)))
    assert check_pipelines(dataclasses.replace(takes, parameters={"x": Parameter("integer", 1)})) == ()


def test_an_input_that_another_job_of_the_same_data_may_make() -> None:
    both = manifest_of(MAKE, TAKE)
    both = dataclasses.replace(both, pipelines={"make": Pipeline("make", (MAKE,)), "take": Pipeline("take", (TAKE,))})

    def codes(manifest: Manifest, shares_data: bool) -> list[str]:
        return [finding.code for finding in check(manifest, build_plan(manifest, "take", shares_data=shares_data))]

    assert codes(both, shares_data=False) == ["KV003"]
    assert codes(both, shares_data=True) == []
    # Nobody in the whole project makes it.
    assert codes(dataclasses.replace(both, pipelines={"take": both.pipelines["take"]}), shares_data=True) == ["KV003"]


def test_files_of_the_container_and_of_the_image() -> None:
    assert found(MAKE, datasets={"rows": LOCAL}) == [
        "KV004 warning: Dataset 'rows', an output of node 'make', is the local file 'data/rows.csv': it is lost "
        "with the "
        "container."
    ]
    assert found(TAKE, datasets={"rows": LOCAL}) == [
        "KV005 note: Dataset 'rows', an input of node 'take', is the local file 'data/rows.csv': it must be in "
        "the image."
    ]


def of_pipelines(manifest: Manifest, **pipelines: tuple[Node, ...]) -> Manifest:
    made = {name: Pipeline(name, nodes) for name, nodes in pipelines.items()}
    return dataclasses.replace(manifest, pipelines={**made, **manifest.pipelines})


def test_one_finding_for_a_dataset_with_its_nodes_and_pipelines() -> None:
    readers = [Node(f"take_{number}", ("rows",), ()) for number in range(5)]
    manifest = manifest_of(MAKE, *readers, datasets={"rows": LOCAL})
    # Alone, the parts would lose the dataset with the container, and look for it in the image.
    manifest = of_pipelines(manifest, all=(MAKE, *readers[:2]), making=(MAKE,), taking=(readers[0],))
    (finding,) = check_project(manifest)
    assert (finding.code, finding.dataset, finding.location) == ("KV001", "rows", "data/rows.csv")
    assert "written by 'make' and read by 'take_0', 'take_1', 'take_2' and 2 more" in finding.message
    assert finding.nodes == ("make", *(node.name for node in readers))
    assert finding.pipelines == ("__default__", "all")
    assert [(each.code, each.pipelines) for each in check_pipelines(manifest, ["taking"])] == [("KV005", ("taking",))]


def test_a_pipeline_that_takes_what_another_one_makes_in_memory() -> None:
    manifest = of_pipelines(manifest_of(MAKE, TAKE), empty=(), part=(TAKE, Node("score", ("rows", "nowhere"), ())))
    manifest = dataclasses.replace(manifest, datasets={**manifest.datasets, "nowhere": Dataset("nowhere", "x")})
    alone, nowhere = sorted(check_project(manifest), key=lambda finding: finding.level, reverse=True)
    assert (alone.code, alone.level, alone.pipelines, alone.nodes) == ("KV027", "warning", ("part",), ("take", "score"))
    assert alone.message == (
        "Pipeline 'part' cannot run alone: it takes 'rows', which other pipelines make in memory (node 'make')."
    )
    # What no pipeline makes is wrong wherever it is taken.
    assert (nowhere.code, nowhere.level, nowhere.dataset) == ("KV003", "error", "nowhere")
    asked = check_pipelines(manifest, ["part"])
    assert [(each.code, each.level, each.dataset) for each in asked] == [
        ("KV003", "error", "nowhere"),
        ("KV003", "error", "rows"),
    ]
    scheduled = RunConfig.from_dict({**SETTINGS, "schedules": {"part": {"cron_expression": "0 4 * * *"}}})
    assert [each.code for each in check_project(manifest, scheduled)] == ["KV003", "KV003"]


def test_many_findings_of_one_kind_are_told_as_one() -> None:
    nodes = [Node(f"make_{number}", (), (f"rows_{number}",)) for number in range(30)]
    nodes += [Node(f"take_{number}", (f"rows_{number}",), ()) for number in range(26)]
    places = {f"rows_{number}": f"data/0{number % 2}_raw/{number}.csv" for number in range(28)}
    places |= {"rows_28": "out/28.csv", "rows_29": "out/29.csv"}
    manifest = manifest_of(*nodes, datasets={name: ("x.Rows", place, "local") for name, place in places.items()})
    findings = check_project(manifest)
    assert len(findings) == 30
    told = [f"{finding.code}: {finding.message} {finding.fix}" for finding in summarized(findings)]
    assert told[0] == (
        "KV001: 26 datasets below data/ are written and read by containers of their own: 'rows_0', 'rows_1', 'rows_10' "
        "and 23 more. Set run_config.data_root, or give them a gs:// path, take them out of the catalog, or group "
        "these nodes."
    )
    # Two below a folder are told one by one.
    assert [line[:25] for line in told[1:]] == [f"KV004: Dataset 'rows_{number}'," for number in (26, 27, 28, 29)]
    assert len(summarized(findings)[0].nodes) == 52
    with pytest.raises(ConfigError, match="26 datasets below data/") as refused:
        refuse(findings)
    assert len(refused.value.each()) == 1


def test_a_project_of_hundreds_of_nodes_fits_on_two_screens() -> None:
    pipelines: dict[str, tuple[Node, ...]] = {}
    for part in range(30):
        names = [f"p{part}_{number}" for number in range(28)]
        pipelines[f"part_{part}"] = tuple(
            Node(f"n_{name}", (names[at - 1],) if at else (f"p{part - 1}_27",) if part else (), (name,))
            for at, name in enumerate(names)
        )
    nodes = tuple(node for each in pipelines.values() for node in each)
    kinds = (("x.Rows", "data/{}.csv", "local"), ("MemoryDataset", None, "memory"), ("x.Rows", "out/{}.csv", "local"))
    datasets = {}
    for at, node in enumerate(nodes):
        kind, place, scope = kinds[at % 3]
        datasets[node.outputs[0]] = (kind, place and place.format(at), scope)
    manifest = of_pipelines(manifest_of(*nodes, datasets=datasets), **pipelines)
    findings = check_project(manifest)
    assert len(nodes) == 840
    assert len(findings) > 800
    assert len(summarized(findings)) <= 10


def test_a_dataset_that_a_hook_may_add() -> None:
    manifest = dataclasses.replace(manifest_of(TAKE), hooks=("AddRates",))
    (finding,) = check_pipelines(manifest)
    assert (finding.code, finding.level, finding.dataset) == ("KV003", "warning", "rows")
    assert "A hook may add it (AddRates)" in finding.message
    # One that the catalog declares is not added by a hook.
    declared = {"rows": Dataset("rows", "MemoryDataset")}
    assert [each.level for each in check_pipelines(dataclasses.replace(manifest, datasets=declared))] == ["error"]


def test_a_memory_dataset_that_has_its_data() -> None:
    assert found(TAKE, datasets={"rows": ("MemoryDataset", None, "memory", False, (), True)}) == []


def test_a_parameter_that_is_not_there() -> None:
    nodes = [Node(name, ("params:trainig.days", "params:training", "parameters"), (name,)) for name in "ab"]
    manifest = dataclasses.replace(manifest_of(*nodes), parameters={"training.days": Parameter("integer", 3)})
    (finding,) = check_pipelines(manifest)
    assert str(finding).startswith(
        "KV028 warning: Node 'a' and 1 more takes params:trainig.days, which the project's parameters do not have. "
        "Did you mean 'training.days'?"
    )
    assert finding.nodes == ("a", "b")
    assert check_pipelines(manifest, selection=Selection(node_names=("b",)))[0].nodes == ("b",)
    # What each run gives, and what is in a mapping that is left open, is there.
    given = dataclasses.replace(manifest, runtime_params={"trainig.days": True})
    assert [each.code for each in check_pipelines(given)] == ["KV013"]
    assert check_pipelines(dataclasses.replace(manifest, parameters={"trainig": Parameter("object"),
                                                                     "training": Parameter("null")})) == ()  # fmt: skip


def test_one_file_with_two_names() -> None:
    def codes(*nodes: Node, place: str = "gs://shop/rows.csv") -> list[str]:
        places = dict.fromkeys(("rows", "table", "rows@a", "rows@b"), ("pandas.CSVDataset", place, "remote"))
        return [line[:14] for line in found(*nodes, datasets=places)]

    other = Node("other", ("table",), ())
    assert codes(MAKE, other) == ["KV029 warning:"]
    assert codes(MAKE, Node("other", (), ("table",))) == ["KV029 warning:"]
    assert codes(MAKE, TAKE) == []
    assert codes(Node("make", (), ("rows@a",)), Node("take", ("rows@b",), ())) == []
    # Nobody writes it; or it is a database, which has room for both.
    assert codes(TAKE, other) == []
    assert codes(MAKE, other, place="postgresql://db/shop") == []

    def tables(type_: str, place: str | None, scope: str) -> list[str]:
        kept = dict.fromkeys(("rows", "table"), (type_, place, scope))
        return [line[:5] for line in found(MAKE, other, datasets=kept) if line.startswith("KV029")]

    assert tables("pandas.SQLTableDataset", "data/shop.db", "local") == []
    assert tables("pandas.CSVDataset", "data/shop.db", "local") == ["KV029"]
    # Where it is, nobody knows, or credentials tell: that is not one place.
    assert tables("pandas.SQLTableDataset", None, "local") == []
    assert tables("shop.Table", None, "remote") == []


@pytest.mark.parametrize("type_", ["pandas.SQLTableDataset", "ibis.TableDataset"])
@pytest.mark.parametrize("place", [None, "data/shop.db"])
def test_what_to_do_about_a_table_of_a_local_database(type_: str, place: str | None) -> None:
    kept = {"rows": (type_, place, "local")}
    fixes = [
        finding.fix
        for nodes in ((MAKE, TAKE), (MAKE,), (TAKE,))
        for finding in check_pipelines(manifest_of(*nodes, datasets=kept))
    ]
    assert [fix.startswith("Give it a database on a server that the containers reach") for fix in fixes] == [True] * 3
    assert not [fix for fix in fixes if "gs://" in fix or "{" in fix]


@pytest.mark.parametrize("uri", ["mlruns", "file:///mlruns", "sqlite:///x.db", "http://localhost:5000"])
def test_mlflow_on_the_containers_own_disk(uri: str) -> None:
    assert found(mlflow={"tracking_uri": uri}) == [
        f"KV006 error: mlflow.yml tracks to {uri!r}, which is on each container's own disk or machine: nothing "
        "would be "
        "kept."
    ]
    # What the file names counts more than the variable.
    elsewhere = {"__default__": {"env": {"MLFLOW_TRACKING_URI": "https://mlflow.test"}}}
    assert bool(found(mlflow={"tracking_uri": uri}, nodes=elsewhere)) == (uri != "mlruns")


def test_mlflow_of_a_file_that_names_no_server_is_the_variables() -> None:
    def told(**settings: dict[str, str]) -> list[str]:
        return found(mlflow={"tracking_uri": "mlruns"}, nodes={"__default__": settings})

    assert told(secret_env={"MLFLOW_TRACKING_URI": "projects/p/secrets/s/versions/1"}) == []
    assert told(env={"MLFLOW_TRACKING_URI": "databricks"}) == []
    (local,) = told(env={"MLFLOW_TRACKING_URI": "sqlite:///data/x.db?key=hunter2"})
    assert local.startswith("KV006 error: the environment variable MLFLOW_TRACKING_URI tracks to 'data/x.db', which is")


@pytest.mark.parametrize("uri", ["https://mlflow.test", "databricks", "databricks-uc", "databricks://profile", "uc:x"])
def test_mlflow_on_a_server(uri: str) -> None:
    assert found(mlflow={"tracking_uri": uri}) == []


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("shop", "warning: The image 'shop' of 'make' and 1 more has no tag: "),
        (
            "r.test:5000/a/shop:latest",
            "warning: The image 'r.test:5000/a/shop:latest' of 'make' and 1 more has the",
        ),
        ("r.test/Shop Image:1", "error: The image 'r.test/Shop Image:1' of 'make' and 1 more is no name of an image."),
        ("r.test/shop:${commit}", "error: The image 'r.test/shop:${commit}' of 'make' and 1 more is no name"),
    ],
)
def test_images_that_are_wrong_or_float(image: str, said: str) -> None:
    (line,) = found(image=image)
    assert line.startswith(f"KV007 {said}")


@pytest.mark.parametrize(
    "image", ["shop:1", "r.test:5000/a/b_c/shop:v1.0-2", "r.test/shop:latest@sha256:" + "0" * 64, "localhost/a--b:x"]
)
def test_images_that_stay_what_they_are(image: str) -> None:
    assert found(image=image) == []


def test_what_is_not_set() -> None:
    bare = dataclasses.replace(manifest_of(MAKE), config=RunConfig())
    assert [str(finding)[:12] for finding in check_pipelines(bare)] == ["KV007 error:", "KV008 error:"]
    assert found(image=None, nodes={"__default__": {"image": "r.test/shop:1"}}) == []


def test_names_and_labels() -> None:
    assert [line[:12] for line in found(job_id_prefix="My Job")] == ["KV009 error:"]
    assert [line[:12] for line in found(labels={"Team": "a", "team": "B", "kedro-x": "a", "ok": "a_1-b"})] == [
        "KV010 error:"
    ] * 3


def test_resources_that_no_machine_has() -> None:
    lines = found(resources={"take": {"cpu": 5000}})
    assert [line[:12] for line in lines] == ["KV011 error:"]
    assert "take" in lines[0]


def test_a_spec_that_is_too_large() -> None:
    nodes = [Node(f"n{index}", (), (f"d{index}",)) for index in range(600)]
    env = {"__default__": {"env": {f"V{index}": "x" * 200 for index in range(40)}}}
    assert [line[:14] for line in found(*nodes, nodes=env)] == ["KV012 warning:"]
    many = [Node(f"n{index}", (), (f"d{index}",)) for index in range(1300)]
    assert [line[:12] for line in found(*many, nodes=env)] == ["KV012 error:"]
    assert MAX_SPEC_BYTES < 10485760


def test_a_selector_that_matches_nothing() -> None:
    # Named like something that is there, or like a pattern that something matches, is no finding.
    assert found(resources={"maek": {"cpu": 1}}, nodes={"ta*x": {}, "ta*": {}, "__default__": {}, "raw": {}}) == [
        "KV014 warning: nodes.ta*x matches no node and no tag of any registered pipeline.",
        "KV014 warning: resources.maek matches no node and no tag of any registered pipeline.",
    ]
    manifest = manifest_of(MAKE, resources={"maek": {}})
    (finding,) = check_settings(manifest, manifest.config)
    assert finding.fix == "Did you mean 'make'?"


def test_selectors_match_raw_and_cleaned_names_patterns_and_groups() -> None:
    nodes = Node("space.data_import_step", (), ("a",), ("group.first", "t"), "space")
    names = ("space.data_import_step", "space-data-import-step", "*import*", "t")
    assert found(nodes, resources={name: {} for name in names}) == []
    assert [line[:5] for line in found(nodes, resources={"first": {}})] == ["KV014"]
    assert found(nodes, resources={"first": {}, "space": {}}, grouping="tag") == []


def test_settings_that_exclude_one_another() -> None:
    network = {"vpc": "v", "psc_interface": {"network_attachment": "a"}}
    assert [line[:12] for line in found(network=network)] == ["KV015 error:"]
    assert found(network={"psc_interface": {"network_attachment": "a"}}) == []


def test_settings_without_effect_in_a_mode() -> None:
    spot = {"__default__": {"scheduling": {"strategy": "spot"}}}
    assert found(nodes=spot) == []
    assert found(nodes=spot, mode="custom_job") == []
    assert [line[:14] for line in found(nodes={"take": {"caching": True}}, mode="custom_job")] == ["KV016 warning:"]
    assert found(retry_policy={"take": {"num_retries": 2}, "make": {"num_retries": 0}}, mode="custom_job") == [
        "KV016 warning: retry_policy of 'take' has no effect in mode custom_job."
    ]
    assert found(retry_policy={"take": {"num_retries": 2}}) == []


def test_more_memory_that_would_not_be_had() -> None:
    def lines(resources: dict[str, str], mode: Any = "pipeline_job", **policy: Any) -> list[str]:
        asked, policies = {"make": resources}, {"make": {"on_out_of_memory": {"max": "32Gi"}, **policy}}
        return [line.partition(":")[2] for line in found(resources=asked, retry_policy=policies, mode=mode)]

    assert lines({"memory": "2Gi"}) == lines({}) == lines({"memory": "2Gi"}, "custom_job") == []
    (said,) = lines({"memory": "2Gi"}, num_retries=1)
    assert said.startswith(" num_retries of 'make' is 1: when it is killed")
    for mode in ("pipeline_job", "custom_job"):
        (said,) = lines({"machine_type": "n1-highmem-8"}, mode)
        assert said.startswith(" on_out_of_memory of 'make' has no effect: its machine is named")
        (said,) = lines({"memory": "32Gi"}, mode)
        assert said.startswith(" on_out_of_memory of 'make' has no effect: it asks for 32Gi")


def test_machines_that_do_not_work_together() -> None:
    def lines(**settings: Any) -> list[str]:
        grouping = settings.pop("grouping", "none")
        return [line[:13] for line in found(nodes={"make": settings}, grouping=grouping, mode="custom_job")]

    assert lines(replica_count=2) == ["KV032 error: "]
    assert lines(replica_count=2, distributed="torch") == []
    assert lines(replica_count=1) == []
    assert lines(distributed="torch") == []
    assert lines(replica_count=2, distributed="torch", grouping="pipeline") == ["KV032 error: "]
    assert lines(replica_count=2, distributed="torch", grouping="auto") == []
    assert lines(worker_resources={"cpu": "8"}) == ["KV032 warning"]
    assert lines(replica_count=2, distributed="jax", worker_resources={"cpu": "8"}) == []
    assert lines(replica_count=2, distributed="jax", worker_resources={"cpu": "800"}) == ["KV011 error: "]


def test_environment_variables() -> None:
    many = {"__default__": {"env": {f"V{index}": "" for index in range(101)}}}
    assert found(nodes=many) == [
        "KV017 error: 'make' and 1 more has 101 environment variables, and Vertex AI takes 100."
    ]
    both = {"env": {"A": "1", "GCP_REGION": "x"}, "secret_env": {"A": "projects/p/secrets/s"}}
    assert [line[:14] for line in found(nodes={"take": both})] == ["KV017 warning:"] * 2


def test_a_variable_that_the_configuration_reads_and_no_container_has() -> None:
    read = ("AIRFLOW_CTX_DAG_ID", "DATA_BUCKET", "DB_PASSWORD", "HOME", "KEDRO_CONFIG_RUN_ID", "PLACE")
    given = {"__default__": {"secret_env": {"DB_PASSWORD": "projects/p/secrets/s"}}, "make": {"env": {"PLACE": "x"}}}
    manifest = dataclasses.replace(manifest_of(MAKE, TAKE, nodes=given), variables=read)
    (finding,) = check_pipelines(manifest)
    assert (finding.code, finding.level) == ("KV017", "warning")
    assert "DATA_BUCKET" in finding.message
    assert "nodes.__default__.env.DATA_BUCKET" in finding.fix
    (finding,) = check_pipelines(manifest_of(MAKE, TAKE, nodes={"make": {"env": {"GCP_REGION": "r"}}}))
    assert finding.code == "KV017"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("MLFLOW_TRACKING_TOKEN", "hunter2", True),
        ("db_password", "hunter2", True),
        ("API_KEY", "hunter2", True),
        ("API_KEY", "", False),
        ("TOKENIZERS_PARALLELISM", "false", False),
        ("DATABASE", "postgresql://clerk:hunter2@db/shop", True),
        ("DATABASE", "postgresql://db/shop", False),
        ("MONKEY", "x", False),
        ("FSSPEC_GS_TOKEN", "anon", False),
        ("FSSPEC_GS_TOKEN", "hunter2", True),
    ],
)
def test_what_may_be_secret(name: str, value: str, secret: bool) -> None:
    assert may_be_secret(name, value) == secret
    lines = found(nodes={"take": {"env": {name: value}}})
    assert [line[:14] for line in lines] == ["KV018 warning:"] * secret
    assert "hunter2" not in "".join(lines)


def test_telemetry() -> None:
    assert found(nodes={"take": {"env": {"DO_NOT_TRACK": ""}}}) == []
    env = {"DO_NOT_TRACK": "", "KEDRO_DISABLE_TELEMETRY": ""}
    assert [line[:14] for line in found(nodes={"take": {"env": env}})] == ["KV019 warning:"]


def test_the_account_of_custom_jobs() -> None:
    assert found(service_account=None) == []
    assert [line[:14] for line in found(service_account=None, mode="custom_job")] == ["KV020 warning:"]


def test_a_pipeline_that_cannot_be_planned() -> None:
    manifest = manifest_of(MAKE, TAKE)
    (finding,) = check_pipelines(manifest, ["defalt"])
    assert str(finding) == (
        "KV021 error: Project 'Shop' has no registered pipeline 'defalt'. Did you mean '__default__'? "
        "(https://airflow-provider-kedro-vertex.readthedocs.io/en/stable/checks/#kv021)"
    )
    (finding,) = check_pipelines(manifest, selection=Selection(node_names=("take",)))
    assert (finding.code, "make" in finding.message) == ("KV021", True)
    (finding,) = check_pipelines(manifest_of(Node("a b", (), ("x",)), Node("a-b", (), ("y",))))
    assert (finding.code, finding.fix) == ("KV021", "Rename one of them.")


def test_settings_that_one_container_cannot_have() -> None:
    lines = found(grouping="pipeline", nodes={"make": {"runner": "thread"}, "take": {"runner": "sequential"}})
    assert [line[:12] for line in lines] == ["KV022 error:"]


def test_the_exit_pipeline_is_checked_too() -> None:
    manifest = manifest_of(MAKE, on_exit_pipeline="bye", nodes={"bye": {"image": "shop"}})
    bye = Pipeline("bye", (Node("bye", ("nowhere",), ()),))
    both = dataclasses.replace(
        manifest,
        pipelines={**manifest.pipelines, "bye": bye},
        datasets={**manifest.datasets, "nowhere": Dataset("nowhere", "kedro.io.MemoryDataset")},
    )
    assert [finding.code for finding in check_pipelines(both)] == ["KV003", "KV007"]


def test_errors_refuse_and_warnings_do_only_when_strict() -> None:
    manifest = manifest_of(MAKE, TAKE, datasets={"rows": LOCAL}, image="shop")
    findings = check(manifest, build_plan(manifest))
    assert [finding.code for finding in findings] == ["KV001", "KV007"]
    assert [finding.code for finding in errors(findings)] == ["KV001"]
    assert [finding.code for finding in errors(findings, strict=True)] == ["KV001", "KV007"]
    with pytest.raises(ConfigError, match=r"^KV001 error: .*\(https://.*/checks/#kv001\)$") as refused:
        refuse(findings)
    assert [(each.code, each.message, each.fix) for each in refused.value.each()] == [
        (finding.code, finding.message, finding.fix) for finding in errors(findings)
    ]
    refuse(findings[1:])


def test_a_finding_as_json() -> None:
    finding = Finding("KV001", "error", "A.", "B.")
    assert finding.to_dict() == {
        "code": "KV001",
        "level": "error",
        "message": "A.",
        "fix": "B.",
        "dataset": None,
        "nodes": [],
        "pipelines": [],
        "page": "https://airflow-provider-kedro-vertex.readthedocs.io/en/stable/checks/#kv001",
    }


def test_each_code_has_a_section_with_its_title() -> None:
    sections = re.findall(r"^## (KV\d+)\n\n\*\*(.+?)\*\*", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(sections) == dict(CODES)
    assert [code for code, _ in sections] == list(CODES)
