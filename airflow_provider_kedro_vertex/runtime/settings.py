"""What vertexai.yml says about the inside of a node group's container: the command's ``--settings``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean

SEQUENTIAL, THREAD = "sequential", "thread"
_FILTERS = ("tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "namespaces")


@dataclass(frozen=True)
class HostAlias:
    """An address that host names stand for, as a line of ``/etc/hosts`` would say it.

    :param ip: IPv4 or IPv6.
    :param hostnames: names that resolve to it in this process.
    """

    ip: str
    hostnames: tuple[str, ...]


@dataclass(frozen=True)
class Provider:
    """A class of the project, or of this package, that is made in the container.

    :param cls: its dotted path, ``package.module.Class``.
    :param params: keyword arguments for it.
    """

    cls: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """What holds in one container, the same in every run.

    :param runner: ``sequential`` (one node after another) or ``thread`` (those that do not wait for each other, at the
        same time).
    :param secret_env: environment variables and the Secret Manager versions that they get their values from,
        ``projects/P/secrets/S/versions/V``.
    :param host_aliases: host names that resolve otherwise than by DNS.
    :param dynamic_config_providers: make configuration files before Kedro reads its configuration.
    :param request_header_provider: makes the headers of every request to MLflow.
    :param selection: the slice of the pipeline that this run is about, so that MLflow's run is finished when the slice
        is: the filters of ``kedro run`` by their names in ``KedroSession.run``; all of the pipeline if empty.
    """

    runner: str = SEQUENTIAL
    secret_env: Mapping[str, str] = field(default_factory=dict)
    host_aliases: tuple[HostAlias, ...] = ()
    dynamic_config_providers: tuple[Provider, ...] = ()
    request_header_provider: Provider | None = None
    selection: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read ``--settings``: a JSON object, each key optional.

        ::

            {"runner": "sequential" | "thread",
             "secret_env": {"NAME": "projects/p/secrets/s/versions/v"},
             "host_aliases": [{"ip": "10.0.0.1", "hostnames": ["mlflow.internal"]}],
             "dynamic_config_providers": [{"cls": "package.module.Class", "params": {...}}],
             "mlflow": {"request_header_provider": {"cls": "package.module.Class", "params": {...}},
                        "selection": {"tags": ["daily"], "to_nodes": ["report"]}}}

        :raises ConfigError: it is no JSON object, or a key is unknown, or a value is not as above.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"--settings is no JSON ({error}): {text[:200]!r}.") from None
        found = _object("--settings", value, _READ)
        settings = {key: read(f"--settings: {key}", found[key]) for key, read in _READ.items() if key in found}
        mlflow = settings.pop("mlflow", {})
        return cls(**settings, **mlflow)


def _runner(where: str, value: Any) -> str:
    if value not in (SEQUENTIAL, THREAD):
        raise ConfigError(f"{where} must be {SEQUENTIAL!r} or {THREAD!r}, not {value!r}.")
    return str(value)


def _secret_env(where: str, value: Any) -> dict[str, str]:
    return {name: _text(f"{where}.{name}", version) for name, version in _object(where, value).items()}


def _host_aliases(where: str, value: Any) -> tuple[HostAlias, ...]:
    aliases = [_object(where, item, ("ip", "hostnames")) for item in _list(where, value)]
    return tuple(
        HostAlias(
            _text(f"{where}.ip", alias.get("ip")),
            tuple(_text(f"{where}.hostnames", name) for name in _list(f"{where}.hostnames", alias.get("hostnames"))),
        )
        for alias in aliases
    )


def _providers(where: str, value: Any) -> tuple[Provider, ...]:
    return tuple(_provider(where, item) for item in _list(where, value))


def _provider(where: str, value: Any) -> Provider:
    provider = _object(where, value, ("cls", "params"))
    params = provider.get("params")
    return Provider(
        _text(f"{where}.cls", provider.get("cls")), _object(f"{where}.params", {} if params is None else params)
    )


def _mlflow(where: str, value: Any) -> dict[str, Any]:
    found = _object(where, value, ("request_header_provider", "selection"))
    read: dict[str, Any] = {}
    if found.get("request_header_provider") is not None:
        read["request_header_provider"] = _provider(
            f"{where}.request_header_provider", found["request_header_provider"]
        )
    if "selection" in found:
        read["selection"] = _selection(f"{where}.selection", found["selection"])
    return read


def _selection(where: str, value: Any) -> dict[str, tuple[str, ...]]:
    filters = _object(where, value, _FILTERS)
    return {
        name: tuple(_text(f"{where}.{name}", item) for item in _list(f"{where}.{name}", names))
        for name, names in filters.items()
    }


_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "runner": _runner,
    "secret_env": _secret_env,
    "host_aliases": _host_aliases,
    "dynamic_config_providers": _providers,
    "mlflow": _mlflow,
}


def _object(where: str, value: Any, known: Mapping[str, Any] | tuple[str, ...] | None = None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} must be a JSON object, not {value!r}.")
    for key in value:
        if known is not None and key not in known:
            raise ConfigError(f"{where} has an unknown key {key!r}.{did_you_mean(key, known)}")
    return value


def _list(where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{where} must be a list, not {value!r}.")
    return value


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where} must be a text, not {value!r}.")
    return value
