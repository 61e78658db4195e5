"""Whatever secret a catalog, credentials or parameters hold, in whatever form: no command says or writes it.

25 projects in the normal run; more with FUZZ_EXAMPLES.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.project.locations import parse_location, without_secrets

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

MARK = "S3CR3T"
#: Passwords with signs that URLs have a meaning for, escaped or not.
secrets = st.tuples(st.text("a7/?#@:;=&%,+ ~", max_size=4), st.text("a7/?#@:;=&%,+ ~", max_size=4)).map(MARK.join)

URLS = (
    "jdbc:postgresql://db.corp:5432/prod?user=u&password={}",
    "jdbc:postgresql://u:{}@db.corp/prod",
    "jdbc:sqlserver://db.corp;user=u;password={}",
    "jdbc:sqlserver://db.corp\\inst:1433;databaseName=d;password={};encrypt=true",
    "jdbc:oracle:thin:scott/{}@//db.corp:1521/orcl",
    "jdbc:oracle:thin:scott/{}@db.corp:1521:orcl",
    "jdbc:db2://db.corp:50000/sample:user=u;password={};",
    "jdbc:teradata://db.corp/DATABASE=d,USER=u,PASSWORD={}",
    "jdbc:mysql://(host=db.corp,user=u,password={})/d",
    "jdbc:h2:file:./data/x;PASSWORD={}",
    "jdbc:snowflake://acc.snowflakecomputing.com/?user=u&password={}",
    "postgresql+psycopg2://u:{}@db.corp/prod?sslmode=require",
    "postgresql://db.corp/prod?password={}",
    "mysql+pymysql://u:{}@db.corp,db2.corp:3306/prod",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3D{}",
    "snowflake://u:{}@account/db/schema?warehouse=w",
    "databricks://token:{}@adb.example?http_path=x",
    "mongodb+srv://u:{}@cluster.example/db?retryWrites=true",
    "redis://:{}@cache.corp:6379/0",
    "bolt://neo4j:{}@127.0.0.1:7687",
    "sqlite+pysqlcipher://:{}@/data/x.db?cipher=aes",
    "duckdb:///md:mine?motherduck_token={}",
    "https://u:{}@shop.test/rows",
    "https://{}@shop.test/rows",
    "https://shop.test/rows?sv=2024&sig={}",
    "https://storage.googleapis.com/b/o?X-Goog-Signature={}",
    "https://shop.test/rows#{}",
    "https://hooks.slack.com/services/T024BE7LD/B01/{}",
    "https://discord.com/api/webhooks/123/{}",
    "https://api.telegram.org/bot123:{}/sendMessage",
    "https://acme.webhook.office.com/webhookb2/{}/IncomingWebhook/x",
    "https://shop.test/v1/api_key/{}/rows",
    "gs://bucket/rows?token={}",
    "s3://key:{}@bucket/rows",
    "abfss://user:{}@account.dfs.core.windows.net/rows",
    "simplecache::https://u:{}@shop.test/rows",
    "zip://rows.csv::s3://key:{}@bucket/rows.zip",
    "nobody-knows://u:{}@host/x",
    "nobody-knows:u:{}",
    "host=db.corp user=u password={}",
    "Driver=x;Server=db.corp;UID=u;PWD={}",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=x",
    "u:{}@db.corp/prod",
    "data/rows.csv?token={}",
)
urls = st.tuples(st.sampled_from(URLS), secrets).map(lambda pair: pair[0].format(pair[1]))


kinds = st.sampled_from(["pandas.CSVDataset", "spark.SparkJDBCDataset", "api.APIDataset", "MemoryDataset", "x.Y"])
credentials = st.one_of(
    st.just("planted"),
    urls.map(lambda url: {"con": url}),
    secrets.map(lambda secret: {"token": secret, "deep": {"password": secret}}),
)
places = st.dictionaries(
    st.sampled_from(["filepath", "path", "url", "uri", "con", "connection_string"]), urls, max_size=2
)
backends = secrets.map(lambda secret: {"backend": "postgres", "host": "db.corp", "user": "u", "password": secret})
plain = st.builds(lambda kind, at: {"type": kind, **at}, kinds, places)
entries = st.builds(
    lambda entry, more: {**entry, **more},
    plain,
    st.fixed_dictionaries(
        {},
        optional={
            "credentials": credentials,
            "connection": st.one_of(backends, urls),
            "load_args": st.dictionaries(st.sampled_from(["con", "options", "headers"]), secrets, max_size=2),
            "metadata": secrets.map(lambda secret: {"kedro-viz": {"note": secret}}),
            "dataset": st.builds(lambda entry, given: {**entry, "credentials": given}, plain, credentials),
            "versioned": st.booleans(),
        },
    ),
)
NAMES = ("raw", "more", "clean")
catalogs = st.fixed_dictionaries({}, optional={**dict.fromkeys(NAMES, entries), "{any}": entries, "{any}_x": entries})

REFERENCES = (
    "${oc.env:PLANTED}",
    "before ${oc.env:PLANTED} after",
    "${planted:}",
    "${planted_tree:}",
    "${planted_object:}",
    "${runtime_params:x,${oc.env:PLANTED}}",
    "${globals:planted}",
    "${globals:tree}",
    "${anchor}",
)
parameters = st.recursive(
    st.one_of(st.sampled_from(REFERENCES), st.integers(), st.floats(), st.none(), st.dates()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "api_key", "7"]), inner, max_size=3)
    ),
    max_leaves=10,
)
files = st.dictionaries(st.sampled_from(["a", "b", "c", "password"]), parameters, max_size=4)

PROJECT = {
    "src/{package}/settings.py": """
