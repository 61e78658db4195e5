"""``kedro vertex deploy --composer``, against a Composer that takes what its API takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.version import __version__
from airflow_provider_kedro_vertex.vertex import composer as composer_module
from tests.google_apis import ApiError, Call, GoogleApis, google_apis
from tests.storage import storage_emulator
from tests.unit.project.test_commands import CONFIGURED, VERTEXAI

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

NAME = "projects/shop-project/locations/europe-west1/environments/etl"
PACKAGE = "airflow-provider-kedro-vertex"
MASK = "config.softwareConfig.pypiPackages"


@dataclass
class Composer:
    """An environment, which takes updates of single packages.

    :param polls: how many looks at an operation find it going on.
    :param failure: why pip cannot install what is asked for.
    """

    packages: dict[str, str] = field(default_factory=dict)
    image: str = "composer-3-airflow-2.11.1-build.4"
    state: str = "RUNNING"
    dags: str = "gs://composer/dags"
    polls: int = 2
    failure: str = ""
    updates: int = 0

    def get(self, call: Call) -> Mapping[str, Any]:
        if call.path["environmentsId"] != "etl" or call.path["locationsId"] != "europe-west1":
            raise ApiError(404, f"Resource not found (resource={call.path['environmentsId']}).")
        software = {"imageVersion": self.image, **({"pypiPackages": self.packages} if self.packages else {})}
        folder = {"dagGcsPrefix": self.dags} if self.dags else {}
        return {"name": NAME, "state": self.state, "config": {**folder, "softwareConfig": software}}

    def patch(self, call: Call) -> Mapping[str, Any]:
        if self.state != "RUNNING":
            raise ApiError(400, f"Cannot update environment with state {self.state}.")
        masks = call.query["updateMask"][0].split(",")
        given = call.body["config"]["softwareConfig"]["pypiPackages"]
        for mask in masks:
            name = mask.removeprefix(f"{MASK}.")
            # Composer's text: lower case names; a mask of a package that is not given takes it away.
            if mask == name or not re.fullmatch(r"[a-z0-9._-]+", name) or name not in given:
                raise ApiError(400, f"Bad mask {mask!r} of this test.")
        if set(given) != {mask.removeprefix(f"{MASK}.") for mask in masks}:
            raise ApiError(400, "Only masked packages are taken.")
        self.updates += 1
        self.state, self.asked = "UPDATING", given
        return self.operation(done=False)

    def poll(self, call: Call) -> Mapping[str, Any]:
        assert call.path["operationsId"] == "op-1"
        self.polls -= 1
        if self.polls > 0:
            return self.operation(done=False)
        self.state = "RUNNING"
        if not self.failure:
            self.packages |= self.asked
        return self.operation(done=True)

    def operation(self, done: bool) -> Mapping[str, Any]:
        ended = {"error": {"code": 9, "message": self.failure}} if self.failure else {"response": {"@type": "x"}}
        name = "projects/shop-project/locations/europe-west1/operations/op-1"
        return {"name": name, **({"done": True, **ended} if done else {})}


@pytest.fixture
def apis() -> Iterator[GoogleApis]:
    with google_apis() as served:
        yield served


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with storage_emulator("composer") as url:
        yield url


@pytest.fixture
def deploy(
    apis: GoogleApis, storage: str, make_project: MakeProject, vertex: Vertex, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Deploy a project to an environment."""
    monkeypatch.setattr(composer_module, "POLL_SECONDS", 0.01)
    project = make_project(CONFIGURED)

    def command(composer: Composer, *arguments: str, name: str = "etl") -> Any:
        apis.answers = {
            "composer.projects.locations.environments.get": composer.get,
            "composer.projects.locations.environments.patch": composer.patch,
            "composer.projects.locations.operations.get": composer.poll,
        }
        variables = {
            "STORAGE_EMULATOR_HOST": storage,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPOSER": f"{apis.url}/composer/",
        }
        return vertex(project, "deploy", "--composer", name, *arguments, **variables)

    return command


def test_to_the_folder_of_an_environment_that_has_the_package(deploy: Callable[..., Any]) -> None:
    done = deploy(Composer({PACKAGE: f"=={__version__}", "numpy": ""}))
    assert (done.exit_code, "Warning" in done.stderr) == (0, False), done.stderr
    assert re.search(
        r"Wrote gs://composer/dags/shop_\d+.manifest.json\nWrote gs://composer/dags/shop_\d+.py\n", done.stdout
    )
    assert "etl: composer-3-airflow-2.11.1-build.4, DAGs in gs://composer/dags" in done.stderr


