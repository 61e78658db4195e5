"""Where data is, told from the text of a catalog or a connection: what of it may be shown, and whose machine it is on.

User info, queries, properties and fragments of a URL may hold secrets, whatever its scheme, so nothing of them is
shown. A text of no known form is not shown at all. Nothing here opens a file or a connection.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.project.manifest import Scope


@dataclass(frozen=True)
class Location:
    """Where data is.

    :param shown: the path or URL without anything that may be secret; None if its form is not known.
    :param scope: ``local`` is the own disk, or a server on the own machine.
    """

    shown: str | None
    scope: Scope


#: In place of what may be secret.
HIDDEN = "***"

_UNKNOWN = Location(None, "remote")
_IN_MEMORY = Location(":memory:", "memory")

# One letter and a colon begin a path on Windows.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)
# fsspec's chains, such as simplecache::gs://bucket/a and zip://a.csv::gs://bucket/a.zip: the last one is the place.
# In a web address two colons are signs like others.
_CHAIN = re.compile(
    r"(?:blockcache|cached|dask|dir|filecache|libarchive|reference|simplecache|tar|zip)(?:://[^:?@#\[]*)?"
    r"::([A-Za-z][A-Za-z0-9+.-]*:.+)",
    re.DOTALL,
)

_FILES = frozenset({"file", "local"})
_MEMORY = frozenset({"mem", "memory"})
_FILE_DATABASES = frozenset({"derby", "duckdb", "h2", "hsqldb", "sqlite", "sqlite3"})
# After the bucket any sign may follow: they are names, and no syntax.
_OBJECT_STORES = frozenset(
    {"abfs", "abfss", "adl", "az", "cos", "dbfs", "gcs", "gs", "hdfs", "oci", "oss", "s3", "s3a", "s3n", "viewfs"}
    | {"wasb", "wasbs", "webhdfs"}
)
# In these URLs the name before the @ is the container, not a user (Azure's and Oracle's forms).
_CONTAINER_BEFORE_HOST = frozenset({"abfs", "abfss", "oci", "wasb", "wasbs"})

#: What MLflow takes in place of an address: the workspace of the container's own credentials.
_DATABRICKS = frozenset({"databricks", "databricks-uc"})

_BUCKET = re.compile(r"[^\s:@\[\]]*(?::\d+)?")
_HOST = r"(?:[\w.-]*(?:\\[\w$.-]+)?|\[[0-9A-Fa-f:.]+\])(?::\d+)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")
# Parts of plain names: JDBC drivers put properties after other signs: /db:user=u;password=p or /USER=u,PASSWORD=p.
_NAMES = re.compile(r"(?:/[\w.$~ -]*(?=[/?#;:&,]|$))*")
_ORACLE = re.compile(rf"(?:tcps?:)?/*({_HOST}(?:[:/][\w.$-]+)*)")
_LOOPBACK = re.compile(r"(?:[\w.-]+\.)?localhost\.?|127(?:\.\d+){3}|0\.0\.0\.0|\[(?:::1|0*(?::0*){6}:0*1)\]", re.ASCII)

# What is no path: Server=h;PWD=p (ODBC), host=h password=p (libpq), user:password@host and scott/tiger@//host.
_CONNECTION = re.compile(r"[\w ]+=[^;/]*;|\w+\s*=\s*\S+\s+\w+\s*=|[^/]*:.*@|[^@]*@//", re.DOTALL)
_SECRET = re.compile(
    r"(?<![a-z])(?:password|passwd|pwd|passphrase|secret|token|sig|signature|credential|api_?key|access_?key|account_?key"
    r"|private_?key)s?\s*[=:]",
    re.IGNORECASE,
)
# What comes before a token in a web address, and what looks like one: hooks.slack.com/services/T../B../.. is a secret.
_BEFORE_TOKEN = re.compile(
    r"(?:in|out)?(?:web)?hooks?\w*|(?:\w+[_-])?(?:keys?|tokens?|secrets?|sig|signature)", re.IGNORECASE
)
_HOOK_HOST = re.compile(r"(?:.*\.)?hooks?\..*|.*webhook.*", re.IGNORECASE)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_PLACEHOLDER = re.compile(r"<([\w.]+)>")
_URL_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?:[\w.+-]+:)*//[^\s\"'<>]+")


def parse_location(text: str, may_be_path: bool = True) -> Location:
    """Tell where data is that a text names: a path, a URL of any scheme (JDBC's and SQLAlchemy's too), or a DSN.

    :param may_be_path: whether a text without a scheme is a path; a connection without one is of no known form.
    """
    text = text.strip()
    while chain := _CHAIN.fullmatch(text):
        text = chain[1].strip()
    match = _SCHEME.fullmatch(text)
    if match is None:
        return _path(text) if may_be_path else _UNKNOWN
    scheme, rest = match.groups()
    base = scheme.lower().partition("+")[0]
    if base == "jdbc":
        return _jdbc(rest)
    if base in _FILES:
        return _path(rest.removeprefix("//"))
    if base in _FILE_DATABASES:
        return _database_file(rest)
    if rest.startswith("//"):
        return _url(scheme, rest.removeprefix("//"), base)
    return _IN_MEMORY if base in _MEMORY else _UNKNOWN


def mlflow_location(uri: str) -> Location:
    """Tell where MLflow tracks to: a place as any other, or Databricks by its name alone."""
    return Location(uri, "remote") if uri in _DATABRICKS else parse_location(uri)


def placeholder(name: str) -> str:
    """Stand in a location for a runtime parameter whose value is not known."""
    return f"<{name}>"


def placeholders(location: str | None, names: Collection[str]) -> tuple[str, ...]:
    """Those of some runtime parameters that a location has placeholders of."""
    return tuple(dict.fromkeys(name for name in _PLACEHOLDER.findall(location or "") if name in names))


def without_secrets(message: str) -> str:
    """A message in which each URL is as it may be shown."""
    return _URL_IN_TEXT.sub(lambda match: parse_location(match[0]).shown or HIDDEN, message)


def _path(text: str) -> Location:
    if _CONNECTION.match(text):
        return _UNKNOWN
    # A question mark may stand for a sign of a file's name.
    return Location(_unless_secret(Path(re.split(r"\?(?=[^/]*=)", text)[0]).as_posix()), "local")


def _url(scheme: str, rest: str, base: str) -> Location:
    """``scheme://rest``: a password that is not escaped may hold any sign, and then nothing is shown."""
    authority, tail = re.fullmatch(r"([^/?#;]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    user, _, host = authority.rpartition("@")
    if base in _OBJECT_STORES or base in _MEMORY:
        path = re.split(r"[?#]|;(?=[^/]*=)", tail)[0]
        has_container = bool(user) and base in _CONTAINER_BEFORE_HOST and not set(user) & set(":@")
        # Signs of a password that end the authority too early leave the rest of it in the path.
        cut_short = "@" in path and (":" in authority or (bool(user) and not has_container))
        if not _BUCKET.fullmatch(host) or "@" in tail[len(path) :] or cut_short:
            return _UNKNOWN
        container = f"{user}@" if has_container else ""
        shown = _unless_secret(f"{scheme}://{container}{host}{path}")
        return Location(shown, "memory" if base in _MEMORY else "remote")
    # MySQL's hosts may be lists of keys, with an @ in any of their values.
    if "@" in tail or not _HOSTS.fullmatch(host) or set(user) & set("(=,"):
        return _UNKNOWN
    is_web = base in ("http", "https")
    path = _web_path(host, re.split(r"[?#;]", tail)[0]) if is_web else _NAMES.match(tail)[0]  # type: ignore[index]
    return Location(_unless_secret(f"{scheme}://{host}{path}"), _scope_of_hosts(host))


def _web_path(host: str, path: str) -> str:
    """The path of a web address up to what may be a token."""
    shown: list[str] = []
    hides = bool(_HOOK_HOST.fullmatch(host))
    for part in path.split("/"):
        if part and (hides or _may_be_token(unquote(part))):
            return "/".join([*shown, HIDDEN])
        shown.append(part)
        hides = hides or bool(_BEFORE_TOKEN.fullmatch(part))
    return "/".join(shown)


def _may_be_token(part: str) -> bool:
    """Whether a part of a path looks like no word of a person: ``T024BE7LD4XXYZ12``, a UUID, ``bot1:AAH``."""
    if ":" in part or _UUID.search(part):
        return True
    for run in re.findall("[A-Za-z0-9]{16,}", part):
        words = re.findall("[A-Z]?[a-z]+|[A-Z]+", run)
        if (not run.isalpha() and not run.isdigit()) or len(words) * 3 > len(run):
            return True
    return False


def _database_file(rest: str) -> Location:
    """Locate a database that is a file by what follows its scheme: SQLAlchemy's, ibis' and JDBC's forms."""
    if rest.startswith("//"):
        authority, slash, path = rest.removeprefix("//").partition("/")
        if "@" in rest and authority:
            authority, slash, path = rest.rpartition("@")[2].partition("/")
        # After three slashes the path is relative, after four it is absolute; ibis has two before a relative one.
        rest = f"{authority}{slash}{path}" if authority else path
    path = re.split(r"[?;#]", rest)[0]
    if not path or ":memory:" in path or "mode=memory" in rest:
        return _IN_MEMORY
    if path.startswith(("md:", "motherduck:")):
        return _UNKNOWN  # a service, by the name of a database
    return parse_location(path)


def _jdbc(rest: str) -> Location:
    driver, _, place = rest.partition(":")
    if driver.lower() in _FILE_DATABASES:
        return _database_file(place)
    if driver.lower() == "oracle":
        kind, _, address = place.partition(":")
        match = _ORACLE.fullmatch(re.split(r"[?;]", address.rpartition("@")[2])[0])
        if match is None or "@" not in address or not kind.isalpha():
            return _UNKNOWN
        return Location(_unless_secret(f"jdbc:oracle:{kind}:@//{match[1]}"), _scope_of_hosts(match[1].split("/")[0]))
    kind, separator, url = rest.partition("://")
    if not separator or not re.fullmatch(r"[\w+.:-]+", kind):
        return _UNKNOWN
    return _url(f"jdbc:{kind}", url, "jdbc")


def _scope_of_hosts(hosts: str) -> Scope:
    # Without a host a driver takes its own default or one of the query, which is not read.
    names = [re.sub(r"(?<=[^:]):[\w]*$", "", host) for host in hosts.lower().split(",")]
    return "local" if all(_LOOPBACK.fullmatch(name) for name in names) else "remote"


def _unless_secret(text: str) -> str | None:
    return None if _SECRET.search(unquote(text)) else text
