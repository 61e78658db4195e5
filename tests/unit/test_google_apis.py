"""The stand-ins of Google's APIs refuse what the APIs' own documents do not know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.google_apis import GoogleApis

ENVIRONMENT = "/composer/v1/projects/p/locations/l/environments/e"


@pytest.mark.parametrize(
    ("method", "target", "body", "said"),
    [
        ("GET", "/composer/v1/projects/p/environments/e", None, "is no method of composer v1"),
        ("PUT", ENVIRONMENT, {}, "is no method of composer v1"),
        ("GET", "/composer/v7/projects/p", None, "There is no API composer v7"),
        ("GET", f"{ENVIRONMENT}?mask=a", None, "has no parameter 'mask'"),
        ("GET", ENVIRONMENT, {"name": "e"}, "takes no body"),
        ("PATCH", f"{ENVIRONMENT}?updateMask=labels", {"label": {}}, "has no field 'label'"),
        ("PATCH", f"{ENVIRONMENT}?updateMask=a&updateMask=b", {}, "takes one updateMask"),
        ("PATCH", ENVIRONMENT, {"config": {"nodeCount": "3"}}, "config.nodeCount must be a integer"),
        ("PATCH", ENVIRONMENT, {"state": "ASLEEP"}, "state must be one of"),
    ],
)
def test_what_is_asked(method: str, target: str, body: Any, said: str) -> None:
    apis = GoogleApis("")
    status, _ = apis.answer(method, target, json.dumps(body).encode() if body is not None else b"")
    assert (status >= 400, len(apis.wrong), said in apis.wrong[0]) == (True, 1, True), apis.wrong


def test_what_is_answered() -> None:
    apis = GoogleApis("", {"composer.projects.locations.environments.get": lambda call: {"names": "e"}})
    apis.answer("GET", ENVIRONMENT, b"")
    assert apis.wrong == ["answer of composer.projects.locations.environments.get has no field 'names'."]
