"""``kedro vertex explain``."""

from __future__ import annotations

import re
from pathlib import Path

import click

#: The page of the installed package, and in a checkout the one it is made from.
_PAGES = (Path(__file__).with_name("checks.md"), Path(__file__).parents[3] / "docs" / "checks.md")


@click.command(name="explain")
@click.argument("code")
def command(code: str) -> None:
    """Print what a code such as KV007 means, and what to do about it.

    The codes are those of `kedro vertex check` and of the errors in Airflow's task log. Needs no network.
    """
    from airflow_provider_kedro_vertex.core.errors import did_you_mean

    sections = read_sections()
    wanted = code.strip().upper()
    if wanted not in sections:
        raise click.UsageError(f"There is no code {code!r}.{did_you_mean(wanted, sections)}")
    click.echo(f"{wanted}\n\n{sections[wanted]}")


def read_sections() -> dict[str, str]:
    """Read docs/checks.md: code to the text of its section."""
    text = next(page for page in _PAGES if page.is_file()).read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (KV\d{3})\n", text, flags=re.MULTILINE)
    return {code: body.strip() for code, body in zip(parts[::2], parts[1::2], strict=True)}
