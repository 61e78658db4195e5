"""What a project's files may say for an environment variable, beside what Kedro itself takes.

``${oc.env:NAME}`` and ``${oc.env:NAME,default}``
    in every file; Kedro takes them in credentials alone, unless the project registers ``oc.env``, which is then used.
``${name}`` and ``${name|default}``
    kedro-vertexai's: the variable ``KEDRO_CONFIG_NAME``, unless the file itself has a key ``name``. ``${run_id}`` and
    ``${job_name}`` are such variables, which each container sets for its run.

A value is a string and is never read as YAML. OmegaConf's grammar has no such default, so that files are changed as
they are read. Kedro's loader reads all of its files by one function of OmegaConf, and knows no way to be given another:
the name ``OmegaConf`` in its module is replaced, the same in Kedro 1.0 to 1.7. A project's loader that reads files by
itself reads them as they are.
"""

from __future__ import annotations

import inspect
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kedro.config import omegaconf_config
from omegaconf import OmegaConf
from omegaconf.resolvers import oc

#: kedro-vertexai read these variables for ``${name}`` in lower case.
VARIABLE_PREFIX = "KEDRO_CONFIG_"
#: Set by each container for its own run.
RUN_VARIABLES = ("KEDRO_CONFIG_RUN_ID", "KEDRO_CONFIG_JOB_NAME")

_LOADERS: Any = omegaconf_config
# The resolver's own name, since Kedro drops `oc.env` whenever it makes a loader.
_RESOLVER = "kedro_vertex.env"
_OC_ENV = re.compile(r"(?<!\\)\$\{\s*oc\.env\s*:")
_VARIABLE = re.compile(r"\$\{\s*(?:oc|kedro_vertex)\.env\s*:\s*(\w+)\s*(,?)")
_TEMPLATE = re.compile(r"(?<!\\)\$\{([a-z_][a-z0-9_]*)(?:\|([^${}\n]*))?\}")


def load(file: Any) -> Any:
    """Read a YAML file as :func:`OmegaConf.load` does, with all that it may say for an environment variable.

    :param file: a path, or an open file.
    """
    text = file.read() if hasattr(file, "read") else Path(file).read_text(encoding="utf-8")
    return OmegaConf.load(io.StringIO(_translated(text)))


class _KedrosOmegaConf(OmegaConf):
    """OmegaConf as Kedro's loader sees it."""

    load = staticmethod(load)  # type: ignore[assignment]


def register_resolver(name: str, function: Callable[..., object]) -> None:
    """Let every configuration that is read from now on use ``${name:...}``; an earlier one of the name is replaced."""
    # OmegaConf 2.4 renames the method, and warns in each container's log of the old name. Before, the new name was
    # that of an even older method, which replaces nothing.
    renamed = "replace" in inspect.signature(OmegaConf.register_resolver).parameters
    register = OmegaConf.register_resolver if renamed else OmegaConf.register_new_resolver
    register(name, function, replace=True)


def enable() -> None:
    """Let every loader of Kedro's read so from now on, for the rest of this process."""
    register_resolver(_RESOLVER, oc.env)
    _LOADERS.OmegaConf = _KedrosOmegaConf


@contextmanager
def enabled() -> Iterator[None]:
    """Let every loader of Kedro's read so meanwhile."""
    before = _LOADERS.OmegaConf
    enable()
    try:
        yield
    finally:
        _LOADERS.OmegaConf = before


def variables_in(content: Any) -> Iterator[tuple[str, bool]]:
    """Find the environment variables that a file's content reads, as it is before interpolations are resolved.

    :return: each variable's name, and whether a default stands beside it.
    """
    if isinstance(content, Mapping):
        for item in content.values():
            yield from variables_in(item)
    elif isinstance(content, list):
        for item in content:
            yield from variables_in(item)
    elif isinstance(content, str):
        for match in _VARIABLE.finditer(content):
            yield match[1], bool(match[2])


def _translated(text: str) -> str:
    """Turn what stands for an environment variable into OmegaConf's grammar."""

    def new(match: re.Match[str]) -> str:
        name, default = match.groups()
        variable = VARIABLE_PREFIX + name.upper()
        if default is None and re.search(rf"^{name}\s*:", text, re.MULTILINE):
            return match[0]
        if variable in os.environ:
            return f"${{{_RESOLVER}:{variable}}}"
        return match[0] if default is None else default

    text = _TEMPLATE.sub(new, text)
    return text if OmegaConf.has_resolver("oc.env") else _OC_ENV.sub(f"${{{_RESOLVER}:", text)
