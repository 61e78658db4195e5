"""Configuration that is made in the container before Kedro reads the project's: ``dynamic_config_providers``."""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.container import Provider
from airflow_provider_kedro_vertex.core.settings.sections import Section, fields_of, is_required
from airflow_provider_kedro_vertex.runtime.kedro_vertexai.names import load_class


class DynamicConfigProvider(ABC):
    """Makes one configuration file. kedro-vertexai's interface; any class with these members will do.

    :param config: the project's ``vertexai.yml`` with the defaults of what it does not say, and a value's path as
        attributes: ``config.run_config.image``, ``config.run_config.network.vpc``.
    :param kwargs: ``params`` of the provider in ``vertexai.yml``.
    """

    def __init__(self, config: DictConfig, **kwargs: Any) -> None:
        self.config = config

    @property
    def target_env(self) -> str:
        """The environment that the file is of."""
        return "base"

    @property
    @abstractmethod
    def target_config_file(self) -> str:
        """The file's name, such as ``credentials.yml``."""

    @abstractmethod
    def generate_config(self) -> dict[str, Any]:
        """Make the file's content."""

    def merge_with_existing(self, existing_config: dict[str, Any], generated_config: dict[str, Any]) -> dict[str, Any]:
        """Put what was made together with what the project's own file says. What was made wins, key by key."""
        return {**existing_config, **generated_config}


class _TrackingToken(DynamicConfigProvider):
    """Writes ``gcp_credentials: {MLFLOW_TRACKING_TOKEN: ..}``, for ``server.credentials`` of ``mlflow.yml``.

    Google's tokens are valid for an hour: where nodes take longer use a request header provider, which gets new ones.
    """

    def __init__(self, config: DictConfig, *, client_id: str, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.client_id = client_id

    @property
    def target_config_file(self) -> str:
        """Kedro's credentials."""
        return "credentials.yml"

    def generate_config(self) -> dict[str, Any]:
        """Get a token.

        :raises ConfigError: the container's credentials cannot get one.
        :raises ServiceError: Google did not answer.
        """
        return {"gcp_credentials": {"MLFLOW_TRACKING_TOKEN": self._token()}}

    def _token(self) -> str:
        # Only here: google-auth takes a moment to import, and most projects have no providers.
        from airflow_provider_kedro_vertex.runtime.google.auth import own_id_token

        return own_id_token(self.client_id)


class MLFlowGoogleOAuthCredentialsProvider(_TrackingToken):
    """A token of the job's own service account.

    :param client_id: the audience: the OAuth client id of Identity-Aware Proxy.
    """


class MLFlowGoogleIAMCredentialsProvider(_TrackingToken):
    """A token of another service account, from the IAM Credentials API.

    :param client_id: the audience.
    :param service_account: the other account's e-mail address.
    :param endpoint: optional: scheme and host of another IAM Credentials API.
    """

    def __init__(self, config: DictConfig, *, service_account: str, endpoint: str = "", **kwargs: Any):
        super().__init__(config, **kwargs)
        self.service_account = service_account
        self.endpoint = endpoint

    def _token(self) -> str:
        from airflow_provider_kedro_vertex.runtime.google.auth import id_token_of

        return id_token_of(self.service_account, self.client_id, self.endpoint)


@contextmanager
def generated_config(providers: Sequence[Provider], conf_source: Path, load_vertexai: Any) -> Iterator[Path]:
    """Add to the project's configuration what the providers make.

    The project's folder stays as it is. What the providers make may be secret: it goes into a copy of the
    configuration, in a folder of this process that nobody else can read, which is deleted at the end.

    :param conf_source: the folder of the project's configuration.
    :param load_vertexai: reads the content of ``vertexai.yml``; called only if there are providers.
    :return: the folder that Kedro is to read; ``conf_source`` itself without providers.
    :raises ConfigError: a provider cannot be made, or names no file, or makes no mapping.
    """
    if not providers:
        yield conf_source
        return
    # Only here: the declaration of all settings takes a moment to import, and most projects have no providers.
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

    with TemporaryDirectory(prefix="kedro-conf-") as folder:
        copy = Path(folder) / "conf"
        shutil.copytree(conf_source, copy)
        content = load_vertexai()
        filled = {**content, "run_config": _filled(RunConfig, content.get("run_config") or {})}
        for generated in _make_providers(providers, OmegaConf.create(filled)):
            _write(copy, *generated)
        yield copy


def _filled(section: type[Section], given: Mapping[str, Any]) -> dict[str, Any]:
    """Add the defaults of keys that the file does not have, since providers ask for them as attributes."""
    filled = dict(given)
    for name, item in fields_of(section).items():
        inner, many, own = item.metadata["section"], item.metadata["many"], filled.get(name)
        if inner is not None and not many and isinstance(own or {}, Mapping) and not is_required(item):
            filled[name] = _filled(inner, own or {})
        elif own is None:
            filled[name] = {".<name>": {}, "[]": []}.get(many, None if is_required(item) else item.default)
    return filled


def _make_providers(providers: Sequence[Provider], config: DictConfig) -> Iterator[tuple[str, Any, str, str]]:
    for number, item in enumerate(providers):
        where = f"run_config.dynamic_config_providers[{number}]"
        provider_class = load_class(item.cls, f"{where}.cls")
        try:
            provider = provider_class(config, **item.params)
        except TypeError as error:
            raise ConfigError(f"{where}: {item.cls} cannot be made with {sorted(item.params)}: {error}") from error
        for name in ("target_config_file", "generate_config", "merge_with_existing"):
            if not hasattr(provider, name):
                raise ConfigError(f"{where}: {item.cls} is no DynamicConfigProvider: it has no {name}.")
        yield where, provider, getattr(provider, "target_env", "base"), provider.target_config_file


def _write(conf: Path, where: str, provider: Any, env: str, name: str) -> None:
    inside = PurePosixPath(env, name)
    if PurePosixPath(env).name != env or inside.is_absolute() or ".." in inside.parts:
        raise ConfigError(f"{where} must write a file of the project's configuration, not {env}/{name}.")
    content = provider.generate_config()
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where} must make a mapping, not a {type(content).__name__}.")
    file = conf / env / name
    existing = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    if not isinstance(existing or {}, Mapping):
        raise ConfigError(f"{where} cannot add to {env}/{name}: its top level is no mapping.")
    merged = provider.merge_with_existing(dict(existing or {}), dict(content))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    # Nobody else can read it from its first moment on.
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as target:
        yaml.safe_dump(merged, target, allow_unicode=True, sort_keys=False)