@pytest.mark.parametrize("packages", [{PACKAGE: ""}, {PACKAGE: ">=0.0.1"}, {"airflow_provider_kedro_vertex": ""}])
def test_a_package_that_is_not_pinned(deploy: Callable[..., Any], packages: dict[str, str]) -> None:
    done = deploy(Composer(packages))
    assert (done.exit_code, "Warning" in done.stderr) == (0, False), done.stderr


def test_where_the_package_is_missing_it_says_how_to_install_it(deploy: Callable[..., Any]) -> None:
    done = deploy(Composer())
    assert (done.exit_code, "Wrote" in done.stdout) == (1, False)
    assert (
        f"{PACKAGE} is not installed there, so that Airflow could not read the DAG file. Nothing was deployed. Pass "
        "--install, or run: gcloud composer environments update etl --location europe-west1 --update-pypi-package "
        f"{PACKAGE}=={__version__}."
    ) in done.stderr
    done = deploy(Composer(), "--dry-run")
    assert (done.exit_code, "Warning: airflow-provider-kedro-vertex is not installed there" in done.stderr) == (0, True)


def test_install_waits_and_then_deploys(deploy: Callable[..., Any]) -> None:
    composer = Composer({"numpy": "==2.0"})
    done = deploy(composer, "--install")
    assert done.exit_code == 0, done.stderr
    assert composer.packages == {"numpy": "==2.0", PACKAGE: f"=={__version__}"}
    assert "Wrote gs://composer/dags/" in done.stdout
    assert deploy(composer, "--install").exit_code == 0
    assert composer.updates == 1

    composer = Composer()
    done = deploy(composer, "--install", "--dry-run")
    assert (done.exit_code, composer.updates, f"Would install {PACKAGE}" in done.stderr) == (0, 0, True)


def test_another_version(deploy: Callable[..., Any]) -> None:
    composer = Composer({PACKAGE: "==0.0.1"})
    done = deploy(composer)
    assert (done.exit_code, f"{PACKAGE}==0.0.1 is installed there" in done.stderr, composer.updates) == (0, True, 0)
    assert (deploy(composer, "--install").exit_code, composer.packages) == (0, {PACKAGE: f"=={__version__}"})


def test_a_failed_installation_deploys_nothing(deploy: Callable[..., Any]) -> None:
    done = deploy(Composer(failure="Conflicting dependencies."), "--install")
    assert (done.exit_code, "Wrote" in done.stdout) == (1, False)
    assert f"Composer could not install {PACKAGE}=={__version__}: Conflicting dependencies." in done.stderr
    done = deploy(Composer(state="UPDATING"), "--install")
    assert (done.exit_code, "Cannot update environment with state UPDATING." in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("composer", "said"),
    [
        (Composer({PACKAGE: ""}, image="composer-2.9.1-airflow-2.9.3"), "needs Airflow 2.10.5 or newer"),
        (Composer(dags="", state="CREATING"), "has no DAGs folder yet: it is CREATING."),
    ],
)
def test_an_environment_that_cannot_take_it(deploy: Callable[..., Any], composer: Composer, said: str) -> None:
    done = deploy(composer)
    assert (done.exit_code, said in done.stderr, "Wrote" in done.stdout) == (1, True, False), done.stderr


def test_an_environment_that_sleeps_is_told(deploy: Callable[..., Any]) -> None:
    done = deploy(Composer({PACKAGE: ""}, state="HIBERNATED"))
    assert (done.exit_code, "The environment etl is HIBERNATED." in done.stderr) == (0, True)


def test_no_such_environment(deploy: Callable[..., Any]) -> None:
    for arguments in ({"name": "elt"}, {}):
        location = () if arguments else ("--location", "europe-west4")
        done = deploy(Composer({PACKAGE: ""}), *location, **arguments)
        assert (done.exit_code, "There is no Composer environment" in done.stderr) == (1, True), done.stderr
        assert "gcloud composer environments list --locations" in done.stderr


def test_forbidden(deploy: Callable[..., Any], apis: GoogleApis, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(composer: Composer, call: Call) -> Mapping[str, Any]:
        raise ApiError(403, "Cloud Composer API has not been used in project 1 before.", "SERVICE_DISABLED")

    monkeypatch.setattr(Composer, "get", refuse)
    done = deploy(Composer())
    assert (done.exit_code, "Cloud Composer API has not been used" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("dags", "--composer", "etl"), ("dags", "--install"), ("dags", "--location", "europe-west1")],
)
def test_one_target(make_project: MakeProject, vertex: Vertex, arguments: tuple[str, ...]) -> None:
    done = vertex(make_project({**CONFIGURED, VERTEXAI: CONFIGURED[VERTEXAI]}), "deploy", *arguments)
    assert done.exit_code == 2
