"""The Vertex AI experiment of a run: its id, and how containers are told of it.

By environment variables, since an image that is older than this package ignores one that it does not know, and refuses
an unknown setting.
"""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_kedro_vertex.core.text import digest, readable_slug

#: The variables: the experiment's id, and its description.
ID_VARIABLE, DESCRIPTION_VARIABLE = "KEDRO_VERTEX_EXPERIMENT", "KEDRO_VERTEX_EXPERIMENT_DESCRIPTION"
#: A context's id has at most 128 characters (CreateContextRequest.context_id, v1). That of an experiment's run is
#: ``<experiment>-<run>``, and Google's SDK takes off 7 for a Tensorboard; a run key has up to 63.
_LENGTH = 128 - len("-tb-run") - len("-") - 63


def experiment_id(name: str, taken: Collection[str] = ()) -> str:
    """Give the id of an experiment: its name in the form that Vertex AI takes, ``[a-z0-9][a-z0-9-]{0,56}``.

    A name of this form is its own id. A longer one is cut, and has 8 digits of its digest at the end.

    :param taken: the names of pipelines on Vertex AI, each of which is a context in the same store. An experiment of
        such a name gets ``-experiment`` at its end, as kedro-vertexai 0.12 and later write it into a new project.
    """
    slug = readable_slug(name)
    known = slug if len(slug) <= _LENGTH else f"{slug[: _LENGTH - 9].rstrip('-')}-{digest(name)[:8]}"
    return experiment_id(f"{known}-experiment") if known in taken else known


def experiment_variables(experiment: str | None, description: str | None) -> dict[str, str]:
    """The variables of each container; none without an experiment.

    :param experiment: its id.
    """
    told = {ID_VARIABLE: experiment, DESCRIPTION_VARIABLE: experiment and description}
    return {name: value for name, value in told.items() if value}
