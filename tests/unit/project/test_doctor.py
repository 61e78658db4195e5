"""``kedro vertex doctor``, against services that take what their APIs take: each question with each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.project.cli import doctor as doctor_command
from airflow_provider_kedro_vertex.project.registry import registry_image
from tests.google_apis import ApiError, Call, GoogleApis, google_apis
from tests.unit.project.test_commands import CONFIGURED, VERTEXAI

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

REPOSITORY = "europe-west1-docker.pkg.dev/shop-project/kedro"
ACCOUNT = "kedro@shop-project.iam.gserviceaccount.com"
SETTINGS = f"""
project_id: shop-project
region: europe-west1
run_config:
  image: {REPOSITORY}/team/shop:1
  root: shop/runs
  service_account: {ACCOUNT}
  resources:
    __default__: {{cpu: 4, memory: 8Gi}}
    train: {{cpu: 8, gpu: 1, accelerator_type: NVIDIA_TESLA_T4}}
"""

APIS = "serviceusage.services.batchGet"
QUOTAS = "serviceusage.services.consumerQuotaMetrics.get"
BUCKET = "storage.buckets.get"
TAG = "artifactregistry.projects.locations.repositories.packages.tags.get"
VERSION = "artifactregistry.projects.locations.repositories.packages.versions.get"
PLACE = "artifactregistry.projects.locations.repositories.get"
ACT_AS = "iam.projects.serviceAccounts.testIamPermissions"


def apis_enabled(*disabled: str) -> Callable[[Call], Mapping[str, Any]]:
    def answer(call: Call) -> Mapping[str, Any]:
        assert (call.path["v1Id"], call.path["v1Id1"]) == ("projects", "shop-project")
        names = [name.removeprefix("projects/shop-project/services/") for name in call.query["names"]]
        states = [(name, "DISABLED" if name in disabled else "ENABLED") for name in names]
        return {"services": [{"name": f"projects/123/services/{name}", "state": state} for name, state in states]}

    return answer


def quota(**limits: int) -> Callable[[Call], Mapping[str, Any]]:
    """Quotas in europe-west1; of all others 1000."""

    def answer(call: Call) -> Mapping[str, Any]:
        service, _, name = call.path["consumerQuotaMetricsId"].partition("/")
        assert (service, call.path["servicesId"]) == ("aiplatform.googleapis.com", "aiplatform.googleapis.com")
        here = {"dimensions": {"region": "europe-west1"}, "effectiveLimit": str(limits.get(name, 1000))}
        there = {"dimensions": {"region": "us-central1"}, "effectiveLimit": "0"}
        buckets = [{"effectiveLimit": "1"}, here, there]
        return {"metric": name, "consumerQuotaLimits": [{"unit": "1/{project}/{region}", "quotaBuckets": buckets}]}

    return answer


def fails(status: int, reason: str | None = None) -> Callable[[Call], Mapping[str, Any]]:
    def answer(call: Call) -> Mapping[str, Any]:
        raise ApiError(status, f"The test answers {status}.", reason)

    return answer


GOOD: Mapping[str, Callable[[Call], Mapping[str, Any]]] = {
    APIS: apis_enabled(),
    QUOTAS: quota(),
    BUCKET: lambda call: {"location": "EUROPE-WEST1"},
    TAG: lambda call: {"name": "x"},
    VERSION: lambda call: {"name": "x"},
    PLACE: lambda call: {"name": "x"},
    ACT_AS: lambda call: {"permissions": call.body["permissions"]},
}


@pytest.fixture
def apis() -> Iterator[GoogleApis]:
    with google_apis() as served:
        yield served


@pytest.fixture
def doctor(
    apis: GoogleApis, make_project: MakeProject, vertex: Vertex, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Ask the doctor; what is given answers in place of what is good."""
    monkeypatch.setattr(doctor_command, "DEADLINE", 0.1)

    def ask(answers: Mapping[str, Any] | None = None, settings: str = SETTINGS, **variables: str) -> Any:
        apis.answers = {**GOOD, **(answers or {})}
        given = {
            f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}": f"{apis.url}/{name}"
            for name in ("serviceusage", "iam", "artifactregistry")
        }
        given["STORAGE_EMULATOR_HOST"] = f"{apis.url}/storage"
        return vertex(make_project({**CONFIGURED, VERTEXAI: settings}), "doctor", **{**given, **variables})

    return ask


