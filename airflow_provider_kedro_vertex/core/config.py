"""What the user asked for: the settings of a run, from ``vertexai.yml`` and from ``run_config=``.

The Kedro side checks the file with its own schema and names keys as the file does; here the same settings are plain
frozen dataclasses that travel in the manifest and can be overridden for one run.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean

DEFAULT = "__default__"

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([a-zA-Z]*)")
_CPU_UNITS = {"": 1.0, "m": 1e-3}
_BYTE_UNITS = {
    "": 1.0,
    **{unit: 1000.0**power for power, unit in enumerate(("K", "M", "G", "T", "P"), start=1)},
    **{unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1)},
}


@dataclass(frozen=True)
class Resources:
    """What one node asks for. None means: not said here.

    :param cpu: cores, as Kubernetes writes them: ``"2"``, ``"500m"``.
    :param memory: bytes, as Kubernetes writes them: ``"2Gi"``, ``"1024Mi"``, ``"4G"``.
    :param gpu: how many accelerators: ``"1"``.
    :param accelerator_type: Vertex AI's name of the accelerator: ``"NVIDIA_TESLA_T4"``.
    """

    cpu: str | None = None
    memory: str | None = None
    gpu: str | None = None
    accelerator_type: str | None = None

    def over(self, base: Resources) -> Resources:
        """Lay what is said here over ``base``, field by field."""
        return Resources(
            *(
                getattr(base, item.name) if (own := getattr(self, item.name)) is None else own
                for item in dataclasses.fields(Resources)
            )
        )

    @classmethod
    def from_dict(cls, value: Any, where: str) -> Resources:
        """Read and check one entry of ``resources``; numbers become strings.

        :param where: the key of this entry, for the messages.
        :raises ConfigError: an unknown key, or a value that is no quantity.
        """
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a mapping such as {{cpu: 500m, memory: 1Gi}}, not {value!r}.")
        known = [item.name for item in dataclasses.fields(cls)]
        for key in value:
            if key not in known:
                raise ConfigError(f"{where} has an unknown key {key!r}.{did_you_mean(str(key), known)}")
        texts = {key: _text(item, f"{where}.{key}") for key, item in value.items()}
        if (cpu := texts.get("cpu")) is not None:
            cores(cpu, f"{where}.cpu")
        if (memory := texts.get("memory")) is not None:
            gigabytes(memory, f"{where}.memory")
        if (gpu := texts.get("gpu")) is not None:
            accelerators(gpu, f"{where}.gpu")
        return cls(**texts)


@dataclass(frozen=True)
class RunConfig:
    """The settings of a run. The names are those of ``vertexai.yml``; ``project_id`` and ``region`` stand beside.

    :param project_id: Google Cloud project; None leaves it to the Airflow connection.
    :param region: Vertex AI location such as ``europe-west1``.
    :param image: container image of the nodes.
    :param root: Cloud Storage place for what a run stores, as ``gs://bucket/prefix``.
    :param experiment_name: becomes a label of each job and the first words of its display name.
    :param description: becomes the pipeline's description.
    :param service_account: whom the nodes run as; None takes Vertex AI's default account.
    :param resources: selector (node name, tag or ``__default__``) to resources, in the order of the file, since
        of two tags the later one wins.
    """

    project_id: str | None = None
    region: str | None = None
    image: str | None = None
    root: str | None = None
    experiment_name: str | None = None
    description: str | None = None
    service_account: str | None = None
    resources: Mapping[str, Resources] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> RunConfig:
        """Read and check settings, from a manifest or from ``run_config=``.

        :raises ConfigError: an unknown key, or a value of the wrong kind; the message names the key.
        """
        known = [item.name for item in dataclasses.fields(cls)]
        for key in value:
            if key not in known:
                raise ConfigError(f"run_config has no setting {key!r}.{did_you_mean(str(key), known)}")
        settings: dict[str, Any] = {key: _text(value[key], key) for key in known if key != "resources" and key in value}
        if settings.get("root") is not None:
            settings["root"] = storage_root(settings["root"])
        return cls(**settings, resources=_resources(value.get("resources") or {}))

    def to_dict(self) -> dict[str, Any]:
        """Write the settings as JSON values; ``resources`` becomes a list of pairs, which keeps its order."""
        settings = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        settings["resources"] = [
            [selector, {key: text for key, text in dataclasses.asdict(wanted).items() if text is not None}]
            for selector, wanted in self.resources.items()
        ]
        return settings

    def overridden(self, overrides: Mapping[str, Any]) -> RunConfig:
        """Lay the settings of one run over these. ``resources`` merge by selector and field; null keeps what is.

        :raises ConfigError: see :meth:`from_dict`.
        """
        new = RunConfig.from_dict(overrides)
        resources = dict(self.resources)
        for selector, wanted in new.resources.items():
            resources[selector] = wanted.over(resources.get(selector, Resources()))
        settings = {
            item.name: getattr(self, item.name) if (said := getattr(new, item.name)) is None else said
            for item in dataclasses.fields(self)
        }
        return RunConfig(**{**settings, "resources": resources})

    def resources_for(self, names: Iterable[str], tags: frozenset[str]) -> Resources:
        """What a node asks for: ``__default__``, then its tags in the order of the file, then its name.

        :param names: the names a node goes by, the weakest first.
        """
        wanted = self.resources.get(DEFAULT, Resources())
        for selector, said in self.resources.items():
            if selector in tags:
                wanted = said.over(wanted)
        for name in names:
            if name in self.resources:
                wanted = self.resources[name].over(wanted)
        return wanted


def storage_root(text: str) -> str:
    """Bring a storage root into the form ``gs://bucket/prefix``, without a slash at its end.

    :raises ConfigError: it names no bucket, or another store than Cloud Storage.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    path = rest.strip("/")
    if not path or (separator and scheme != "gs"):
        raise ConfigError(f"root must be a Cloud Storage place such as gs://bucket/prefix, not {text!r}.")
    return f"gs://{path}"


def cores(text: str, where: str) -> float:
    """Read a Kubernetes CPU quantity: ``"500m"`` is 0.5 cores.

    :raises ConfigError: it is none, or not above zero.
    """
    return _quantity(text, _CPU_UNITS, where, "a number of cores such as 2 or 500m")


def gigabytes(text: str, where: str) -> float:
    """Read a Kubernetes memory quantity in units of 10^9 bytes: ``"1024Mi"`` is 1.073741824.

    :raises ConfigError: it is none, or not above zero.
    """
    return _quantity(text, _BYTE_UNITS, where, "an amount of memory such as 512Mi or 4Gi") / 1e9


def accelerators(text: str, where: str) -> int:
    """Read a number of accelerators.

    :raises ConfigError: it is no whole number.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    raise ConfigError(f"{where} must be a whole number, not {text!r}.")


def _quantity(text: str, units: Mapping[str, float], where: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match and match[2] in units:
        number = float(match[1]) * units[match[2]]
        if 0 < number < math.inf:
            return number
    raise ConfigError(f"{where} must be {example}, not {text!r}.")


def _text(value: Any, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"{where} must be a string, not {value!r}.")


def _resources(value: Any) -> dict[str, Resources]:
    # A manifest holds a list of pairs (JSON objects are sorted there), a user writes a mapping.
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise ConfigError(f"resources must map node names, tags or {DEFAULT} to what they need, not {value!r}.")
    return {selector: Resources.from_dict(wanted, f"resources.{selector}") for selector, wanted in pairs}
