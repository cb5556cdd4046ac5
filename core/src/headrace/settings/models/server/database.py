"""The documented place of these groups of settings."""

from headrace.settings.tree.server import (
    ServerDatabaseSettings,
    SQLAlchemyConnectArgsSettings,
    SQLAlchemySettings,
    SQLAlchemyTLSSettings,
)

__all__ = [
    "SQLAlchemyConnectArgsSettings",
    "SQLAlchemySettings",
    "SQLAlchemyTLSSettings",
    "ServerDatabaseSettings",
]
