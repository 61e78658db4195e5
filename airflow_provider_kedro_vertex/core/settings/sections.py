"""How settings are declared, read, written and merged.

A section is a frozen dataclass. Each field says what values it takes and what it means, and this is the only place that
says so: ``vertexai.yml``, ``run_config=``, the manifest and the container's ``--settings`` are read by it, and
``docs/configuration.md`` is written from it::

    @dataclass(frozen=True)
    class Disk(Mergeable):
        \"\"\"The boot disk of a node's machine.\"\"\"

        boot_disk_size_gb: int | None = field(integer(100), "Gigabytes, at least 100.")

A reader takes a value as JSON or YAML gives it, and returns the checked value or raises :class:`SettingsError`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from airflow_provider_kedro_vertex.core.errors import CombinedConfigError, ConfigError, did_you_mean

KeyPath = tuple[str | int, ...]
Reader = Callable[[Any], Any]
SectionType = TypeVar("SectionType", bound="Section")
MergeableType = TypeVar("MergeableType", bound="Mergeable")

#: The default of a field that must be given.
REQUIRED: Any = dataclasses.MISSING


def dotted(path: KeyPath) -> str:
    """Write a key's path as messages do, on one line: ``run_config.resources.train.cpu``."""
    return ".".join(" ".join(str(part).split()) or repr(part) for part in path)


class Problem(NamedTuple):
    """One thing that is wrong: a sentence about a key.

    :param path: the keys that lead to it.
    :param after: the sentence behind the key.
    :param before: the sentence before the key.
    :param fix: what to do about it.
    """

    path: KeyPath
    after: str
    before: str = ""
    fix: str = ""

    def error(self, place: str = "") -> ConfigError:
        """Make an error of it.

        :param place: where the key stands; the beginning of the message.
        """
        return ConfigError(f"{place}{self.before}{dotted(self.path)}{self.after}", self.fix)


