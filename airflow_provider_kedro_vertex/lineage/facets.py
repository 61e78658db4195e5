"""The facets of OpenLineage. Imported when its provider asks for them: it is there then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    source_code_location_job,
)

from airflow_provider_kedro_vertex.core.jobs.saved import Saved
from airflow_provider_kedro_vertex.core.jobs.states import short
from airflow_provider_kedro_vertex.core.jobs.written import run_of
from airflow_provider_kedro_vertex.core.project.lineage import DatasetName
from airflow_provider_kedro_vertex.lineage.noted import Noted
from airflow_provider_kedro_vertex.version import DOCUMENTATION, __version__

PRODUCER = f"{DOCUMENTATION}/openlineage/#v{__version__}"
#: The key of :class:`KedroVertexJobRunFacet`.
JOB_FACET = "kedroVertex_job"


@attr.define
class KedroVertexJobRunFacet(RunFacet):
    """The job on Vertex AI; ``docs/facets/1-0-0/KedroVertexJobRunFacet.json`` is its schema."""

    name: str
    state: str
    url: str
    pipeline: str
    nodes: list[str]
    runKey: str | None = None  # noqa: N815 - as OpenLineage writes its fields
    version: str | None = None
    commit: str | None = None
    failureClass: str | None = None  # noqa: N815
    failedGroups: list[str] | None = None  # noqa: N815

    @staticmethod
    def _get_schema() -> str:
        return f"{DOCUMENTATION}/facets/1-0-0/KedroVertexJobRunFacet.json#/$defs/KedroVertexJobRunFacet"


def operator_lineage(noted: Noted | None) -> OperatorLineage[Any, Any]:
    """Bring what a task has noted into OpenLineage's form.

    The type of the job and the message of an error are not here: the provider makes these facets of every task.

    :param noted: None if the task ended before its job did, and where it has none.
    """
    if noted is None:
        return OperatorLineage()
    version = run_of(noted.job).get("version")
    return OperatorLineage(
        inputs=[InputDataset(name.namespace, name.name) for name in noted.flow.inputs],
        outputs=[_output(noted, version, name, known_as) for name, known_as in noted.flow.outputs.items()],
        run_facets={JOB_FACET: _job_facet(noted, version)},
        job_facets=_source(noted),
    )


def _output(noted: Noted, version: str | None, name: DatasetName, known_as: Iterable[str]) -> OutputDataset:
    facets: dict[str, DatasetFacet] = {}
    output_facets: dict[str, OutputDatasetFacet] = {}
    if version and any(dataset in noted.versioned for dataset in known_as):
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(version, producer=PRODUCER)
    saved = next((noted.saved[dataset] for dataset in known_as if dataset in noted.saved), Saved())
    if saved.columns:
        fields = [schema_dataset.SchemaDatasetFacetFields(*column) for column in saved.columns]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)
    if saved.rows is not None:
        output_facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=saved.rows, producer=PRODUCER
        )
    return OutputDataset(name.namespace, name.name, facets=facets, outputFacets=output_facets)


def _job_facet(noted: Noted, version: str | None) -> KedroVertexJobRunFacet:
    failed = [task for task in noted.containers if task.failed]
    # A CustomJob is one group, whose nodes are told.
    names = [task.name for task in failed] if "/pipelineJobs/" in noted.job["name"] else []
    return KedroVertexJobRunFacet(
        name=noted.job["name"],
        state=short(noted.job.get("state", "")),
        url=noted.url,
        pipeline=noted.pipeline,
        nodes=list(noted.nodes),
        runKey=run_of(noted.job).get("run_key"),
        version=version,
        commit=_commit(noted),
        failureClass=failed[0].failure_class if failed else None,
        failedGroups=names or None,
        producer=PRODUCER,
    )


def _source(noted: Noted) -> dict[str, JobFacet]:
    if noted.repository is None:
        return {}
    return {
        "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(
            type="git",
            url=noted.repository,  # the address of a file differs from one Git server to the next
            repoUrl=noted.repository,
            version=_commit(noted),
            producer=PRODUCER,
        )
    }


def _commit(noted: Noted) -> str | None:
    return noted.job.get("labels", {}).get("kedro-commit")
