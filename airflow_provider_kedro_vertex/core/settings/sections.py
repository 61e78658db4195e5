"""How settings are read from JSON values, written to them and laid over one another.

A section is a frozen dataclass whose fields each name their reader::

    @dataclass(frozen=True)
    class Disk(Section):
        boot_disk_type: str | None = setting(text)
        boot_disk_size_gb: int | None = setting(whole(1))

A reader takes a value and the key that it stands at, and gives the checked value or raises :class:`.ConfigError`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean

Reader = Callable[[Any, str], Any]
SectionType = TypeVar("SectionType", bound="Section")
LayerType = TypeVar("LayerType", bound="Layer")


def setting(read: Reader, default: Any = None) -> Any:
    """Declare a field of a section; null in the input means the default.

    :param read: its reader.
    :param default: a constant; ``dataclasses.MISSING`` makes the setting obligatory.
    """
    return dataclasses.field(default=default, metadata={"read": read})


def mapping(read: Reader, name: Callable[[str, str], object] | None = None) -> Any:
    """Declare a field that maps names to what ``read`` reads; it keeps the order of its names.

    A list of pairs is read too: a manifest's objects are sorted, so :meth:`Section.to_dict` writes pairs where the
    order counts.

    :param name: checks a name; it takes the name and the key of the mapping.
    """

    def read_all(value: Any, where: str) -> dict[str, Any]:
        pairs = list(value.items()) if isinstance(value, Mapping) else value
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
        ):
            raise ConfigError(f"{where} must be a mapping of names, not {value!r:.80}.")
        if name is not None:
            for key, _ in pairs:
                name(key, where)
        return {key: read(item, f"{where}.{key}") for key, item in pairs}

    return dataclasses.field(default_factory=dict, metadata={"read": read_all})


def sequence(read: Reader) -> Any:
    """Declare a field that is a tuple of what ``read`` reads."""

    def read_all(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, not {value!r:.80}.")
        return tuple(read(item, f"{where}[{index}]") for index, item in enumerate(value))

    return dataclasses.field(default=(), metadata={"read": read_all})


@dataclasses.dataclass(frozen=True)
class Section:
    """Settings that belong together. Where one is given, it replaces another one of its kind as a whole."""

    @classmethod
    def from_dict(cls: type[SectionType], value: Any, where: str = "") -> SectionType:
        """Read and check a mapping.

        :param where: the key of this section, for the messages; empty for the outermost one.
        :raises ConfigError: an unknown key, a key that is missing, or a wrong value; the message names the key.
        """
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where or 'run_config'} must be a mapping, not {value!r:.80}.")
        fields = {item.name: item for item in dataclasses.fields(cls)}
        for key in value:
            if key not in fields:
                raise ConfigError(
                    f"{where or 'run_config'} has no setting {key!r:.80}.{did_you_mean(str(key), fields)}"
                )
        given: dict[str, Any] = {}
        for name, item in fields.items():
            key = f"{where}.{name}" if where else name
            if (said := value.get(name)) is not None:
                given[name] = item.metadata["read"](said, key)
            elif item.default is item.default_factory:  # both MISSING
                raise ConfigError(f"{key} is missing.")
        return cls(**given)

    def to_dict(self) -> dict[str, Any]:
        """Write what is set as JSON values; mappings of sections become lists of pairs, which keep their order."""
        return {
            item.name: _plain(value)
            for item in dataclasses.fields(self)
            if (value := getattr(self, item.name)) is not None and value != () and value != {}
        }


@dataclasses.dataclass(frozen=True)
class Layer(Section):
    """Settings that are laid over others of their kind field by field; None means: not said here."""

    def over(self: LayerType, base: LayerType) -> LayerType:
        """Lay what is said here over ``base``: layers field by field, mappings key by key, all else as a whole."""
        return type(self)(
            **{item.name: laid(getattr(self, item.name), getattr(base, item.name)) for item in dataclasses.fields(self)}
        )


def laid(own: Any, base: Any) -> Any:
    """Lay one value over another; see :meth:`Layer.over`."""
    if own is None or own == ():
        return base
    if isinstance(own, Layer) and base is not None:
        return own.over(base)
    if isinstance(own, Mapping) and base:
        return {**base, **{key: laid(value, base.get(key)) for key, value in own.items()}}
    return own


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        if any(isinstance(item, Section) for item in value.values()):
            return [[name, _plain(item)] for name, item in value.items()]
        return dict(value)
    return value


def text(value: Any, where: str) -> str:
    """Read a string; a number is taken for one, since YAML reads ``cpu: 8`` as a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ConfigError(f"{where} must be a string, not {value!r:.80}.")


def checked(check: Callable[[str, str], object]) -> Reader:
    """Read a string that ``check`` does not refuse, and keep it as it is written."""

    def read(value: Any, where: str) -> str:
        said = text(value, where)
        check(said, where)
        return said

    return read


def changed(change: Callable[[str, str], str]) -> Reader:
    """Read a string and keep what ``change`` makes of it."""
    return lambda value, where: change(text(value, where), where)


def boolean(value: Any, where: str) -> bool:
    """Read true or false; the words are taken too, since a rendered template is a string."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ConfigError(f"{where} must be true or false, not {value!r:.80}.")


def whole(least: int) -> Reader:
    """Read a whole number of at least ``least``; digits in a string are taken too."""

    def read(value: Any, where: str) -> int:
        digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19
        count = int(value) if digits else value
        if isinstance(count, int) and not isinstance(count, bool) and least <= count < 2**63:
            return count
        raise ConfigError(f"{where} must be a whole number of at least {least}, not {value!r:.80}.")

    return read


def number(least: float) -> Reader:
    """Read a number of at least ``least``."""

    def read(value: Any, where: str) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value and math.isfinite(value):
            return float(value)
        raise ConfigError(f"{where} must be a number of at least {least:g}, not {value!r:.80}.")

    return read


def one_of(*words: str) -> Reader:
    """Read one of some words, in capitals or not."""

    def read(value: Any, where: str) -> str:
        word = text(value, where)
        for known in words:
            if word.lower() == known.lower():
                return known
        raise ConfigError(f"{where} must be one of {', '.join(words)}, not {word!r:.80}.{did_you_mean(word, words)}")

    return read


def json_value(value: Any, where: str) -> Any:
    """Read any JSON value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigError(f"{where} must be a JSON value, not {value!r:.80}.") from None
    return value
