"""Joins a container to the one MLflow run of its run key. Imported only in a project that uses kedro-mlflow.

kedro-mlflow 2 joins a run that is active before its own hook is called, which it offers to orchestrators: it then logs
into that run and leaves its end to whoever started it. So the hook here comes first, does the set-up that kedro-mlflow
would do, and makes the shared run the active one. Needs neither an edit of ``settings.py`` nor anything on Airflow's
side, where there is no MLflow and often no way to its server.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import mlflow
from kedro.framework import project
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig, RequestHeaderProviderOptions
from mlflow.entities import LifecycleStage, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from pydantic import ValidationError

from airflow_provider_kedro_vertex.configuration.reader import MLFLOW, load
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext, mlflow_run_url, run_key, temp_folder
from airflow_provider_kedro_vertex.core.project.locations import parse_location, without_secrets
from airflow_provider_kedro_vertex.core.settings.container import Provider
from airflow_provider_kedro_vertex.runtime import run_status as states
from airflow_provider_kedro_vertex.runtime.errors import ServiceError
from airflow_provider_kedro_vertex.runtime.mlflow.create_once import read_or_create
from airflow_provider_kedro_vertex.runtime.progress import Progress
from airflow_provider_kedro_vertex.runtime.run_status import Part

_LOG = logging.getLogger(__name__)

#: The tag by which a run is found: kedro-vertexai's name, and here the run key.
RUN_TAG = "vertexai_run_id"
#: MLflow's own tag, by which its pages show a run below another one.
PARENT_TAG = "mlflow.parentRunId"
#: MLflow takes this many tags in one request.
_BATCH = 100
#: The server's words for "I do not know you" and "you may not".
_REFUSED = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


class MlflowRun:
    """Kedro hooks that make the DAG run's MLflow run the active one, and what ends it.

    The process is to call :meth:`ended` when its nodes are done or have failed.

    :param header_provider: what ``vertexai.yml`` says of the headers of requests to MLflow, or None.
    """

    def __init__(self, part: Part, context: RunContext, progress: Progress, header_provider: Provider | None) -> None:
        self._part = part
        self._context = context
        self._progress = progress
        self._header_provider = header_provider
        self._run_id: str | None = None
        self._parent_id: str | None = None

    # Registered last, and so called before kedro-mlflow's own, which joins the run that it finds active; but after
    # what a project marks to come first.
    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Set MLflow up as ``mlflow.yml`` asks, and start or join the run.

        :raises ConfigError: ``mlflow.yml`` is wrong, or the server refuses these credentials.
        :raises ServiceError: the server cannot be reached.
        """
        if self._header_provider is not None:
            from airflow_provider_kedro_vertex.runtime.mlflow import request_headers

            request_headers.register(self._header_provider, context)
        config = _config(context)
        if set(self._part.pipeline.split(",")) <= set(config.tracking.disable_tracking.pipelines):
            return
        logging.getLogger("kedro_mlflow.framework.hooks.mlflow_hook").addFilter(_expected)
        with _explained(config):
            _set_up(config, context)
            self._join(config)

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Give the run the command of the whole pipeline, where kedro-mlflow has put that of this container."""
        if self._run_id is not None:
            env = f" --env={self._part.env}" if self._part.env else ""
            mlflow.set_tag("kedro_command", f"kedro run --pipelines={self._part.pipeline}{env}")

    @hook_impl(wrapper=True)
    def before_node_run(self) -> Any:
        """Say what to do if a parameter has changed since the run was started.

        :raises ConfigError: MLflow's parameters cannot be changed.
        """
        try:
            return (yield)
        except MlflowException as error:
            if "Changing param values is not allowed" not in str(error):
                raise
            raise ConfigError(
                f"A parameter has changed since MLflow run {self._run_id} was started, and MLflow does not change one: "
                f"{error} Delete that MLflow run and clear the task, and a new one is made; or trigger a new DAG run."
            ) from error

    def ended(self, error: BaseException | None) -> None:
        """Note how the container's nodes have ended, and bring the run's status in line.

        Never raises: what the nodes have made counts more than what MLflow shows.

        :param error: what ended them; None if they are done. What is no ``Exception`` (SIGTERM) counts as killed, but
            for SystemExit, which is the node's own doing.
        """
        run_id, self._run_id = self._run_id, None
        if run_id is None:
            return
        try:
            client = MlflowClient()
            tags = self._part.ended(error, self._progress.place.node)
            _set_tags(client, run_id, {name: value for name, value in tags.items() if value is not None})
            for name in (name for name, value in tags.items() if value is None):
                client.delete_tag(run_id, name)
            _leave(run_id, states.status(client.get_run(run_id).data.tags, self._part.last_tags))
            self._settle(client, run_id)
        except Exception as problem:
            told = without_secrets(str(problem))
            _LOG.warning("MLflow run %s does not show how these nodes ended: %s", run_id, told)

    def _join(self, config: KedroMlflowConfig) -> None:
        client = MlflowClient()
        experiment_id: str = client.get_experiment_by_name(config.tracking.experiment.name).experiment_id
        tags = self._tags()
        if config.tracking.run.id:
            run_id = config.tracking.run.id
        else:
            if self._context.data_scope is not None:
                tags[PARENT_TAG] = self._parent_id = self._parent_run(client, experiment_id)
            title = " ".join(filter(None, (self._context.dag_id, self._context.data_scope, self._context.run_id)))
            run_id = self._shared_run(client, experiment_id, config.tracking.run.name or title, tags)
        # From here on the end of the container is told.
        self._run_id = run_id
        found = client.get_run(run_id).data.tags
        _set_tags(client, run_id, {**tags, **self._part.begun(self._context.job_id)})
        for name in self._part.all_tags & found.keys() - set(self._part.tags):
            client.delete_tag(run_id, name)
        # Its line with the run's address at each end of a run, of which there is one for each node here.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        mlflow.start_run(run_id=run_id)
        # For processes that a node starts, which then log into this run. Not in os.environ, where it would turn the
        # nested runs that a node itself starts into this one.
        os.putenv("MLFLOW_RUN_ID", run_id)
        self._settle(client, run_id)
        line = {"mlflow_run_id": run_id, "mlflow_url": _url(experiment_id, run_id)}
        print(json.dumps(line), flush=True)

    def _settle(self, client: MlflowClient, run_id: str) -> None:
        settle(client, run_id, self._part)
        if self._parent_id is not None:
            settle_parent(client, self._parent_id)

    def _parent_run(self, client: MlflowClient, experiment_id: str) -> str:
        """Find the run of the DAG run as a whole, or make it: the parent of the runs of all its data scopes."""
        context = self._context
        tags = {RUN_TAG: run_key(context.dag_id, context.run_id), **self._airflow_tags()}
        return self._shared_run(client, experiment_id, f"{context.dag_id} {context.run_id}", tags)

    def _shared_run(self, client: MlflowClient, experiment_id: str, title: str, tags: Mapping[str, str]) -> str:
        """Find the run of a run key, or make it; containers that start at the same time get the same one.

        :param tags: of a new run; its run key is among them.

        A run that somebody deleted in MLflow, or that is of another experiment than now, is left alone and followed by
        a new one.
        """
        made: set[str] = set()

        def create() -> dict[str, str | None]:
            # A run may be there without the file: the file was cleaned up, or its maker died before writing it.
            runs = client.search_runs(
                [experiment_id], f"tags.{RUN_TAG} = '{tags[RUN_TAG]}'", order_by=["attributes.start_time"]
            )
            if runs:
                run = runs[0]
            else:
                run = client.create_run(experiment_id, tags=dict(tags), run_name=title)
                made.add(run.info.run_id)
            return {"run_id": run.info.run_id, "url": _url(experiment_id, run.info.run_id)}

        def discard(unused: Mapping[str, Any]) -> None:
            if unused["run_id"] in made:
                client.delete_run(unused["run_id"])

        folder = temp_folder(self._context.root, tags[RUN_TAG])
        url = mlflow_run_url(self._context.root, tags[RUN_TAG])
        while True:
            run_id: str = read_or_create(url, create, discard)["run_id"]
            run = _run(client, run_id)
            if run and run.info.lifecycle_stage == LifecycleStage.ACTIVE and run.info.experiment_id == experiment_id:
                return run_id
            url = f"{folder}/mlflow-run-after-{run_id}.json"

    def _tags(self) -> dict[str, str]:
        context = self._context
        tags = {
            RUN_TAG: context.run_key,
            "airflow_data_scope": context.data_scope,
        }
        return {**{name: value for name, value in tags.items() if value is not None}, **self._airflow_tags()}

    def _airflow_tags(self) -> dict[str, str]:
        context = self._context
        tags = {
            "airflow_dag_id": context.dag_id,
            "airflow_run_id": context.run_id,
            "airflow_logical_date": context.logical_date,
            "airflow_data_interval_start": context.data_interval_start,
            "airflow_data_interval_end": context.data_interval_end,
        }
        return {name: value for name, value in tags.items() if value is not None}


def settle(client: MlflowClient, run_id: str, part: Part) -> None:
    """Bring the run's status in line with its tags.

    Another container may write tags or the status in between, so what is there is read again after each change until
    it agrees. Every container settles after its last tag; so the last one to do so has seen all tags.
    """
    while True:
        run = client.get_run(run_id)
        status = states.status(run.data.tags, part.last_tags)
        if run.info.status == status:
            return
        if status == states.RUNNING:
            client.update_run(run_id, status=status)
        else:
            client.set_terminated(run_id, status)


def settle_parent(client: MlflowClient, run_id: str) -> None:
    """Bring the status of a parent in line with its children's.

    The one that is the least well tells: running, then failed, then killed. Every container does this after it has
    settled its own run; so the last one to do so has seen the last status of all. A parent in which containers log too,
    those of the whole DAG's own scope, has the status that these give it.
    """
    while True:
        parent = client.get_run(run_id)
        if any(name.startswith(states.PREFIX) for name in parent.data.tags):
            return
        children = client.search_runs(
            [parent.info.experiment_id], f"tags.`{PARENT_TAG}` = '{run_id}'", max_results=1000
        )
        found = {child.info.status for child in children}
        status = next((one for one in (states.RUNNING, "FAILED", "KILLED") if one in found), states.FINISHED)
        if parent.info.status == status:
            return
        if status == states.RUNNING:
            client.update_run(run_id, status=status)
        else:
            client.set_terminated(run_id, status)


def _leave(run_id: str, status: str) -> None:
    """Have no active run any more: MLflow would end it as FINISHED when the process exits.

    The run is active once more for each node: that is how kedro-mlflow enters it.

    :param status: for the shared run, to be settled afterwards; a run that a node left open is FINISHED, as ever.
    """
    while (active := mlflow.active_run()) is not None:
        mlflow.end_run(status if active.info.run_id == run_id else states.FINISHED)


def _config(context: KedroContext) -> KedroMlflowConfig:
    """Read ``mlflow.yml`` as kedro-mlflow does."""
    content = load(context.config_loader, MLFLOW)
    try:
        config = KedroMlflowConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"mlflow.yml is wrong: {without_secrets(str(error))}") from error
    if not ((content.get("tracking") or {}).get("experiment") or {}).get("name"):
        # kedro-mlflow's own default.
        config.tracking.experiment.name = project.PACKAGE_NAME or context.project_path.name
    return config


def _set_up(config: KedroMlflowConfig, context: KedroContext) -> None:
    try:
        config.setup(context)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        # Another container has made the experiment in this very moment. The header provider is registered already:
        # with a second one MLflow would send both their headers in one.
        config.server.request_header_provider = RequestHeaderProviderOptions()
        config.setup(context)


def _run(client: MlflowClient, run_id: str) -> Run | None:
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    items = [RunTag(name, value) for name, value in tags.items()]
    for start in range(0, len(items), _BATCH):
        client.log_batch(run_id, tags=items[start : start + _BATCH])


def _url(experiment_id: str, run_id: str) -> str | None:
    """The page of a run; None if the runs are kept in files or a database, without a server."""
    address = (parse_location(mlflow.get_tracking_uri()).shown or "").rstrip("/")
    if not address.startswith(("http://", "https://")):
        return None
    return f"{address}/#/experiments/{experiment_id}/runs/{run_id}"


@contextmanager
def _explained(config: KedroMlflowConfig) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        # MLflow's own messages have the whole URI too.
        address, told = (without_secrets(text) for text in (config.server.mlflow_tracking_uri or "", str(error)))
        where = f"MLflow at {address} (server.mlflow_tracking_uri in mlflow.yml)"
        if error.error_code in _REFUSED or any(f"error code {code}" in str(error) for code in (401, 403)):
            raise ConfigError(
                f"{where} refuses the credentials of this container: {told} Set run_config.mlflow."
                "request_header_provider in vertexai.yml, or grant the job's service account access."
            ) from error
        raise ServiceError(f"{where} cannot be used: {told}") from error


def _expected(record: logging.LogRecord) -> bool:
    """Drop kedro-mlflow's warnings that a run is active already, with advice to end it: that is on purpose here."""
    text = ""
    with suppress(Exception):
        text = record.getMessage()
    return not (record.levelno == logging.WARNING and ("already" in text or text.startswith("mlflow_config.")))