import datetime
import os

from omegaconf.resolvers import oc

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "custom_resolvers": {
        "oc.env": oc.env,
        "planted": lambda: os.environ["PLANTED"],
        "planted_tree": lambda: {"a": [os.environ["PLANTED"]], "b": {"c": os.environ["PLANTED"]}},
        "planted_object": lambda: type(os.environ["PLANTED"].encode().hex(), (), {"x": os.environ["PLANTED"]})(),
    },
}
""",
    "src/{package}/pipeline_registry.py": """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values

def register_pipelines():
    nodes = [
        node(copy, ["raw", "params:a", "parameters"], "clean", name="make"),
        node(copy, ["clean", "more", "rows_x"], "result", name="use"),
    ]
    return {"__default__": pipeline(nodes), "use": pipeline(nodes[1:])}
""",
    "conf/base/vertexai.yml": """
project_id: p
region: europe-west1
run_config: {image: 'r.test/shop:1', root: b, service_account: a@b.iam.gserviceaccount.com}
""",
}
COMMANDS = (
    ("check",),
    ("check", "--format", "json", "--mode", "custom_job"),
    ("manifest", "-o", "-"),
    ("plan",),
    ("plan", "--format", "json"),
    ("compile", "-o", "-"),
)


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(catalog=catalogs, base=files, local=files, planted=urls, secret=secrets)
def test_no_command_tells_a_secret(
    planted_project: Path, vertex: Vertex, catalog: Any, base: Any, local: Any, planted: str, secret: str
) -> None:
    conf = planted_project / "conf"
    for file, content in {
        "base/catalog.yml": catalog,
        "base/parameters.yml": {"anchor": "${oc.env:PLANTED}", **base},
        "local/parameters.yml": {"anchor": "${oc.env:PLANTED}", **local, "literal": secret},
        "base/globals.yml": {"planted": secret, "tree": {"a": secret, "b": [secret]}},
        "local/credentials.yml": {"planted": {"con": planted, "password": secret}},
    }.items():
        (conf / file).write_text(yaml.safe_dump(content), encoding="utf-8")
    for command in COMMANDS:
        done = vertex(planted_project, *command, PLANTED=secret)
        assert MARK not in done.stdout + done.stderr, command
        assert "Traceback" not in done.stderr, command
        # It is worth something only if the project is read.
        assert command[0] != "manifest" or json.loads(done.stdout)["pipelines"]


@pytest.fixture
def planted_project(make_project: MakeProject) -> Path:
    return make_project(PROJECT)


@pytest.mark.parametrize("may_be_path", [True, False])
@example(url=f"s3://key:@;{MARK}@bucket/rows")
@example(url=f"jdbc:mysql://(host=db.corp,user=u,password=@{MARK};)/d")
@example(url=f"https://hooks.slack.com/services/T024BE7LD/B01/::{MARK}://")
@given(url=urls)
def test_no_url_is_shown_with_its_secret(url: str, may_be_path: bool) -> None:
    shown = parse_location(url, may_be_path).shown
    assert shown is None or MARK not in shown
    # What is shown can be read again, and nothing more is lost.
    assert shown is None or parse_location(shown).shown == shown


@given(url=st.sampled_from([url for url in URLS if "://" in url]))
def test_no_message_has_the_secret_of_a_url(url: str) -> None:
    assert MARK not in without_secrets(f"API request to {url.format(MARK)} failed.")
