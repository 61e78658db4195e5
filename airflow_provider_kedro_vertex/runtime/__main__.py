"""The command of a node group's container.

::

    python -m airflow_provider_kedro_vertex.runtime run
        --pipeline P [--pipeline P ...] [--env E] --node N [--node N ...]
        [--free-input D ...] [--shared-input D ...] [--shared-output D ...] [--settings JSON]
        ([--final-status JSON] --params JSON|@URL --context JSON | --executor-input JSON)
    python -m airflow_provider_kedro_vertex.runtime replay .. [--up-to N] [--debugger pdb]

``replay`` takes what ``run`` does, and keeps nothing of what the nodes make.

The current folder is the Kedro project's root. :class:`.core.exit_codes.ExitCode` has the exit codes. After a failure
the last line of the log is one JSON object: ``{"node": ..., "error": ..., "seconds": ...}``, with the node that ran (or
null) and the seconds since the process began. Before it, and at the end of a success, a line that begins with
``kedro-vertex used:`` tells memory, processor time and the time of each node: :mod:`.core.jobs.usage`.
``process/sigterm.py`` has what happens on SIGTERM.

Environment, read: ``KEDRO_VERTEX_COMPRESSION``, how undeclared datasets are stored: zstd's level, or ``none``;
``KEDRO_VERTEX_EXPERIMENT`` and ``KEDRO_VERTEX_EXPERIMENT_DESCRIPTION``, the run's Vertex AI experiment;
``KEDRO_VERTEX_API_ENDPOINT``, the scheme and host of another Vertex AI that they and ``KedroVertexAIMetadataDataset``
call. What is set for the nodes is in :mod:`.process.environment`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from importlib.util import find_spec

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.exit_codes import ExitCode
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings
from airflow_provider_kedro_vertex.runtime import arguments
from airflow_provider_kedro_vertex.runtime.process import cluster, environment, hosts
from airflow_provider_kedro_vertex.runtime.process.meter import Meter
from airflow_provider_kedro_vertex.runtime.process.sigterm import Terminated, end_process, raise_on_sigterm
from airflow_provider_kedro_vertex.runtime.progress import Progress

#: What is imported when a dataset is stored: too late to find that it is missing.
_IMPORTED_LATER = ("cloudpickle", "zstandard")
#: The last line is shown in Airflow's log and must not flood it.
_MESSAGE_LENGTH = 4000


def main() -> ExitCode:
    """Run the command that the process was started with."""
    progress, meter = Progress(), Meter()

    def report_sigterm() -> None:
        _report(
            progress,
            "The container was asked to end (SIGTERM): the job was cancelled, or a Spot machine was taken back. What "
            "the node had not saved is lost; another try runs it again. Of several machines that run a node together, "
            "the others are ended like this too when one has failed, or when the first one, which saves, is done.",
        )

    try:
        raise_on_sigterm(report_sigterm)
        return _run(progress, meter)
    except ConfigError as error:
        _report(progress, str(error))
        return ExitCode.MISCONFIGURED
    except Terminated:
        end_process(report_sigterm)


def _run(progress: Progress, meter: Meter) -> ExitCode:
    given = arguments.parse(sys.argv[1:])
    is_replay = given.command == "replay"
    context = RunContext.from_json(given.context)
    settings = RuntimeSettings.from_json(given.settings)
    environment.prepare(context, given.env)
    hosts.add_aliases(settings.host_aliases)
    replica = cluster.join(settings.distributed)
    if not replica.is_chief:
        print(f"This is machine {replica.rank} of {replica.size}, from 0: it runs the node, and machine 0 saves.")
    try:
        # Now, and not above: Kedro takes most of a second, and reads the environment when it is imported.
        from airflow_provider_kedro_vertex.runtime import failure, parameters, run, store
        from airflow_provider_kedro_vertex.runtime.experiment.experiment import told_experiment
        from airflow_provider_kedro_vertex.runtime.google import secret_manager
    except ModuleNotFoundError as error:
        raise _missing_package(error.name) from error
    for package in _IMPORTED_LATER:
        if find_spec(package) is None:
            raise _missing_package(package)
    try:
        secret_manager.set_variables(settings.secret_env)
        params = parameters.read(given.params)
        if given.final_status is not None:
            params = parameters.with_run_outcome(params, given.final_status)
        run.run(
            run.Request(
                pipelines=tuple(given.pipeline),
                nodes=tuple(given.node),
                free_inputs=tuple(given.free_input),
                shared_inputs=tuple(given.shared_input),
                shared_outputs=tuple(given.shared_output),
                env=given.env,
                params=params,
                context=context,
                settings=settings,
                saves=replica.is_chief and not is_replay,
                compression_level=store.compression_level(os.environ.get("KEDRO_VERTEX_COMPRESSION", "")),
                experiment=told_experiment(os.environ),
                up_to=given.up_to if is_replay else None,
            ),
            progress,
            meter,
        )
    except SystemExit as error:
        # A node that ends the process has not saved its outputs, whatever code it gave.
        _report(
            progress,
            f"The project's code ended the process with sys.exit({error.code!r}), so the node's outputs are not saved. "
            "Let it return, or raise an error.",
        )
        return ExitCode.USER_CODE_FAILED
    except Exception as error:
        failed = failure.classify(error, progress)
        if not failed.is_explained:
            sys.stdout.flush()
            traceback.print_exception(failure.without_framework_frames(error))
        _report(progress, failed.message)
        if is_replay and given.debugger:
            _debug(error)
        return failed.exit_code
    return ExitCode.SUCCEEDED


def _debug(error: Exception) -> None:
    """Open the debugger where an error was raised."""
    import pdb

    sys.stderr.flush()
    pdb.post_mortem(error.__traceback__)


def _missing_package(package: str | None) -> ConfigError:
    return ConfigError(
        f"This image has no package {package!r}.", "Install airflow-provider-kedro-vertex[runtime] in it."
    )


def _report(progress: Progress, message: str) -> None:
    last_line = {"node": progress.place.node, "error": message[:_MESSAGE_LENGTH], "seconds": progress.seconds}
    sys.stdout.flush()
    print(json.dumps(last_line, ensure_ascii=False), file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Importing makes many objects and no garbage; looking for some takes a sixth of the start. See run.run.
    gc.disable()
    # What a node prints is in the log at once, also if the container is killed.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main())
