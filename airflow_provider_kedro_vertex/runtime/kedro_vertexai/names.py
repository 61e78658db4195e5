"""Classes that a project names by a dotted path, also by the paths that they have in kedro-vertexai."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

from airflow_provider_kedro_vertex.core.errors import ConfigError

_HERE = "airflow_provider_kedro_vertex.runtime"
#: Each module of kedro-vertexai that a project may name or import from, and the modules here that have its names.
NAMES: dict[str, dict[str, str]] = {
    "kedro_vertexai": {},
    "kedro_vertexai.auth": {},
    "kedro_vertexai.auth.gcp": {
        "MLFlowGoogleIAMCredentialsProvider": f"{_HERE}.config.providers",
        "MLFlowGoogleIAMRequestHeaderProvider": f"{_HERE}.mlflow.request_headers",
        "MLFlowGoogleOAuthCredentialsProvider": f"{_HERE}.config.providers",
        "MLFlowGoogleOauthRequestHeaderProvider": f"{_HERE}.mlflow.request_headers",
    },
    "kedro_vertexai.auth.mlflow_request_header_provider": {
        "RequestHeaderProviderWithKedroContext": f"{_HERE}.mlflow.request_headers",
    },
    "kedro_vertexai.auth.mlflow_request_header_provider_hook": {
        "MLFlowRequestHeaderProviderHook": f"{_HERE}.mlflow.request_headers",
    },
    "kedro_vertexai.dynamic_config": {"DynamicConfigProvider": f"{_HERE}.config.providers"},
    "kedro_vertexai.vertex_ai": {},
    "kedro_vertexai.vertex_ai.datasets": {"KedroVertexAIMetadataDataset": f"{_HERE}.metadata_dataset"},
}


def load_class(path: str, where: str) -> type:
    """Import a class.

    A path of :data:`NAMES` gives the class here, also where kedro-vertexai is installed.

    :param path: ``package.module.Class``.
    :param where: the setting that names it, for the messages.
    :raises ConfigError: there is none, or it cannot be imported.
    """
    module, _, name = path.rpartition(".")
    module = NAMES.get(module, {}).get(name, module)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{where}: {path} cannot be imported in this image ({type(error).__name__}: {error}).",
            "It must be a class "
            "as package.module.Class, of the project or of a package that is installed in the image.",
        ) from error
    if not isinstance(found, type):
        raise ConfigError(f"{where}: {path} is no class.")
    return found


def provide_kedro_vertexai_modules() -> None:
    """Let the project's own code import the names of :data:`NAMES` where kedro-vertexai is not installed.

    A project that subclasses ``kedro_vertexai.dynamic_config.DynamicConfigProvider``, or whose catalog names
    ``kedro_vertexai.vertex_ai.datasets.KedroVertexAIMetadataDataset``, then needs no edit. Nothing changes where the
    package is installed, and no other name of it is there.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # At the end: whatever is installed comes first.
        sys.meta_path.append(_Finder())


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self, is_package=True) if fullname in NAMES else None

    def exec_module(self, module: ModuleType) -> None:
        names = NAMES[module.__name__]

        def get(name: str) -> object:
            if name not in names:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return getattr(importlib.import_module(names[name]), name)

        # Only when a name is asked for: some of them need MLflow.
        module.__getattr__ = get  # type: ignore[method-assign]
