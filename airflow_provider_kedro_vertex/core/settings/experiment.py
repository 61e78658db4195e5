"""The Vertex AI experiment of a run: its id, and how containers are told of it.

By environment variables, since an image that is older than this package ignores one that it does not know, and refuses
an unknown setting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_kedro_vertex.core.text import digest, readable_slug

if TYPE_CHECKING:  # a container needs the names of the variables alone
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

#: The variables: the experiment's id, and its description.
ID_VARIABLE, DESCRIPTION_VARIABLE = "KEDRO_VERTEX_EXPERIMENT", "KEDRO_VERTEX_EXPERIMENT_DESCRIPTION"
#: A context's id has at most 128 characters (CreateContextRequest.context_id, v1). That of an experiment's run is
#: ``<experiment>-<run>``, and Google's SDK takes off 7 for a Tensorboard; a run key has up to 63.
_LENGTH = 128 - len("-tb-run") - len("-") - 63


def experiment_id(name: str) -> str:
    """Give the id of an experiment: its name in the form that Vertex AI takes, ``[a-z0-9][a-z0-9-]{0,56}``.

    A name of this form is its own id. A longer one is cut, and has 8 digits of its digest at the end.
    """
    slug = readable_slug(name)
    return slug if len(slug) <= _LENGTH else f"{slug[: _LENGTH - 9].rstrip('-')}-{digest(name)[:8]}"


def experiment_variables(config: RunConfig) -> dict[str, str]:
    """The variables of each container; none if no ``experiment_name`` is set."""
    if not config.experiment_name:
        return {}
    told = {ID_VARIABLE: experiment_id(config.experiment_name), DESCRIPTION_VARIABLE: config.experiment_description}
    return {name: value for name, value in told.items() if value}
