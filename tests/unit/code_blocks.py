"""The code blocks of the pages, and what the pages say of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^( *)```(\w*)(?: title=\"([^\"]+)\")?$")
#: Right before a block that no test runs, with the reason.
_NOT_RUN = re.compile(r"<!-- not run: .+ -->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :param line: its first line in the page.
    :param title: the file that it is, relative to where the reader stands; "" for none.
    :param runs: the page does not say that it is not run.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """Its commands: all of a bash block, those after a prompt of a console block."""
        if self.language == "console":
            return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]
        return self.text.splitlines()


def blocks(page: Path) -> Iterator[Block]:
    """Read a page's blocks.

    :raises AssertionError: a fence is not closed, or is written in a way that is not known here.
    """
    lines = page.read_text().splitlines()
    start, last_text = 0, ""
    while start < len(lines):
        line = lines[start]
        if "```" not in line:
            last_text = line.strip() or last_text
            start += 1
            continue
        fence = _FENCE.match(line)
        assert fence is not None, f"{page}:{start + 1}: {line}"
        end = lines.index(f"{fence[1]}```", start + 1)
        text = "".join(f"{inner[len(fence[1]) :]}\n" for inner in lines[start + 1 : end])
        yield Block(page, start + 2, fence[2], fence[3] or "", text, not _NOT_RUN.fullmatch(last_text))
        start, last_text = end + 1, ""
