"""Asking Google Cloud, before anything runs, whether it would: APIs, bucket, image, service account, quotas.

Source of paths and fields: the REST references of Service Usage (v1, and v1beta1 for quotas), Cloud Storage v1,
Artifact Registry v1 and IAM v1. Vertex AI counts the machines of PipelineJobs and CustomJobs against its own quotas of
custom training, not against Compute Engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from airflow_provider_kedro_vertex.core.errors import (
    KedroVertexError,
    NotFoundError,
    PermissionDeniedError,
    VertexApiError,
)
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.plan.plan_table import Row, plan_table
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.project.registry import RegistryImage, registry_image
from airflow_provider_kedro_vertex.vertex.rest import RestSession

#: ``unknown`` is what could not be asked.
Level = Literal["ok", "warning", "wrong", "unknown"]

#: Google's words for an API that the project has not enabled: of its newer APIs, and of Cloud Storage.
_DISABLED = ("SERVICE_DISABLED", "accessNotConfigured")

#: The services that are asked, by gcloud's names for them.
SERVICES = ("serviceusage", "storage", "artifactregistry", "iam")

#: Accelerators, as Vertex AI's quotas of custom training call them.
_GPU_QUOTAS = {
    "NVIDIA_TESLA_T4": "nvidia_t4_gpus",
    "NVIDIA_TESLA_P4": "nvidia_p4_gpus",
    "NVIDIA_TESLA_P100": "nvidia_p100_gpus",
    "NVIDIA_TESLA_V100": "nvidia_v100_gpus",
    "NVIDIA_TESLA_A100": "nvidia_a100_gpus",
    "NVIDIA_A100_80GB": "nvidia_a100_80gb_gpus",
    "NVIDIA_L4": "nvidia_l4_gpus",
    "NVIDIA_H100_80GB": "nvidia_h100_gpus",
}

#: Multi-regions of Cloud Storage, and how the regions in them begin.
_MULTI_REGIONS = {"US": "us-", "EU": "europe-", "ASIA": "asia-"}


@dataclass(frozen=True)
class Answer:
    """What became of one question.

    :param subject: what it is about, such as ``bucket gs://shop``.
    :param command: what mends it; "" where there is nothing to mend.
    """

    level: Level
    subject: str
    message: str
    command: str = ""


@dataclass(frozen=True)
class Doctor:
    """The questions about one project and region.

    :param endpoints: the address of each of :data:`SERVICES`.
    """

    session: RestSession
    endpoints: Mapping[str, str]
    project_id: str
    region: str

    def examine(self, manifest: Manifest) -> Iterator[Answer]:
        """Ask all that the manifest's pipelines need, one question after another."""
        config = manifest.config
        images = sorted({*filter(None, [config.image, *(each.image for each in config.nodes.values())])})
        has_secrets = any(each.secret_env for each in config.nodes.values())
        yield from self._apis(images, has_secrets)
        places = filter(None, (config.root, config.data_root))
        for bucket in dict.fromkeys(place.removeprefix("gs://").partition("/")[0] for place in places):
            yield self._bucket(bucket)
        for image in images:
            yield self._image(image)
        if config.service_account:
            yield self._account(config.service_account)
        else:
            yield Answer("warning", "service account", "none is set, so nodes run as Vertex AI's default account")
        yield from self._quotas(manifest)

    def _apis(self, images: Iterable[str], has_secrets: bool) -> Iterator[Answer]:
        names = ["aiplatform.googleapis.com", "logging.googleapis.com", "storage.googleapis.com"]
        if any(map(registry_image, images)):
            names.append("artifactregistry.googleapis.com")
        if has_secrets:
            names.append("secretmanager.googleapis.com")
        parent = f"projects/{self.project_id}"
        states: dict[str, str] = {}

        def ask() -> Answer:
            asked = {"names": [f"{parent}/services/{name}" for name in names]}
            found = self._get("serviceusage", f"v1/{parent}/services:batchGet", asked)
            states.update({each["name"].rpartition("/")[2]: each.get("state", "") for each in found["services"]})
            return Answer("ok", "APIs", "")

        answer = self._asked("APIs", ask, "roles/serviceusage.serviceUsageViewer")
        if answer.level != "ok":
            yield answer
            return
        for name in names:
            if states.get(name) == "ENABLED":
                yield Answer("ok", f"API {name}", "enabled")
            else:
                yield Answer("wrong", f"API {name}", "not enabled", self._enable(name))

    def _bucket(self, name: str) -> Answer:
        subject = f"bucket gs://{name}"

        def ask() -> Answer:
            try:
                found = self._get("storage", f"storage/v1/b/{quote(name, safe='')}", {"fields": "location"})
            except NotFoundError:
                command = (
                    f"gcloud storage buckets create gs://{name} --project {self.project_id} --location {self.region} "
                    "--uniform-bucket-level-access"
                )
                return Answer("wrong", subject, "there is none", command)
            location = str(found["location"])
            within = self.region.startswith(_MULTI_REGIONS.get(location, "-"))
            if location.lower() == self.region or within or self.region == "global":
                return Answer("ok", subject, f"there, in {location}")
            return Answer(
                "warning",
                subject,
                f"in {location}, while jobs run in {self.region}: data that crosses regions costs money and time",
                f"gcloud storage buckets create gs://{name}-{self.region} --project {self.project_id} --location "
                f"{self.region} --uniform-bucket-level-access",
            )

        return self._asked(subject, ask, "roles/storage.legacyBucketReader")

    def _image(self, name: str) -> Answer:
        subject = f"image {name}"
        image = registry_image(name)
        if image is None:
            return Answer("warning", subject, "not in Artifact Registry, so it was not looked for")

        def ask() -> Answer:
            try:
                self._get("artifactregistry", f"v1/{image.version_name}")
            except NotFoundError:
                return self._missing_image(image, name, subject)
            return Answer("ok", subject, "there, and you may read it")

        return self._asked(subject, ask, "roles/artifactregistry.reader", image.project_id)

    def _missing_image(self, image: RegistryImage, name: str, subject: str) -> Answer:
        try:
            self._get("artifactregistry", f"v1/{image.repository_name}")
        except NotFoundError:
            return Answer(
                "wrong",
                subject,
                f"there is no repository {image.repository!r} in {image.location} of project {image.project_id}",
                f"gcloud artifacts repositories create {image.repository} --repository-format docker --location "
                f"{image.location} --project {image.project_id}",
            )
        return Answer(
            "wrong",
            subject,
            "the repository has no such image",
            f"gcloud builds submit --project {image.project_id} --tag {name.partition('@')[0]}",
        )

    def _account(self, email: str) -> Answer:
        subject = f"service account {email}"

        def ask() -> Answer:
            path = f"v1/projects/-/serviceAccounts/{quote(email, safe='@')}:testIamPermissions"
            body = {"permissions": ["iam.serviceAccounts.actAs"]}
            try:
                found = self._call("iam", "POST", path, json=body)
            except NotFoundError:
                command = f"gcloud iam service-accounts create {email.partition('@')[0]} --project {_project(email)}"
                return Answer("wrong", subject, "there is none", command)
            if "iam.serviceAccounts.actAs" in found.get("permissions", []):
                return Answer("ok", subject, "you may act as it")
            command = (
                f"gcloud iam service-accounts add-iam-policy-binding {email} --project {_project(email)} --member "
                "user:$(gcloud config get account) --role roles/iam.serviceAccountUser"
            )
            return Answer("wrong", subject, "you may not act as it, so you cannot make jobs that do", command)

        return self._asked(subject, ask, "roles/iam.serviceAccountUser")

    def _quotas(self, manifest: Manifest) -> Iterator[Answer]:
        rows: list[Row] = []
        for name in manifest.pipelines:
            try:
                rows += plan_table(build_plan(manifest, name)).rows
            except KedroVertexError as error:
                yield Answer("warning", f"quotas of pipeline {name!r}", f"it cannot be planned: {error.message}")
        for metric, (need, who) in sorted(_needs(rows).items()):
            yield self._quota(metric, need, who)

    def _quota(self, metric: str, need: int, who: str) -> Answer:
        subject = f"quota {metric} in {self.region}"
        full = f"aiplatform.googleapis.com/{metric}"
        services = f"projects/{self.project_id}/services/aiplatform.googleapis.com"

        def ask() -> Answer:
            path = f"v1beta1/{services}/consumerQuotaMetrics/{quote(full, safe='')}"
            try:
                found = self._get("serviceusage", path)
            except NotFoundError:
                return Answer("warning", subject, "Vertex AI has no quota of this name, so it was not compared")
            limit, unit = _limit(found, self.region)
            if limit is None or limit >= need:
                told = "no limit" if limit is None else f"{limit}"
                return Answer("ok", subject, f"{told}; {need} needed by {who}")
            command = (
                f"gcloud alpha services quota update --service aiplatform.googleapis.com --consumer "
                f"projects/{self.project_id} --metric {full} --unit '{unit}' --dimensions region={self.region} "
                f"--value {need}"
            )
            return Answer("wrong", subject, f"{limit}, but {who} needs {need}", command)

        return self._asked(subject, ask, "roles/serviceusage.serviceUsageViewer")

    def _asked(self, subject: str, ask: Callable[[], Answer], role: str, project_id: str | None = None) -> Answer:
        """Ask, and tell what is in the way of an answer.

        :param role: what it takes to be answered.
        :param project_id: where it takes it, if not in the project of the jobs.
        """
        project_id = project_id or self.project_id
        try:
            return ask()
        except PermissionDeniedError as error:
            if error.reason in _DISABLED:
                return Answer("wrong", subject, f"cannot be asked: {error.message}", self._enable(_service_in(error)))
            if error.status is None:
                return Answer("unknown", subject, error.message, "gcloud auth application-default login")
            command = (
                f"gcloud projects add-iam-policy-binding {project_id} --member user:$(gcloud config get account) "
                f"--role {role}"
            )
            return Answer("unknown", subject, f"you may not ask: {error.message}", command)
        except VertexApiError as error:
            return Answer("unknown", subject, f"no answer: {error.message}")

    def _enable(self, name: str) -> str:
        return f"gcloud services enable {name} --project {self.project_id}"

    def _get(self, service: str, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._call(service, "GET", path, params=query)

    def _call(self, service: str, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self.session.call(_TITLES[service], method, f"{self.endpoints[service].rstrip('/')}/{path}", **request)


_TITLES = {
    "serviceusage": "Service Usage",
    "storage": "Cloud Storage",
    "artifactregistry": "Artifact Registry",
    "iam": "IAM",
}


def _service_in(error: VertexApiError) -> str:
    """The API that an error says is disabled."""
    known = {f"{name}.googleapis.com": title for name, title in _TITLES.items()}
    return next(
        (name for name, title in known.items() if error.message.startswith(title)), "serviceusage.googleapis.com"
    )


def _project(email: str) -> str:
    """The project of a service account."""
    return email.partition("@")[2].partition(".")[0]


def _needs(rows: Iterable[Row]) -> dict[str, tuple[int, str]]:
    """For each quota, the most that one container needs, and the container."""
    needs: dict[str, tuple[int, str]] = {}
    for row in rows:
        scheduling = row.group.settings.scheduling
        prefix = "custom_model_training_" + ("preemptible_" if scheduling and scheduling.strategy == "spot" else "")
        wanted = {"cpus": sum(machine.vcpus or 0 for machine in row.machines)}
        for machine in row.machines:
            if machine.accelerator_type in _GPU_QUOTAS:
                name = _GPU_QUOTAS[machine.accelerator_type]
                wanted[name] = wanted.get(name, 0) + machine.accelerator_count
        for name, need in wanted.items():
            if need > needs.get(prefix + name, (0, ""))[0]:
                needs[prefix + name] = (need, f"container {row.group.name!r}")
    return needs


def _limit(metric: Mapping[str, Any], region: str) -> tuple[int | None, str]:
    """The limit of a quota in a region, and its unit; None where there is no limit."""
    limits: list[tuple[int, str]] = []
    for limit in metric.get("consumerQuotaLimits", []):
        buckets = limit.get("quotaBuckets", [])  # the least specific first
        fitting = [each for each in buckets if each.get("dimensions", {}) in ({}, {"region": region})]
        if fitting:
            limits.append((int(fitting[-1].get("effectiveLimit", 0)), limit.get("unit", "1/{project}/{region}")))
    finite = [each for each in limits if each[0] >= 0]  # -1 is none
    return min(finite) if finite else (None, "")
