"""Running the application on a port, with uvicorn."""

from __future__ import annotations

from headrace.server.app import Application
from headrace.settings import get_current_settings
from headrace.store.database import Database


def serve(host: str, port: int, keepalive_timeout: int = 5) -> None:
    """Serve the API of the database in force until SIGTERM or SIGINT."""
    import uvicorn

    settings = get_current_settings()
    database = Database(settings.server.database.connection_url.get_secret_value())
    app = Application(database, settings.server.api.base_path or "/api")
    config = uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  # plain dicts where uvicorn names its own
        host=host,
        port=port,
        timeout_keep_alive=keepalive_timeout,
        access_log=False,
        log_level="warning",
        ws="websockets-sansio",
        lifespan="on",
        server_header=False,
    )
    uvicorn.Server(config).run()
