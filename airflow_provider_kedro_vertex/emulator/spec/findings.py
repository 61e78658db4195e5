"""The findings of reading a spec: its faults, and the features that are not run."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument, unimplemented_fields

SPEC_PATH = "pipeline_job.pipeline_spec"
"""The spec's path in a request."""


@dataclass
class Findings:
    """Gathers what is found, so that one answer tells all."""

    faults: list[Violation] = field(default_factory=list)
    not_served: list[Violation] = field(default_factory=list)

    def wrong(self, path: str, what: str) -> None:
        """Something is wrong."""
        self.faults.append(Violation(path, what))

    def not_run(self, path: str, what: str) -> None:
        """Vertex AI runs this, and this emulator does not."""
        verb = "are" if what.endswith("s") else "is"
        self.not_served.append(Violation(path, f"{what} {verb} not run by this emulator."))

    def refuse(self) -> None:
        """Refuse the spec if something was found.

        :raises ApiError: INVALID_ARGUMENT with what is wrong, or else UNIMPLEMENTED with what is not run.
        """
        # What is wrong comes first: with it, what is not run may be no more than a consequence.
        if self.faults:
            raise invalid_argument(*self.faults)
        if self.not_served:
            raise unimplemented_fields(*self.not_served)
