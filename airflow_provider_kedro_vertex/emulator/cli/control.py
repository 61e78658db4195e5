"""``vertex-emulator status``, ``faults`` and ``reset``: look at an emulator that serves, and steer it."""

from __future__ import annotations

import argparse
import json
import sys

from airflow_provider_kedro_vertex.emulator.cli.parsing import add_data, json_file
from airflow_provider_kedro_vertex.emulator.cli.running import RunningError, find


def add_status_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``status``."""
    add_data(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def status(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Print where it serves, how many pipeline jobs it has in each state, and how many faults wait.

    :return: the exit code: 0, or 1 if none serves.
    """
    try:
        emulator = find(options.data)
        health = emulator.ask("GET", "health")
        waiting = len(emulator.ask("GET", "faults")["faults"])
    except RunningError as error:
        return _fail(parser, error)
    jobs = {state.removeprefix("PIPELINE_STATE_").lower(): count for state, count in health["pipelineJobs"].items()}
    if options.json:
        told = {"url": emulator.url, "grpc": emulator.grpc, "data": str(emulator.data), "images": health["images"]}
        print(json.dumps({**told, "pipelineJobs": jobs, "faults": waiting}))
        return 0
    print(f"Vertex AI emulator at {emulator.url}, gRPC at {emulator.grpc}; data: {emulator.data}")
    print(f"images: {', '.join(f'{name} = {image}' for name, image in health['images'].items()) or 'none'}")
    print(f"pipeline jobs: {', '.join(f'{count} {state}' for state, count in jobs.items()) or 'none'}")
    print(f"faults that wait: {waiting}")
    return 0


def add_fault_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``faults``."""
    add_data(parser)
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--add", type=json_file, metavar="FILE",
        help='queue the faults of a JSON file: {"faults": [{"method": "CreatePipelineJob", "status": "UNAVAILABLE", '
        '"count": 2}, {"task": "train", "preempt_after": 0.5}]}',
    )  # fmt: skip
    change.add_argument("--clear", action="store_true", help="forget all faults that wait")


def faults(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """Queue faults or forget them, and print as JSON which ones wait.

    :return: the exit code: 0, or 1 if none serves, or the faults are of another form: then none is queued.
    """
    try:
        emulator = find(options.data)
        if options.add is not None:
            emulator.ask("POST", "faults", options.add)
        if options.clear:
            emulator.ask("DELETE", "faults")
        print(json.dumps(emulator.ask("GET", "faults"), indent=1))
    except RunningError as error:
        return _fail(parser, error)
    return 0


def reset(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """End all containers and forget all jobs, files and faults: the emulator is as new.

    :return: the exit code: 0, or 1 if none serves.
    """
    try:
        emulator = find(options.data)
        emulator.ask("POST", "reset")
    except RunningError as error:
        return _fail(parser, error)
    print(f"The emulator at {emulator.url} is as new.")
    return 0


def _fail(parser: argparse.ArgumentParser, error: RunningError) -> int:
    print(f"{parser.prog}: error: {error}", file=sys.stderr)
    return 1
