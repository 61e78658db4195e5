"""The page in a real browser: what it shows, and that strangers' text stays text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.core.jobs.console import job_page, jobs_page, logs_page
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.chromium import CHROMIUM, Chromium
from tests.unit.emulator.command import JOBS
from tests.unit.emulator.specs import body, container_spec, nested_spec

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, and none is installed")]

SEARCH = """(() => {
  const search = document.querySelector("input");
  search.value = "%s";
  search.dispatchEvent(new Event("input"));
})()"""
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
GRAPH = {
    "load": [], "clean": ["load"], "features-a": ["clean"], "features-b": ["clean"], "features-c": ["clean"],
    "join": ["features-a", "features-b", "features-c"], "split": ["join"], "train": ["split"],
    "predict": ["train", "split"], "evaluate": ["predict", "clean"], "plot": ["evaluate"],
    "a-task-with-a-name-that-is-far-too-long-for-its-box": ["evaluate"],
}  # fmt: skip


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexEmulator]:
    with VertexEmulator({"image": tmp_path_factory.mktemp("image")}, grace=1) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("chromium"), width=1440, height=900) as browser:
        yield browser


def create(emulator: VertexEmulator, job_id: str, name: str, spec: object) -> str:
    data = body(spec, displayName=name)  # type: ignore[arg-type]
    response = requests.post(f"{emulator.url}{JOBS}", params={"pipelineJobId": job_id}, json=data, timeout=120)
    assert response.status_code == 200, response.text
    return f"{emulator.url}/vertex-ai/locations/europe-west1/pipelines/runs/{job_id}?project=demo-project"


def program(text: str, end: str = "") -> list[str]:
    return ["-c", f"import sys, time; print({text!r}, flush=True); {end}"]


@pytest.fixture(scope="module")
def failed(emulator: VertexEmulator) -> str:
    args = {name: program(f"{name} {EVIL}") for name in GRAPH}
    args["train"] = program("training", "sys.exit('no model today')")
    url = create(emulator, "failed", EVIL, container_spec(GRAPH, args=args))
    # A page that is opened before chooses no task: there is none yet that has failed.
    deadline = time.monotonic() + 60
    while requests.get(f"{emulator.url}{JOBS}/failed", timeout=120).json()["state"] != "PIPELINE_STATE_FAILED":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return url


def test_jobs_are_listed_with_their_state(emulator: VertexEmulator, browser: Chromium, failed: str) -> None:
    browser.open(emulator.url)
    browser.wait_for("document.querySelector('tbody .pill.bad')")
    assert browser.text("td.name a") == EVIL
    assert browser.text("td.name .mono") == "failed"
    browser.value(SEARCH % "nothing like it")
    browser.wait_for("document.querySelector('.empty')")
    browser.value(SEARCH % "FAILED")
    browser.wait_for("document.querySelector('tbody .pill.bad')")
    browser.click("td.name a")
    browser.wait_for("location.pathname.endsWith('/runs/failed') && document.querySelector('.node')")
    assert browser.faults() == []


def test_a_failed_job_shows_its_failed_task_and_why(browser: Chromium, failed: str) -> None:
    browser.open(failed)
    browser.wait_for("document.querySelector('.node.bad.chosen')")
    assert browser.text("h1") == EVIL
    assert "exited with a non-zero status of 1" in browser.text(".alarm")
    browser.wait_for("document.querySelector('#log').innerText.includes('no model today')")
    assert browser.text(".panel h2") == "train"
    states = browser.value(
        "Object.fromEntries([...document.querySelectorAll('.node')]"
        ".map((n) => [n.dataset.task, n.getAttribute('aria-label')]))"
    )
    assert len(states) == len(GRAPH)
    assert states["train"] == "train: Failed"
    assert states["load"] == "load: Succeeded"
    assert states["predict"] == "predict: Not triggered"
    assert browser.faults() == []


def test_a_click_on_a_task_shows_its_log_and_command(browser: Chromium, failed: str) -> None:
    browser.open(failed)
    browser.click(".node[data-task=clean]")
    browser.wait_for("document.querySelector('.panel h2').innerText === 'clean'")
    browser.wait_for("document.querySelector('#log').innerText.includes('clean <img')")
    browser.click(".panel [role=tab]:nth-child(2)")
    browser.wait_for("document.querySelector('#command').offsetHeight > 0")
    # The command is asked for when the log is, and may come later.
    browser.wait_for("document.querySelector('#command .words').innerText")
    assert browser.text("#command .words").startswith("python\n-c\nimport sys")
    assert "image" in browser.text("#command")
    browser.click(".panel [role=tab]:nth-child(1)")
    browser.value("document.querySelector('.node[data-task=load]').focus()")
    browser.send("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    browser.wait_for("document.querySelector('.panel h2').innerText === 'load' && location.hash === '#load'")
    assert browser.faults() == []


def test_the_spec_is_shown(browser: Chromium, failed: str) -> None:
    browser.open(failed)
    browser.click(".job > .tabs button:nth-child(2)")
    browser.wait_for("document.querySelector('.spec').offsetHeight > 0")
    assert '"schemaVersion": "2.1.0"' in browser.text(".spec")


def test_boxes_do_not_overlap_and_names_fit(browser: Chromium, failed: str) -> None:
    browser.open(failed)
    browser.wait_for(f"document.querySelectorAll('.node').length === {len(GRAPH)}")
    boxes = browser.value(
        "[...document.querySelectorAll('.node')].map((n) => {"
        " const b = n.querySelector('.box').getBoundingClientRect(),"
        " t = n.querySelectorAll('text')[1].getBoundingClientRect(); return [b.x, b.y, b.right, b.bottom, t.right]; })"
    )
    for index, (left, top, right, bottom, text) in enumerate(boxes):
        assert text < right
        for other in boxes[index + 1 :]:
            assert right < other[0] or other[2] < left or bottom < other[1] or other[3] < top


def test_a_log_follows_and_a_job_is_cancelled_at_the_second_click(emulator: VertexEmulator, browser: Chromium) -> None:
    forever = "\nfor n in range(10**6): print('line', n, flush=True); time.sleep(0.2)"
    spec = container_spec({"a": []}, args={"a": program("first", forever)})
    browser.open(create(emulator, "running", "a running job", spec))
    browser.click(".node[data-task=a]")
    browser.wait_for("document.querySelector('#log').innerText.includes('line 1')")
    browser.wait_for("document.querySelector('#log').innerText.includes('line 5')")
    browser.wait_for("document.querySelector('.node.busy')")
    browser.click("#cancel")
    browser.wait_for("document.querySelector('#cancel').innerText === 'Really cancel?'")
    browser.click("#cancel")
    browser.wait_for("document.querySelector('h1 + span').innerText === 'Cancelled'")
    assert browser.value("document.querySelector('#cancel').hidden")
    assert browser.faults() == []


def test_the_tasks_of_a_nested_dag_are_drawn_inside_it(emulator: VertexEmulator, browser: Chromium) -> None:
    inner = container_spec({"a": [], "b": ["a"]}, args={"a": program("inside"), "b": program("b")})
    browser.open(create(emulator, "nested", "a nested job", nested_spec(inner)))
    browser.click(".node[data-task='group.a']")
    browser.wait_for("document.querySelector('#log').innerText.includes('inside')")
    assert browser.text(".panel h2") == "a"
    browser.wait_for("document.querySelectorAll('.node.good').length === 3")
    boxes = browser.value(
        "['group', 'group.a', 'group.b', 'last'].map((path) => {"
        " const b = document.querySelector(`[data-task='${path}'] > .box`).getBoundingClientRect();"
        " return [b.x, b.y, b.right, b.bottom]; })"
    )
    group, first, second, last = boxes
    for inside in (first, second):
        assert group[0] < inside[0] < inside[2] < group[2]
        assert group[1] < inside[1] < inside[3] < group[3]
    assert first[3] < second[1]
    assert group[3] < last[1]
    x, y = group[0] + 60, group[1] + 20
    for kind in ("mousePressed", "mouseReleased"):
        browser.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    browser.wait_for("document.querySelector('.panel h2').innerText === 'group'")
    assert browser.value("document.querySelector('#log')") is None
    assert browser.faults() == []


def conditional() -> dict[str, Any]:
    """``make`` has an output, and each of two groups runs for one value of it."""
    write = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.parent.mkdir(parents=True); p.write_text('heads')"
    spec = container_spec({"make": [], "say": []}, args={"make": ["-c", write], "say": program("said")})
    spec["deploymentSpec"]["executors"]["exec-make"]["container"]["args"].append(
        "{{$.outputs.parameters['side'].output_file}}"
    )
    side = {"parameters": {"side": {"parameterType": "STRING"}}}
    spec["components"]["comp-make"]["outputDefinitions"] = side
    rows = {"artifacts": {"rows": {"artifactType": {"schemaTitle": "system.Dataset"}}}}
    spec["components"]["comp-make"]["outputDefinitions"] = {**side, **rows}
    inner = {"tasks": {"say": {"componentRef": {"name": "comp-say"}}}}
    tasks = spec["root"]["dag"]["tasks"]
    del tasks["say"]
    for name in ("heads", "tails"):
        spec["components"][f"comp-{name}"] = {"dag": inner, "inputDefinitions": side}
        source = {"taskOutputParameter": {"producerTask": "make", "outputParameterKey": "side"}}
        tasks[name] = {
            "componentRef": {"name": f"comp-{name}"},
            "dependentTasks": ["make"],
            "inputs": {"parameters": {"side": source}},
            "triggerPolicy": {"condition": f"inputs.parameter_values['side'] == '{name}'"},
        }
    return spec


def test_conditions_inputs_and_outputs_are_shown(emulator: VertexEmulator, browser: Chromium) -> None:
    browser.open(create(emulator, "conditional", "a job with branches", conditional()))
    browser.wait_for("document.querySelector('[data-task=\"heads.say\"].good')")
    labels = browser.value("[...document.querySelectorAll('.node')].map((n) => n.getAttribute('aria-label')).sort()")
    assert labels == [
        "heads: Succeeded",
        "make: Succeeded",
        "say: Not triggered",
        "say: Succeeded",
        "tails: Not triggered",
    ]
    drawn = browser.value("document.querySelector('[data-task=tails]').textContent")
    assert "if side == 'tails'" in drawn
    browser.click(".node[data-task=make]")
    browser.click(".panel [role=tab]:nth-child(3)")
    browser.wait_for("document.querySelector('#data').innerText.includes('heads')")
    shown = browser.text("#data")
    assert "system.Dataset" in shown
    assert "gs://bucket/root/demo-project/conditional/make_" in shown
    browser.value("document.querySelector('[data-task=\"heads.say\"]').focus()")
    browser.send("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    browser.wait_for("location.hash === '#heads.say'")
    browser.value("document.querySelector('[data-task=tails]').focus()")
    browser.send("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    browser.wait_for("document.querySelector('.condition').innerText === \"Runs if side == 'tails'\"")
    assert browser.faults() == []


def test_a_job_that_is_not_there_says_so(emulator: VertexEmulator, browser: Chromium) -> None:
    browser.open(f"{emulator.url}/vertex-ai/locations/europe-west1/pipelines/runs/none?project=demo-project")
    browser.wait_for("document.querySelector('.alarm')")
    assert "does not exist" in browser.text(".alarm")
    # The browser itself notes the 404.
    browser.events.clear()


COLOURS = (
    "print('\\x1b[1;31mred\\x1b[0m plain \\x1b[32mgreen\\x1b[39m \\x1b[38;5;200mpalette\\x1b[0m"
    " \\x1b[2K\\x1b]0;a title\\x07clean', flush=True)"
)
# The job, and with it each other replica, ends with the first one, which therefore waits until all have spoken.
REPLICA = """
import json, os, pathlib, sys, time
task = json.loads(os.environ["CLUSTER_SPEC"])["task"]["type"]
print(task, "speaks", flush=True)
spoken = pathlib.Path({spoken!r})
if task == "workerpool1":
    spoken.touch()
