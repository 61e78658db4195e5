"""The emulator as a whole: its parts put together, and served by uvicorn."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import ipaddress
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette

from airflow_provider_kedro_vertex.emulator.api import client_environment
from airflow_provider_kedro_vertex.emulator.api.connections import TrackedProtocol
from airflow_provider_kedro_vertex.emulator.api.control import METHOD_NAMES, Control
from airflow_provider_kedro_vertex.emulator.api.grpc_server import start_server
from airflow_provider_kedro_vertex.emulator.api.log_entries import LogEntries
from airflow_provider_kedro_vertex.emulator.api.proxy import Proxy
from airflow_provider_kedro_vertex.emulator.api.rest import application
from airflow_provider_kedro_vertex.emulator.api.service import Service
from airflow_provider_kedro_vertex.emulator.api.tls import Certificates, certificates
from airflow_provider_kedro_vertex.emulator.console.routes import Console
from airflow_provider_kedro_vertex.emulator.engine.custom_jobs import CustomJobs
from airflow_provider_kedro_vertex.emulator.engine.faults import Faults, parse_faults
from airflow_provider_kedro_vertex.emulator.engine.pipeline_jobs import Engine
from airflow_provider_kedro_vertex.emulator.executors.base import Executor
from airflow_provider_kedro_vertex.emulator.executors.container import (
    ContainerExecutor,
    Runtime,
    end_leftovers,
    find_runtime,
    image_of,
)
from airflow_provider_kedro_vertex.emulator.executors.images import (
    ContainerImage,
    Image,
    ImageError,
    Noop,
    StandIn,
    read_image,
)
from airflow_provider_kedro_vertex.emulator.executors.noop import NoopExecutor
from airflow_provider_kedro_vertex.emulator.executors.orphans import end_orphans
from airflow_provider_kedro_vertex.emulator.executors.process import GRACE_SECONDS, ProcessExecutor
from airflow_provider_kedro_vertex.emulator.storage.buckets import Buckets
from airflow_provider_kedro_vertex.emulator.storage.store import Store, StoreError

logger = logging.getLogger(__name__)

# Seconds for requests under way when it ends; a queued delay may be longer.
GRPC_GRACE_SECONDS = 1.0


class StartError(Exception):
    """The emulator cannot start; the text is one line that says why and what to do."""


class VertexEmulator:
    """A local Vertex AI, served in a thread for as long as the ``with`` block lasts.

        with VertexEmulator(images={"flights": "dags_examples/flights"}) as emulator:
            requests.post(f"{emulator.url}/v1/projects/p/locations/europe-west1/pipelineJobs", json=...)

    What runs when the block ends is ended too. With the same ``data`` folder the jobs are there again at the next
    start.

    :param images: image names and what stands for them: a project's folder, an :func:`.read_image` of a folder and the
        Python of a virtual environment, a :class:`.ContainerImage`, or a :class:`.Noop`.
    :param noop: what stands for all other images; by default they are not known.
    :param containers: run all other images themselves, by docker or podman.
    :param env: environment variables that every container gets.
    :param data: the folder for jobs, logs and work folders; by default a temporary one, removed at the end.
    :param host: the address to bind; by default this machine alone can reach it.
    :param port: by default a free one; see ``url``.
    :param max_parallel: containers that run at the same time; by default as many as there are cores.
    :param grace: seconds from SIGTERM to SIGKILL when a container is cancelled.
    :param speed: by how much faster the waits between the tries of a task pass, and the seconds of noop containers.
    :param faults: what is to go wrong, in the form of :mod:`.faults`; more can be sent to ``/_emulator/faults``.
    :param grpc_port: the port for gRPC; by default a free one; see ``grpc_target``.
    :param tls: serve both protocols with TLS only; ``ca`` is then the authority that clients must trust, also for
        names below ``googleapis.com``.
    :raises ApiError: if the faults are of another form.
    :raises ImageError: if an image's folder or Python is not there.
    :raises StartError: on entering, if the port or the data folder cannot be used.
    """

    def __init__(
        self,
        images: Mapping[str, str | os.PathLike[str] | StandIn] | None = None,
        *,
        noop: Noop | None = None,
        containers: bool = False,
        env: Mapping[str, str] | None = None,
        data: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        max_parallel: int | None = None,
        grace: float = GRACE_SECONDS,
        speed: float = 1.0,
        faults: Mapping[str, Any] | None = None,
        grpc_port: int = 0,
        tls: bool = False,
    ) -> None:
        self._images = {
            name: image if isinstance(image, StandIn) else read_image(image) for name, image in (images or {}).items()
        }
        self._noop = noop
        self._containers = containers
        self._env = dict(env or {})
        self._given_data = data
        self._host, self._port, self._grpc_port = host, port, grpc_port
        self._tls = tls
        self._address = host
        self._max_parallel = max_parallel or os.cpu_count() or 1
        self._grace = grace
        self._speed = speed
        self._faults = Faults()
        self._faults.add(parse_faults(faults, METHOD_NAMES) if faults is not None else ())
        self._thread: threading.Thread | None = None
        self._server: _Server | None = None
        self.data = Path()
        """The data folder."""
        self.url = ""
        """The address of REST, as in ``http://127.0.0.1:8787``; https with TLS."""
        self.grpc_target = ""
        """The address of gRPC, as in ``127.0.0.1:8788``."""
        self.ca: Path | None = None
        """With TLS, the certificate that clients must trust."""

    @property
    def images(self) -> Mapping[str, StandIn]:
        """The images by name."""
        return self._images

    @property
    def loopback(self) -> bool:
        """True if this machine alone can reach it."""
        return self._host == "localhost" or _is_loopback(self._host)

    def __enter__(self) -> VertexEmulator:
        ready = threading.Event()
        failures: list[BaseException] = []
        opened = self._open(ready.set)

        def serve() -> None:
            try:
                self._serve(*opened)
            except BaseException as error:
                failures.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=serve, name="vertex-emulator", daemon=True)
        self._thread.start()
        ready.wait()
        if failures:
            self._thread.join()
            raise failures[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()

    def run(self, on_ready: Callable[[], None]) -> None:
        """Serve in this thread, which must be the main one, until SIGINT or SIGTERM.

        :param on_ready: called when it serves.
        :raises StartError: if the port or the data folder cannot be used.
        """
        self._serve(*self._open(on_ready))

    def _open(self, on_ready: Callable[[], None]) -> tuple[_Server, socket.socket, IO[str]]:
        """Take the port and the data folder, and put the parts together."""
        listening = _listen(self._host, self._port)
        try:
            if self._grpc_port:
                # gRPC binds its port itself, later, and does not say why it cannot.
                _listen(self._host, self._grpc_port).close()
            self.data = _folder(self._given_data)
            lock = _locked(self.data)
            try:
                runtime = self._runtime()
                tls = certificates(self.data, self._host) if self._tls else None
                store = Store(self.data / "jobs.sqlite")
            except (StoreError, ImageError, OSError) as error:
                lock.close()
                raise StartError(str(error)) from error
        except StartError:
            listening.close()
            raise
        host, port = listening.getsockname()[:2]
        self._address = f"[{host}]" if ":" in host else host
        self.url = f"http{'s' if self._tls else ''}://{self._address}:{port}"
        self.ca = None if tls is None else tls.authority
        self._server = _Server(self._config(store, tls, runtime), on_ready)
        return self._server, listening, lock

    def _runtime(self) -> Runtime | None:
        """Find the runtime for the containers of images; None if no image needs one."""
        wanted = self._containers or any(isinstance(image, ContainerImage) for image in self._images.values())
        return find_runtime() if wanted else None

    def _config(self, store: Store, tls: Certificates | None, runtime: Runtime | None) -> uvicorn.Config:
        projects = {name: image for name, image in self._images.items() if isinstance(image, Image)}
        places = asyncio.Semaphore(self._max_parallel)
        # What leads Google's clients here is known when all is served.
        env = dict(self._env)
        executor: Executor = ProcessExecutor(projects, self.data, env, places, self._grace)
        if runtime is not None:
            executor = ContainerExecutor(
                runtime, self._images, self._containers, self.data, env, places, self._grace, executor
            )
        executor = NoopExecutor(self._images, self._noop, executor, self._speed)
        buckets = Buckets(self.data / "gcs")
        custom_jobs = CustomJobs(store, executor, self._faults, buckets)

        def is_mounted(name: str) -> bool:
            return image_of(name, self._images, self._containers) is not None

        engine = Engine(store, custom_jobs, buckets, is_mounted, self._speed)
        service = Service(store, engine, custom_jobs)
        keys = None if tls is None else (tls.key.read_bytes(), tls.certificate.read_bytes())

        async def close() -> None:
            await engine.close()
            await custom_jobs.close()

        async def reset() -> None:
            await close()
            # From here on nothing waits, so that no request comes in between.
            engine.forget()
            store.clear()
            self._faults.clear()
            for log in (self.data / "logs").glob("*.log"):
                log.unlink(missing_ok=True)
            shutil.rmtree(self.data / "gcs", ignore_errors=True)

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            proxy = None if tls is None else await self._serve_proxy(tls, env)
            if tls is None:
                # Nothing leads clients of Google's host names here; a container that knows this variable needs it.
                env.setdefault("KEDRO_VERTEX_API_ENDPOINT", self.url)
            orphans = end_orphans(self.data / "work")
            if orphans:
                logger.warning("Ended %d processes that the last emulator had left running", len(orphans))
            # In this order: a process that is about to start a container is gone before they are looked for.
            leftovers = await asyncio.to_thread(end_leftovers, self.data)
            if leftovers:
                logger.warning("Removed %d containers that the last emulator had left running", leftovers)
            custom_jobs.recover()
            # Now that nothing of a killed emulator runs any more, its work folders are of no use to anybody.
            shutil.rmtree(self.data / "work", ignore_errors=True)
            engine.recover()
            server, port = await start_server(service, self._faults, f"{self._address}:{self._grpc_port}", keys)
            self.grpc_target = f"{self._address}:{port}"
            if proxy is not None:
                proxy.grpc_port = port
            try:
                yield
            finally:
                if proxy is not None:
                    await proxy.close()
                    for path in client_environment.files(self.data):
                        path.unlink(missing_ok=True)
                await server.stop(GRPC_GRACE_SECONDS)
                await close()
                store.close()

        return uvicorn.Config(
            application(
                service,
                LogEntries(store, self.data),
                self._faults,
                [*Console(store, self.data, self._images).routes(), *Control(self._faults, reset).routes()],
                self.loopback,
                lifespan,
            ),
            ssl_keyfile=None if tls is None else tls.key,
            ssl_certfile=None if tls is None else tls.certificate,
            http=TrackedProtocol,
            # It would believe a header about who the client is.
            proxy_headers=False,
            loop="asyncio",
            ws="none",
            lifespan="on",
            log_config=None,
            # Whoever uses the emulator as a library has a log of their own, which is not for each start and request.
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=3,
        )

    async def _serve_proxy(self, tls: Certificates, env: dict[str, str]) -> Proxy:
        """Serve the proxy for Google's clients, and lead those in containers to it.

        :param env: the variables of every container; those that were given stay.
        """
        address = urlsplit(self.url)
        proxy = Proxy(self._host, address.port or 0)
        client_environment.write_files(self.data, tls.authority, self.url)
        client_environment.write_proxy(self.data, await proxy.start())
        env |= {**client_environment.variables(self.data), **env}
        return proxy

    def client_environment(self, project: str = "", storage: str = "") -> dict[str, str]:
        """The variables of a process whose Google clients, unmodified, end up here. It takes ``tls``.

        :param project: the default project; empty for none.
        :param storage: the address of a storage emulator; empty for none.
        :raises NotServedError: if it is not served with TLS.
        """
        return client_environment.variables(self.data, project, storage)

    def _serve(self, server: _Server, listening: socket.socket, lock: IO[str]) -> None:
        try:
            asyncio.run(server.serve(sockets=[listening]))
            if not server.started:
                raise StartError("the emulator ended while it started; the log above says why")
        finally:
            listening.close()
            lock.close()
            if self._given_data is None:
                shutil.rmtree(self.data, ignore_errors=True)


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"the address {host}:{port} cannot be used: {error}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        hint = "; port 0 takes a free one" if error.errno == errno.EADDRINUSE else ""
        raise StartError(f"port {port} of {host} cannot be used: {error}{hint}") from error
    return listening


def _folder(given: str | os.PathLike[str] | None) -> Path:
    path = Path(tempfile.mkdtemp(prefix="vertex-emulator-") if given is None else given).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (path / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise StartError(f"the data folder {path} cannot be used: {error.strerror}") from error
    return path


def _locked(data: Path) -> IO[str]:
    try:
        lock = (data / "lock").open("w")
    except OSError as error:
        raise StartError(f"the data folder {data} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StartError(f"another emulator uses the data folder {data}; give this one its own") from error
    return lock


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
