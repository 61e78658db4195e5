"""The trigger form of a DAG, as Airflow's ``Param``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_kedro_vertex.compat import Param
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.parameters import FormValues
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node
from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
from airflow_provider_kedro_vertex.core.project.trigger_form import Choice, choose_fields, misfit, or_empty, schema_of

#: What a form can ask for beside the project's parameters. Airflow's params have these names.
ONLY_NODES, IMAGE = "only_nodes", "image"

#: The template that gives the nodes and tags that a person chose there, with commas between them.
CHOSEN_NODES = f"{{{{ (params.get('{ONLY_NODES}') or []) | join(',') }}}}"

_JSON = (bool, int, float, str, list, dict)


def trigger_form(
    manifest: Manifest, pipeline: str, choice: Choice, own: Mapping[str, Any]
) -> tuple[dict[str, Any], FormValues]:
    """Make the params of a DAG: the author's own, then a field of each parameter that was chosen.

    A plain value that the author gives for a parameter of the project, and that is of its type, gets a field of that
    type.

    :param own: the author's ``params``.
    :return: the params, and what stands in their fields while nobody changes it.
    :raises ConfigError: see :func:`.choose_fields`.
    """
    fields = choose_fields(manifest, pipeline, choice, own)
    params = {name: _typed(manifest, name, value) for name, value in own.items()} if choice is not False else dict(own)
    params |= {name: _param(field.value, field.schema) for name, field in fields.items()}
    return params, FormValues({name: field.value for name, field in fields.items()}, written_values(own))


def run_fields(manifest: Manifest, ask_for: Sequence[str], nodes: Iterable[Node]) -> dict[str, Param]:
    """Make the fields that are about the run itself, all of them empty.

    :param ask_for: names of them.
    :param nodes: those of the DAG.
    :raises ConfigError: there is no such field, or the project has a parameter of that name.
    """
    if not isinstance(ask_for, list | tuple) or any(name not in (ONLY_NODES, IMAGE) for name in ask_for):
        raise ConfigError(
            f"ask_for must be a list of what the form asks for, not {ask_for!r:.80}.",
            f"It can ask for {ONLY_NODES!r} and {IMAGE!r}.",
        )
    for name in ask_for:
        if any(known == name or known.startswith(f"{name}.") for known in known_parameters(manifest)):
            raise ConfigError(
                f"ask_for: the project has a parameter {name!r} of its own, so the form has no room for the run's.",
                "Leave it out of ask_for, or give the parameter another name.",
            )
    made = {}
    if ONLY_NODES in ask_for:
        nodes = tuple(nodes)
        tags = {tag for node in nodes for tag in node.tags}
        made[ONLY_NODES] = Param(
            [],  # not None, which the form of Airflow 2 does not take here
            "The run is these nodes alone, or those with these tags. Left empty, it is all.",
            type=["null", "array"],
            title="Only these nodes",
            examples=list(dict.fromkeys([*(node.name for node in nodes), *sorted(tags)])),
        )
    if IMAGE in ask_for:
        made[IMAGE] = Param(
            None,
            "Container image for this run. Left empty, it is what the project says.",
            type=["null", "string"],
            title="Image",
        )
    return made


def chosen_image(otherwise: str) -> str:
    """Make the template that gives the image which a person chose, or another one."""
    return f"{{% if params.get('{IMAGE}') %}}{{{{ params['{IMAGE}'] }}}}{{% else %}}{otherwise}{{% endif %}}"


def force_full_run() -> Param:
    """Make the field that asks whether a new attempt begins from the start."""
    return Param(
        False,
        type="boolean",
        title="Force a full run",
        description="Whether a retry, or a clear, of this run starts from the beginning. "
        "Otherwise it runs what did not succeed.",
    )


def written_values(params: Any) -> dict[str, Any]:
    """Params as they are written, templates too; those without a value, and what only a run knows, are left out."""
    if not isinstance(params, Mapping):
        return {}
    values = {name: value.value if isinstance(value, Param) else value for name, value in params.items()}
    return {name: value for name, value in values.items() if value is None or isinstance(value, _JSON)}


def _typed(manifest: Manifest, name: str, value: Any) -> Any:
    parameter = known_parameters(manifest).get(name)
    if parameter is None or isinstance(value, Param):
        return value
    schema = schema_of(manifest, name, parameter)
    return value if misfit(value, schema) else _param(value, or_empty(schema))


def _param(value: Any, schema: Mapping[str, Any]) -> Param:
    rest = dict(schema)
    return Param(value, rest.pop("description", None), schema=rest)
