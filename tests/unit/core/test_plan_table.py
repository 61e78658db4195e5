from __future__ import annotations

import re

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.plan.plan_table import PlanTable, plan_table
from airflow_provider_kedro_vertex.core.project.manifest import Manifest


def table(manifest: Manifest, **config: object) -> PlanTable:
    asked = manifest.config.overridden(config)
    return plan_table(
        build_plan(manifest, config=asked), build_plan(manifest, config=asked.overridden({"grouping": "none"}))
    )


def read(found: PlanTable) -> str:
    """The text with one space between columns, once it is clear that the columns begin at the same places."""
    text = found.to_text()
    lines = text.split("\n\n")[0].splitlines()
    assert {line[lines[0].index("MACHINE") - 1] for line in lines} == {" "}
    return re.sub(r"\d{4}-\d\d-\d\d", "DATE", re.sub(r" +", " ", text))


def test_the_table_of_a_plan(manifest: Manifest) -> None:
    assert read(table(manifest)) == (
        "GROUP NODES MACHINE $/HOUR AFTER\n"
        "clean-orders 1 e2-highmem-2 0.10 -\n"
        "features-daily-join 1 e2-highmem-2 0.10 clean-orders\n"
        "write-table 1 e2-highmem-2 0.10 clean-orders\n"
        "train-model 1 n1-highmem-2 + 1 x NVIDIA_TESLA_T4 0.54 features-daily-join, write-table\n"
        "report 1 e2-highmem-2 0.10 clean-orders, train-model\n"
        "\n"
        "5 containers for 5 nodes, 6 edges; at most 4 one after another. All at once cost $0.95 an hour.\n"
        "Runs are of the Vertex AI experiment shop.\n"
        "Prices are estimates for us-central1, written down on DATE, without discounts, disks and Spot.\n"
    )


def test_what_a_grouping_saves_is_told(manifest: Manifest) -> None:
    config = {"grouping": "memory", "on_exit_pipeline": "orders", "nodes": {"gpu": {"replica_count": 3}}}
    assert read(table(manifest, **config)) == (
        "GROUP NODES MACHINE $/HOUR AFTER\n"
        "clean-orders 5 3 x (n1-highmem-2 + 1 x NVIDIA_TESLA_T4) 1.62 -\n"
        "on-exit 3 e2-highmem-2 0.10 all, also after a failure\n"
        "\n"
        "2 containers for 8 nodes, 0 edges; at most 2 one after another. All at once cost $1.72 an hour.\n"
        "With a container for each node: 6 containers, at most 5 one after another, $2.14 an hour. The grouping saves "
        "4 starts of a container, 3 of them one after another.\n"
        "CustomJobs, also inside of a PipelineJob: clean-orders.\n"
        "Runs are of the Vertex AI experiment shop.\n"
        "Prices are estimates for us-central1, written down on DATE, without discounts, disks and Spot.\n"
    )


def test_machines_of_two_kinds_are_told_and_priced(manifest: Manifest) -> None:
    together = {"replica_count": 3, "distributed": "torch", "worker_resources": {"machine_type": "e2-standard-4"}}
    found = table(
        manifest, nodes={"write_table": together}, resources={"write_table": {"machine_type": "n1-standard-8"}}
    )
    (row,) = [row for row in found.rows if row.group.name == "write_table"]
    assert row.machines_text == "n1-standard-8, 2 x (e2-standard-4)"
    prices = [machine.dollars_an_hour or 0 for machine in row.machines]
    assert len(prices) == 3
    assert row.dollars_an_hour == pytest.approx(sum(prices))
    assert row.to_dict()["worker_machine_type"] == "e2-standard-4"


def test_a_table_as_json(manifest: Manifest) -> None:
    found = table(manifest, grouping="auto", resources={"report": {"machine_type": "z9-wonder-8"}}).to_dict()
    assert found["groups"][-1] == {
        "group": "report",
        "task_id": "report",
        "nodes": ["report"],
        "upstream": ["clean-orders", "train-model"],
        "machine_type": "z9-wonder-8",
        "accelerator_type": None,
        "accelerator_count": 0,
        "replicas": 1,
        "worker_machine_type": None,
        "dollars_an_hour": None,
        "custom_job": True,
    }
    assert (found["edges"], found["nodes"], found["longest_chain"], found["dollars_an_hour"]) == (6, 5, 4, None)
    assert found["prices"]["estimate"] is True
    # Nothing could be fused.
    assert found["with_a_container_for_each_node"] is None
    assert table(manifest, grouping="pipeline").to_dict()["with_a_container_for_each_node"]["groups"] == 5


def test_what_no_machine_gives_is_told(manifest: Manifest) -> None:
    with pytest.raises(ConfigError, match=r"^Group 'report': No machine type of Vertex AI has cpu 900"):
        table(manifest, resources={"report": {"cpu": 900}})
    with pytest.raises(ConfigError, match=r"^Group 'Train Model': Region europe-north1 has no NVIDIA_TESLA_T4"):
        table(manifest, region="europe-north1")