def told(done: Any, subject: str) -> list[str]:
    """The lines about a subject."""
    assert "Traceback" not in done.stderr
    return [line for line in done.stdout.splitlines() if line[8:].startswith(subject)]


def test_all_is_well(doctor: Callable[..., Any], apis: GoogleApis) -> None:
    done = doctor()
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ok      API aiplatform.googleapis.com: enabled",
        "ok      API logging.googleapis.com: enabled",
        "ok      API storage.googleapis.com: enabled",
        "ok      API artifactregistry.googleapis.com: enabled",
        "ok      bucket gs://shop: there, in EUROPE-WEST1",
        f"ok      image {REPOSITORY}/team/shop:1: there, and you may read it",
        f"ok      service account {ACCOUNT}: you may act as it",
        "ok      quota custom_model_training_cpus in europe-west1: 1000; 8 needed by container 'train'",
        "ok      quota custom_model_training_nvidia_t4_gpus in europe-west1: 1000; 1 needed by container 'train'",
        "9 questions: 0 wrong, 0 without an answer.",
    ]
    (tag,) = [call.path for call in apis.calls if call.method == TAG]
    assert (tag["packagesId"], tag["tagsId"], tag["locationsId"]) == ("team/shop", "1", "europe-west1")
    (account,) = [call.path for call in apis.calls if call.method == ACT_AS]
    assert (account["projectsId"], account["serviceAccountsId"]) == ("-", ACCOUNT)


#: A question, the call that asks it, and how it is told.
QUESTIONS = [
    pytest.param(APIS, "APIs", "serviceusage", id="APIs"),
    pytest.param(BUCKET, "bucket gs://shop", "storage", id="bucket"),
    pytest.param(TAG, "image", "artifactregistry", id="image"),
    pytest.param(ACT_AS, "service account", "iam", id="service account"),
    pytest.param(QUOTAS, "quota", "serviceusage", id="quota"),
]


@pytest.mark.parametrize(("method", "subject", "service"), QUESTIONS)
def test_forbidden(doctor: Callable[..., Any], method: str, subject: str, service: str) -> None:
    done = doctor({method: fails(403)})
    lines = told(done, subject)
    assert (done.exit_code, bool(lines)) == (1, True)
    for line in lines:
        assert line.startswith("unknown ")
        assert "you may not ask: " in line
        assert ". To mend it: gcloud projects add-iam-policy-binding shop-project --member user:" in line


@pytest.mark.parametrize(("method", "subject", "service"), QUESTIONS)
def test_the_api_is_disabled(doctor: Callable[..., Any], method: str, subject: str, service: str) -> None:
    done = doctor({method: fails(403, "SERVICE_DISABLED")})
    lines = told(done, subject)
    assert (done.exit_code, bool(lines)) == (1, True)
    for line in lines:
        assert line.startswith("wrong ")
        assert line.endswith(f"gcloud services enable {service}.googleapis.com --project shop-project")


