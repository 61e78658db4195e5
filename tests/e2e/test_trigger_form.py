"""What a person sees who triggers a DAG: the form with the project's parameters, and what becomes of its fields."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import CHROMIUM, Chromium
from tests.e2e.test_pages import pictures
from tools.demo.rest import get_json
from tools.demo.stack import Stack
from tools.demo.vertex import VertexJob

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on PATH"),
]

DAG_ID = "flights_features"
DAYS = 'document.getElementById("number-input:element_training.days:inc").parentElement.parentElement'
DAYS += '.querySelector("input")'
TRIGGER = "[...document.querySelectorAll('[role=dialog] button')].find((button) => button.innerText === 'Trigger')"


@pytest.fixture
def page(stack: Stack, tmp_path: Path) -> Iterator[Chromium]:
    if not stack.airflow.url:
        pytest.skip("on Airflow 2 the stack has no web server")
    with Chromium(tmp_path, width=1300, height=1150) as opened:
        yield opened


def open_form(stack: Stack, page: Chromium, dag_id: str) -> None:
    page.open(f"{stack.airflow.url}/dags/{dag_id}", dag_id, "Trigger")
    page.click('[data-testid="trigger-dag-button"]')
    page.wait_for_texts("Trigger Dag", "Run Parameters", "run_date")


def write(page: Chromium, element: str, text: str, key: str = "") -> None:
    """Put a text into a field in place of the one that it has, as a keyboard does, then press a key."""
    page.wait_for(element)
    page.value(f"{element}.focus(); {element}.select()")
    if text:
        page.send("Input.insertText", text=text)
    code = {"Delete": 46, "Enter": 13, "Tab": 9}
    if key:
        for kind in ("keyDown", "keyUp"):
            page.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code[key])


def set_logical_date(page: Chromium, day: str, shown: str) -> None:
    """Put a day into the field of the run's logical date."""
    page.click('[data-testid="datetime-input"]')
    write(page, "document.querySelector('[placeholder=\"YYYY/MM/DD\"]')", day, "Enter")
    page.until(lambda: page.text('[data-testid="datetime-input"]').startswith(shown), "the logical date")
    # Which closes what opened.
    page.click_element("[...document.querySelectorAll('*')].findLast((one) => one.innerText === 'Data Interval')")


def open_section(page: Chromium, name: str) -> None:
    button = f"[...document.querySelectorAll('[role=dialog] button')].find((one) => one.innerText === {name!r})"
    page.click_element(button)
    page.wait_for(f"{button}.ariaExpanded === 'true'")
    # It opens slowly, and what is below it moves.
    heights: list[int] = []
    while len(heights) < 2 or heights[-1] != heights[-2]:
        time.sleep(0.3)
        heights.append(page.value("document.querySelector('[role=dialog] form, [role=dialog]').scrollHeight"))


def jobs(stack: Stack) -> dict[str, VertexJob]:
    return {job.run_id: job for job in stack.vertex.jobs() if job.dag_id == DAG_ID}


def test_a_number_changed_in_the_form_is_a_number_in_the_nodes_and_nothing_else_is_given(
    stack: Stack, page: Chromium
) -> None:
    open_form(stack, page, DAG_ID)
    before = jobs(stack).keys()
    open_section(page, "training")
    write(page, DAYS, "21", "Tab")
    set_logical_date(page, "2013/06/05", "Jun 05, 2013")
    page.click_element(TRIGGER)

    page.until(lambda: jobs(stack).keys() - before, "job of the run", seconds=300)
    (run_id,) = jobs(stack).keys() - before
    place = "projects/demo-project/locations/europe-west1/pipelineJobs"
    body = get_json(f"{stack.vertex.url}/v1/{place}/{jobs(stack)[run_id].job_id}")
    given = json.loads(body["runtimeConfig"]["parameterValues"]["runtime_params"])
    # The day is what the DAG's author wrote: {{ ds }}, which stays in its field.
    assert given == {"run_date": "2013-06-05", "training": {"days": 21}}
    page.until(lambda: jobs(stack)[run_id].state not in ("RUNNING", "PENDING"), "end of the job", seconds=300)
    assert jobs(stack)[run_id].state == "SUCCEEDED"


def test_the_form_shows_the_projects_parameters(stack: Stack, page: Chromium, pictures: Path) -> None:
    open_form(stack, page, "flights")
    open_section(page, "model")
    names = (
        "early_stopping",
        "learning_rate",
        "loss",
        "max_iter",
        "max_leaf_nodes",
        "min_samples_leaf",
        "random_state",
    )
    page.wait_for_texts("features", "training", *(f"regressor.{name}" for name in names))
    page.picture(pictures / "airflow-form.png")
    assert page.value("document.querySelector('[name=\"element_model.regressor.early_stopping\"]').type") == "checkbox"
    page.click('[id="element_model.regressor.loss"] [role=combobox], [id="element_model.regressor.loss"] input')
    page.wait_for_texts("absolute_error", "squared_error", "poisson")


def test_a_wrong_type_is_refused_in_the_form(stack: Stack, page: Chromium) -> None:
    open_form(stack, page, DAG_ID)
    before = stack.airflow.runs(DAG_ID)
    open_section(page, "training")
    write(page, DAYS, "many", "Tab")
    assert page.value(f"{DAYS}.value") in ("", "28")  # it takes no letters
    write(page, DAYS, "", "Delete")
    page.wait_for_texts("This field is required")
    assert page.value(f"{TRIGGER}.disabled")
    write(page, DAYS, "20.5", "Tab")
    page.wait_for(f"!{TRIGGER}.disabled")
    page.click_element(TRIGGER)
    page.wait_for_texts("20.5 is not of type 'integer'")
    assert stack.airflow.runs(DAG_ID) == before


__all__ = ["pictures"]
