"""Cloud Logging's entries.list, over real log files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator.api.log_entries import answer, may_match, read_question
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code

JOBS = [("demo-project", "11"), ("demo-project", "22"), ("other-project", "33")]
LINES = {
    "11": [("01", "stdout", "one"), ("03", "stderr", "Error: it broke"), ("04", "emulator", "exited with 1")],
    "22": [("02", "stdout", "two"), ("03", "stdout", "three")],
    "33": [("01", "stdout", "elsewhere")],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    for number, lines in LINES.items():
        text = "".join(f"2026-01-31T06:00:{at}.000000Z {stream} F {line}\n" for at, stream, line in lines)
        (tmp_path / "logs" / f"{number}.log").write_text(text)
    return tmp_path


def listed(data: Path, **fields: Any) -> dict[str, Any]:
    question = read_question({"resourceNames": ["projects/demo-project"], **fields})
    return answer(question, [job for job in JOBS if may_match(question, *job)], data)


def texts(response: dict[str, Any]) -> list[str]:
    return [entry.get("textPayload") or entry["jsonPayload"]["message"] for entry in response.get("entries", [])]


def test_an_entry_has_googles_shape(data: Path) -> None:
    entries = listed(data, filter='resource.labels.job_id="11"')["entries"]
    assert entries[1] == {
        "insertId": "11-000000001",
        "jsonPayload": {"message": "Error: it broke", "levelname": "ERROR"},
        "resource": {
            "type": "ml_job",
            "labels": {"job_id": "11", "project_id": "demo-project", "task_name": "workerpool0-0"},
        },
        "timestamp": "2026-01-31T06:00:03.000000Z",
        "severity": "ERROR",
        "logName": "projects/demo-project/logs/workerpool0-0",
        "receiveTimestamp": "2026-01-31T06:00:03.000000Z",
    }
    assert (entries[2]["textPayload"], entries[2]["resource"]["labels"]["task_name"]) == ("exited with 1", "service")


ALL = ["one", "two", "Error: it broke", "three", "exited with 1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ALL),
        ('resource.type="ml_job" AND resource.labels.job_id="22"', ["two", "three"]),
        ('resource.type="ml_job"\nresource.labels.job_id="22"', ["two", "three"]),
        ('resource.labels.job_id="22" OR resource.labels.job_id="11"', ALL),
        ('NOT resource.labels.job_id="22" severity>=ERROR', ["Error: it broke", "exited with 1"]),
        ('resource.labels.job_id!="22" AND severity<WARNING', ["one"]),
        ('resource.labels.task_name="workerpool0-0" severity=ERROR', ["Error: it broke"]),
        ('timestamp>="2026-01-31T06:00:03Z"', ALL[2:]),
        ('timestamp>"2026-01-31T06:00:02Z" AND timestamp<"2026-01-31T06:00:04Z"', ["Error: it broke", "three"]),
        ('timestamp>="2026-01-31T07:00:04+01:00"', ["exited with 1"]),
        ('jsonPayload.message:"ERROR"', ["Error: it broke"]),
        ('textPayload:"exited"', ["exited with 1"]),
        ('logName="projects/demo-project/logs/workerpool0-0"', ALL[:4]),
        ('insertId="22-000000001"', ["three"]),
        ('resource.type="k8s_container"', []),
        ('resource.labels.job_id="99"', []),
        ('resource.labels.project_id="other-project"', []),
    ],
)
def test_filters(data: Path, text: str, found: list[str]) -> None:
    assert texts(listed(data, filter=text)) == found


def test_a_log_that_is_not_asked_for_is_not_read(data: Path) -> None:
    def asked(text: str) -> list[str]:
        question = read_question({"resourceNames": ["projects/demo-project"], "filter": text})
        return [number for project, number in JOBS if may_match(question, project, number)]

    assert asked('resource.labels.job_id="22" AND severity>=ERROR') == ["22"]
    assert asked('resource.labels.job_id="22" OR severity>=ERROR') == ["11", "22"]
    assert asked('NOT (resource.labels.job_id="22" AND severity>=ERROR)') == ["11", "22"]
    assert asked('NOT (resource.labels.job_id="22" OR severity>=ERROR)') == ["11"]


def test_pages_in_both_orders(data: Path) -> None:
    for order, wanted in (("timestamp asc", ALL), ("timestamp desc", ALL[::-1])):
        found, fields = [], {"orderBy": order, "pageSize": 2}
        while True:
            response = listed(data, **fields)
            found += texts(response)
            if "nextPageToken" not in response:
                break
            assert len(response["entries"]) == 2
            fields["pageToken"] = response["nextPageToken"]
        assert found == wanted


def test_several_projects_and_the_old_field_for_them(data: Path) -> None:
    both = ["projects/demo-project", "projects/other-project"]
    assert texts(listed(data, resourceNames=both, filter="timestamp<='2026-01-31T06:00:01Z'")) == ["one", "elsewhere"]
    assert texts(listed(data, resourceNames=[], projectIds=["other-project"])) == ["elsewhere"]
    assert texts(listed(data, resource_names=["projects/other-project"], resourceNames=[])) == ["elsewhere"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"resourceNames": []}, "resource_names"),
        ({"resourceNames": ["demo-project"]}, "projects/{project}"),
        ({"resourceNames": ["projects/../x"]}, "projects/{project}"),
        ({"resourceNames": ["projects/p"] * 101}, "1 to 100"),
        ({"resourceNames": [5]}, "resource_names"),
        ({"orderBy": "severity"}, "timestamp asc"),
        ({"pageSize": -1}, "page_size"),
        ({"pageSize": 1001}, "page_size"),
        ({"pageSize": True}, "page_size"),
        ({"pageToken": "nonsense"}, "page_token"),
        ({"filter": "nonsense=1"}, "nonsense"),
        ({"filter": "severity>=LOUD"}, "LOUD"),
        ({"filter": "resource.type=~x"}, "filter"),
        ({"filter": "word"}, "word"),
        ({"filter": 5}, "filter"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_wrong_request_is_refused(data: Path, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError, match=said) as refused:
        listed(data, **fields)
    assert refused.value.code == Code.INVALID_ARGUMENT


def test_other_resources_are_not_served(data: Path) -> None:
    for name in ("folders/1", "projects/p/locations/global/buckets/b/views/v"):
        with pytest.raises(ApiError) as refused:
            listed(data, resourceNames=[name])
        assert refused.value.code == Code.UNIMPLEMENTED
    with pytest.raises(ApiError):
        read_question(["no object"])


def test_a_token_serves_only_its_question(data: Path) -> None:
    token = listed(data, pageSize=1)["nextPageToken"]
    with pytest.raises(ApiError, match="another parent, filter or order_by"):
        listed(data, pageToken=token, filter="severity=INFO")
