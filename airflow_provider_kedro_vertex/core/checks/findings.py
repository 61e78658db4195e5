"""Findings of a check: a code, a level, a sentence, a remedy and a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from airflow_provider_kedro_vertex.core.errors import CombinedConfigError, ConfigError, KedroVertexError
from airflow_provider_kedro_vertex.version import DOCUMENTATION

Level = Literal["error", "warning", "note"]

#: Each check's code and its title in docs/checks.md.
CODES: Mapping[str, str] = {
    "KV001": "A local file crosses containers",
    "KV002": "In-memory data crosses containers",
    "KV003": "An input is declared nowhere and made by nobody",
    "KV004": "A result stays on the container's own disk",
    "KV005": "An input is read from the image",
    "KV006": "MLflow tracks to the container's own disk",
    "KV007": "The image is missing, wrong or floating",
    "KV008": "The storage root is missing",
    "KV009": "A name is illegal",
    "KV010": "A label is illegal",
    "KV011": "No machine has these resources",
    "KV012": "The spec is too large",
    "KV013": "A value is known in a run alone",
    "KV014": "A selector matches nothing",
    "KV015": "Settings exclude one another",
    "KV016": "A setting has no effect in this mode",
    "KV017": "Environment variables do not fit",
    "KV018": "A secret stands in the open",
    "KV019": "Telemetry is on",
    "KV020": "The nodes run as another account than you may think",
    "KV021": "The pipeline cannot be planned",
    "KV022": "The configuration is wrong",
    "KV023": "The project cannot be inspected",
    "KV024": "The manifest cannot be read",
    "KV025": "A job ended without success",
    "KV026": "Vertex AI refused, or did not answer",
}


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    :param code: see :data:`CODES`.
    :param level: ``error`` (the run would fail), ``warning`` (an error under ``--strict``) or ``note``.
    :param message: what is wrong, and where.
    :param fix: what to do.
    """

    code: str
    level: Level
    message: str
    fix: str

    @classmethod
    def of(cls, error: KedroVertexError) -> Finding:
        """Take an error that was raised for a finding."""
        return cls(error.code, "error", error.message, error.fix)

    @property
    def page(self) -> str:
        """The address of its explanation; ``kedro vertex explain CODE`` prints the same without a network."""
        return f"{DOCUMENTATION}/checks/#{self.code.lower()}"

    def __str__(self) -> str:
        """One line."""
        said = f"{self.message} {self.fix}".strip()
        return f"{self.code} {self.level}: {said} ({self.page})"

    def to_dict(self) -> dict[str, str]:
        """The finding as JSON values: code, level, message, fix and page."""
        return {"code": self.code, "level": self.level, "message": self.message, "fix": self.fix, "page": self.page}


def errors(findings: Iterable[Finding], strict: bool = False) -> tuple[Finding, ...]:
    """The findings that must stop a run; with ``strict`` warnings too."""
    levels = ("error", "warning") if strict else ("error",)
    return tuple(finding for finding in findings if finding.level in levels)


def refuse(findings: Iterable[Finding]) -> None:
    """Stop where there is an error among the findings.

    :raises ConfigError: one line for each error.
    """
    found = errors(findings)
    if found:
        raise CombinedConfigError(_FindingError(finding) for finding in found)


class _FindingError(ConfigError):
    """A finding that stops a run; it reads as the finding does."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message, finding.fix, code=finding.code)
        self._line = str(finding)

    def __str__(self) -> str:
        return self._line
