"""Errors as Google's APIs tell them: one function for each failure, one shape for all.

``ApiError`` carries a ``google.rpc.Code``, so that REST and gRPC tell the same story: REST writes it as the JSON of
https://cloud.google.com/apis/design/errors (``{"error": {"code", "message", "status", "details"}}``) with the HTTP
status of ``google/rpc/code.proto``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """The ``google.rpc.Code`` values that this emulator uses (``google/rpc/code.proto``)."""

    CANCELLED = 1
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


HTTP_STATUS = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
}

# A request with thousands of faults is answered with the first ones.
MOST_VIOLATIONS = 20


@dataclass(frozen=True)
class Violation:
    """One field that is wrong: its path in the request's proto names, and why.

    :param names_field: the description names the field itself.
    """

    field: str
    description: str
    names_field: bool = False


class ApiError(Exception):
    """A request that is refused. Raised by the functions below, turned into a response by the protocol's side."""

    def __init__(self, code: Code, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.violations = tuple(violations[:MOST_VIOLATIONS])

    @property
    def http_status(self) -> int:
        """The HTTP status that Google's APIs give for this code."""
        return HTTP_STATUS[self.code]

    def body(self) -> dict[str, Any]:
        """The JSON body of the REST response."""
        error: dict[str, Any] = {"code": self.http_status, "message": self.message, "status": self.code.name}
        if self.violations:
            error["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [{"field": v.field, "description": v.description} for v in self.violations],
                }
            ]
        return {"error": error}


def invalid_argument(*violations: Violation) -> ApiError:
    """The request's fields are wrong, each for its own reason."""
    return ApiError(Code.INVALID_ARGUMENT, _text(violations), violations)


def unknown_name(name: str, path: str) -> Violation:
    """A field that is not there, in Google's words.

    :param path: of the message that was to have it; empty for the request itself.
    """
    where = f" at '{path}'" if path else ""
    said = f'Invalid JSON payload received. Unknown name "{name[:100]}"{where}: Cannot find field.'
    return Violation(path, said, names_field=True)


def invalid_value(path: str, kind: str, value: str) -> Violation:
    """A value that a field's type does not take, in Google's words."""
    path = path.removeprefix(".")
    return Violation(path, f"Invalid value at '{path}' ({kind}), {value}", names_field=True)


def _text(violations: Sequence[Violation]) -> str:
    shown = [
        f"{v.field}: {v.description}" if v.field and not v.names_field else v.description
        for v in violations[:MOST_VIOLATIONS]
    ]
    if len(violations) > MOST_VIOLATIONS:
        shown.append(f"... and {len(violations) - MOST_VIOLATIONS} more")
    return "\n".join(shown)


def not_found(kind: str, name: str) -> ApiError:
    """No such resource."""
    return ApiError(Code.NOT_FOUND, f'The {kind} "{name}" does not exist.')


def unknown_region(region: str) -> ApiError:
    """A location that does not exist, which Google tells like one that the caller may not use."""
    return ApiError(Code.PERMISSION_DENIED, f"Permission denied on 'locations/{region}' (or it may not exist).")


def already_exists(kind: str, name: str) -> ApiError:
    """The id is taken."""
    return ApiError(Code.ALREADY_EXISTS, f'The {kind} "{name}" already exists.')


def wrong_state(kind: str, name: str, state: str, action: str) -> ApiError:
    """The resource's state does not allow the action, as in "is in state X and cannot be canceled"."""
    return ApiError(Code.FAILED_PRECONDITION, f'The {kind} "{name}" is in state {state} and cannot be {action}.')


def aborted(what: str) -> ApiError:
    """Somebody else was first; the request may be sent again when what it changes has been read again."""
    return ApiError(Code.ABORTED, what)


def unimplemented(what: str) -> ApiError:
    """The real service does this; the emulator does not."""
    return ApiError(Code.UNIMPLEMENTED, f"{what} is not implemented by this emulator.")


def unimplemented_fields(*violations: Violation) -> ApiError:
    """The request is right, and asks for what the emulator does not do."""
    return ApiError(Code.UNIMPLEMENTED, _text(violations), violations)


def unknown_route(method: str, path: str) -> ApiError:
    """No RPC has this HTTP method and path."""
    return ApiError(Code.NOT_FOUND, f"No method of Vertex AI is at {method} {path}.")


def too_large(limit: int) -> ApiError:
    """The body is over the limit. Google's front end answers 400 here, not 413."""
    return ApiError(Code.INVALID_ARGUMENT, f"Request payload size exceeds the limit: {limit} bytes.")


def no_http(what: str) -> ApiError:
    """The request cannot be read as HTTP, or its head is too long."""
    return ApiError(Code.INVALID_ARGUMENT, what)


def refused_origin(what: str) -> ApiError:
    """The request comes from a page of another origin, or is for a foreign host name."""
    return ApiError(Code.PERMISSION_DENIED, what)


def internal(what: str) -> ApiError:
    """A fault of the emulator itself; its log has the traceback."""
    return ApiError(Code.INTERNAL, what)
