"""Classification of a run's errors: the exit code, and what the log says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kedro
from kedro.config import MissingConfigException
from kedro.io import DatasetError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.exit_codes import ExitCode
from airflow_provider_kedro_vertex.runtime.errors import MissingInputError, ServiceError
from airflow_provider_kedro_vertex.runtime.progress import Progress
from airflow_provider_kedro_vertex.runtime.storage import StorageError
from airflow_provider_kedro_vertex.runtime.store import CorruptDatasetError, NotStorableError

#: The errors whose message says everything, with their exit codes.
_EXPLAINED: dict[type[Exception], ExitCode] = {
    ConfigError: ExitCode.MISCONFIGURED,
    MissingInputError: ExitCode.INPUT_MISSING,
    CorruptDatasetError: ExitCode.INPUT_MISSING,
    NotStorableError: ExitCode.USER_CODE_FAILED,
    ServiceError: ExitCode.SERVICE_UNREACHABLE,
    StorageError: ExitCode.SERVICE_UNREACHABLE,
}
#: What Kedro raises before the first node when the project's configuration is wrong.
_CONFIGURATION = (MissingConfigException, DatasetError, OmegaConfBaseException, YAMLError)
_FRAMEWORK = tuple(str(Path(file).parent) for file in (kedro.__file__, __file__))


@dataclass(frozen=True)
class Failure:
    """The failure of a run.

    :param exit_code: of the process.
    :param message: what went wrong.
    :param is_explained: whether the message says everything, so that a traceback would only hide it.
    """

    exit_code: ExitCode
    message: str
    is_explained: bool


def classify(error: Exception, progress: Progress) -> Failure:
    """Find out what an error means.

    An unreachable service is infrastructure when a dataset or a hook wanted it, also before the first node, and the
    user's business when the node's own function did.
    """
    for cause in _causes(error):
        for kind, code in _EXPLAINED.items():
            if isinstance(cause, kind):
                return Failure(code, str(cause), is_explained=True)
    is_unreachable = not progress.place.node_failed and any(
        isinstance(cause, (ConnectionError, TimeoutError)) for cause in _causes(error)
    )
    if not is_unreachable and progress.place.node is None and isinstance(error, _CONFIGURATION):
        message = f"The project's configuration is wrong: {error}"
        return Failure(ExitCode.MISCONFIGURED, message, is_explained=True)
    code = ExitCode.SERVICE_UNREACHABLE if is_unreachable else ExitCode.USER_CODE_FAILED
    return Failure(code, f"{type(error).__name__}: {error}", is_explained=False)


def without_framework_frames(error: Exception) -> Exception:
    """Drop the frames of this package and of Kedro that lead to the user's code, if the error comes from there."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_FRAMEWORK):
        trace = trace.tb_next
    return error.with_traceback(trace or error.__traceback__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