while not spoken.exists():
    time.sleep(0.02)
"""


def custom_job(emulator: VertexEmulator, name: str, *programs: str) -> str:
    pools = [
        {
            "machineSpec": {"machineType": "n1-standard-4"},
            "replicaCount": 1,
            "containerSpec": {"imageUri": "image", "command": ["python", "-c", program]},
        }
        for program in programs
    ]
    job = {"displayName": name, "labels": {"owner": "tests"}, "jobSpec": {"workerPoolSpecs": pools}}
    response = requests.post(f"{emulator.url}{JOBS.replace('pipelineJobs', 'customJobs')}", json=job, timeout=120)
    assert response.status_code == 200, response.text
    return str(response.json()["name"])


def test_custom_jobs_are_listed_and_lead_to_their_pages(emulator: VertexEmulator, browser: Chromium) -> None:
    name = custom_job(emulator, EVIL, "raise SystemExit('no model today')")
    browser.open(f"{emulator.url}/vertex-ai/training/custom-jobs")
    browser.wait_for(f"document.querySelector('tbody a[href*=\"{name.rpartition('/')[2]}\"]')")
    assert browser.text(".lists [aria-current]") == "Custom jobs"
    browser.click(f"tbody a[href*='{name.rpartition('/')[2]}']")
    browser.wait_for(f"location.href === {job_page(name, emulator.url)!r} && document.querySelector('.pill.bad')")
    assert browser.text("h1") == EVIL
    assert "exited with a non-zero status of 1" in browser.text(".alarm")
    browser.wait_for("document.querySelector('#log').innerText.includes('no model today')")
    assert "owner=tests" in browser.text(".facts")
    assert "n1-standard-4" in browser.text(".words")
    assert browser.faults() == []


def test_each_replica_has_its_log(emulator: VertexEmulator, browser: Chromium, tmp_path: Path) -> None:
    program = REPLICA.format(spoken=str(tmp_path / "spoken"))
    browser.open(job_page(custom_job(emulator, "two pools", program, program), emulator.url))
    browser.wait_for("document.querySelectorAll('.tries button').length === 2")
    browser.wait_for("document.querySelector('#log').innerText.includes('workerpool0 speaks')")
    browser.click(".tries button:nth-child(2)")
    browser.wait_for("document.querySelector('#log').innerText.includes('workerpool1 speaks')")
    assert "workerpool0 speaks" not in browser.text("#log")
    assert browser.faults() == []


def test_a_link_to_logs_shows_them_in_their_colours(emulator: VertexEmulator, browser: Chromium) -> None:
    numbers = [custom_job(emulator, name, COLOURS).rpartition("/")[2] for name in ("one", "two")]
    browser.open(logs_page("demo-project", numbers, emulator.url))
    browser.wait_for("document.querySelectorAll('.log .red').length === 2")
    assert browser.value("[...document.querySelectorAll('h2')].map((title) => title.innerText)") == ["one", "two"]
    line = browser.value(
        "[...document.querySelector('.log div').childNodes].slice(1).map((n) => [n.className, n.textContent])"
    )
    assert line == [
        ["red bold", "red"],
        [None, " plain "],
        ["green", "green"],
        [None, " "],
        [None, "palette"],
        [None, " clean"],
    ]
    browser.open(logs_page("demo-project", ["1"], emulator.url))
    browser.wait_for("document.querySelector('.empty')")
    assert browser.faults() == []


def test_the_list_is_where_the_console_has_it(emulator: VertexEmulator, browser: Chromium, failed: str) -> None:
    browser.open(jobs_page("demo-project", emulator.url))
    browser.wait_for("document.querySelector('tbody .pill')")
    assert browser.text("h1") == "Pipeline jobs"
    assert browser.text(".lists [aria-current]") == "Pipeline jobs"


CONTRAST = """(() => {
  const style = getComputedStyle(document.documentElement);
  const channel = (hex) => {
    const c = parseInt(hex, 16) / 255;
    return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  };
  const light = (name) => {
    const [, r, g, b] = style.getPropertyValue(name).trim().match(/^#(..)(..)(..)$/);
    return .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  };
  return %s.map(([a, b]) => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return [a, b, (high + .05) / (low + .05)];
  });
})()"""
PAIRS = [
    [f"--{name}", f"--{ground}"]
    for name in ("text", "dim", "accent", "bad", "warn")
    for ground in ("page", "card", "sunken")
]
PAIRS += [[f"--{name}", f"--{name}-soft"] for name in ("good", "bad", "busy", "calm", "warn", "accent")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(browser: Chromium, failed: str, scheme: str) -> None:
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(failed)
    browser.wait_for("document.querySelector('.node')")
    for text, ground, ratio in browser.value(CONTRAST % PAIRS):
        assert ratio >= 4.5, (text, ground)  # WCAG 2.2, level AA


def test_the_page_is_usable_on_a_small_screen(browser: Chromium, failed: str) -> None:
    browser.send("Emulation.setDeviceMetricsOverride", width=420, height=800, deviceScaleFactor=1, mobile=True)
    browser.open(failed)
    browser.wait_for("document.querySelector('.node.chosen')")
    assert browser.value("document.documentElement.scrollWidth") <= 420
    browser.send("Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False)


def test_a_loop_shows_its_iterations(emulator: VertexEmulator, browser: Chromium) -> None:
    program = "import sys; sys.exit(sys.argv[1] == '1')"
    spec = container_spec({"after": ["each"], "each": []}, command=["python", "-c"], args={"after": ["pass"]})
    spec["deploymentSpec"]["executors"]["exec-each"]["container"]["args"] = [program, "{{$.inputs.parameters['x']}}"]
    spec["components"]["comp-each"]["inputDefinitions"] = {"parameters": {"x": {"parameterType": "NUMBER_INTEGER"}}}
    spec["root"]["dag"]["tasks"]["each"]["parameterIterator"] = {"itemInput": "x", "items": {"raw": "[0, 1, 2]"}}
    url = create(emulator, "looping", "a loop", spec)
    browser.open(url)
    # They are drawn when the loop has started, in the page that is open already.
    browser.wait_for("document.querySelectorAll('.node[data-task^=\"each.\"]').length === 3")
    browser.wait_for("document.querySelector('.node.bad[data-task=\"each.1\"]')")
    browser.wait_for(
        "[...document.querySelectorAll('.node')].map((n) => n.getAttribute('aria-label')).sort().join()"
        " === 'after: Not triggered,each-0: Succeeded,each-1: Failed,each-2: Succeeded,each: Failed'"
    )
    assert browser.faults() == []
    browser.open(url)
    browser.wait_for("document.querySelector('.node.chosen') && location.hash === '#each.1'")
    assert browser.faults() == []
