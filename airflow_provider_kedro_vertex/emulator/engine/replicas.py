"""The replicas of a CustomJob: one container for each machine of its worker pools, and the cluster that they make.

The primary replica (``workerpool0-0``) starts first, and the others with it. The job runs when all of them have
started. It ends when the primary replica ends, or another one fails; then the others are ended. A replica that ends
well before that is done, and its job goes on. From
https://cloud.google.com/vertex-ai/docs/training/distributed-training and .../understanding-training-service; Vertex AI
may start a replica that has failed again, which is not done here.

A replica knows the cluster by ``CLUSTER_SPEC`` and, if there are several, by ``TF_CONFIG``. The addresses are free
ports of this machine's loopback.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from airflow_provider_kedro_vertex.emulator.engine.python_packages import command
from airflow_provider_kedro_vertex.emulator.executors.base import Executor, Limits, Outcome, Work
from airflow_provider_kedro_vertex.emulator.resources.protos import AcceleratorType, Message, to_json
from airflow_provider_kedro_vertex.emulator.storage.buckets import Buckets

# TensorFlow's names for the tasks of the four worker pools.
_TF_TASKS = ("chief", "worker", "ps", "evaluator")
# Characters of the job's spec in a variable, which must fit into one with the cluster (Linux: 128 KiB).
_LONGEST_SPEC = 64 * 1024


def works(job: Message, limits: Limits, cluster: bool, buckets: Buckets) -> list[Work]:
    """The containers of a CustomJob, the primary replica first.

    :param limits: those of each container.
    :param cluster: whether they are told of their cluster.
    :param buckets: where Python packages may be.
    """
    number = job.name.rpartition("/")[2]
    replicas = [
        (pool_index, index, pool)
        for pool_index, pool in enumerate(job.job_spec.worker_pool_specs)
        for index in range(pool.replica_count)
    ]
    addresses = _addresses([(pool_index, index) for pool_index, index, _ in replicas]) if cluster else {}
    spec = json.dumps(to_json(job.job_spec)) if cluster else ""
    return [
        Work(
            number,
            *_container(pool, buckets),
            (
                *_output_variables(job),
                *_cluster_variables(addresses, pool_index, index, spec),
                *((variable.name, variable.value) for variable in _own_spec(pool).env),
            ),
            _with_accelerator(limits, pool.machine_spec),
            f"workerpool{pool_index}-{index}",
        )
        for pool_index, index, pool in replicas
    ]


def _own_spec(pool: Message) -> Message:
    return pool.python_package_spec if pool.HasField("python_package_spec") else pool.container_spec


def _container(pool: Message, buckets: Buckets) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The image, the command and the arguments of a pool's containers."""
    if pool.HasField("python_package_spec"):
        package = pool.python_package_spec
        return package.executor_image_uri, command(package, buckets), tuple(package.args)
    container = pool.container_spec
    return container.image_uri, tuple(container.command), tuple(container.args)


async def run_replicas(executor: Executor, replicas: Sequence[Work], started: Callable[[], None]) -> Outcome:
    """Run the containers of a job to their end.

    :param started: called when all have started.
    :return: the outcome of the primary replica, or that of another one which has failed.
    """
    primary, *others = replicas
    if not others:
        return await executor.run(primary, started)
    waiting = len(replicas)
    tasks: list[asyncio.Task[Outcome]] = []
    ended: asyncio.Queue[asyncio.Task[Outcome]] = asyncio.Queue()

    def start(work: Work) -> None:
        task = asyncio.get_running_loop().create_task(executor.run(work, one_started))
        task.add_done_callback(ended.put_nowait)
        tasks.append(task)

    def one_started() -> None:
        nonlocal waiting
        if waiting == len(replicas):
            # With the primary's place among those that may run at the same time, its whole cluster has one.
            for work in others:
                start(work)
        waiting -= 1
        if not waiting:
            started()

    start(primary)
    try:
        while True:
            task = await ended.get()
            if task is tasks[0] or task.result().code is not None:
                return task.result()
    finally:
        for task in tasks:
            task.cancel()
        await _ended(tasks)


async def _ended(tasks: Sequence[asyncio.Task[Outcome]]) -> None:
    """Wait until all have ended, also if this task is cancelled again meanwhile."""
    cancelled = False
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


def _with_accelerator(limits: Limits, machine: Message) -> Limits:
    if not machine.accelerator_type:
        return limits
    return replace(limits, accelerator=AcceleratorType.values_by_number[machine.accelerator_type].name)


def _addresses(replicas: Sequence[tuple[int, int]]) -> dict[int, list[str]]:
    """A free port for each replica, by the pools' numbers."""
    found: dict[int, list[str]] = {}
    with ExitStack() as stack:
        # All are held until the last one is found, so that no two are the same.
        for pool, _ in replicas:
            listening = stack.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            found.setdefault(pool, []).append(f"127.0.0.1:{listening.getsockname()[1]}")
    return found


def _cluster_variables(addresses: dict[int, list[str]], pool: int, index: int, spec: str) -> list[tuple[str, str]]:
    if not addresses:
        return []
    job = {"job": spec} if len(spec) <= _LONGEST_SPEC else {}

    def variable(names: Sequence[str]) -> str:
        cluster = {names[number]: found for number, found in addresses.items()}
        task: dict[str, Any] = {"type": names[pool], "index": index}
        return json.dumps({"cluster": cluster, "environment": "cloud", "task": task, **job})

    variables = [("CLUSTER_SPEC", variable([f"workerpool{number}" for number in range(len(_TF_TASKS))]))]
    if sum(map(len, addresses.values())) > 1:
        variables.append(("TF_CONFIG", variable(_TF_TASKS)))
    return variables


def _output_variables(job: Message) -> list[tuple[str, str]]:
    """The variables that CustomJobSpec.base_output_directory gives a container."""
    prefix = job.job_spec.base_output_directory.output_uri_prefix.rstrip("/")
    variables = (("AIP_MODEL_DIR", "model"), ("AIP_CHECKPOINT_DIR", "checkpoints"), ("AIP_TENSORBOARD_LOG_DIR", "logs"))
    return [(name, f"{prefix}/{folder}/") for name, folder in variables] if prefix else []
