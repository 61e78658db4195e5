"""Which node failed, when its thread was given another one before anybody asked."""

from __future__ import annotations

from airflow_provider_kedro_vertex.runtime.progress import Place, Progress


def test_before_the_first_node() -> None:
    assert Progress().place == Place()


def test_the_node_that_raised_is_kept_while_its_thread_goes_on_with_another() -> None:
    progress = Progress()
    progress.at("fails")
    progress.node_failed()
    progress.at("next")
    assert progress.place == Place("fails", node_failed=True)


def test_a_dataset_that_failed_is_kept_while_its_thread_goes_on_with_another_node() -> None:
    progress = Progress()
    progress.at("loads", "missing")
    progress.at("next", "there")
    progress.at("next")
    assert progress.place == Place("loads", "missing")


def test_a_node_that_let_go_of_its_datasets_did_not_fail() -> None:
    progress = Progress()
    progress.at("one", "table")
    progress.at("one")
    progress.at("two")
    assert progress.place == Place("two")
