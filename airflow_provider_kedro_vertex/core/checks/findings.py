"""Findings of a check: a code, a level, a sentence, a remedy and a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any, Literal

from airflow_provider_kedro_vertex.core.errors import CombinedConfigError, ConfigError, KedroVertexError
from airflow_provider_kedro_vertex.version import DOCUMENTATION

Level = Literal["error", "warning", "note"]

#: From how many on findings of one kind are told as one, and how many names a summary shows.
_MANY = 3
_FEW = 3

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
    "KV027": "A pipeline cannot run alone",
    "KV028": "A parameter of a node is not there",
    "KV029": "One file has two names",
    "KV030": "A dataset does not fit its class",
    "KV031": "Schedules on Vertex AI may go on",
    "KV032": "Several machines would each run the whole node",
    "KV033": "A node that runs out of memory would get no more",
}


@dataclass(frozen=True)
class Summary:
    """How findings of one kind read when there are many of them.

    :param message: with ``{count}``, ``{below}`` (the folder that they share) and ``{names}`` (the first of them).
    :param fix: what to do about all of them.
    """

    message: str
    fix: str


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    :param code: see :data:`CODES`.
    :param level: ``error`` (the run would fail), ``warning`` (an error under ``--strict``) or ``note``.
    :param message: what is wrong, and where.
    :param fix: what to do.
    :param dataset: the dataset that it is about, without transcoding; None if it is about none.
    :param nodes: the nodes that it concerns.
    :param pipelines: the pipelines in which it was found, ``__default__`` first; empty if it holds for the project.
    :param location: where the dataset lies, as far as it may be shown.
    :param summary: how it reads together with others of its kind; None for one that is always told alone.
    """

    code: str
    level: Level
    message: str
    fix: str
    dataset: str | None = None
    nodes: tuple[str, ...] = ()
    pipelines: tuple[str, ...] = ()
    location: str | None = None
    summary: Summary | None = None

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

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return {
            "code": self.code,
            "level": self.level,
            "message": self.message,
            "fix": self.fix,
            "dataset": self.dataset,
            "nodes": list(self.nodes),
            "pipelines": list(self.pipelines),
            "page": self.page,
        }


def errors(findings: Iterable[Finding], strict: bool = False) -> tuple[Finding, ...]:
    """The findings that must stop a run; with ``strict`` warnings too."""
    levels = ("error", "warning") if strict else ("error",)
    return tuple(finding for finding in findings if finding.level in levels)


def refuse(findings: Iterable[Finding]) -> None:
    """Stop where there is an error among the findings.

    :raises ConfigError: one line for each error, and for many of one kind.
    """
    found = summarized(errors(findings))
    if found:
        raise CombinedConfigError(_FindingError(finding) for finding in found)


def summarized(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Make one finding of many of one kind below one folder; it stands where the first of them stood."""
    alike: dict[object, list[Finding]] = defaultdict(list)
    for finding in findings:
        kind = (finding.code, finding.level, finding.summary, _top(finding.location))
        alike[kind if finding.summary else finding].append(finding)
    return tuple(told for group in alike.values() for told in ([_summary(group)] if len(group) >= _MANY else group))


def _summary(findings: Sequence[Finding]) -> Finding:
    first = findings[0]
    if first.summary is None:
        return first
    message = first.summary.message.format(
        count=len(findings),
        below=_below([finding.location for finding in findings]),
        names=some([finding.dataset or ", ".join(finding.pipelines) for finding in findings]),
    )
    return replace(
        first,
        message=message,
        fix=first.summary.fix,
        dataset=None,
        nodes=tuple(dict.fromkeys(node for finding in findings for node in finding.nodes)),
        pipelines=tuple(dict.fromkeys(pipeline for finding in findings for pipeline in finding.pipelines)),
        location=None,
        summary=None,
    )


def _top(location: str | None) -> str | None:
    """The first folder of a path; "" for a file that lies in none."""
    return location and "".join(PurePosixPath(location).parts[:-1][:1])


def _below(locations: Sequence[str | None]) -> str:
    folders = [PurePosixPath(location).parts[:-1] for location in locations if location]
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))]
    return f" below {PurePosixPath(*shared)}/" if shared else ""


def some(names: Sequence[str]) -> str:
    """The first few of many names, and how many more there are: ``'a', 'b', 'c' and 4 more``."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(map(repr, names[:_FEW])) + more


def first_and_more(names: Sequence[str]) -> str:
    """The first of several names, and how many more there are: ``'a' and 4 more``."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{''.join(names[:1])!r}{more}"


class _FindingError(ConfigError):
    """A finding that stops a run; it reads as the finding does."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message, finding.fix, code=finding.code)
        self._line = str(finding)

    def __str__(self) -> str:
        return self._line