class SettingsError(CombinedConfigError):
    """Settings are not what their declaration takes. The message has a line for each problem.

    :param problems: at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(problem.error() for problem in self.problems)

    def inside(self, key: str | int) -> SettingsError:
        """Say the same of a value that stands at ``key``."""
        return SettingsError(problem._replace(path=(key, *problem.path)) for problem in self.problems)


def invalid(sentence: str, fix: str = "") -> SettingsError:
    """Make the error of a reader.

    :param sentence: how it goes on after the key: ``"must be a string, not 5."``.
    :param fix: what to do about it.
    """
    return SettingsError([Problem((), f" {sentence}", fix=fix)])


def unknown_key(path: KeyPath, known: Iterable[str]) -> Problem:
    """Say that a key is none, and which known one is the closest."""
    return Problem(path, ".", "unknown key ", did_you_mean(str(path[-1]), known))


def read_at(key: str, read: Reader, value: Any) -> Any:
    """Read one value by itself, such as an argument of an operator.

    :param key: what the messages call it.
    :raises SettingsError: as the reader does.
    """
    try:
        return read(value)
    except SettingsError as error:
        raise (error.inside(key) if key else error) from None


def field(read: Reader | type[Section], meaning: str, default: Any = None, *, inspected: bool = False) -> Any:
    """Declare a field of a section; null means the default.

    :param read: its reader, or the section that it holds.
    :param meaning: what the reference says of it; Markdown.
    :param default: a constant, or :data:`REQUIRED`.
    :param inspected: it is filled in when the project is inspected, and is no key of ``vertexai.yml``.
    """
    section, read = _section_and_reader(read)
    metadata = {"read": read, "section": section, "many": "", "meaning": meaning, "inspected": inspected}
    return dataclasses.field(default=default, metadata=metadata)


def mapping(read: Reader | type[Section], meaning: str, check_name: Callable[[str], object] | None = None) -> Any:
    """Declare a field that maps names to values; it keeps the order of its names, and is empty by default.

    :param check_name: checks each name; raises :class:`SettingsError` about the mapping.
    """
    section, read = _section_and_reader(read)
    reader = mapping_reader(read, check_name, pairs=section is not None)
    metadata = {"read": reader, "section": section, "many": ".<name>", "meaning": meaning}
    return dataclasses.field(default_factory=dict, metadata=metadata)


def sequence(read: Reader | type[Section], meaning: str, default: Any = ()) -> Any:
    """Declare a field that is a tuple; a single text may stand without a list.

    :param default: empty, or :data:`REQUIRED`.
    """
    section, read = _section_and_reader(read)
    metadata = {"read": _sequence_reader(read, section is None), "section": section, "many": "[]", "meaning": meaning}
    return dataclasses.field(default=default, metadata=metadata)


def _section_and_reader(read: Reader | type[Section]) -> tuple[type[Section] | None, Reader]:
    return (read, read.read) if isinstance(read, type) and issubclass(read, Section) else (None, read)


def mapping_reader(read: Reader, check_name: Callable[[str], object] | None = None, *, pairs: bool = False) -> Reader:
    """Make the reader of :func:`mapping`.

    :param pairs: read a list of pairs too: a manifest's objects are sorted, so :meth:`Section.to_dict` writes pairs
        where the order counts.
    """

    def read_all(value: Any) -> dict[str, Any]:
        if isinstance(value, Mapping):
            items = list(value.items())
        elif pairs and isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
            items = value
        else:
            raise invalid(f"must be a mapping, not {value!r:.80}.")
        found: dict[str, Any] = {}
        problems: list[Problem] = []
        for key, item in items:
            if not isinstance(key, str):
                problems.append(Problem((key,), " must be a string.", "the key "))
                continue
            try:
                if check_name is not None:
                    check_name(key)
            except SettingsError as error:
                problems += error.problems
            try:
                found[key] = read(item)
            except SettingsError as error:
                problems += error.inside(key).problems
        if problems:
            raise SettingsError(problems)
        return found

    return read_all


def _sequence_reader(read: Reader, single: bool) -> Reader:
    def read_all(value: Any) -> tuple[Any, ...]:
        items = (value,) if single and isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise invalid(f"must be a list, not {value!r:.80}.")
        found: list[Any] = []
        problems: list[Problem] = []
        for index, item in enumerate(items):
            try:
                found.append(read(item))
            except SettingsError as error:
                problems += error.inside(index).problems
        if problems:
            raise SettingsError(problems)
        return tuple(found)

    return read_all


@dataclasses.dataclass(frozen=True)
class Section:
    """Settings that belong together. Where one is given, it replaces another one of its kind as a whole."""

    @classmethod
    def read(cls: type[SectionType], value: Any) -> SectionType:
        """Read and check a mapping; the reader of this section.

        :raises SettingsError: unknown keys, missing keys and wrong values, all of them.
        """
        if not isinstance(value, Mapping):
            raise invalid(f"must be a mapping, not {value!r:.80}.")
        fields = fields_of(cls)
        problems = [
            unknown_key((key,), fields) if isinstance(key, str) else Problem((key,), " must be a string.", "the key ")
            for key in value
            if key not in fields
        ]
        given: dict[str, Any] = {}
        for name, item in fields.items():
            if (entry := value.get(name)) is not None:
                try:
                    given[name] = item.metadata["read"](entry)
                except SettingsError as error:
                    problems += error.inside(name).problems
            elif is_required(item):
                problems.append(Problem((name,), " is missing."))
        if problems:
            raise SettingsError(problems)
        return cls(**given)

    @classmethod
    def from_dict(cls: type[SectionType], value: Any, key: str = "") -> SectionType:
        """Read and check a mapping that stands by itself, such as an argument of an operator.

        :param key: what the messages call it.
        :raises SettingsError: see :meth:`read`.
        """
        section: SectionType = read_at(key, cls.read, value)
        return section

    def to_dict(self) -> dict[str, Any]:
        """Write what is set as JSON values; mappings of sections become lists of pairs, which keep their order."""
        return {
            name: _plain(value)
            for name in fields_of(type(self))
            if (value := getattr(self, name)) is not None and value != () and value != {}
        }


@dataclasses.dataclass(frozen=True)
class Mergeable(Section):
    """Settings that are merged with others of their kind field by field; None and empty mean: not set here."""

    def merged_onto(self: MergeableType, base: MergeableType) -> MergeableType:
        """Put what is set here in the place of what ``base`` has; see :func:`merge`."""
        return type(self)(**{name: merge(getattr(base, name), getattr(self, name)) for name in fields_of(type(self))})


def merge(base: Any, own: Any) -> Any:
    """Merge two values of one setting: mergeable sections by field, mappings by key; of all else ``own`` wins."""
    if own is None or own == ():
        return base
    if isinstance(own, Mergeable) and base is not None:
        return own.merged_onto(base)
    if isinstance(own, Mapping) and base:
        return {**base, **{key: merge(base.get(key), value) for key, value in own.items()}}
    return own


def fields_of(section: type[Section]) -> Mapping[str, dataclasses.Field[Any]]:
    """Find the fields of a section by their names, in their order."""
    return section.__dataclass_fields__  # dataclasses.fields would make a tuple of them for each section that is read


def is_required(item: dataclasses.Field[Any]) -> bool:
    """Tell whether a field must be given."""
    return item.default is item.default_factory  # both MISSING


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
