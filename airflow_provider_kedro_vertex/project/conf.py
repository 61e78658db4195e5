"""A project's configuration, read through the project's own config loader, and the places of its keys.

Credentials are never loaded.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from kedro.config import AbstractConfigLoader, MissingConfigException, OmegaConfigLoader
from kedro.framework.project import settings
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from airflow_provider_kedro_vertex.configuration import airflow_values, templates
from airflow_provider_kedro_vertex.configuration.reader import (
    BASE_ENV,
    DEFAULT_RUN_ENV,
    load,
    open_loader,
    patterns_of,
    with_own_keys,
)
from airflow_provider_kedro_vertex.core.errors import ConfigError, ProjectError, did_you_mean

_SUFFIXES = (".yml", ".yaml", ".json")
_RUNTIME_PARAM = re.compile(r"\$\{\s*runtime_params\s*:\s*([\w.]+)\s*([,}])")

# OmegaConf's variable, which its message names when a file is longer.
_LIMIT = "OMEGACONF_MAX_YAML_EXPANDED_NODES"
#: Longer files hold data; reading them once more would take as long as all the rest.
_MAX_WRITTEN = 1024 * 1024


class Conf:
    """The configuration of one project in one Kedro environment.

    :param loader: the project's own config loader.
    :param project_path: where relative paths in messages start.
    :param folders: the folders of the environments, the weaker first; empty when ``conf`` is no local folder.
    """

    def __init__(self, loader: AbstractConfigLoader, project_path: Path, folders: Sequence[Path]) -> None:
        self._loader = loader
        self._project_path = project_path
        self._folders = tuple(folders)
        self._trees: dict[Path, yaml.Node | None] = {}

    def load(self, key: str, required: bool = False) -> dict[str, Any]:
        """Load one kind of configuration, such as ``catalog``.

        :param required: whether a missing file is an error; otherwise it is an empty configuration.
        :raises ConfigError: a file is no valid YAML, or a value cannot be resolved; the message has its place.
        """
        try:
            with _run_placeholders():
                content = load(self._loader, key)
        except MissingConfigException as error:
            if not required:
                return {}
            raise ConfigError(
                f"The project has no {key} configuration, and Kedro does not run without one.",
                f"Make {settings.CONF_SOURCE}/base/{key}.yml; it may be empty.",
            ) from error
        except Exception as error:  # a project's own loader or resolver may raise anything
            raise ConfigError(self._explain(key, error)) from error
        if not isinstance(content, Mapping):
            raise ConfigError(f"{self._file_names(key)}: the top level must be a mapping, not {content!r:.80}.")
        for path in _unprintable_integers(content) if key != "parameters" else ():  # no value of theirs is written
            name = ".".join(map(str, path))
            raise ConfigError(f"{self.locate(key, path)}: {name} is an integer of more digits than Python writes.")
        return dict(content)

    def written(self, key: str) -> Iterator[tuple[str, Any]]:
        """Read one kind of configuration as its files have it written: no interpolation is resolved.

        :return: the environment and the content of each local file, the strongest first. The content is None for a
            file that is no mapping, cannot be read by OmegaConf, or is too long to hold what people write.
        """
        for file in self._files(key):
            env = next(folder.name for folder in self._folders if file.is_relative_to(folder))
            yield env, _content(file)

    def runtime_params(self) -> dict[str, bool]:
        """The names that local files read as ``${runtime_params:NAME}``, and whether one reads it without a default."""
        found: dict[str, bool] = {}
        for folder in self._folders:
            for file in sorted(folder.rglob("*")):
                for name, separator in _RUNTIME_PARAM.findall(_text(file)):
                    found[name] = found.get(name, False) or separator != ","
        return dict(sorted(found.items()))

    def locate(self, key: str, path: Sequence[str | int]) -> str:
        """Say where a key of a configuration stands: ``conf/base/vertexai.yml, line 3``.

        A key of the environment's folder wins over the base folder's. A key that no file has (an interpolation made
        it, or it is missing) is placed at its nearest parent.
        """
        found = [(*_depth_and_line(tree, path), file) for file in self._files(key) if (tree := self._tree(file))]
        if not found:
            return self._file_names(key)
        _, line, file = max(found, key=lambda item: item[0])
        return f"{_relative(file, self._project_path)}, line {line}"

    def _explain(self, key: str, error: Exception) -> str:
        if fault := _first_fault(self._files(key), self._project_path):
            return fault
        if isinstance(error, OmegaConfBaseException) and error.full_key:
            return f"{self.locate(key, str(error.full_key).split('.'))}: {_unresolved(error)}{_old_variable(error)}"
        said = " ".join(str(error).split()).replace(f"{self._project_path}/", "")
        return f"The {key} configuration cannot be loaded: {said}"

    def _files(self, key: str) -> list[Path]:
        """The local files of one kind of configuration, the strongest first."""
        # Kedro's `**` finds files, pathlib's finds folders alone.
        patterns = [f"{pattern}/*" if pattern.endswith("**") else pattern for pattern in patterns_of(self._loader, key)]
        return [
            file
            for folder in reversed(self._folders)
            for file in sorted({file for pattern in patterns for file in folder.glob(pattern)})
            if file.is_file() and file.suffix in _SUFFIXES
        ]

    def _tree(self, file: Path) -> yaml.Node | None:
        if file not in self._trees:
            try:
                self._trees[file] = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
            except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
                self._trees[file] = None  # libyaml, which reads the values, takes what PyYAML's own scanner does not
        return self._trees[file]

    def _file_names(self, key: str) -> str:
        return ", ".join(_relative(file, self._project_path) for file in self._files(key)) or f"The {key} configuration"


def _text(file: Path) -> str:
    """The lines of a configuration's file that are no comments; none of another file, or of one that is too long."""
    try:
        if file.suffix not in _SUFFIXES or not file.is_file() or file.stat().st_size > _MAX_WRITTEN:
            return ""
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def _content(file: Path) -> Any:
    try:
        if file.stat().st_size > _MAX_WRITTEN:
            return None
        content = templates.load(file)
    except Exception:  # the loader has read it in its own way, or has told what is wrong
        return None
    return OmegaConf.to_container(content) if isinstance(content, DictConfig) else None


