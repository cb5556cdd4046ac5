"""Running the application on a port, with uvicorn."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Literal

import uvicorn

from headrace.model.errors import ConfigurationError
from headrace.server.app import Application
from headrace.server.console import log_to_stderr
from headrace.server.database import database_in_force
from headrace.server.options import options_in_force
from headrace.settings import get_current_settings
from headrace.store.address import is_postgres

SHUTDOWN_SECONDS = 10
"""How long requests that are being answered may still take once the server is told to stop."""
BACKLOG = 2048
WATCH_SECONDS = 0.5
"""How often worker processes are looked after."""


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; port 0 picks a free one. Raises `ConfigurationError` when the address is taken or wrong."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            f"The server cannot listen at {host}, port {port}: {error.strerror or error}. Another program may use it (`headrace server status` says "
            "whether it is a server); end that, or choose another with --host and --port."
        ) from error
    return bound


def inherited(descriptor: int) -> socket.socket:
    """Return the socket that the parent process listens at."""
    return socket.socket(fileno=descriptor)


class Server(uvicorn.Server):
    """uvicorn, except that a signal ends it with exit status 0 once everything is in order, and that websockets hear why they are closed."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        if isinstance(app, Application):
            await app.begin_to_stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server_of(app: Application) -> Server:
    """Return a server of `app` that has yet to run, on sockets given to `run`."""
    settings = get_current_settings().server
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  # plain dicts where uvicorn names its own
        timeout_keep_alive=settings.api.keepalive_timeout,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        access_log=False,
        log_config=None,
        log_level=settings.logging_level.lower(),
        ws="websockets-sansio",
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
        lifespan="on",
        server_header=False,
    )
    return Server(config)


def application_in_force(mode: Literal["all", "web"]) -> Application:
    """Return the application of the settings in force."""
    return Application(database_in_force(), options_in_force(), mode)


def serve(bound: socket.socket, mode: Literal["all", "web"], when_opened: Callable[[], None] = lambda: None) -> None:
    """Serve the settings in force at `bound` until a signal says to stop. Raises what keeps the server from starting."""
    log_to_stderr()
    app = application_in_force(mode)
    app.when_opened = when_opened
    run(server_of(app), app, bound)
    if app.failure is not None:
        raise app.failure


def check_several() -> None:
    """Raise `ConfigurationError` unless several processes can serve one installation."""
    settings = get_current_settings().server
    if not is_postgres(settings.database.connection_url.get_secret_value()):
        raise ConfigurationError(
            "Several worker processes need PostgreSQL, but the database is SQLite, which one process serves best. Leave out --workers, or set "
            "HEADRACE_SERVER_DATABASE_CONNECTION_URL."
        )


def serve_several(bound: socket.socket, count: int) -> None:
    """Serve at `bound` from `count` processes, without background services, until a signal says to stop. One that dies is replaced."""
    api = get_current_settings().server.api
    level = get_current_settings().server.logging_level
    environment = {**os.environ, "HEADRACE_SERVER_API_KEEPALIVE_TIMEOUT": str(api.keepalive_timeout), "HEADRACE_SERVER_LOGGING_LEVEL": level}
    command = [sys.executable, "-m", "headrace", "server", "start", "--no-services", "--socket", str(bound.fileno())]
    stopping = threading.Event()

    def stop(number: int, frame: object) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)

    def begun() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, env=environment, pass_fds=[bound.fileno()], start_new_session=True)

    workers = [begun() for _ in range(count)]
    try:
        while not stopping.wait(WATCH_SECONDS):
            workers = [worker if worker.poll() is None else begun() for worker in workers]
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def is_local(host: str) -> bool:
    """Say whether only this machine can reach what listens at `host`."""
    return host == "localhost" or host.startswith("127.") or host == "::1"


def run(server: Server, app: Application, bound: socket.socket) -> None:
    """Run until the server is told to stop. What keeps it from starting is in `app.failure` afterwards."""
    app.when_failed = lambda: setattr(server, "should_exit", True)
    try:
        server.run([bound])
    except SystemExit:
        if app.failure is None:
            raise


@contextmanager
def serving_in_thread(app: Application) -> Generator[str, None, None]:
    """Serve `app` from a thread of this process while the block lasts; yield the address of its API. For tests."""
    bound = listening("127.0.0.1", 0)
    server = server_of(app)
    thread = threading.Thread(target=copy_context().run, args=(run, server, app, bound), name="headrace-server", daemon=True)
    thread.start()
    try:
        while thread.is_alive() and not app.opened.is_set() and app.failure is None:
            thread.join(0.005)
        if app.failure is not None:
            raise app.failure
        yield f"http://127.0.0.1:{bound.getsockname()[1]}{app.options.base_path}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
