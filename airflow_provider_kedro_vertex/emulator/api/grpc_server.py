"""The gRPC side: the same methods and messages as REST, found in the same table.

Google's client ships no servicer classes, so the methods are served by a generic handler over the types' own
``FromString`` and ``SerializeToString``. A refusal has the gRPC code, the message, and a ``google.rpc.Status`` with the
field violations in ``grpc-status-details-bin``, as Google's servers send it; both are cut to what fits into the 8 KiB
of metadata that gRPC clients accept.
"""

from __future__ import annotations

import logging
from functools import partial

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from airflow_provider_kedro_vertex.emulator.api.methods import METHODS, Method
from airflow_provider_kedro_vertex.emulator.api.service import Service
from airflow_provider_kedro_vertex.emulator.engine.faults import ConnectionLostError, Faults
from airflow_provider_kedro_vertex.emulator.resources.errors import (
    ApiError,
    Code,
    Violation,
    internal,
    invalid_argument,
    unimplemented,
)

logger = logging.getLogger(__name__)

# As over REST, and a little for what only the wire format has.
LARGEST_MESSAGE = 10 * 1024 * 1024

# Bytes. Percent signs and base 64 make the message up to three times, the details by a third larger on the wire.
_LONGEST_MESSAGE = 1200
_LARGEST_STATUS = 2500

# The packages of the services that are not Vertex AI's own.
_PACKAGES = {
    "Operations": "google.longrunning",
    "Locations": "google.cloud.location",
    "Projects": "google.cloud.resourcemanager.v3",
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_VERTEX = "/google.cloud.aiplatform."


def _path(method: Method) -> str:
    service, _, name = method.name.partition(".")
    return f"/{_PACKAGES.get(service, 'google.cloud.aiplatform.v1')}.{service}/{name}"


_METHODS = {_path(method): method for method in METHODS}


async def start_server(
    service: Service, faults: Faults, address: str, tls: tuple[bytes, bytes] | None
) -> tuple[grpc.aio.Server, int]:
    """Serve in the running event loop.

    :param address: host and port; port 0 takes a free one.
    :param tls: the private key and the certificate chain, in PEM; None for no TLS.
    :return: the server and its port.
    :raises RuntimeError: if the address cannot be bound.
    """
    options = [("grpc.max_receive_message_length", LARGEST_MESSAGE), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((_Handlers(service, faults),))
    if tls is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, grpc.ssl_server_credentials([tls]))
    await server.start()
    return server, int(port)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds a method by its path. What is served of v1 is served of v1beta1 too; others are UNIMPLEMENTED by name."""

    def __init__(self, service: Service, faults: Faults) -> None:
        self._service = service
        self._faults = faults

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of one method."""
        path = handler_call_details.method
        method = _METHODS.get(path.replace(f"{_VERTEX}v1beta1.", f"{_VERTEX}v1.", 1))
        if method is None:
            # One handler for all four kinds of methods: it reads nothing and sends nothing.
            return grpc.stream_stream_rpc_method_handler(partial(_refuse, path))
        # Bytes in and out: what cannot be read gets an answer as Google gives it.
        return grpc.unary_unary_rpc_method_handler(partial(self._serve, method))

    async def _serve(self, method: Method, request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            message = method.request()
            try:
                message.MergeFromString(request)
            except (DecodeError, ValueError):
                raise invalid_argument(Violation("", "The request is no message of its type.")) from None
            answer = await self._faults.around(method.short_name, partial(method.call, self._service, message))
            return bytes(answer.SerializeToString())
        except ApiError as error:
            refused = error
        except ConnectionLostError:
            # What a client finds when its connection is reset.
            refused = ApiError(Code.UNAVAILABLE, "Connection reset by peer")
        except Exception:
            logger.exception("%s failed", method.name)
            refused = internal("The emulator failed while it answered; its own log has the traceback.")
        await _abort(context, refused)
        raise AssertionError("abort raises")


async def _refuse(path: str, requests: object, context: grpc.aio.ServicerContext) -> None:
    name = path.strip("/").replace("/", ".").removeprefix("google.cloud.aiplatform.").removeprefix("v1.")
    await _abort(context, unimplemented(name[:200]))


async def _abort(context: grpc.aio.ServicerContext, error: ApiError) -> None:
    status = _status(error)
    metadata = (("grpc-status-details-bin", status.SerializeToString()),) if status.details else ()
    await context.abort(_CODES[int(error.code)], status.message, trailing_metadata=metadata)


def _status(error: ApiError) -> status_pb2.Status:
    message = error.message.encode()[:_LONGEST_MESSAGE].decode(errors="ignore")
    status = status_pb2.Status(code=int(error.code), message=message)
    request = error_details_pb2.BadRequest()
    for violation in error.violations:
        request.field_violations.add(field=violation.field, description=violation.description)
    while request.field_violations and len(message) + request.ByteSize() > _LARGEST_STATUS:
        del request.field_violations[-1]
    if request.field_violations:
        status.details.add().Pack(request)
    return status