@pytest.mark.parametrize(("method", "subject", "service"), QUESTIONS)
def test_unreachable(doctor: Callable[..., Any], method: str, subject: str, service: str) -> None:
    for answers, variables in (
        ({method: fails(503)}, {}),
        (
            {},
            {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}
            if service == "storage"
            else {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}": "http://127.0.0.1:1"},
        ),
    ):
        done = doctor(answers, **variables)
        lines = told(done, subject)
        assert (done.exit_code, bool(lines)) == (1, True)
        assert all(line.startswith("unknown ") and "no answer: " in line for line in lines)


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        (
            {APIS: apis_enabled("aiplatform.googleapis.com")},
            "wrong   API aiplatform.googleapis.com: not enabled. To mend it: gcloud services enable "
            "aiplatform.googleapis.com --project shop-project",
        ),
        (
            {BUCKET: fails(404)},
            "wrong   bucket gs://shop: there is none. To mend it: gcloud storage buckets create gs://shop --project "
            "shop-project --location europe-west1 --uniform-bucket-level-access",
        ),
        (
            {TAG: fails(404)},
            f"wrong   image {REPOSITORY}/team/shop:1: the repository has no such image. To mend it: gcloud builds "
            f"submit --project shop-project --tag {REPOSITORY}/team/shop:1",
        ),
        (
            {TAG: fails(404), PLACE: fails(404)},
            f"wrong   image {REPOSITORY}/team/shop:1: there is no repository 'kedro' in europe-west1 of project "
            "shop-project. To mend it: gcloud artifacts repositories create kedro --repository-format docker "
            "--location europe-west1 --project shop-project",
        ),
        (
            {ACT_AS: fails(404)},
            f"wrong   service account {ACCOUNT}: there is none. To mend it: gcloud iam service-accounts create kedro "
            "--project shop-project",
        ),
        (
            {ACT_AS: lambda call: {}},
            f"wrong   service account {ACCOUNT}: you may not act as it, so you cannot make jobs that do. To mend it: "
            f"gcloud iam service-accounts add-iam-policy-binding {ACCOUNT} --project shop-project --member "
            "user:$(gcloud config get account) --role roles/iam.serviceAccountUser",
        ),
        (
            {QUOTAS: quota(custom_model_training_nvidia_t4_gpus=0)},
            "wrong   quota custom_model_training_nvidia_t4_gpus in europe-west1: 0, but container 'train' needs 1. To "
            "mend it: gcloud alpha services quota update --service aiplatform.googleapis.com --consumer "
            "projects/shop-project --metric aiplatform.googleapis.com/custom_model_training_nvidia_t4_gpus --unit "
            "'1/{project}/{region}' --dimensions region=europe-west1 --value 1",
        ),
    ],
)
def test_what_is_missing(doctor: Callable[..., Any], answers: Mapping[str, Any], line: str) -> None:
    done = doctor(answers)
    assert (done.exit_code, done.stderr) == (1, "9 questions: 1 wrong, 0 without an answer.\n")
    assert line in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("location", "level"),
    [("EUROPE-WEST1", "ok"), ("EU", "ok"), ("US", "warning"), ("EUROPE-WEST4", "warning"), ("EUR4", "warning")],
)
def test_where_the_bucket_is(doctor: Callable[..., Any], location: str, level: str) -> None:
    done = doctor({BUCKET: lambda call: {"location": location}})
    (line,) = told(done, "bucket")
    assert (done.exit_code, line.split()[0]) == (0, level)


@pytest.mark.parametrize(
    ("place", "buckets"), [("shop/data", ["gs://shop"]), ("more/data", ["gs://shop", "gs://more"])]
)
def test_the_bucket_of_the_data(doctor: Callable[..., Any], place: str, buckets: list[str]) -> None:
    done = doctor(settings=SETTINGS.replace("run_config:", "run_config:\n  data_root: " + place, 1))
    assert [line.split()[2].rstrip(":") for line in told(done, "bucket")] == buckets


def test_no_limit_and_no_such_quota(doctor: Callable[..., Any]) -> None:
    done = doctor({QUOTAS: quota(custom_model_training_cpus=-1)})
    assert (done.exit_code, ": no limit; 8 needed by" in told(done, "quota custom_model_training_cpus")[0]) == (0, True)
    done = doctor({QUOTAS: fails(404)})
    assert done.exit_code == 0
    assert {line.split()[0] for line in told(done, "quota")} == {"warning"}


def test_more_settings(doctor: Callable[..., Any], apis: GoogleApis) -> None:
    digest = f"sha256:{'0a' * 32}"
    settings = f"""
project_id: shop-project
region: europe-west1
run_config:
  image: gcr.io/other-project/shop@{digest}
  root: shop/runs
  nodes:
    train:
      image: docker.io/team/train:1
      scheduling: {{strategy: spot}}
      replica_count: 3
      secret_env: {{A: projects/1/secrets/a/versions/1}}
  resources:
    train: {{cpu: 8}}
"""
    done = doctor(settings=settings)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert told(done, "API secretmanager.googleapis.com")
    assert "not in Artifact Registry" in told(done, "image docker.io")[0]
    assert "there, and you may read it" in told(done, "image gcr.io")[0]
    (version,) = [call.path for call in apis.calls if call.method == VERSION]
    assert (version["projectsId"], version["locationsId"], version["repositoriesId"]) == (
        "other-project",
        "us",
        "gcr.io",
    )
    assert version["versionsId"] == digest
    assert told(done, "service account")[0].startswith("warning service account: none is set")
    assert "24 needed by container 'train'" in told(done, "quota custom_model_training_preemptible_cpus")[0]


def test_no_credentials(make_project: MakeProject, vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    done = vertex(make_project({**CONFIGURED, VERTEXAI: SETTINGS}), "doctor")
    assert (done.exit_code, "gcloud auth application-default login" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    "name", ["shop", "shop:1", "docker.io/team/shop:1", "europe-docker.pkg.dev/project/repository"]
)
def test_images_elsewhere(name: str) -> None:
    assert registry_image(name) is None
