"""Logging in to PostgreSQL on RDS with IAM: a token instead of a password, made anew for each connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from headrace_aws.settings import AwsSettings

PORT = 5432


def set_database_connection_params(connection_url: str, settings: Any) -> Mapping[str, Any]:
    """Return how to log in to a database of RDS: `{}` unless `HEADRACE_INTEGRATIONS_AWS_RDS_IAM_ENABLED`, else TLS and a function that makes tokens.

    `password` is called for each connection: a token is good for 15 minutes, and to make one costs no request. The region is that of
    `HEADRACE_INTEGRATIONS_AWS_RDS_IAM_REGION_NAME`, else of the environment. Raises ValueError for an address without a host or user, `AwsError`
    when there is no region or there are no credentials.
    """
    iam = AwsSettings().rds.iam
    if not iam.enabled:
        return {}
    parts = urlsplit(connection_url)
    if not parts.scheme.startswith("postgresql"):
        return {}
    if not parts.hostname or not parts.username:
        raise ValueError(
            "To log in to RDS with IAM the database's address must name a host and a user: postgresql://iam_user@your-rds-host:5432/headrace"
        )
    host, port, user = parts.hostname, parts.port or PORT, unquote(parts.username)

    def token() -> str:
        return make_token(host, port, user, iam.region_name)

    token()  # so that missing credentials are told now
    if _has_tls(parts.query, settings):
        return {"password": token}
    return {"password": token, "sslmode": "require"}  # RDS takes tokens over TLS alone


def _has_tls(query: str, settings: Any) -> bool:
    """Say whether the address or the settings say how TLS is used: what a user has chosen is not made weaker."""
    options = parse_qs(query)
    if "sslmode" in options or "ssl" in options:
        return True
    tls = getattr(
        getattr(getattr(getattr(getattr(settings, "server", None), "database", None), "sqlalchemy", None), "connect_args", None), "tls", None
    )
    return bool(getattr(tls, "enabled", False))


def make_token(host: str, port: int, user: str, region_name: str | None) -> str:
    """Return a token by which a user may log in to a database for the next 15 minutes. Raises `AwsError`."""
    from headrace_aws.credentials import AwsCredentials
    from headrace_aws.errors import explaining

    with explaining(f"No token for the database user {user!r} at {host!r}"):
        client = AwsCredentials(region_name=region_name).get_client("rds")
        return client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
