"""Tokens of Microsoft Entra ID, and the time limits of every client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace_azure.settings import AzureSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


def time_limits() -> dict[str, Any]:
    """Return the arguments by which clients of Azure's SDKs give up on a service that hangs."""
    settings = AzureSettings()
    return {"connection_timeout": settings.connection_timeout_seconds, "read_timeout": settings.read_timeout_seconds}


def transport() -> Any:
    """Return what a client sends its requests with."""
    from headrace_azure.transport import Transport

    return Transport(**time_limits())


def authority_options() -> dict[str, Any]:
    """Return the arguments by which credentials know where to ask for tokens."""
    settings = AzureSettings()
    options = time_limits()
    if settings.authority:
        options["authority"] = settings.authority
    if settings.is_private_cloud:
        options["disable_instance_discovery"] = True
    return options


def token_credential(tenant_id: str | None = None, client_id: str | None = None, client_secret: str | None = None, **more: Any) -> TokenCredential:
    """Return the SDK's credential: of a service principal if all three are given, else `DefaultAzureCredential`, which looks for one.

    `more` are further arguments of the credential's class. No token is asked for as yet.
    """
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    options = {**authority_options(), **more}
    if tenant_id and client_id and client_secret:
        return ClientSecretCredential(tenant_id, client_id, client_secret, **options)
    return DefaultAzureCredential(**options)
