"""docs/configuration.md is written from the declaration of the settings. After a change: make docs."""

from __future__ import annotations

from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.legacy import IGNORED, OLD_KEYS
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings
from airflow_provider_kedro_vertex.core.settings.sections import fields_of
from tools.configuration_page import PAGE, page, sections_below


def test_the_reference_is_that_of_the_declaration() -> None:
    committed = PAGE.read_text(encoding="utf-8")
    assert committed == page(committed), "Write it again: make docs"


def test_the_reference_has_each_key_of_each_section() -> None:
    sections = dict(sections_below(RunConfig, "run_config"))
    assert len(sections) == 25
    text = PAGE.read_text(encoding="utf-8")
    for path, section in sections.items():
        part = text.partition(f"\n## `{path}`\n")[2].partition("\n## ")[0]
        keys = [name for name, item in fields_of(section).items() if not item.metadata.get("inspected")]
        assert [key for key in keys if f"| `{key}` |" not in part] == (
            ["project_id", "region"] if section is RunConfig else []
        )


def test_every_field_is_described() -> None:
    for outer in (RunConfig, RuntimeSettings, Selection):
        for path, section in sections_below(outer, ""):
            assert section.__doc__
            for name, item in fields_of(section).items():
                assert item.metadata["meaning"].endswith("."), f"{path}.{name}"


def test_every_old_key_has_a_row_in_the_migration_page() -> None:
    """Keys that the peers' documents show and that are not ours, or have another meaning here."""
    page = (PAGE.parent / "migration.md").read_text(encoding="utf-8")
    old = {path[-1] for path in (*IGNORED, *OLD_KEYS)}
    for key in (*old, *fields_of(RunConfig).keys() & _KEDRO_VERTEXAI):
        assert f"`{key}`" in page or f".{key}`" in page, key
    for command in (*_COMMANDS, "mlflow-start", "initialize-job"):
        assert command in page, command


#: kedro-vertexai 1.0.0's keys.
_KEDRO_VERTEXAI = {
    "image", "root", "description", "experiment_name", "experiment_description", "scheduled_run_name", "grouping",
    "service_account", "network", "ttl", "resources", "node_selectors", "dynamic_config_providers", "mlflow",
    "schedules", "on_exit_pipeline",
}  # fmt: skip
_COMMANDS = ("init", "ui", "list-pipelines", "compile", "upload-pipeline", "schedule", "run-once")
