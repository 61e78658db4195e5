"""Errors, one class for each thing that a caller must tell apart.

::

    KedroVertexError
    ├── ManifestError            the manifest is missing, damaged, or of another schema
    ├── ConfigError              a setting is missing or wrong (vertexai.yml, run_config=, an argument)
    │   └── CombinedConfigError         several of them, told at once
    ├── PlanError                the pipeline cannot become a plan: unknown, empty, names that collide
    ├── ProjectError             the Kedro project could not be inspected
    ├── JobError                 a job on Vertex AI ended without success
    └── VertexApiError           a call to Vertex AI failed; ``status`` is its HTTP status, None without an answer
        ├── BadRequestError      400, 412 and the like: the same call will fail again
        ├── PermissionDeniedError 401, 403
        ├── NotFoundError        404, 410
        ├── AlreadyExistsError   409
        ├── QuotaExceededError   429, RESOURCE_EXHAUSTED
        └── UnavailableError     408, 500, 502, 503, 504, ABORTED, or no answer at all

Every error has a ``message`` (what is wrong, and where), a ``fix`` (what to do) and a ``code`` (its section in
docs/checks.md) as fields; nothing takes its text apart again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class KedroVertexError(Exception):
    """The base of every error that this package raises on purpose.

    ``str()`` is one paragraph for a person: the message, then the fix. Code reads the fields instead.

    :param message: what is wrong, and where.
    :param fix: what to do about it; "" where the message is all there is to say.
    :param code: its section in docs/checks.md; by default that of the class.
    """

    code = "KV022"

    def __init__(self, message: str, fix: str = "", *, code: str | None = None) -> None:
        self.message, self.fix = message, fix.strip()
        # A message of several lines has its fix on a line of its own.
        separator = "\n" if "\n" in message else " "
        super().__init__(f"{message}{separator}{self.fix}".strip())
        if code is not None:
            self.code = code

    def each(self) -> tuple[KedroVertexError, ...]:
        """The single errors: this one, or those that it brings together."""
        return (self,)


class ManifestError(KedroVertexError):
    """A manifest is missing, damaged, or of another schema than this package reads."""

    code = "KV024"


class ConfigError(KedroVertexError):
    """A setting is missing or wrong."""


class CombinedConfigError(ConfigError):
    """Several settings are wrong, told at once; ``str()`` has a line for each.

    :param errors: at least one.
    """

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self._errors = tuple(errors)
        super().__init__("\n".join(map(str, self._errors)))

    def each(self) -> tuple[KedroVertexError, ...]:
        """Each wrong setting."""
        return self._errors


class PlanError(KedroVertexError):
    """A pipeline cannot become a plan."""

    code = "KV021"


class ProjectError(KedroVertexError):
    """A Kedro project could not be inspected."""

    code = "KV023"


@dataclass(frozen=True)
class FailedNode:
    """A node group that ended without success.

    :param group: its task id on Vertex AI.
    :param node: the node that failed, as its container told; None if it did not.
    :param error: the exception of that node, as its container told; None if it did not.
    :param message: Vertex AI's message; "" without one.
    :param log: the last lines of its log.
    :param log_url: the page with its log; None if it has none.
    :param job: the name of the job.
    :param job_url: the page of the job.
    """

    group: str
    node: str | None
    error: str | None
    message: str
    log: tuple[str, ...]
    log_url: str | None
    job: str
    job_url: str


class JobError(KedroVertexError):
    """A job on Vertex AI ended without success.

    :param message: what failed, where and why.
    :param failure_class: who has to act; see :data:`.outcome.FailureClass`.
    :param fix: what to do about it.
    :param failed_nodes: the node groups that failed.
    """

    code = "KV025"

    def __init__(
        self, message: str, failure_class: str = "request", fix: str = "", failed_nodes: Sequence[FailedNode] = ()
    ) -> None:
        super().__init__(message, fix)
        self.failure_class = failure_class
        self.failed_nodes = tuple(failed_nodes)


class VertexApiError(KedroVertexError):
    """A call to Vertex AI failed.

    :param message: what failed, where and why.
    :param status: the HTTP status of the answer; None when there was no answer.
    :param retry_after: seconds before which another try is pointless, as the answer says; None if it does not.
    :param fix: what to do about it.
    :param reason: Google's word for why (``google.rpc.ErrorInfo``), such as ``SERVICE_DISABLED``; "" if it has none.
    """

    code = "KV026"

    def __init__(
        self,
        message: str,
        status: int | None = None,
        retry_after: float | None = None,
        fix: str = "",
        reason: str = "",
    ) -> None:
        super().__init__(message, fix)
        self.reason = reason
        self.status = status
        self.retry_after = retry_after


class BadRequestError(VertexApiError):
    """Vertex AI refused the request as it is; the same call will fail again."""


class PermissionDeniedError(VertexApiError):
    """The credentials are missing or may not do this."""


class NotFoundError(VertexApiError):
    """There is no such resource."""


class AlreadyExistsError(VertexApiError):
    """A resource of this name exists."""


class QuotaExceededError(VertexApiError):
    """A quota or rate limit was hit; later the same call may work."""


class UnavailableError(VertexApiError):
    """Vertex AI could not answer now; the same call may work in a moment."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known name is closest to a wrong one.

    :return: ``" Did you mean 'x'?"``, or the known names when nothing is close and they are few, or "".
    """
    import difflib  # not for parsing a DAG file, which makes few mistakes

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    if names and len(names) <= 12:
        return f" Known: {', '.join(names)}."
    return ""
