"""What the containers of jobs cost at list prices: an estimate from their seconds and machines, and no bill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.containers import asked_machines
from airflow_provider_kedro_vertex.core.jobs.launcher import launched_pools
from airflow_provider_kedro_vertex.core.jobs.run_status import GroupStatus, group_statuses
from airflow_provider_kedro_vertex.core.settings.machine_prices import AS_OF, PRICED_REGION
from airflow_provider_kedro_vertex.core.settings.machines import choose
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.core.text import counted

#: What every number here is, for people.
PRICES = (
    f"Estimates at list prices for {PRICED_REGION}, written down on {AS_OF}, without discounts, disks, Spot and failed "
    "tries of a container"
)
#: The state of a container that did not run, since Vertex AI took its result from the cache.
_CACHED = "SKIPPED"
#: Of so many node groups a sentence tells the price.
_DEAREST = 5


@dataclass(frozen=True)
class ContainerCost:
    """A container of a job that has ended.

    :param group: its node group.
    :param job: its job.
    :param dollars: None where the price of its machine is not known.
    """

    group: GroupStatus
    job: Job
    seconds: float
    dollars: float | None

    @property
    def pipeline(self) -> str:
        """Kedro's pipeline, in the form of a label."""
        return self.job.get("labels", {}).get("kedro-pipeline", "")

    @property
    def node(self) -> str:
        """Its node, or its nodes with commas between them."""
        return ",".join(self.group.nodes) or self.group.name

    @property
    def day(self) -> str:
        """The day in UTC on which its job was made."""
        return self.job.get("createTime", "")[:10]


#: What costs can be summed up by.
KEYS: Mapping[str, Callable[[ContainerCost], str]] = {
    "pipeline": lambda cost: cost.pipeline,
    "node": lambda cost: cost.node,
    "day": lambda cost: cost.day,
}


@dataclass(frozen=True)
class Sum:
    """The cost of some containers.

    :param key: what they have in common.
    :param seconds: of all of them, on machines that may be many for each.
    :param dollars: of those whose price is known.
    :param unpriced: how many have no known price.
    """

    key: str
    jobs: int
    containers: int
    seconds: float
    dollars: float
    unpriced: int


def container_costs(job: Job, launched: bool = False) -> list[ContainerCost]:
    """Price the containers of a job that have ended. One whose result came from the cache costs nothing.

    :param job: as Vertex AI tells it, whole.
    :param launched: count the CustomJobs that a PipelineJob launches with it; as jobs of their own they are priced
        otherwise.
    """
    found = []
    for group in group_statuses([job]):
        if group.seconds is None or (_is_launched(job, group.name) and not launched):
            continue
        seconds = 0.0 if group.state == _CACHED else group.seconds
        hour = _dollars_an_hour(asked_machines(job, group.name))
        found.append(ContainerCost(group, job, seconds, None if hour is None else hour * seconds / 3600))
    return found


def cost_summary(job: Job) -> dict[str, Any]:
    """What a job has cost, as JSON; empty where none of its containers has ended, or it is not of this package.

    :return: ``{"dollars", "unpriced", "groups", "region", "as_of"}``: the sum of the containers whose price is known,
        how many have none, the dollars by node group, and where and when the prices were so.
    """
    costs = _own_costs(job)
    if not costs:
        return {}
    whole = total(costs)
    return {
        "dollars": whole.dollars,
        "unpriced": whole.unpriced,
        "groups": {cost.group.name: None if cost.dollars is None else round(cost.dollars, 6) for cost in costs},
        "region": PRICED_REGION,
        "as_of": AS_OF,
    }


def cost_text(job: Job) -> str | None:
    """Say what a job has cost, with its dearest node groups; None where :func:`cost_summary` is empty."""
    costs = sorted(_own_costs(job), key=lambda cost: -(cost.dollars or 0.0))
    if not costs:
        return None
    whole = total(costs)
    dearest = [f"{cost.group.name} ${cost.dollars:.4f}" for cost in costs[:_DEAREST] if cost.dollars is not None]
    by_group = f" ({', '.join(dearest)}{', ..' if len(costs) > _DEAREST else ''})" if len(costs) > 1 and dearest else ""
    unknown = f", and {counted(whole.unpriced, 'container')} without a known price" if whole.unpriced else ""
    return (
        f"It has cost about ${whole.dollars:.4f}{by_group}{unknown}: an estimate at list prices for {PRICED_REGION}, "
        f"written down on {AS_OF}."
    )


def _own_costs(job: Job) -> list[ContainerCost]:
    return [cost for cost in container_costs(job, launched=True) if cost.group.container is not None]


def _is_launched(job: Job, name: str) -> bool:
    executors = job.get("pipelineSpec", {}).get("deploymentSpec", {}).get("executors", {})
    return bool(launched_pools(executors.get(f"exec-{name}", {}).get("container", {})))


def _dollars_an_hour(machines: Iterable[tuple[Resources, int]]) -> float | None:
    """The price of machines for an hour; None where it is not known."""
    dollars = 0.0
    for resources, count in machines:
        try:
            price = choose(resources, None, "A container").dollars_an_hour
        except ConfigError:  # a machine, or an accelerator, that is newer than the table
            return None
        if price is None:
            return None
        dollars += price * count
    return dollars


def total(costs: Iterable[ContainerCost], key: str = "") -> Sum:
    """Sum up."""
    costs = list(costs)
    return Sum(
        key=key,
        jobs=len({cost.job["name"] for cost in costs}),
        containers=len(costs),
        seconds=round(sum(cost.seconds for cost in costs), 1),
        dollars=round(sum(cost.dollars or 0.0 for cost in costs), 6),
        unpriced=sum(cost.dollars is None for cost in costs),
    )


def sums(costs: Iterable[ContainerCost], by: str) -> list[Sum]:
    """Sum up what has the same pipeline, node or day: the days in order, all else the dearest first.

    :param by: one of :data:`KEYS`.
    """
    groups: dict[str, list[ContainerCost]] = {}
    for cost in costs:
        groups.setdefault(KEYS[by](cost), []).append(cost)
    found = [total(group, key) for key, group in groups.items()]
    return sorted(found, key=lambda each: each.key if by == "day" else (-each.dollars, each.key))
