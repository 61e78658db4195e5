"""The status of the one MLflow run, whatever the order in which containers tell of themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from kedro.pipeline import Pipeline, node

from airflow_provider_kedro_vertex.runtime import run_status as states


def test_the_last_nodes_are_those_that_no_other_waits_for() -> None:
    pipeline = Pipeline(
        [
            node(len, "rows", "table@memory", name="make"),
            node(len, "table@file", None, name="print"),
            node(len, "table@file", "kept", name="keep"),
            node(len, "params:x", ["first", "second"], name="two"),
            node(len, "second", "end", name="end"),
        ]
    )
    assert sorted(states.last_nodes(pipeline.nodes)) == ["end", "keep", "print"]


NAMES = st.text(alphabet=st.sampled_from("ab._- \u00e9/"), max_size=300)


@given(st.lists(st.tuples(NAMES, NAMES), unique=True, min_size=2, max_size=5))
def test_tags_are_what_mlflow_takes_and_different_for_different_nodes(pairs: list[tuple[str, str]]) -> None:
    tags = [states.tag(*pair) for pair in pairs]
    assert len(set(tags)) == len(pairs)
    assert all(re.fullmatch(r"[\w.-]+", tag, re.ASCII) and len(tag) <= 250 for tag in tags)


def test_a_failure_counts_until_it_is_tried_again() -> None:
    last = ["kedro_vertex.p.end"]
    failed = {"kedro_vertex.p.a": "failed: node 'a': ValueError"}
    assert states.status(failed, last) == "FAILED"
    assert states.status({**failed, "kedro_vertex.p.b": "running"}, last) == "FAILED"
    assert states.status({**failed, "kedro_vertex.p.end": "done"}, last) == "FAILED"
    assert states.status({"kedro_vertex.p.a": "running"}, last) == "RUNNING"
    assert states.status({"kedro_vertex.p.a": "killed"}, last) == "KILLED"
    assert states.status({}, last) == "RUNNING"
    assert states.status({"kedro_vertex.p.end": "done"}, last) == "FINISHED"
    # Another task of the DAG run, with a pipeline of its own, is still at work.
    assert states.status({"kedro_vertex.p.end": "done", "kedro_vertex.q.a": "running"}, last) == "RUNNING"


def test_the_outcome_of_a_job_counts_as_long_as_that_job_is_the_newest() -> None:
    tags = {"kedro_vertex.outcome": "job-1 FAILED", "vertexai_job_name": "job-1", "kedro_vertex.p.a": "running"}
    assert states.status(tags, []) == "FAILED"
    assert states.status({**tags, "kedro_vertex.outcome": "job-1 CANCELLED"}, []) == "KILLED"
    assert states.status({**tags, "vertexai_job_name": "job-2"}, []) == "RUNNING"
    assert states.status({**tags, "kedro_vertex.outcome": "job-1 SUCCEEDED"}, []) == "RUNNING"


@dataclass
class Server:
    """The tags and the status of one run, as MLflow keeps them."""

    tags: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"


def container(server: Server, name: str, ends: str, last: list[str]):
    """The calls by which a container tells how it has ended; others may come between any two of them."""
    server.tags[name] = ends
    yield
    while True:
        wanted, found = states.status(dict(server.tags), last), server.status
        yield
        if wanted == found:
            return
        server.status = wanted
        yield


@given(st.data())
def test_the_last_status_is_the_true_one_in_whatever_order_the_calls_come(data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.sampled_from(["done", "failed: x", "killed"]), min_size=2, max_size=4))
    server = Server(status=data.draw(st.sampled_from(["RUNNING", "FAILED", "FINISHED"])))
    last = [f"kedro_vertex.p.{number}" for number in range(len(ends))]
    server.tags.update(dict.fromkeys(last, "running"))
    going = [container(server, name, end, last) for name, end in zip(last, ends, strict=True)]
    while going:
        one = data.draw(st.sampled_from(going))
        if next(one, "over") == "over":
            going.remove(one)
    assert server.status == states.status(server.tags, last)
    assert server.status == ("FAILED" if "failed: x" in ends else "KILLED" if "killed" in ends else "FINISHED")
