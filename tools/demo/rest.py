"""JSON over HTTP, for the APIs of the parts of the stack."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from tools.demo.errors import StackError

TIMEOUT_SECONDS = 60


def get_json(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """Get what the URL answers, as JSON.

    Raises:
        StackError: No answer, or another status than 200.
    """
    sent = {"Accept": "application/json", **(headers or {})}
    request = urllib.request.Request(url, headers=sent)  # noqa: S310 -- built here, http only
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            return json.load(response)
    except (OSError, json.JSONDecodeError) as error:
        raise StackError(f"GET {url}: {error}") from error


def answers(url: str) -> bool:
    """Ask whether the URL answers with status 200."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
        return bool(response.status == 200)
    return False
