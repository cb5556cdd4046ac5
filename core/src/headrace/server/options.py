"""What the settings say about serving, read once when the server starts."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.settings import get_current_settings


@dataclass(frozen=True, slots=True)
class Options:
    """`auth_string` is "user:password", or None to let everybody in. `connections` is how many threads use PostgreSQL at once."""

    base_path: str = "/api"
    auth_string: str | None = None
    csrf_enabled: bool = False
    cors_origins: tuple[str, ...] = ()
    cors_methods: tuple[str, ...] = ("*",)
    cors_headers: tuple[str, ...] = ("*",)
    metrics_enabled: bool = False
    parameter_bytes_max: int = 524_288
    connections: int = 15


def options_in_force() -> Options:
    """Return what the settings in force say."""
    settings = get_current_settings()
    api, pool = settings.server.api, settings.server.database.sqlalchemy
    return Options(
        base_path=(api.base_path or "/api").rstrip("/"),
        auth_string=api.auth_string.get_secret_value() if api.auth_string else None,
        csrf_enabled=api.csrf_protection_enabled,
        cors_origins=_listed(api.cors_allowed_origins),
        cors_methods=_listed(api.cors_allowed_methods),
        cors_headers=_listed(api.cors_allowed_headers),
        metrics_enabled=settings.server.metrics_enabled,
        parameter_bytes_max=api.max_parameter_size,
        connections=max(2, pool.pool_size + max(0, pool.max_overflow)),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
