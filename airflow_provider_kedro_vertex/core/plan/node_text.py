"""A node group as a person reads it beside its task: purpose, data, machine, price, and how to run it at home."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan
from airflow_provider_kedro_vertex.core.plan.plan_table import row
from airflow_provider_kedro_vertex.core.project.graph import dataset
from airflow_provider_kedro_vertex.core.project.kedro_run import kedro_run
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node
from airflow_provider_kedro_vertex.core.project.selection import registered
from airflow_provider_kedro_vertex.core.settings.machine_prices import PRICED_REGION

#: The most names in one line of a text, and the most nodes that are described.
MOST_NAMES = 12


def node_texts(plan: Plan, manifest: Manifest) -> dict[str, str]:
    """Describe each node group of a plan in Markdown, by its task id."""
    nodes = {node.name: node for node in registered(manifest, plan.pipeline).nodes}
    stored = {dataset(name) for name, described in manifest.datasets.items() if described.scope != "memory"}
    return {group.task_id: _text(plan, group, [nodes[name] for name in group.nodes], stored) for group in plan.groups}


def _text(plan: Plan, group: NodeGroup, nodes: list[Node], stored: AbstractSet[str]) -> str:
    made = dict.fromkeys(name for node in nodes for name in node.outputs)
    taken = dict.fromkeys(name for node in nodes for name in node.inputs if name not in made)
    # What others make and the catalog does not declare is gone when `kedro run` has ended, so they must run too.
    chosen = "--nodes" if stored >= set(group.inputs) else "--to-nodes"
    last = group.nodes[-1]
    lines = [
        *_about(nodes),
        _listed("Inputs", taken),
        _listed("Outputs", made),
        *_machine(plan, group),
        f"- As in a run of Airflow: `{shlex.join(['kedro', 'vertex', 'replay', 'DAG_ID/RUN_ID', '--node', last])}`",
        f"- At home: `{kedro_run(plan.pipeline, plan.env, chosen, ','.join(group.nodes))}`",
    ]
    return "\n".join(lines)


def _about(nodes: list[Node]) -> list[str]:
    described = [node for node in nodes if node.description]
    if len(nodes) == 1:
        return [f"{node.description}\n" for node in described]
    lines = [f"- **{node.name}**: {node.description}" for node in described[:MOST_NAMES]]
    return [f"{len(nodes)} nodes in one container.\n", *lines, *([""] if lines else [])]


def _listed(title: str, names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"- {title}: {', '.join(f'`{name}`' for name in names[:MOST_NAMES]) or 'none'}{more}"


def _machine(plan: Plan, group: NodeGroup) -> list[str]:
    try:
        found = row(plan, group)
    except ConfigError:  # `kedro vertex check` says it, and so does a run; a text does not
        return []
    price = found.dollars_an_hour
    cost = "" if price is None else f", about ${price:.2f} an hour in {PRICED_REGION}"
    return [f"- Machine: `{found.machines_text}`{cost}"]
