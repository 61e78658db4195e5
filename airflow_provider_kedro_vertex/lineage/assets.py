"""The datasets of a project as assets: the outlets and inlets of tasks, and the events of what was really written.

Airflow makes an event for each outlet of a task that succeeds. So a task whose job did not write all of them drops the
others before it ends; see docs/decisions/0021.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.compat import Asset, make_asset
from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.project.assets import asset_uris

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import BaseOperator, Context
    from airflow_provider_kedro_vertex.core.jobs.api import Job
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node

#: Whether tasks have assets: yes, no, or by the datasets' names another asset, its URI, or None for none.
Choice = bool | Mapping[str, Asset | str | None]


@dataclass(frozen=True)
class Written:
    """An outlet of a task.

    :param asset: Airflow's.
    :param dataset: the name of the Kedro dataset.
    :param node: the Kedro node that writes it.
    """

    asset: Asset
    dataset: str
    node: str


@dataclass(frozen=True)
class Assets:
    """The assets of a project.

    :param by_dataset: name of a Kedro dataset to its asset.
    """

    by_dataset: Mapping[str, Asset]

    @classmethod
    def of(cls, manifest: Manifest, choice: Choice, params: Mapping[str, Any]) -> Assets:
        """Find the assets of a manifest's datasets.

        :param params: runtime parameters of all runs; see :func:`.core.project.assets.asset_uri`.
        :raises ConfigError: ``choice`` names a dataset that the project does not have.
        """
        if choice is False:
            return cls({})
        own = {} if choice is True else choice
        for name in own:
            if name not in manifest.datasets:
                raise ConfigError(
                    f"assets: the project has no dataset {name!r}.", did_you_mean(name, manifest.datasets)
                )
        uris = asset_uris(manifest, params)
        made = {uri: make_asset(uri) for uri in uris.values()}
        found: dict[str, Asset] = {name: made[uri] for name, uri in uris.items()}
        for name, asset in own.items():
            if asset is None:
                found.pop(name, None)
            else:
                found[name] = Asset(asset) if isinstance(asset, str) else asset
        return cls(found)

    def find(self, dataset: str, manifest: Manifest) -> Asset:
        """Find the asset of a dataset.

        :raises ConfigError: there is none.
        """
        if dataset in self.by_dataset:
            return self.by_dataset[dataset]
        if dataset in manifest.datasets:
            raise ConfigError(
                f"Dataset {dataset!r} of {manifest.project.name} has no asset: it lives in the containers alone, or "
                "the catalog does not say where.",
                f"Those that have one: {', '.join(self.by_dataset) or 'none'}.",
            )
        raise ConfigError(
            f"Project {manifest.project.name!r} has no dataset {dataset!r}.", did_you_mean(dataset, manifest.datasets)
        )

    def connect(self, task: BaseOperator, nodes: Iterable[Node]) -> None:
        """Make what some nodes write the outlets of a task, and what they only read its inlets, beside its own."""
        if not self.by_dataset:
            return
        nodes = tuple(nodes)
        written = {out.asset.uri: out for out in self._written(nodes)}
        read = {asset.uri: asset for asset in self._read(nodes) if asset.uri not in written}
        if written or read:
            # At once; see VertexJobOperator.
            vars(task).update(
                outlets=[*task.outlets, *(out.asset for out in written.values())],
                inlets=[*task.inlets, *read.values()],
                written=tuple(written.values()),
            )

    def _written(self, nodes: Iterable[Node]) -> Iterator[Written]:
        for node in nodes:
            for name in node.outputs:
                if name in self.by_dataset:
                    yield Written(self.by_dataset[name], name, node.name)

    def _read(self, nodes: Iterable[Node]) -> Iterator[Asset]:
        return (self.by_dataset[name] for node in nodes for name in node.inputs if name in self.by_dataset)


def report(
    operator: BaseOperator, context: Context, job: Job, nodes: Collection[str] | None, nothing_new: bool = False
) -> None:
    """Let Airflow make an event for each asset that a job wrote, and for no other one, when the task succeeds.

    :param operator: the task that runs.
    :param job: it succeeded, as a whole or the part that the task waited for.
    :param nodes: the Kedro nodes that were to run; None for all that the task stands for.
    :param nothing_new: nothing was written since the task succeeded before.
    """
    outlets: tuple[Written, ...] = vars(operator).get("written", ())
    if not outlets:
        return
    from airflow_provider_kedro_vertex.core.jobs.written import cached_nodes, run_of

    cached = cached_nodes(job)
    ran = [each for each in outlets if each.node not in cached and (nodes is None or each.node in nodes)]
    written = [] if nothing_new else ran
    drop_outlets(context["ti"].task, {each.asset.uri for each in written})
    for each in written:
        told = {**run_of(job), "job": job["name"], "node": each.node, "dataset": each.dataset}
        context["outlet_events"][each.asset].extra = {key: value for key, value in told.items() if value is not None}


def drop_outlets(task: Any, kept: Collection[str] = ()) -> None:
    """Drop outlets of the task that runs, but for its author's own: Airflow reads them when it has ended.

    :param kept: the URIs of those that stay.
    """
    dropped = {each.asset.uri for each in vars(task).get("written", ())} - set(kept)
    if dropped:
        # A list of its own: another instance of the task may run in this process.
        vars(task)["outlets"] = [outlet for outlet in task.outlets if getattr(outlet, "uri", None) not in dropped]
