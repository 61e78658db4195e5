"""The documents: links lead somewhere, and each decision says what is asked of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "dags_examples").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site and code hosts make them."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_to_a_file_leads_to_one_and_to_a_heading_of_it(page: Path) -> None:
    dead = []
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_a_date_a_status_and_what_would_change_it(decision: Path) -> None:
    heading, blank, status, *_ = decision.read_text().splitlines()
    assert re.fullmatch(rf"# {int(decision.name[:4])}\. .+", heading)
    assert blank == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\d, (accepted|superseded by \d+)(; .+)?", status)
    assert "What would change it: " in decision.read_text()


def test_each_message_of_the_troubleshooting_page_is_one_that_is_shown() -> None:
    """Those of others, which the code does not have, are the few that are named here."""
    others = {"No such command 'vertex'", "cannot import name", "from 'airflow.providers.common.compat.sdk'"}
    others |= {"No Google credentials", "Anonymous caller"}
    shown = "\n".join(_texts(ROOT / "airflow_provider_kedro_vertex"))
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = [text for title in re.findall(r"^### (.*)$", page, re.MULTILINE) for text in re.findall(r"`(.+?)`", title)]
    fragments = {part for text in quoted for part in re.split(r" ?\.\. ?", text) if part}

    assert len(fragments) > 20
    assert sorted(part for part in fragments - others if part not in shown) == []


def _texts(folder: Path) -> list[str]:
    """The texts in the code, those of f-strings with a gap for each value."""
    found = []
    for file in folder.rglob("*.py"):
        for item in ast.walk(ast.parse(file.read_text())):
            if isinstance(item, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "\0" for part in item.values)
                found.append("".join(parts))
            elif isinstance(item, ast.Constant) and isinstance(item.value, str):
                found.append(item.value)
    return found


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(decision.name[:4]) for decision in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_site_shows_each_page() -> None:
    shown = (ROOT / "mkdocs.yml").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(page for page in pages if page not in shown and not page.startswith("decisions/0")) == []
