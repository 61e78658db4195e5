"""What the containers of jobs cost at list prices: an estimate from their seconds and machines, and no bill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.containers import asked_resources
from airflow_provider_kedro_vertex.core.jobs.launcher import launched_container
from airflow_provider_kedro_vertex.core.jobs.run_status import GroupStatus, group_statuses
from airflow_provider_kedro_vertex.core.settings.machine_prices import AS_OF, PRICED_REGION
from airflow_provider_kedro_vertex.core.settings.machines import choose
from airflow_provider_kedro_vertex.core.settings.nodes import Resources

#: What every number here is, for people.
PRICES = (
    f"Estimates at list prices for {PRICED_REGION}, written down on {AS_OF}, without discounts, disks, Spot and failed "
    "tries of a container"
)
#: The state of a container that did not run, since Vertex AI took its result from the cache.
_CACHED = "SKIPPED"


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


def container_costs(job: Job) -> list[ContainerCost]:
    """Price the containers of a job that have ended. One whose result came from the cache costs nothing.

    The CustomJobs that a PipelineJob launches are jobs of their own, and priced as such.

    :param job: as Vertex AI tells it, whole.
    """
    found = []
    for group in group_statuses([job]):
        machines = _machines(job, group.name)
        if machines is None or group.seconds is None:
            continue
        seconds = 0.0 if group.state == _CACHED else group.seconds
        hour = _dollars_an_hour(*machines)
        found.append(ContainerCost(group, job, seconds, None if hour is None else hour * seconds / 3600))
    return found


def _machines(job: Job, name: str) -> tuple[Resources, int] | None:
    """The machine that a node group asks for, and how many of them; None for a group that is launched."""
    if "/customJobs/" in job["name"]:
        spec: Any = job.get("jobSpec", {})
        pools: list[dict[str, Any]] = spec.get("workerPoolSpecs") or [{}]
        return asked_resources(job, name), sum(int(pool.get("replicaCount", 1)) for pool in pools)
    executors = job.get("pipelineSpec", {}).get("deploymentSpec", {}).get("executors", {})
    container = executors.get(f"exec-{name}", {}).get("container", {})
    return (asked_resources(job, name), 1) if launched_container(container) is container else None


def _dollars_an_hour(resources: Resources, replicas: int) -> float | None:
    """The price of machines for an hour; None where it is not known."""
    try:
        price = choose(resources, None, "A container").dollars_an_hour
    except ConfigError:  # a machine, or an accelerator, that is newer than the table
        return None
    return None if price is None else price * replicas


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
