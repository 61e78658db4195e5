"""The experiment that a container is told of, and joining its run while the nodes run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_kedro_vertex.core.settings.experiment import DESCRIPTION_VARIABLE, ID_VARIABLE

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.runtime.experiment.run import ExperimentRun


@dataclass(frozen=True)
class Experiment:
    """A Vertex AI experiment.

    :param id: also its name.
    :param description: for when it is made.
    """

    id: str
    description: str | None = None


def told_experiment(variables: Mapping[str, str]) -> Experiment | None:
    """The experiment of this container, by its environment; None if it has none."""
    name = variables.get(ID_VARIABLE)
    return Experiment(name, variables.get(DESCRIPTION_VARIABLE)) if name else None


@contextmanager
def experiment_run(wanted: bool, create: Callable[[], ExperimentRun]) -> Iterator[list[object]]:
    """Tell the experiment of the session that is made and run meanwhile.

    :param wanted: whether there is one. Without it nothing is imported and nobody is called.
    :param create: makes the run; called only if it is wanted.
    :return: hooks to register with the session.
    """
    if not wanted:
        yield []
        return
    run = create()
    run.began()
    try:
        yield [run]
    except BaseException as error:
        run.ended(error)
        raise
    run.ended(None)
