"""ID tokens: fetched once, renewed in time, shared by threads."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.runtime.errors import ServiceError
from airflow_provider_kedro_vertex.runtime.google import auth as google_auth
from airflow_provider_kedro_vertex.runtime.google.auth import IdToken, id_token_of
from tests.mlflow.google import ACCOUNT, AUDIENCE, Google, google


def token(expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


class Source:
    """Gives tokens that are valid for an hour from now, or fails."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fetched = self.failed = 0
        self.fails = False
        self.one_at_a_time = threading.Lock()

    def fetch(self) -> str:
        assert self.one_at_a_time.acquire(blocking=False)
        try:
            if self.fails:
                self.failed += 1
                raise ServiceError("away")
            self.fetched += 1
            return token(self.now + 3600)
        finally:
            self.one_at_a_time.release()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cached(source: Source) -> IdToken:
    return IdToken(source.fetch, lambda: source.now)


def test_a_token_is_kept_until_five_minutes_before_its_end(source: Source, cached: IdToken) -> None:
    first = cached()
    source.now += 3299
    assert cached() == first
    source.now += 2
    assert cached() != first
    assert source.fetched == 2


def test_while_the_old_one_is_valid_a_failure_is_ridden_out(source: Source, cached: IdToken) -> None:
    first = cached()
    source.now, source.fails = source.now + 3500, True
    assert cached() == first
    assert cached() == first
    assert source.failed == 1, "a service that is away is not asked at each request"
    source.now += 61
    assert cached() == first
    assert source.failed == 2
    source.now += 139
    with pytest.raises(ServiceError, match="away"):
        cached()
    source.fails = False
    assert cached() != first


def test_threads_share_one(source: Source, cached: IdToken) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: cached(), range(200)))) == 1
    assert source.fetched == 1


@pytest.mark.parametrize("text", ["opaque", "a.b.c", f"e30.{base64.urlsafe_b64encode(b'{}').decode()}.x"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ServiceError, match="without a time of expiry"):
        IdToken(lambda: text)()


@pytest.fixture
def iam() -> Iterator[Google]:
    with google() as running:
        yield running


def test_the_iam_credentials_api_gives_a_token_or_says_why_not(iam: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_auth, "_BACKOFF", 0.0)
    endpoint = f"http://{iam.address}"
    assert id_token_of(ACCOUNT, AUDIENCE, endpoint).count(".") == 2
    with pytest.raises(ConfigError, match=r"answered 404.*roles/iam\.serviceAccountOpenIdTokenCreator on nobody@"):
        id_token_of("nobody@project.iam.gserviceaccount.com", AUDIENCE, endpoint)
    with pytest.raises(ServiceError, match="cannot be reached"):
        id_token_of(ACCOUNT, AUDIENCE, "http://127.0.0.1:9")
