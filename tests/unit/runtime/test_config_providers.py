"""Configuration that providers make in the container: merged, private, and gone afterwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.container import Provider
from airflow_provider_kedro_vertex.runtime.config.providers import DynamicConfigProvider, generated_config
from airflow_provider_kedro_vertex.runtime.kedro_vertexai import names as classes
from airflow_provider_kedro_vertex.runtime.kedro_vertexai.names import load_class, provide_kedro_vertexai_modules
from tests.unit.runtime.containers import Project

HERE = __name__


class Ours(DynamicConfigProvider):
    def __init__(self, config: Any, *, key: str, **kwargs: Any) -> None:
        super().__init__(config, **kwargs)
        self.key = key

    @property
    def target_config_file(self) -> str:
        return "credentials.yml"

    def generate_config(self) -> dict[str, Any]:
        return {self.key: {"from": self.config.run_config.image, "token": "secret"}}


class Theirs:
    """Of no base of ours, as a class of an installed kedro-vertexai would be."""

    target_env = "prod"
    target_config_file = "deep/extra.yml"

    def __init__(self, config: Any, **params: Any) -> None:
        self.content: Any = {"a": 1}
        vars(self).update(params)

    def generate_config(self) -> Any:
        return self.content

    def merge_with_existing(self, existing_config: dict[str, Any], generated_config: dict[str, Any]) -> dict[str, Any]:
        return {"existing": existing_config, "new": generated_config}


class Another:
    def __init__(self, config: Any) -> None:
        pass


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "conf/base").mkdir(parents=True)
    (tmp_path / "conf/base/credentials.yml").write_text("kept: {user: me}\nmine: {from: here}\n")
    (tmp_path / "conf/base/catalog.yml").write_text("{}\n")
    return tmp_path / "conf"


def vertexai() -> dict[str, Any]:
    return {"project_id": "p", "run_config": {"image": "an-image"}}


def test_what_is_made_is_merged_private_and_outside_the_project(conf: Path) -> None:
    before = {path: path.read_bytes() for path in conf.rglob("*") if path.is_file()}
    providers = [Provider(f"{HERE}.Ours", {"key": "mine"}), Provider(f"{HERE}.Ours", {"key": "more"})]
    with generated_config(providers, conf, vertexai) as made:
        file = made / "base" / "credentials.yml"
        assert json.loads(json.dumps(_yaml(file))) == {
            "kept": {"user": "me"},
            "mine": {"from": "an-image", "token": "secret"},
            "more": {"from": "an-image", "token": "secret"},
        }
        assert file.stat().st_mode & 0o777 == 0o600
        assert made.parent.stat().st_mode & 0o777 == 0o700
        assert (made / "base/catalog.yml").read_bytes() == b"{}\n"
    assert not made.exists()
    assert {path: path.read_bytes() for path in conf.rglob("*") if path.is_file()} == before


def test_a_class_without_our_base_writes_into_its_own_environment(conf: Path) -> None:
    with generated_config([Provider(f"{HERE}.Theirs")], conf, vertexai) as made:
        assert _yaml(made / "prod/deep/extra.yml") == {"existing": {}, "new": {"a": 1}}


def test_without_providers_nothing_is_copied_or_read(conf: Path) -> None:
    with generated_config([], conf, lambda: pytest.fail("it was read")) as made:
        assert made == conf


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        (Provider(f"{HERE}.Nobody"), r"dynamic_config_providers\[0\]\.cls: .*Nobody cannot be imported"),
        (Provider("kedro_vertexai.grouping.TagNodeGrouper"), "cannot be imported"),
        (Provider(f"{HERE}.vertexai"), "is no class"),
        (Provider(f"{HERE}.Another"), "is no DynamicConfigProvider: it has no target_config_file"),
        (Provider(f"{HERE}.Ours"), r"cannot be made with \[\]: .*key"),
        (Provider(f"{HERE}.Theirs", {"target_config_file": "../../settings.py"}), "must write a file of the project's"),
        (Provider(f"{HERE}.Theirs", {"target_config_file": "/etc/passwd"}), "must write a file of the project's"),
        (Provider(f"{HERE}.Theirs", {"target_env": "../up"}), "must write a file of the project's"),
        (Provider(f"{HERE}.Theirs", {"target_env": ".."}), "must write a file of the project's"),
        (Provider(f"{HERE}.Theirs", {"content": [1]}), "must make a mapping, not a list"),
    ],
    ids=[
        "no such class",
        "not ours",
        "a function",
        "another class",
        "a param missing",
        "up",
        "root",
        "env",
        "up as env",
        "a list",
    ],
)
def test_what_is_wrong_is_told(conf: Path, provider: Provider, message: str) -> None:
    with pytest.raises(ConfigError, match=message), generated_config([provider], conf, vertexai):
        pytest.fail("it was accepted")


@pytest.fixture
def stand_in() -> Iterator[None]:
    before = list(sys.meta_path)
    provide_kedro_vertexai_modules()
    provide_kedro_vertexai_modules()
    assert len(sys.meta_path) == len(before) + 1
    yield
    sys.meta_path[:] = before
    for name in [name for name in sys.modules if name.partition(".")[0] == "kedro_vertexai"]:
        del sys.modules[name]


def test_kedro_vertexais_names_are_ours(stand_in: None) -> None:
    from kedro_vertexai.auth.gcp import MLFlowGoogleOAuthCredentialsProvider
    from kedro_vertexai.dynamic_config import DynamicConfigProvider as Theirs
    from kedro_vertexai.vertex_ai import datasets

    assert Theirs is DynamicConfigProvider
    assert issubclass(MLFlowGoogleOAuthCredentialsProvider, DynamicConfigProvider)
    assert load_class("kedro_vertexai.vertex_ai.datasets.KedroVertexAIMetadataDataset", "here") is (
        datasets.KedroVertexAIMetadataDataset
    )
    with pytest.raises(AttributeError, match="has no attribute 'KedroVertexAIRunnerDataset'"):
        _ = datasets.KedroVertexAIRunnerDataset
    with pytest.raises(ImportError):
        import kedro_vertexai.client  # noqa: F401


def test_every_name_that_stands_in_is_there() -> None:
    from importlib.util import find_spec

    names = [(name, module) for names in classes.NAMES.values() for name, module in names.items()]
    assert len(names) == 8
    for name, module in names:
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        assert f"class {name}(" in Path(spec.origin).read_text() or f"class {name}:" in Path(spec.origin).read_text()


def test_a_container_reads_what_the_projects_own_provider_made(shop: Project) -> None:
    (shop.path / "conf/base/vertexai.yml").write_text("project_id: from-vertexai\nrun_config: {image: i}\n")
    (shop.path / "src/shop/dynamic.py").write_text(
        "from kedro_vertexai.dynamic_config import DynamicConfigProvider\n"
        "class Sizes(DynamicConfigProvider):\n"
        "    target_config_file = 'parameters.yml'\n"
        "    def __init__(self, config, **kwargs):\n"
        "        super().__init__(config, **kwargs)\n"
        "        self.size = kwargs['size']\n"
        "    def generate_config(self):\n"
        "        return {'size': self.size, 'project': self.config.project_id}\n"
    )
    settings = {"dynamic_config_providers": [{"cls": "shop.dynamic.Sizes", "params": {"size": 5}}]}
    result = shop.command(*shop.arguments("look", pipeline="look"), "--settings", json.dumps(settings))
    assert result.code == 0, result.log
    seen = shop.json("data/seen.json")
    assert (seen["size"], seen["project"], seen["factor"]) == (5, "from-vertexai", 2)
    assert "size: 3" in (shop.path / "conf/base/parameters.yml").read_text()


def _yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text())
