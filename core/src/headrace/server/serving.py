"""Running the application on a port, with uvicorn."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Literal

import uvicorn

from headrace.model.errors import ConfigurationError
from headrace.server.app import Application
from headrace.server.options import options_in_force
from headrace.settings import get_current_settings
from headrace.store.database import Database

SHUTDOWN_SECONDS = 10
"""How long requests that are being answered may still take once the server is told to stop."""
BACKLOG = 2048


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


class Server(uvicorn.Server):
    """uvicorn, except that a signal ends it with exit status 0 once everything is in order, and that websockets hear why they are closed."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        if isinstance(app, Application):
            await app.begin_to_stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        import signal

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server_of(app: Application, *, keepalive_timeout: int = 5, log_level: str = "warning") -> Server:
    """Return a server of `app` that has yet to run, on sockets given to `run`."""
    api = get_current_settings().server.api
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  # plain dicts where uvicorn names its own
        timeout_keep_alive=keepalive_timeout,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        access_log=False,
        log_config=None,
        log_level=log_level,
        ws="websockets-sansio",
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        lifespan="on",
        server_header=False,
        forwarded_allow_ips="127.0.0.1",
    )
    return Server(config)


def application_in_force(mode: Literal["all", "web"]) -> Application:
    """Return the application of the settings in force."""
    settings = get_current_settings()
    return Application(Database(settings.server.database.connection_url.get_secret_value()), options_in_force(), mode)


def run(server: Server, app: Application, bound: socket.socket) -> None:
    """Run until the server is told to stop. What keeps it from starting is in `app.failure` afterwards."""
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
        while thread.is_alive() and not server.started:
            thread.join(0.005)
        if app.failure is not None:
            raise app.failure
        yield f"http://127.0.0.1:{bound.getsockname()[1]}{app.options.base_path}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
