"""What the planning side tells the inside of a container: the ``--settings`` of its command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.container import FRAMEWORKS, RUNNERS, SEQUENTIAL, HostAlias, Provider
from airflow_provider_kedro_vertex.core.settings.data_root import data_root
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.readers import (
    boolean,
    converted,
    environment_variable,
    one_of,
    secret_version,
    string,
)
from airflow_provider_kedro_vertex.core.settings.sections import Section, field, mapping, sequence


@dataclass(frozen=True)
class RuntimeMlflow(Section):
    """MLflow in a container."""

    request_header_provider: Provider | None = field(Provider, "Makes the headers of every request to MLflow.")
    selection: Selection | None = field(
        Selection,
        "The slice that this run is about, so that its run in MLflow, or in an experiment of Vertex AI, is over when "
        "the slice is.",
    )


@dataclass(frozen=True)
class RuntimeSettings(Section):
    """The settings inside of one container, the same in every run."""

    runner: str = field(one_of(*RUNNERS), "Kedro's runner.", SEQUENTIAL)
    distributed: str | None = field(one_of(*FRAMEWORKS), "By what the replicas find each other, if there are some.")
    secret_env: Mapping[str, str] = mapping(
        secret_version, "Environment variables and the secrets that hold their values.", environment_variable
    )
    host_aliases: tuple[HostAlias, ...] = sequence(HostAlias, "Names of hosts that resolve otherwise than by DNS.")
    dynamic_config_providers: tuple[Provider, ...] = sequence(
        Provider, "Make configuration files before Kedro reads its configuration."
    )
    mlflow: RuntimeMlflow = field(RuntimeMlflow, "MLflow.", RuntimeMlflow())
    data_root: str | None = field(converted(data_root), "Where datasets with a relative path lie.")
    local_datasets: tuple[str, ...] = sequence(string, "Datasets that keep their relative path.")
    report_data: bool = field(boolean, "Tell in the log what was saved.", False)

    @classmethod
    def from_json(cls, text: str) -> RuntimeSettings:
        """Read ``--settings``.

        :raises ConfigError: it is no JSON object, or a key is unknown, or a value is not what its key takes.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"--settings is no JSON ({error}): {text[:200]!r}.") from None
        return cls.from_dict(value, "--settings")

    def to_json(self) -> str:
        """Write ``--settings``; empty when there is nothing to tell."""
        default = RuntimeSettings()
        value = {key: item for key, item in self.to_dict().items() if getattr(self, key) != getattr(default, key)}
        return json.dumps(value, sort_keys=True) if value else ""