def _unprintable_integers(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where integers are that Python reads in hexadecimal and refuses to write: no message or file can have them."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _unprintable_integers(value, (*path, key))
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _unprintable_integers(value, (*path, index))
    elif isinstance(content, int):
        try:
            str(content)
        except ValueError:
            yield path


def open_conf(
    project_path: Path,
    env: str | None,
    runtime_params: Mapping[str, Any] | None = None,
    airflow: Callable[..., object] = airflow_values.placeholder,
) -> Conf:
    """Open a bootstrapped project's configuration with the loader that its ``settings.py`` names.

    :param env: the Kedro environment; None takes the project's default one (``local``).
    :param runtime_params: nested, as ``kedro run --params`` would give them.
    :param airflow: gives ``${airflow:KEY,DEFAULT}`` its value, for all that is read until another one is opened; see
        :mod:`.airflow_values`.
    :raises ProjectError: there is no ``conf`` folder, or none for this environment.
    :raises ConfigError: the loader cannot be made, since ``globals.yml`` is damaged.
    """
    source = project_path / settings.CONF_SOURCE
    # There is no Airflow run yet: the container's own resolver gives the values. A project's own of this name wins.
    templates.register_resolver("airflow", airflow)
    try:
        with _run_placeholders():
            loader = open_loader(source, env, with_own_keys(source, env, runtime_params or {}))
    except Exception as error:  # a project's own loader or resolver may raise anything
        fault = _first_fault(sorted(source.glob("*/globals.yml")), project_path)
        said = _unresolved(error) if isinstance(error, OmegaConfBaseException) else _first_line(error)
        raise ConfigError(fault or f"The project's config loader does not start: {said}") from error
    if source.is_file():
        return Conf(loader, project_path, ())  # an archive
    if not source.is_dir():
        raise ProjectError(f"The project {project_path} has no configuration folder {settings.CONF_SOURCE}.")
    base: str = getattr(loader, "base_env", BASE_ENV)
    run: str = getattr(loader, "default_run_env", DEFAULT_RUN_ENV) if env is None else env
    folders = [folder for folder in dict.fromkeys((source / base, source / run)) if folder.is_dir()]
    # Kedro's loader takes an environment without a folder for one without a catalog; an own loader may need none.
    for name in (base, run) if isinstance(loader, OmegaConfigLoader) else ():
        if source / name in folders:
            continue
        known = [folder.name for folder in source.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
        raise ProjectError(
            f"The Kedro environment {name!r} has no folder {settings.CONF_SOURCE}/{name}.", did_you_mean(name, known)
        )
    return Conf(loader, project_path, folders)


@contextlib.contextmanager
def _run_placeholders() -> Iterator[None]:
    """Read files as a container does, with texts in the place of what each container sets for its run."""
    before = {name: os.environ.get(name) for name in templates.RUN_VARIABLES}
    for name in before:
        os.environ[name] = f"<{name.removeprefix(templates.VARIABLE_PREFIX).lower()}>"
    try:
        with templates.enabled():
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _first_fault(files: Iterable[Path], project_path: Path) -> str | None:
    """Read files one by one, which Kedro does not, and tell the first that cannot be read, with the place."""
    for file in files:
        name = _relative(file, project_path)
        try:
            content = templates.load(file)
        except yaml.MarkedYAMLError as fault:
            if _LIMIT in (fault.problem or ""):
                return (
                    f"{name}: it has more values than OmegaConf reads (10,000 from OmegaConf 2.4 on). Put data into a "
                    f"dataset, or set {_LIMIT} to the number, here and in run_config.nodes.__default__.env."
                )
            mark = fault.problem_mark
            place = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
            return f"{place}: this is no valid YAML: {(fault.problem or _first_line(fault)).rstrip('.')}."
        except AssertionError:  # OmegaConf reads a text such as '0' once more and then asserts
            return f"{name}: the top level must be a mapping."
        except RecursionError:
            return f"{name}: its values are nested too deeply."
        except OmegaConfBaseException as fault:  # an interpolation that is none
            return f"{name}: {_unresolved(fault)}"
        except (OSError, ValueError, yaml.YAMLError) as fault:
            return f"{name}: this is no valid YAML: {_first_line(fault)}"
        if not isinstance(content, DictConfig):
            return f"{name}: the top level must be a mapping."
    return None


def _depth_and_line(tree: yaml.Node, path: Sequence[str | int]) -> tuple[int, int]:
    """How many of a path's keys a YAML tree has, and the line of the last of them."""
    line = tree.start_mark.line
    for depth, key in enumerate(path):
        if isinstance(tree, yaml.MappingNode):
            pairs = [(name.start_mark.line, value) for name, value in tree.value if name.value == str(key)]
        elif isinstance(tree, yaml.SequenceNode) and isinstance(key, int):
            pairs = [(value.start_mark.line, value) for value in tree.value[key : key + 1]]
        else:
            pairs = []
        if not pairs:
            return depth, line + 1
        line, tree = pairs[-1]
    return len(path), line + 1


def _unresolved(error: OmegaConfBaseException) -> str:
    said = _first_line(error)
    advice = ""
    if "Environment variable" in said:
        advice = " Set it, or write a default: ${oc.env:NAME,default}."
    elif "Runtime parameter" in said:
        advice = " Write a default: ${runtime_params:NAME,default}."
    key = " ".join(str(error.full_key or "").split()) or "a value"
    return f"{key} cannot be resolved: {said}{advice}"


def _old_variable(error: Exception) -> str:
    missing = re.match(r"Interpolation key '([a-z_][a-z0-9_]*)' not found", str(error))
    return (
        f" If it stands for an environment variable, set {templates.VARIABLE_PREFIX}{missing[1].upper()}."
        if missing
        else ""
    )


def _relative(file: Path, project_path: Path) -> str:
    return file.relative_to(project_path).as_posix() if file.is_relative_to(project_path) else str(file)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") + "." if lines else type(error).__name__
